"""Every disconnect of a Socket.IO client is one line of the log, with a reason of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.websocket import authentication, gateway, heartbeat
from tests.conftest import Client, Serve
from tests.support.disconnect_log import disconnected
from tests.support.server_process import Launch
from tests.support.waiting import until
from tests.support.ws_client import connect

Token = Callable[..., str]


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "audiostream")
    return caplog


class TestSocketio:
    """The same words; the codes are those that a native device would get."""

    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")

    @asynccontextmanager
    async def device(self, client: Client, token: str) -> AsyncIterator[Any]:
        import socketio

        device = socketio.AsyncClient(reconnection=False)
        auth = {"token": token, "deviceId": "it"}
        await device.connect(str(client.make_url("")), auth=auth, transports=["websocket"])
        try:
            yield device
        finally:
            await device.disconnect()
            await device.shutdown()

    @asynccontextmanager
    async def raw_device(self, client: Client, token: str | None) -> AsyncIterator[Any]:
        """One that does not answer pings, and is as long there as its connection."""
        url = client.make_url("/socket.io/?EIO=4&transport=websocket")
        async with client.session.ws_connect(url) as device:
            await device.receive_str()
            if token is not None:
                await device.send_str(f"40{json.dumps({'token': token, 'deviceId': 'it'})}")
                await device.receive_str()
            yield device

    async def test_a_device_has_a_line_at_its_start(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(await serve(), token()):
            await until(lambda: "connected" in log.text)
        line = next(line for line in log.messages if line.startswith("connected"))
        assert line == "connected user=ada device=it address=127.0.0.1 transport=socketio"

    @pytest.mark.parametrize("packet", ["41", "1"])
    async def test_a_client_that_disconnects_is_logged_as_client_closed(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture, packet: str
    ) -> None:
        async with self.raw_device(await serve(), token()) as device:
            await device.send_str(packet)
            assert await disconnected(log) == (1000, "client_closed")

    async def test_a_lost_connection_is_logged_with_1006(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.raw_device(await serve(), token()) as device:
            connection: socket.socket = device.get_extra_info("socket")
            connection.shutdown(socket.SHUT_RDWR)
            assert await disconnected(log) == (1006, "connection_lost")

    async def test_a_client_that_does_not_poll_is_a_slow_reader(
        self,
        serve: Serve,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from audiostream.socketio import session

        monkeypatch.setattr(session, "MAX_QUEUED", 5)
        client = await serve()
        async with connect(client.session, str(client.make_url("/ws")), token()) as phone:
            url = client.make_url("/socket.io/?EIO=4&transport=polling")
            async with client.session.get(url) as answer:
                url = url.update_query(sid=json.loads((await answer.text())[1:])["sid"])
            hello = f"40{json.dumps({'token': token(), 'deviceId': 'it'})}"
            async with client.session.post(url, data=hello) as answer:
                assert answer.status == 200
            for _ in range(10):
                await phone.send("playTrack", trackId="song")
                await phone.receives("trackPlaying")
            assert await disconnected(log) == (1006, "slow_reader")

    async def test_a_missed_heartbeat_is_logged_with_1006(
        self,
        serve: Serve,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(heartbeat, "HEARTBEAT", 2.0)
        async with self.raw_device(await serve(), token()) as device:
            listening = asyncio.create_task(device.receive_str())
            assert await disconnected(log) == (1006, "heartbeat_timeout")
            await listening

    async def test_an_expired_token_is_logged_with_4401(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(await serve(), token(life=2)):
            assert await disconnected(log) == (4401, "token_expired")

    async def test_a_revoked_token_is_logged_with_4401(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        client = await serve()
        async with self.device(client, token()):
            gateway.close_revoked(client.app, {"ada"})
            assert await disconnected(log) == (4401, "token_revoked")

    async def test_another_users_token_is_logged_with_4403(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(await serve(), token()) as device:
            await device.emit("auth", {"token": token("bob")})
            assert await disconnected(log) == (4403, "other_user")

    async def test_a_client_that_does_not_authenticate_in_time_is_logged_with_4408(
        self, serve: Serve, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication, "AUTH_TIMEOUT", 0.1)
        async with self.raw_device(await serve(), None):
            assert await disconnected(log, "-") == (4408, "auth_timeout")

    async def test_a_broken_packet_is_logged_with_1002(
        self, serve: Serve, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.raw_device(await serve(), token()) as device:
            await device.send_str("nonsense")
            assert await disconnected(log) == (1002, "protocol_error")

    async def test_a_shutdown_is_logged_with_1001(self, launch: Launch, token: Token) -> None:
        server = launch()
        async with ClientSession() as session:
            url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
            async with session.ws_connect(url) as device:
                await device.receive_str()
                await device.send_str(f"40{json.dumps({'token': token(), 'deviceId': 'it'})}")
                await device.receive_str()
                assert await asyncio.to_thread(server.stop) == 0
        server.wait_for_end()
        [line] = [line for line in server.log if " disconnected user=" in line]
        assert "user=ada device=it address=127.0.0.1 code=1001 reason=shutdown after=" in line
        assert not any(token() in line for line in server.log)
