"""Answers are shared, sent whole, and end one another only where there is no room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

import pytest
from aiohttp import web

from audiostream.api import responses as answers
from audiostream.api.responses import (
    ANSWERS,
    PIECE,
    Answers,
    Body,
    answer,
    count_for,
    send_in_pieces,
)
from audiostream.errors import RateLimited
from tests.conftest import Client, until

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
Start = Callable[..., Awaitable[Client]]


@pytest.fixture
def start(aiohttp_client: Any) -> Start:
    """An application of one route, ``/{name}``."""

    async def start(handler: Handle, patience: float = 60.0) -> Client:
        app = web.Application(middlewares=[send_in_pieces])
        app[ANSWERS] = Answers(patience)
        app.router.add_get("/{name}", handler)

        async def close(app: web.Application) -> None:
            app[ANSWERS].close()

        app.on_cleanup.append(close)
        client: Client = await aiohttp_client(app)
        return client

    return start


@pytest.mark.parametrize("size", [1, PIECE, PIECE + 1, 10 * PIECE, 40 * PIECE + 7])
async def test_a_body_of_any_size_is_sent_whole(start: Start, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)

    async def handler(request: web.Request) -> web.Response:
        response = answer(request, Body.of(data[:size], "x/y"), {"X-Own": "1"})
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


async def test_what_is_asked_for_at_the_same_time_is_made_once(start: Start) -> None:
    made, go_on = [], Event()

    def make() -> Body:
        go_on.wait(5.0)
        made.append(1)
        return Body.of(b"x" * 100_000, "x/y")

    async def handler(request: web.Request) -> web.Response:
        body = await request.app[ANSWERS].shared(request, "test", "key", make)
        return answer(request, body, {})

    client = await start(handler)
    asked = [asyncio.create_task(client.get("/a")) for _ in range(20)]
    await asyncio.sleep(0.1)
    go_on.set()
    for got in await asyncio.gather(*asked):
        assert len(await got.read()) == 100_000
    assert made == [1]


async def test_one_that_asks_for_much_is_refused_and_others_are_not(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_QUEUED", 2)
    go_on = Event()

    def make() -> Body:
        go_on.wait(5.0)
        return Body.of(b"x", "x/y")

    async def handler(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        count_for(request, name)
        try:
            body = await request.app[ANSWERS].shared(request, "test", name, make)
        except RateLimited:
            return web.Response(status=429)
        return answer(request, body, {})

    client = await start(handler)
    asked = [asyncio.create_task(client.get("/ada")) for _ in range(2)]
    await asyncio.sleep(0.1)
    async with client.get("/ada") as got:
        assert got.status == 429
    bobs = asyncio.create_task(client.get("/bob"))
    await asyncio.sleep(0.1)
    go_on.set()
    assert [got.status for got in await asyncio.gather(*asked, bobs)] == [200, 200, 200]


@pytest.mark.parametrize("limit", ["MOST_WAITING", "MOST_HELD"])
async def test_who_does_not_read_makes_room(
    start: Start, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(answers, limit, {"MOST_WAITING": 1, "MOST_HELD": 12_000_000}[limit])
    monkeypatch.setattr(answers, "ROOM_WITHIN", 3.0)

    async def handler(request: web.Request) -> web.Response:
        name = request.match_info["name"]

        def make() -> Body:
            return Body.of(name.encode() * 8_000_000, "x/y")

        body = await request.app[ANSWERS].shared(request, "test", name, make)
        return answer(request, body, {})

    client = await start(handler)
    stalled = await client.get("/a")
    async with asyncio.timeout(10.0), client.get("/b") as got:
        assert await got.read() == b"b" * 8_000_000
    with pytest.raises(Exception, match=r"."):
        await stalled.read()


async def test_a_client_that_takes_nothing_is_cut(start: Start) -> None:
    ended = []

    async def handler(request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        ended.append(transport)
        return answer(request, Body.of(bytes(20_000_000), "x/y"), {})

    client = await start(handler, 0.5)
    got = await client.get("/a")
    await until(lambda: ended[0].is_closing())
    got.close()
