"""Every disconnect of a native device is one line of the log, with a reason of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.errors import StoreError
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.websocket import authentication, gateway, heartbeat, send_queue
from tests.conftest import Serve
from tests.support.disconnect_log import disconnected
from tests.support.live import Live, RunLive
from tests.support.raw_http import bearer, upgrade
from tests.support.raw_websocket import BINARY, frame
from tests.support.waiting import until
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
MANY = Limits(commands_per_second=1_000_000)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", "audiostream")
    return caplog


class TestNative:
    @pytest.fixture
    async def server(self, live: RunLive, log: Any) -> AsyncIterator[Live]:
        async with live(limits=MANY) as server:
            log.clear()
            yield server

    @asynccontextmanager
    async def device(
        self, server: Live, token: str, log: pytest.LogCaptureFixture, name: str = "it"
    ) -> AsyncIterator[Peer]:
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws?deviceId={name}", token) as peer,
        ):
            await until(lambda: f"connected user=ada device={name} " in log.text)
            yield peer

    async def test_a_device_has_a_line_at_its_start(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(server, token(), log):
            assert [line for line in log.messages if "connected" in line] == [
                "connected user=ada device=it address=127.0.0.1 transport=websocket"
            ]

    async def test_a_client_that_closes_has_its_own_code(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(server, token(), log) as peer:
            await peer.socket.close(code=4000)
        assert await disconnected(log) == (4000, "client_closed")

    @pytest.mark.parametrize("is_reset", [True, False])
    async def test_a_connection_that_ends_without_a_close_frame_is_lost(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture, is_reset: bool
    ) -> None:
        async with server.line() as line:
            line.send(upgrade("/ws?deviceId=it", bearer(token())))
            await line.read_head()
            await until(lambda: "connected user=ada" in log.text)
            line.reset() if is_reset else line.end()
            assert await disconnected(log) == (1006, "connection_lost")

    async def test_a_device_that_does_not_read_is_a_slow_reader(
        self,
        server: Live,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(send_queue, "MAX_UNSENT", 8192)
        async with self.device(server, token(), log, "phone") as phone, server.line(4096) as line:
            line.send(upgrade("/ws?deviceId=it", bearer(token())))
            await line.read_head()
            await until(lambda: "device=it" in log.text)
            for number in range(20_000):
                await phone.send("playTrack", trackId="song", currentTime=number % 50)
                await phone.receives("trackPlaying")
                if "slow_reader" in log.text:
                    break
            assert await disconnected(log) == (1006, "slow_reader")

    async def test_a_device_that_does_not_answer_pings_misses_the_heartbeat(
        self,
        live: RunLive,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(heartbeat, "HEARTBEAT", 0.4)
        async with live() as server, server.line() as line:
            line.send(upgrade("/ws?deviceId=it", bearer(token())))
            await line.read_head()
            assert await disconnected(log) == (1006, "heartbeat_timeout")

    async def test_an_expired_token_is_logged_with_4401(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(server, token(life=2), log) as peer:
            assert await peer.closed() == 4401
        assert await disconnected(log) == (4401, "token_expired")

    async def test_a_revoked_token_is_logged_with_4401(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(server, token(), log) as peer:
            gateway.close_revoked(server.app, {"ada"})
            assert await peer.closed() == 4401
        assert await disconnected(log) == (4401, "token_revoked")

    async def test_another_users_token_is_logged_with_4403(
        self, server: Live, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with self.device(server, token(), log) as peer:
            await peer.send("auth", token=token("bob"))
            assert await peer.closed() == 4403
        assert await disconnected(log) == (4403, "other_user")

    @pytest.mark.parametrize("by_query", [True, False])
    async def test_a_refused_token_is_not_in_the_log(
        self, server: Live, log: pytest.LogCaptureFixture, by_query: bool
    ) -> None:
        path = "/ws?token=a-secret" if by_query else "/ws"
        async with ClientSession() as session, connect(session, server.url + path) as peer:
            if not by_query:
                await peer.send("auth", token="a-secret")
            assert await peer.closed() == 4401
        assert await disconnected(log, "-") == (4401, "token_refused")
        assert "a-secret" not in log.text

    async def test_a_device_that_does_not_authenticate_in_time_is_logged_with_4408(
        self, server: Live, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication, "AUTH_TIMEOUT", 0.1)
        async with ClientSession() as session, connect(session, f"{server.url}/ws") as peer:
            assert await peer.closed() == 4408
        assert await disconnected(log, "-") == (4408, "auth_timeout")

    async def test_a_device_too_many_of_one_user_is_logged_with_4429(
        self, live: RunLive, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with live(limits=Limits(sockets_per_user=1)) as server:
            log.clear()
            async with self.device(server, token(), log, "first"), ClientSession() as session:
                async with connect(session, f"{server.url}/ws", token()) as second:
                    assert await second.closed() == 4429
                assert await disconnected(log, "-") == (4429, "too_many_devices")
                assert "disconnected user=ada device=- " in log.text

    @pytest.mark.parametrize(
        ("last", "end"),
        [
            (frame("x", reserved=4), (1002, "protocol_error")),
            (frame(b"\x03", 8), (1002, "protocol_error")),
            (frame(b"{}", BINARY), (1003, "binary_message")),
            (frame(b"\xff"), (1007, "invalid_utf8")),
            (frame(" " * (64 * 1024 + 1)), (1009, "message_too_long")),
        ],
    )
    async def test_each_kind_of_broken_message_is_logged_with_a_reason_of_its_own(
        self,
        server: Live,
        token: Token,
        log: pytest.LogCaptureFixture,
        last: bytes,
        end: tuple[int, str],
    ) -> None:
        async with server.line() as line:
            line.send(upgrade("/ws?deviceId=it", bearer(token())) + last)
            answer = await line.read_to_end()
            assert int.from_bytes(answer.partition(b"\r\n\r\n")[2][2:4]) == end[0]
        assert await disconnected(log) == end

    async def test_an_unreadable_state_file_is_logged_with_1013(
        self,
        server: Live,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        async def fails(user_id: str) -> None:
            raise StoreError("the state cannot be read now; try again")

        async with ClientSession() as session, connect(session, f"{server.url}/ws") as peer:
            with monkeypatch.context() as patch:
                patch.setattr(server.app[SERVICES].storage.loader, "room", fails)
                await peer.send("auth", token=token())
                assert await peer.closed() == 1013
        assert await disconnected(log, "-") == (1013, "state_unavailable")

    async def test_an_error_of_the_server_is_logged_with_1006(
        self,
        serve: Serve,
        token: Token,
        log: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fails(*_: object) -> None:
            raise ZeroDivisionError

        client = await serve()
        monkeypatch.setattr(client.app[SERVICES].registry, "connect", fails)
        async with connect(client.session, str(client.make_url("/ws")), token()) as peer:
            assert await peer.closed() == 1006
        assert await disconnected(log, "-") == (1006, "internal_error")

    async def test_a_shutdown_is_logged_with_1001(
        self, live: RunLive, token: Token, log: pytest.LogCaptureFixture
    ) -> None:
        async with ClientSession() as session, live() as server:
            url = f"{server.url}/ws?deviceId=it"
            peer = Peer(await session.ws_connect(url, headers=headers(token())))
            await peer.receives_nothing()
            closing = asyncio.create_task(peer.closed())
            await gateway.close_all(server.app)
            assert await closing == 1001
        assert await disconnected(log) == (1001, "shutdown")


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
