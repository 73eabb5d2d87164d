"""A shared body is made once, under limits for each requester and for all memory together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from audiostream.api import response_bodies
from audiostream.api.response_bodies import SharedBodies
from audiostream.api.response_delivery import ResponseSender, attribute_to_user
from audiostream.api.responses import Body, respond
from audiostream.errors import RateLimited
from tests.conftest import Client
from tests.support.waiting import PATIENCE, until

RouteHandler = Callable[[web.Request, SharedBodies], Awaitable[web.StreamResponse]]
Start = Callable[..., Awaitable[Client]]


@pytest.fixture
def start(aiohttp_client: Any) -> Start:
    """Start an application with one route, ``/{name}``."""

    async def start(handler: RouteHandler) -> Client:
        sender = ResponseSender(60.0)
        bodies = SharedBodies(sender)
        app = web.Application(middlewares=[sender.middleware])

        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request, bodies)

        async def close(_: web.Application) -> None:
            bodies.close()

        app.router.add_get("/{name}", handle)
        app.on_cleanup.append(close)
        client: Client = await aiohttp_client(app)
        return client

    return start


async def test_simultaneous_requests_for_one_key_make_one_body(start: Start) -> None:
    asked, made, go_on = [], [], Event()

    def make() -> Body:
        go_on.wait(PATIENCE)
        made.append(1)
        return Body.of(b"x" * 100_000, "x/y")

    async def handler(request: web.Request, bodies: SharedBodies) -> web.Response:
        asked.append(1)
        return respond(request, await bodies.get(request, "test", "key", make), {})

    client = await start(handler)
    requests = [asyncio.create_task(client.get("/a")) for _ in range(20)]
    await until(lambda: len(asked) == 20)
    go_on.set()
    for got in await asyncio.gather(*requests):
        assert len(await got.read()) == 100_000
    assert made == [1]


async def test_a_requester_over_the_queue_limit_is_refused_and_others_are_served(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_bodies, "MAX_QUEUED", 2)
    asked, go_on = [], Event()

    def make() -> Body:
        go_on.wait(PATIENCE)
        return Body.of(b"x", "x/y")

    async def handler(request: web.Request, bodies: SharedBodies) -> web.Response:
        name = request.match_info["name"]
        attribute_to_user(request, name)
        asked.append(name)
        try:
            body = await bodies.get(request, "test", name, make)
        except RateLimited:
            return web.Response(status=429)
        return respond(request, body, {})

    client = await start(handler)
    ada = [asyncio.create_task(client.get("/ada")) for _ in range(2)]
    await until(lambda: asked == ["ada", "ada"])
    async with client.get("/ada") as got:
        assert got.status == 429
    bob = asyncio.create_task(client.get("/bob"))
    await until(lambda: asked[-1] == "bob")
    go_on.set()
    assert [got.status for got in await asyncio.gather(*ada, bob)] == [200, 200, 200]


async def test_without_memory_for_a_body_a_client_that_reads_nothing_is_disconnected(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_bodies, "MAX_IN_MEMORY", 12_000_000)
    monkeypatch.setattr(response_bodies, "MAX_WAIT", 3.0)

    async def handler(request: web.Request, bodies: SharedBodies) -> web.Response:
        name = request.match_info["name"]

        def make() -> Body:
            return Body.of(name.encode() * 8_000_000, "x/y")

        return respond(request, await bodies.get(request, "test", name, make), {})

    client = await start(handler)
    stalled = await client.get("/a")
    async with asyncio.timeout(PATIENCE), client.get("/b") as got:
        assert await got.read() == b"b" * 8_000_000
    with pytest.raises(Exception, match=r"."):
        await stalled.read()
