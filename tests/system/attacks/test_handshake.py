"""WebSocket handshakes of foreign pages and half handshakes are refused."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from audiostream.websocket import authentication
from tests.conftest import Serve
from tests.support.attack_target import AttackTarget
from tests.support.raw_http import bearer, upgrade
from tests.support.raw_websocket import PING, RawWebSocket, frame
from tests.system.attacks.expectations import Token, all_but


class TestHandshake:
    @pytest.mark.parametrize("path", ["/ws", "/"])
    async def test_a_handshake_from_a_foreign_origin_is_403(
        self, target: AttackTarget, token: Token, path: str
    ) -> None:
        host = f"127.0.0.1:{target.server.port}"
        found = {}
        origins = (
            "https://evil.example",
            "null",
            "",
            "file://",
            "*",
            "http://127.0.0.1",
            "http://127.0.0.1:1",
            f"http://127.0.0.1.evil.example:{target.server.port}",
            f"http://evil.127.0.0.1:{target.server.port}",
            f"http://localhost:{target.server.port}",
            f"http://{host}.evil.example",
            f"http://{host}@evil.example",
            f"http://evil.example#{host}",
            f"http://evil.example/{host}",
            f"ftp://{host}",
            f"{host}",
            "http://[::1]",
            "http://[",
            "http://127.0.0.1:99999",
            "\xff\xfe",
        )
        for origin in origins:
            headers = {"Origin": origin, "Host": host}
            answers = [
                await target.handshake(path, headers),
                await target.handshake(path, headers | bearer(token())),
                await target.handshake(f"{path}?token={token()}", headers),
            ]
            found[origin] = {answer.essence for answer in answers}
        assert all_but({(403, "forbidden")}, found) == {}
        own = {"Origin": f"http://{host}", "Host": host}
        answer = await target.handshake("/ws", own | bearer("x"))
        assert answer.essence == (401, "unauthorized")
        assert (await target.handshake("/ws?token=x", own)).status == 101

    async def test_a_malformed_handshake_is_refused(
        self, target: AttackTarget, token: Token
    ) -> None:
        for headers in (
            {"Sec-WebSocket-Key": "short"},
            {"Sec-WebSocket-Key": ""},
            {"Sec-WebSocket-Key": "é" * 24},
            {"Sec-WebSocket-Version": "12"},
            {"Sec-WebSocket-Version": "9" * 5000},
            {"Connection": "close"},
            {"Upgrade": "h2c"},
        ):
            answer = await target.handshake("/ws", headers | bearer(token()))
            assert 400 <= answer.status < 500, headers
            assert answer.error is not None, answer

    @pytest.mark.parametrize("habit", ["silent", "pinging", "dripping", "stuck in a frame"])
    async def test_a_socket_that_does_not_authenticate_in_time_is_4408(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, habit: str
    ) -> None:
        monkeypatch.setattr(authentication, "AUTH_TIMEOUT", 0.5)
        client = await serve()
        reader, writer = await asyncio.open_connection(client.host, client.port)
        device = RawWebSocket(reader, writer, [])
        await device.send(upgrade())
        await reader.readuntil(b"\r\n\r\n")
        if habit == "stuck in a frame":
            await device.send(frame('{"event":"auth",', claimed=1000))
        data = {"pinging": frame("", PING) * 40, "dripping": frame("x" * 100)}.get(habit, b"")
        every = 0.1 if habit == "dripping" else 0.01
        dripping = asyncio.create_task(device.drip(data, every))
        assert await device.ending() == "4408"
        await dripping
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
