"""A device that reconnects while its former connection is half open, and a duplicated tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.websocket import session
from tests.conftest import ProxyTo, Serve
from tests.support.proxy import Mode
from tests.support.waiting import until
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
ANSWER_TIMEOUT = 0.4
"""Seconds, in place of the server's."""
BUSY_ANSWER_TIMEOUT = 2.0
"""The same where an answer must come in time, also on a busy machine."""


@pytest.fixture(autouse=True)
def shorter(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(session, "ANSWER_TIMEOUT", ANSWER_TIMEOUT)
    caplog.set_level("INFO", "audiostream")


async def listed(peer: Peer) -> list[str]:
    devices: list[dict[str, Any]] = (await peer.ask("getDevices"))["data"]["devices"]
    return [each["deviceId"] for each in devices]


async def answer_pings(peer: Peer) -> None:
    """Read, as a client does that is idle."""
    with pytest.raises(TimeoutError):
        await peer.socket.receive(2 * BUSY_ANSWER_TIMEOUT)


async def test_a_half_open_connection_is_closed_soon_after_its_device_connects_again(
    serve: Serve, token: Token, proxy_to: ProxyTo, caplog: pytest.LogCaptureFixture
) -> None:
    client = await serve()
    assert client.port is not None
    proxy = await proxy_to(client.port)
    url = str(client.make_url("/ws"))
    async with (
        ClientSession() as other_session,
        connect(client.session, url, token()) as kiosk,
        connect(other_session, f"{proxy.url}/ws?deviceId=phone", token()) as former,
    ):
        await former.receives_nothing()
        await proxy.switch(Mode.HOLD)
        async with connect(client.session, f"{url}?deviceId=phone", token()) as phone:
            assert (await listed(phone)).count("phone") == 2
            await until(lambda: "code=4409 reason=replaced" in caplog.text)
            assert (await listed(phone)).count("phone") == 1
            await proxy.switch(Mode.PASS)
            assert await former.closed() in (4409, 1006)
            await phone.receives_nothing()
            await kiosk.receives_nothing()


@pytest.mark.parametrize("authenticates_by_event", [False, True])
async def test_a_twin_that_answers_stays_with_a_row_of_its_own(
    serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch, authenticates_by_event: bool
) -> None:
    monkeypatch.setattr(session, "ANSWER_TIMEOUT", BUSY_ANSWER_TIMEOUT)
    client = await serve()
    url = str(client.make_url("/ws"))
    async with (
        connect(client.session, f"{url}?deviceId=tab", token()) as first,
        connect(
            client.session,
            url if authenticates_by_event else f"{url}?deviceId=tab",
            None if authenticates_by_event else token(),
        ) as second,
    ):
        if authenticates_by_event:
            await second.ask("auth", token=token(), deviceId="tab")
        await answer_pings(first)
        assert await listed(first) == await listed(second) == ["tab", "tab"]


async def test_devices_without_an_id_or_of_another_user_are_no_twins(
    serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    monkeypatch.setattr(session.DeviceSession, "check_alive", checked.append)
    client = await serve()
    url = str(client.make_url("/ws"))
    async with (
        connect(client.session, url, token()),
        connect(client.session, url, token()),
        connect(client.session, f"{url}?deviceId=tab", token()),
        connect(client.session, f"{url}?deviceId=tab", token("bob")) as last,
    ):
        await last.receives_nothing()
    assert checked == []


async def test_a_twin_that_does_not_answer_pings_is_told_that_it_was_replaced(
    serve: Serve, token: Token
) -> None:
    client = await serve()
    url = f"{client.make_url('/ws')}?deviceId=tab"
    async with (
        connect(client.session, url, token(), autoping=False) as first,
        connect(client.session, url, token()) as second,
    ):
        assert await first.closed() == 4409
        assert await listed(second) == ["tab"]


async def test_a_socketio_client_replaces_a_dead_native_connection(
    serve: Serve, token: Token
) -> None:
    pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    from tests.support.socketio_client import socketio_client

    client = await serve()
    async with connect(
        client.session, f"{client.make_url('/ws')}?deviceId=tab", token(), autoping=False
    ) as first:
        await first.receives_nothing()
        auth = {"token": token(), "deviceId": "tab"}
        async with socketio_client(str(client.make_url("")).rstrip("/"), auth) as second:
            assert await first.closed() == 4409
            devices = (await second.ask("getDevices"))["devices"]
            assert [each["deviceId"] for each in devices] == ["tab"]
