"""One device's connection on a fake transport and clock: heartbeat, pings, the ways it ends."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from aiohttp import WebSocketError, WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from audiostream.websocket.close_reasons import CloseConnection, CloseReason
from audiostream.websocket.device_websocket import (
    CLOSE_TIMEOUT,
    MAX_CLOSE_TEXT,
    PONG_TIMEOUT,
    DeviceWebSocket,
)
from audiostream.websocket.heartbeat import HEARTBEAT, HeartbeatMonitor
from audiostream.websocket.send_queue import WriteBatcher
from tests.support.transports import FakeLoop, FakeTransport

PING_FRAME = b"\x89\x00"


class PreparedWebSocket(DeviceWebSocket):
    """One whose handshake is over."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        return MagicMock(spec=AbstractStreamWriter)


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def socket(transport: FakeTransport, loop: FakeLoop) -> DeviceWebSocket:
    return opened(transport)


def opened(transport: FakeTransport) -> DeviceWebSocket:
    request: Any = SimpleNamespace(transport=transport)
    socket = PreparedWebSocket(1000, HeartbeatMonitor())
    with pytest.raises(StopIteration) as finished:
        socket.open(request, WriteBatcher()).send(None)
    assert finished.value.value is True
    return socket


def message(message_type: WSMsgType, data: Any = None) -> WSMessage:
    return WSMessage(message_type, data, "")


def end_of(socket: DeviceWebSocket, last: WSMessage) -> tuple[CloseReason, int]:
    """Why and with which code a message ends the connection."""
    with pytest.raises(CloseConnection) as closing:
        socket.handle_control(last)
    return closing.value.reason, closing.value.code


