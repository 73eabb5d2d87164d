"""Responses from memory reach their clients whole, and stalled clients are disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from audiostream.api import response_delivery
from audiostream.api.response_delivery import CHUNK_SIZE, ResponseSender
from audiostream.api.responses import Body, respond
from tests.conftest import Client
from tests.support.waiting import until

RouteHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[..., Awaitable[Client]]


@pytest.fixture
def start(aiohttp_client: Any) -> Start:
    """Start an application with one route, ``/{name}``."""

    async def start(handler: RouteHandler, stall_timeout: float = 60.0) -> Client:
        app = web.Application(middlewares=[ResponseSender(stall_timeout).middleware])
        app.router.add_get("/{name}", handler)
        client: Client = await aiohttp_client(app)
        return client

    return start


@pytest.mark.parametrize(
    "size", [1, CHUNK_SIZE, CHUNK_SIZE + 1, 10 * CHUNK_SIZE, 40 * CHUNK_SIZE + 7]
)
async def test_a_body_of_any_size_is_sent_whole(start: Start, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)

    async def handler(request: web.Request) -> web.Response:
        response = respond(request, Body.of(data[:size], "x/y"), {"X-Own": "1"})
        response.set_cookie("a", "b")
        return response

    client = await start(handler)
    for _ in range(2):
        async with client.get("/a") as got:
            assert (got.status, await got.read()) == (200, data[:size])
            assert got.headers["Content-Length"] == str(size)
            assert (got.headers["X-Own"], got.content_type) == ("1", "x/y")
            assert got.cookies["a"].value == "b"
    async with client.head("/a") as got:
        assert (got.status, await got.read()) == (200, b"")
        assert got.headers["Content-Length"] == str(size)
    async with client.get("/a", headers={"If-None-Match": f'"x", {got.headers["ETag"]}'}) as got:
        assert (got.status, await got.read()) == (304, b"")


async def test_a_client_that_reads_nothing_is_disconnected_after_the_stall_timeout(
    start: Start,
) -> None:
    transports = []

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        transports.append(request.transport)
        return respond(request, Body.of(bytes(20_000_000), "x/y"), {})

    client = await start(handler, 0.5)
    got = await client.get("/a")
    await until(lambda: transports[0].is_closing())
    got.close()


async def test_one_response_too_many_disconnects_the_requester_s_slowest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_delivery, "MAX_PENDING", 1)

    async def handler(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return respond(request, Body.of(name.encode() * 8_000_000, "x/y"), {})

    client = await start(handler)
    stalled = await client.get("/a")
    async with asyncio.timeout(10.0), client.get("/b") as got:
        assert await got.read() == b"b" * 8_000_000
    with pytest.raises(Exception, match=r"."):
        await stalled.read()
