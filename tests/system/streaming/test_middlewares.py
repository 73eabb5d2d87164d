"""Middlewares of an embedding program around the stream route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from audiostream import Settings, create_app
from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Client
from tests.support.stream_server import Handler


@pytest.fixture
def client(
    settings: Settings, token: Callable[..., str], aiohttp_client: Any
) -> Callable[..., Any]:
    """Start an application with a middleware more: ``await client(middleware, position)``."""

    async def start(middleware: Any, position: int) -> Client:
        app = create_app(replace(settings, limits=Limits(streams_per_user=1)))
        app.middlewares.insert(position, middleware)
        app[SERVICES].library.scan()
        started: Client = await aiohttp_client(
            app, headers={"Authorization": f"Bearer {token('ada')}", "Range": "bytes=0-9"}
        )
        return started

    return start


async def fetch(client: Client, **headers: str) -> tuple[int, bytes]:
    async with client.get("/tracks/stream/song", headers=headers) as answer:
        return answer.status, await answer.read()


@web.middleware
async def replace_response(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    return web.Response(text="replaced") if "X-Refuse" in request.headers else response


@web.middleware
async def raise_instead(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if "X-Refuse" in request.headers:
        raise web.HTTPPaymentRequired
    return response


@pytest.mark.parametrize("position", [0, 9], ids=["outermost", "innermost"])
@pytest.mark.parametrize("middleware", [replace_response, raise_instead])
async def test_a_middleware_that_replaces_the_response_leaves_the_stream_slot_free(
    client: Callable[..., Any], middleware: Any, position: int
) -> None:
    started = await client(middleware, position)
    for _ in range(3):
        status, body = await fetch(started, **{"X-Refuse": "1"})
        assert (status in (200, 402), len(body) == 10) == (True, False)
    for _ in range(3):
        status, body = await fetch(started)
        assert (status, len(body)) == (206, 10)


async def test_a_stream_whose_request_body_a_middleware_has_read_is_sent(
    client: Callable[..., Any],
) -> None:
    @web.middleware
    async def read_body(request: web.Request, handler: Handler) -> web.StreamResponse:
        assert await request.read() == b"unexpected"
        return await handler(request)

    started = await client(read_body, 0)
    async with started.get("/tracks/stream/song", data=b"unexpected") as answer:
        assert (answer.status, len(await answer.read())) == (206, 10)