class TestHeartbeat:
    """``HeartbeatMonitor`` looks at devices every 2 s."""

    def test_a_device_that_answers_pings_stays(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        for count in range(1, 5):
            loop.advance(HEARTBEAT)
            assert transport.writes == [PING_FRAME] * count
            socket.received_at = loop.time()
        assert not transport.is_aborted

    def test_a_device_that_sends_is_not_pinged(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        for _ in range(10):
            loop.advance(HEARTBEAT / 2)
            socket.received_at = loop.time()
        assert transport.writes == []

    def test_a_device_that_does_not_answer_within_half_a_heartbeat_is_aborted(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        loop.advance(1.4 * HEARTBEAT)
        assert not transport.is_aborted
        loop.advance(0.2 * HEARTBEAT)
        assert transport.is_aborted
        assert socket.lost_reason is CloseReason.HEARTBEAT_TIMEOUT

    def test_the_timer_ends_with_the_last_connection_and_starts_with_the_next(
        self, socket: DeviceWebSocket, loop: FakeLoop
    ) -> None:
        socket.close_nowait(1000)
        loop.advance(HEARTBEAT)
        assert loop.timers == []
        opened(FakeTransport())
        assert len(loop.timers) == 1


class TestPing:
    def test_the_pong_of_a_ping_calls_back_once(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        calls: list[float] = []
        socket.send_ping(lambda: calls.append(loop.now))
        assert transport.sent == b"\x89\x011"
        socket.handle_control(message(WSMsgType.PONG, b""))
        socket.handle_control(message(WSMsgType.PONG, b"2"))
        assert calls == []
        socket.handle_control(message(WSMsgType.PONG, b"1"))
        socket.handle_control(message(WSMsgType.PONG, b"1"))
        loop.advance(PONG_TIMEOUT)
        assert calls == [100.0]

    def test_without_a_pong_its_timeout_calls_back(
        self, socket: DeviceWebSocket, loop: FakeLoop
    ) -> None:
        calls: list[float] = []
        socket.send_ping(lambda: calls.append(loop.now))
        loop.advance(PONG_TIMEOUT)
        assert calls == [100.0 + PONG_TIMEOUT]

    @pytest.mark.parametrize("is_aborted", [False, True])
    def test_after_the_end_nothing_calls_back(
        self, socket: DeviceWebSocket, loop: FakeLoop, is_aborted: bool
    ) -> None:
        socket.send_ping(lambda: pytest.fail("called"))
        if is_aborted:
            socket.abort()
        else:
            socket.close_nowait(1001)
        socket.handle_control(message(WSMsgType.PONG, b"1"))
        loop.advance(PONG_TIMEOUT)


class TestClose:
    def test_a_close_frame_is_sent_once_and_half_closes_the_connection(
        self, socket: DeviceWebSocket, transport: FakeTransport
    ) -> None:
        socket.close_nowait(1001, "going")
        socket.close_nowait(4401, "too late")
        assert transport.sent == b"\x88\x07\x03\xe9going"
        assert transport.is_half_closed
        assert not transport.is_closing()

    def test_a_long_text_is_cut_between_two_characters(
        self, socket: DeviceWebSocket, transport: FakeTransport
    ) -> None:
        socket.close_nowait(1001, "é" * 100)
        assert transport.sent[2:] == b"\x03\xe9" + ("é" * (MAX_CLOSE_TEXT // 2)).encode()

    def test_a_device_that_does_not_end_the_connection_is_aborted(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        socket.close_nowait(1000)
        loop.advance(0.9 * CLOSE_TIMEOUT)
        assert not transport.is_aborted
        loop.advance(0.1 * CLOSE_TIMEOUT)
        assert transport.is_aborted

    def test_no_heartbeat_follows_a_close_frame(
        self, socket: DeviceWebSocket, transport: FakeTransport, loop: FakeLoop
    ) -> None:
        socket.close_nowait(1000)
        loop.advance(2 * HEARTBEAT)
        assert len(transport.writes) == 1

    def test_a_tls_connection_is_closed_behind_the_close_frame(self, loop: FakeLoop) -> None:
        transport = FakeTransport(can_half_close=False)
        opened(transport).close_nowait(1000)
        assert (transport.sent, transport.is_closed) == (b"\x88\x02\x03\xe8", True)

    def test_a_connection_that_has_ended_meanwhile_is_aborted(self, loop: FakeLoop) -> None:
        transport = FakeTransport(error_at_half_close=OSError(errno.ENOTCONN, "not connected"))
        opened(transport).close_nowait(1000)
        assert transport.is_aborted


def test_a_device_websocket_has_no_attribute_of_the_name_of_one_of_aiohttp(loop: FakeLoop) -> None:
    names = dir(web.WebSocketResponse())
    assert not set(DeviceWebSocket.__slots__) & set(names)


class TestReasons:
    @pytest.mark.parametrize(
        ("code", "answer"),
        [
            (0, (CloseReason.CLIENT_CLOSED, 1000)),
            (1000, (CloseReason.CLIENT_CLOSED, 1000)),
            (1001, (CloseReason.CLIENT_CLOSED, 1001)),
            (4999, (CloseReason.CLIENT_CLOSED, 4999)),
            (1006, (CloseReason.PROTOCOL_ERROR, 1002)),
            (5000, (CloseReason.PROTOCOL_ERROR, 1002)),
        ],
    )
    def test_a_clients_close_code_is_answered_if_it_may_be_sent(
        self, socket: DeviceWebSocket, code: int, answer: tuple[CloseReason, int]
    ) -> None:
        assert end_of(socket, message(WSMsgType.CLOSE, code)) == answer

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            (1002, CloseReason.PROTOCOL_ERROR),
            (1007, CloseReason.INVALID_UTF8),
            (1009, CloseReason.MESSAGE_TOO_LONG),
        ],
    )
    def test_a_read_error_has_the_reason_of_its_code(
        self, socket: DeviceWebSocket, code: int, reason: CloseReason
    ) -> None:
        error = WebSocketError(code, "details")
        assert end_of(socket, message(WSMsgType.ERROR, error)) == (reason, code)

    def test_a_binary_message_is_1003(self, socket: DeviceWebSocket) -> None:
        last = message(WSMsgType.BINARY, b"{}")
        assert end_of(socket, last) == (CloseReason.BINARY_MESSAGE, 1003)

    def test_the_end_of_the_connection_is_a_slow_reader_if_the_queue_has_overflowed(
        self, socket: DeviceWebSocket
    ) -> None:
        last = message(WSMsgType.CLOSED)
        assert end_of(socket, last) == (CloseReason.CONNECTION_LOST, 1006)
        socket.send_queue.has_overflowed = True
        assert end_of(socket, last) == (CloseReason.SLOW_READER, 1006)
