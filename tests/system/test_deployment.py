"""DEPLOYMENT.md's nginx configuration, in front of the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from audiostream import client
from tests.support.nginx import proxy_location, proxy_map, running_nginx
from tests.support.server_process import Launch, ServerProcess
from tests.support.ws_client import connect

Token = Callable[..., str]


@pytest.fixture
def server(launch: Launch) -> ServerProcess:
    server = launch()
    server.wait_for_log("the library has")
    return server


@pytest.fixture
def proxy(server: ServerProcess, tmp_path: Path) -> Iterator[str]:
    """nginx with that ``location`` block; answers its address."""
    with running_nginx(tmp_path, proxy_map(), proxy_location(server.url)) as url:
        yield url


async def test_rest_websockets_and_ranges_pass_through_nginx(proxy: str, token: Token) -> None:
    bearer = {"Authorization": f"Bearer {token()}"}
    async with ClientSession(proxy) as session:
        origin = {"Origin": proxy}
        async with connect(session, f"{proxy}/ws", token(), headers=origin) as phone:
            async with session.post("/api/tracks/play/song", headers=bearer) as answer:
                assert answer.status == 200
            track = (await phone.receives("trackPlaying"))["track"]
        part = {"Range": "bytes=10-19"}
        async with session.get(track["streamUrl"], headers=part) as answer:
            assert (answer.status, len(await answer.read())) == (206, 10)
            etag = answer.headers["ETag"]
        async with session.get(track["streamUrl"], headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
        tls = bearer | {"X-Forwarded-Proto": "https"}
        async with session.post("/session", headers=tls) as answer:
            assert "Secure" not in answer.headers["Set-Cookie"]  # nginx says what it knows: http


async def test_the_python_client_works_through_nginx(proxy: str, token: Token) -> None:
    async with client.connect(proxy, token()) as player:
        await player.play("song", 5.0)
        async for event in player:
            if event.track is not None:
                assert event.track.stream_url.startswith(f"{proxy}/api/tracks/stream/song?")
                break
        assert not (await player.pause()).is_playing


async def test_a_foreign_origin_is_refused_behind_nginx(proxy: str, token: Token) -> None:
    async with ClientSession(proxy) as session:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with connect(
                session, f"{proxy}/ws", token(), headers={"Origin": "https://evil.example"}
            ):
                pass
        assert refused.value.status == 403
