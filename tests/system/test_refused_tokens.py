"""A token in the query that is refused: a browser is told so, and stops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError

from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Client, Serve
from tests.support.waiting import until
from tests.support.ws_client import connect

Token = Callable[..., str]


def url_with(client: Client, token: str, path: str = "/ws", **query: str) -> str:
    return str(client.make_url(f"{path}?{urlencode({'token': token, **query})}"))


async def close_frame(session: ClientSession, url: str, **options: Any) -> tuple[int | None, str]:
    """The close code and the reason of a socket to which nothing is sent."""
    async with session.ws_connect(url, autoclose=False, **options) as socket:
        while (message := await socket.receive(5.0)).type is WSMsgType.TEXT:
            assert json.loads(message.data)["event"] == "error"
        assert message.type is WSMsgType.CLOSE
        return message.data, str(message.extra)


@pytest.mark.parametrize("path", ["/ws", "/"])
@pytest.mark.parametrize("token", ["nonsense", "", "a.b.c", "x" * 3000])
async def test_a_handshake_with_a_refused_query_token_is_upgraded_and_closed_with_4401(
    serve: Serve, path: str, token: str
) -> None:
    client = await serve()
    code, reason = await close_frame(client.session, url_with(client, token, path))
    assert code == 4401
    assert reason


async def test_an_expired_or_revoked_query_token_is_closed_with_4401(
    serve: Serve, token: Token
) -> None:
    client = await serve()
    expired = await close_frame(client.session, url_with(client, token(life=-60)))
    assert expired == (4401, "the token has expired")
    url = url_with(client, token())
    client.app[SERVICES].tokens.revoked = {"ada": 4_000_000_000.0}
    assert await close_frame(client.session, url) == (4401, "the token has been revoked")


async def test_a_refused_query_token_gets_an_error_event_before_the_close(serve: Serve) -> None:
    client = await serve()
    async with connect(client.session, url_with(client, "nonsense")) as page:
        assert (await page.receives("error"))["code"] == "unauthorized"
        assert await page.closed() == 4401


async def test_beside_a_refused_label_the_error_is_about_the_token(serve: Serve) -> None:
    client = await serve()
    url = url_with(client, "nonsense", deviceName="\x07")
    assert (await close_frame(client.session, url))[0] == 4401


async def test_a_refused_header_token_is_401_also_beside_a_valid_query_token(
    serve: Serve, token: Token
) -> None:
    client = await serve()
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.session.ws_connect(
            url_with(client, token()), headers={"Authorization": "Bearer nonsense"}
        )
    assert refused.value.status == 401


async def test_a_foreign_origin_with_a_refused_query_token_is_403(serve: Serve) -> None:
    client = await serve()
    origin = {"Origin": "https://evil.example"}
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.session.ws_connect(url_with(client, "nonsense"), headers=origin)
    assert refused.value.status == 403
    own = {"Origin": str(client.make_url("/")).rstrip("/")}
    found = await close_frame(client.session, url_with(client, "nonsense"), headers=own)
    assert found[0] == 4401


async def test_sockets_with_refused_tokens_do_not_count_as_unauthenticated(
    serve: Serve, token: Token
) -> None:
    client = await serve(limits=Limits(waiting_per_address=1))
    url = str(client.make_url("/ws"))
    async with connect(client.session, url) as waiting:
        codes = [await close_frame(client.session, url_with(client, "x")) for _ in range(5)]
        assert {code for code, _ in codes} == {4401}
        await waiting.send("auth", token=token())
        await waiting.receives("authenticated")
    async with connect(client.session, url) as another:
        await another.send("auth", token=token())
        await another.receives("authenticated")


async def test_a_client_that_ignores_the_close_frame_is_disconnected(serve: Serve) -> None:
    client = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(
        b"GET /ws?token=x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    async with asyncio.timeout(10):
        assert b" 101 " in await reader.read()  # to the end of what the server says

    async def is_cut() -> None:
        while True:
            writer.write(b"\x8a\x80\0\0\0\0")
            await writer.drain()
            await asyncio.sleep(0.05)

    with pytest.raises(ConnectionError):
        async with asyncio.timeout(10):
            await is_cut()
    await until(writer.is_closing)
