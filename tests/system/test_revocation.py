"""A revocation that falls between the check of a token and what the token is good for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from audiostream.api import tracks
from audiostream.services import SERVICES
from audiostream.storage.revocations import revoke
from tests.conftest import Client, Serve
from tests.support.waiting import until
from tests.support.ws_client import connect

Token = Callable[..., str]


class Server:
    """A server whose rooms load when the test says so, and on which users can be revoked."""

    def __init__(self, client: Client, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.loading = asyncio.Event()
        self._may_load = asyncio.Event()
        self._path = path
        load = client.app[SERVICES].storage.loader.room

        async def room(user_id: str) -> Any:
            self.loading.set()
            await self._may_load.wait()
            return await load(user_id)

        monkeypatch.setattr(client.app[SERVICES].storage.loader, "room", room)

    async def revoke(self, user: str = "ada") -> None:
        await asyncio.to_thread(revoke, self._path, user, time.time())
        await until(lambda: user in self.client.app[SERVICES].tokens.revoked)

    async def revoke_while_loading(self) -> None:
        async with asyncio.timeout(10):
            await self.loading.wait()
        await self.revoke()
        self.load()

    def load(self) -> None:
        self._may_load.set()

    @property
    def devices(self) -> int:
        return len(self.client.app[SERVICES].registry.room("ada").devices)


@pytest.fixture
async def server(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    path = tmp_path / "state.sqlite3"
    return Server(await serve(state=path), path, monkeypatch)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class TestWhileTheRoomIsLoaded:
    async def test_a_handshake_is_401_when_its_user_is_revoked_while_the_room_is_loaded(
        self, server: Server, token: Token
    ) -> None:
        async def knock() -> int:
            url = str(server.client.make_url("/ws"))
            with pytest.raises(WSServerHandshakeError) as refused:
                async with connect(server.client.session, url, token()):
                    pass
            return refused.value.status

        knocking = asyncio.create_task(knock())
        await server.revoke_while_loading()
        assert await knocking == 401
        assert server.devices == 0

    async def test_a_query_token_is_closed_with_4401_when_revoked_while_the_room_is_loaded(
        self, server: Server, token: Token
    ) -> None:
        async def knock() -> int | None:
            url = str(server.client.make_url(f"/ws?token={token()}"))
            async with connect(server.client.session, url) as device:
                return await device.closed()

        knocking = asyncio.create_task(knock())
        await server.revoke_while_loading()
        assert await knocking == 4401
        assert server.devices == 0

    async def test_a_first_frame_is_closed_with_4401_when_revoked_while_the_room_is_loaded(
        self, server: Server, token: Token
    ) -> None:
        url = str(server.client.make_url("/ws"))
        async with connect(server.client.session, url) as device:
            await device.send("auth", token=token())
            closing = asyncio.create_task(device.closed())
            await server.revoke_while_loading()
            assert await closing == 4401
        assert server.devices == 0

    async def test_a_socketio_client_is_refused_when_revoked_while_the_room_is_loaded(
        self, server: Server, token: Token
    ) -> None:
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
        path = server.client.make_url("/socket.io/?EIO=4&transport=websocket")
        async with server.client.session.ws_connect(path) as socket:
            await socket.receive_str()
            await socket.send_str(f'40{{"token":"{token()}"}}')
            await server.revoke_while_loading()
            answer = await socket.receive_str()
            assert answer.startswith("44{")
            assert "the token has been revoked" in answer
            assert server.devices == 0

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/tracks/current-state", None),
            ("POST", "/tracks/play/song", {"currentTime": 7}),
            ("POST", "/tracks/pause/song", {}),
            ("POST", "/tracks/update-state/song", {"currentTime": 7, "isPlaying": True}),
        ],
    )
    async def test_a_request_is_401_without_effect_when_revoked_while_the_room_is_loaded(
        self, server: Server, token: Token, method: str, path: str, body: Any
    ) -> None:
        async def ask() -> int:
            headers = bearer(token())
            async with server.client.request(method, path, headers=headers, json=body) as answer:
                return answer.status

        asking = asyncio.create_task(ask())
        await server.revoke_while_loading()
        assert await asking == 401
        assert server.client.app[SERVICES].registry.room("ada").state.rev == 0


@pytest.mark.parametrize("path", ["play/song", "pause/song", "update-state/song"])
async def test_a_post_whose_body_ends_after_the_revocation_is_401_and_changes_nothing(
    server: Server, token: Token, path: str
) -> None:
    server.load()
    begun, revoked = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"currentTime": 7, '
        begun.set()
        await revoked.wait()
        yield b'"isPlaying": true}'

    async def post() -> int:
        url = f"/tracks/{path}"
        async with server.client.post(url, headers=bearer(token()), data=body()) as answer:
            return answer.status

    posting = asyncio.create_task(post())
    await begun.wait()
    await asyncio.sleep(0.1)  # what has been sent is there, and the token was looked at
    await server.revoke()
    revoked.set()
    assert await posting == 401
    assert server.client.app[SERVICES].registry.room("ada").state.rev == 0


async def test_a_long_list_is_401_when_its_user_is_revoked_while_it_is_made(
    server: Server, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks, "LONG_LIST", 1)
    descriptions = server.client.app[SERVICES].descriptions
    describe, writing, revoked = (
        descriptions.describe_for_list,
        threading.Event(),
        threading.Event(),
    )

    def slowly(user_id: str, track_id: str, now: float) -> Any:
        writing.set()
        assert revoked.wait(10)
        return describe(user_id, track_id, now)

    monkeypatch.setattr(descriptions, "describe_for_list", slowly)

    async def ask() -> tuple[int, str]:
        async with server.client.get("/tracks", headers=bearer(token())) as answer:
            return answer.status, await answer.text()

    asking = asyncio.create_task(ask())
    await asyncio.to_thread(writing.wait, 10)
    await server.revoke()
    revoked.set()
    status, text = await asking
    assert status == 401
    assert "ticket" not in text


async def test_events_of_a_revoked_device_have_no_effect_and_no_answer(
    server: Server, token: Token
) -> None:
    """Neither by its native socket nor by Socket.IO, however fast it goes on."""
    pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    server.load()
    path = server.client.make_url("/socket.io/?EIO=4&transport=websocket")
    url = str(server.client.make_url("/ws"))
    async with (
        server.client.session.ws_connect(path) as socket,
        connect(server.client.session, url, token()) as device,
    ):
        await socket.receive_str()
        await socket.send_str(f'40{{"token":"{token()}"}}')
        assert (await socket.receive_str()).startswith('40{"sid":')
        await device.receives_nothing()
        closing = asyncio.create_task(device.closed())
        flooding = asyncio.create_task(flood(socket))
        await server.revoke()
        rev = server.client.app[SERVICES].registry.room("ada").state.rev
        assert server.devices == 0
        assert await closing == 4401
        await ended(socket)
        await flooding
        assert server.client.app[SERVICES].registry.room("ada").state.rev == rev


async def flood(socket: ClientWebSocketResponse) -> None:
    with suppress(ConnectionError):
        while not socket.closed:
            await socket.send_str('42["playTrack",{"trackId":"song"}]')
            await asyncio.sleep(0.002)


async def ended(socket: ClientWebSocketResponse) -> None:
    async with asyncio.timeout(10):
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass


async def test_a_token_renewed_after_the_revocation_is_refused(
    server: Server, token: Token
) -> None:
    server.load()
    old = token()
    await server.revoke()
    url = str(server.client.make_url("/ws"))
    fresh = server.client.app[SERVICES].tokens.mint("ada", time.time() + 5, None)
    async with connect(server.client.session, url, fresh) as device:
        await device.receives_nothing()
        await device.send("auth", token=old, deviceName="Phone")
        assert (await device.receives("error"))["message"] == "the token has been revoked"
        assert await device.closed() == 4401
