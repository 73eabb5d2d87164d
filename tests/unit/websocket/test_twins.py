"""Connections of one device: the former one is pinged at once, and closed if it is dead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from audiostream.ops.counters import Counters
from audiostream.services import SERVICES
from audiostream.websocket.close_reasons import CloseReason
from audiostream.websocket.device_websocket import CLOSE_TIMEOUT, DeviceWebSocket
from audiostream.websocket.send_queue import WriteBatcher
from audiostream.websocket.session import DeviceSession
from audiostream.websocket.twins import ANSWER_TIMEOUT, check_twins
from tests.support.scenario import USER, Scenario
from tests.support.transports import FakeLoop, FakeTransport
from tests.unit.websocket.test_device_websocket import PING_FRAME, opened


@pytest.fixture
def transport(loop: FakeLoop) -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def socket(transport: FakeTransport) -> DeviceWebSocket:
    return opened(transport)


@pytest.fixture
def session(socket: DeviceWebSocket) -> DeviceSession:
    app: Any = {SERVICES: SimpleNamespace(counters=Counters())}
    return DeviceSession(app, socket, WriteBatcher(), "192.0.2.7")


def test_a_client_is_pinged_at_once_and_closed_as_replaced_without_an_answer(
    session: DeviceSession,
    transport: FakeTransport,
    loop: FakeLoop,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    loop.advance(1.0)
    session.check_alive()
    assert transport.writes == [PING_FRAME]
    loop.advance(ANSWER_TIMEOUT - 0.1)
    assert transport.writes == [PING_FRAME]
    loop.advance(0.2)
    close_frame = transport.writes[1]
    assert (close_frame[0], close_frame[2:4]) == (0x88, CloseReason.REPLACED.code.to_bytes(2))
    assert "code=4409 reason=replaced" in caplog.text
    loop.advance(CLOSE_TIMEOUT)
    assert transport.is_aborted


@pytest.mark.parametrize("delay", [0.0, ANSWER_TIMEOUT - 0.1])
def test_a_client_that_sends_anything_meanwhile_stays(
    session: DeviceSession,
    socket: DeviceWebSocket,
    transport: FakeTransport,
    loop: FakeLoop,
    delay: float,
) -> None:
    loop.advance(1.0)
    session.check_alive()
    loop.advance(delay)
    socket.received_at = loop.time()
    loop.advance(4 * ANSWER_TIMEOUT)  # less than a heartbeat
    assert transport.writes == [PING_FRAME]
    assert not transport.is_aborted


def test_a_client_that_has_been_closed_meanwhile_is_not_closed_again(
    session: DeviceSession, transport: FakeTransport, loop: FakeLoop
) -> None:
    loop.advance(1.0)
    session.check_alive()
    session.close_nowait(CloseReason.SHUTDOWN)
    loop.advance(ANSWER_TIMEOUT + 0.1)
    assert len(transport.writes) == 2


class RecordingConnection:
    def __init__(self) -> None:
        self.checks = 0

    def check_alive(self) -> None:
        self.checks += 1


def test_only_other_connections_of_the_same_user_and_device_id_are_checked() -> None:
    scenario = Scenario()
    connections = []
    for user, name in ((USER, "kiosk"), (USER, "kiosk"), (USER, "phone"), ("bob", "kiosk")):
        scenario.connect("unused")
        device = scenario.registry.connect(user, scenario.send_queues["unused"], name)
        device.connection = RecordingConnection()
        connections.append(device.connection)
    scenario.registry.connect(USER, scenario.send_queues["unused"], "kiosk")  # cannot be asked
    newest = scenario.registry.connect(USER, scenario.send_queues["unused"], "kiosk")
    newest.connection = RecordingConnection()
    check_twins(scenario.room, newest)
    assert [each.checks for each in connections] == [1, 1, 0, 0]
    assert newest.connection.checks == 0
