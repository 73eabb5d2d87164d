"""What a connection is answered, and how long it may idle, with the fast path and without."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import product

import pytest

from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import both_ways
from tests.support.live import Line, Live, RunLive, stream_request
from tests.support.raw_http import Answer, bearer, request, upgrade

pytestmark = [
    both_ways,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one way"),
]

Token = Callable[..., str]
IDLE = 3
"""Seconds that a connection may be idle in these tests."""
LATE = 2.5
"""Seconds that a busy machine may take more; an extended idle time would be twice as long."""
NO_REQUESTS = {
    "nothing": b"",
    "empty lines": b"\r\n\r\n",
    "an empty line": b"\r\n",
    "half a request": b"GET /healthz HTTP/1.1\r\nX: \r\n",
    "all but one byte": b"GET / HTTP/1.1\r\n\r",
}


def ticketed(server: Live, *fields: str, connection: str = "keep-alive") -> bytes:
    """A request that the fast path answers."""
    ticket = server.app[SERVICES].tokens.ticket("ada", "song", 60.0, time.time())
    lines = [
        f"GET /api/tracks/stream/song?ticket={ticket} HTTP/1.1",
        "Host: here",
        f"Connection: {connection}",
        *fields,
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


async def fast_answer(server: Live, line: Line) -> None:
    """Two answers of the fast path, where there is one."""
    for _ in range(2):
        line.send(ticketed(server, "Range: bytes=0-99"))
        assert (await line.read_answer()).status == 206


async def closes_after(line: Line, began: float) -> float:
    assert await line.read_to_end() == b""
    return time.monotonic() - began


class TestIdleTimeout:
    """Each on one server with a connection per case, as each has to wait."""

    async def test_what_is_no_request_does_not_extend_the_idle_time(self, live: RunLive) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, AsyncExitStack() as stack:
            closing = {}
            for is_fast, (name, said) in product((True, False), NO_REQUESTS.items()):
                line = await stack.enter_async_context(server.line())
                if is_fast:
                    await fast_answer(server, line)
                else:
                    line.send(request("GET", "/healthz", {"Connection": "keep-alive"}))
                    assert (await line.read_answer()).status == 200
                began = time.monotonic()
                line.send(said)
                closing[f"{name}, {is_fast=}"] = asyncio.create_task(closes_after(line, began))
            took = dict(zip(closing, await asyncio.gather(*closing.values()), strict=True))
            assert all(IDLE - 0.5 < each < IDLE + LATE for each in took.values()), took

    async def test_repeated_empty_lines_do_not_extend_the_idle_time(self, live: RunLive) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, server.line() as line:
            await fast_answer(server, line)
            began = time.monotonic()

            async def go_on() -> None:
                while True:
                    await asyncio.sleep(0.3)
                    line.send(b"\r\n\r\n")

            talking = asyncio.create_task(go_on())
            took = await closes_after(line, began)
            talking.cancel()
            await asyncio.wait([talking])
            assert IDLE - 0.5 < took < IDLE + LATE

    async def test_idle_time_begins_with_the_last_answer_of_either_way_or_of_two_pieces(
        self, live: RunLive
    ) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, AsyncExitStack() as stack:
            healthy = request("GET", "/healthz", {"Connection": "keep-alive"})
            fast = ticketed(server, "Range: bytes=0-9")
            halves = healthy[:-2], healthy[-2:]
            cases = [(healthy, fast, healthy), (fast, healthy, fast), halves]

            async def idles(pieces: tuple[bytes, ...]) -> float:
                line = await stack.enter_async_context(server.line())
                await fast_answer(server, line)
                for piece in pieces:
                    await asyncio.sleep(IDLE / 3 if pieces is halves else IDLE / 2)
                    line.send(piece)
                    if piece is not halves[0]:
                        assert (await line.read_answer()).status in (200, 206)
                return await closes_after(line, time.monotonic())

            took = await asyncio.gather(*map(idles, cases))
            assert all(IDLE - 0.5 < each < IDLE + LATE for each in took), took


class TestManyFields:
    @pytest.mark.parametrize(("count", "status"), [(128, 206), (129, 400), (200, 400)])
    async def test_128_header_fields_are_accepted_and_more_are_400(
        self, live: RunLive, count: int, status: int
    ) -> None:
        async with live() as server:
            for is_fast in (False, True):
                async with server.line() as line:
                    if is_fast:
                        await fast_answer(server, line)
                    fields = [f"X-{number}: y" for number in range(count - 3)]
                    line.send(ticketed(server, "Range: bytes=0-9", *fields))
                    assert (await line.read_answer()).status == status, is_fast


class TestLastRequest:
    """A client that has ended its side is answered, then disconnected (RFC 9112 §9.6)."""

    @pytest.mark.parametrize("connection", ["keep-alive", "close"])
    @pytest.mark.parametrize("way", ["header", "ticket, cold", "ticket, warm", "healthz", "two"])
    async def test_a_client_that_ends_its_side_behind_a_request_gets_the_answer(
        self, live: RunLive, token: Token, connection: str, way: str
    ) -> None:
        async with live() as server, server.line() as line:
            if way == "ticket, warm":
                await fast_answer(server, line)
            asked = {
                "header": stream_request(token(), Connection=connection, Range="bytes=0-999"),
                "healthz": request("GET", "/healthz", {"Connection": connection}),
                "two": request("GET", "/tracks/stream/no", {"Connection": "keep-alive"})
                + ticketed(server, "Range: bytes=0-999", connection=connection),
            }.get(way, ticketed(server, "Range: bytes=0-999", connection=connection))
            line.send(asked)
            line.end()
            if way == "two":
                assert (await line.read_answer()).status == 401
            answer = Answer.of(await line.read_to_end())
            assert answer.status == (200 if way == "healthz" else 206)
            assert len(answer.body) == int(answer.headers["content-length"])

    async def test_a_client_that_ends_its_side_gets_a_large_answer(
        self, live: RunLive, token: Token
    ) -> None:
        async with live() as server, server.line() as line:
            line.send(stream_request(token(), Connection="keep-alive"))
            line.end()
            answer = Answer.of(await line.read_to_end())
            assert len(answer.body) == int(answer.headers["content-length"]) > 900_000

    @pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
    async def test_a_client_that_ends_its_side_within_a_request_is_disconnected(
        self, live: RunLive, said: bytes
    ) -> None:
        async with live() as server, server.line() as line:
            line.send(said)
            line.end()
            began = time.monotonic()
            assert await closes_after(line, began) < 5.0

    async def test_a_client_that_ends_its_side_within_a_body_is_disconnected(
        self, live: RunLive, token: Token
    ) -> None:
        async with live(limits=Limits(body_timeout=60)) as server, server.line() as line:
            half = {**bearer(token()), "Content-Length": "100", "Connection": "keep-alive"}
            line.send(request("POST", "/tracks/play/song", half) + b"{")
            await asyncio.sleep(0.1)
            line.end()
            began = time.monotonic()
            await line.read_to_end()
            assert time.monotonic() - began < 5.0

    async def test_a_websocket_whose_client_ends_its_side_is_disconnected(
        self, live: RunLive
    ) -> None:
        async with live() as server, server.line() as line:
            line.send(upgrade("/ws"))
            assert Answer.of(await line.read_head()).status == 101
            line.end()
            began = time.monotonic()
            await line.read_to_end()
            assert time.monotonic() - began < 5.0
