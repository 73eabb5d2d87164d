"""What a connection is answered, and how long it may idle, whichever way its requests take.

Here: one connection with the way past aiohttp, and with aiohttp alone. Not here: the bytes of each
answer (``test_shortcut``, ``test_streaming``).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import pytest

from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.support.live import Line, Live, RunLive, stream_request
from tests.support.raw_http import Answer, bearer, request, upgrade

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one way")

Token = Callable[..., str]
IDLE = 3
"""Seconds that a connection may be idle in these tests."""
LATE = 1.5
"""Seconds that a busy machine may take more."""


def ticketed(server: Live, *fields: str, connection: str = "keep-alive") -> bytes:
    """A request that is answered past aiohttp once the file is open."""
    ticket = server.app[SERVICES].tokens.ticket("ada", "song", 60.0, time.time())
    lines = [
        f"GET /api/tracks/stream/song?ticket={ticket} HTTP/1.1",
        "Host: here",
        f"Connection: {connection}",
        *fields,
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


async def fast_answer(server: Live, line: Line) -> None:
    """Two answers, of which the second went past aiohttp."""
    for _ in range(2):
        line.send(ticketed(server, "Range: bytes=0-99"))
        assert (await line.read_answer()).status == 206


async def closes_after(line: Line, began: float) -> float:
    assert await line.read_to_end() == b""
    return time.monotonic() - began


class TestIdleTime:
    @pytest.mark.parametrize(
        "said",
        [b"", b"\r\n\r\n", b"\r\n", b"GET /healthz HTTP/1.1\r\nX: \r\n", b"GET / HTTP/1.1\r\n\r"],
        ids=["nothing", "empty lines", "an empty line", "half a request", "all but one byte"],
    )
    @pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "aiohttp"])
    async def test_what_is_no_request_does_not_keep_a_connection(
        self, live: RunLive, said: bytes, is_fast: bool
    ) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, server.line() as line:
            if is_fast:
                await fast_answer(server, line)
            else:
                line.send(request("GET", "/healthz", {"Connection": "keep-alive"}))
                assert (await line.read_answer()).status == 200
            began = time.monotonic()
            line.send(said)
            assert IDLE - 0.5 < await closes_after(line, began) < IDLE + LATE

    async def test_nor_does_it_when_it_comes_again_and_again(self, live: RunLive) -> None:
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

    async def test_a_request_whose_last_line_comes_alone_has_all_its_time(
        self, live: RunLive
    ) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, server.line() as line:
            await fast_answer(server, line)
            whole = request("GET", "/healthz", {"Connection": "keep-alive"})
            await asyncio.sleep(IDLE - 1.5)
            line.send(whole[:-2])
            await asyncio.sleep(0.5)
            line.send(whole[-2:])
            assert (await line.read_answer()).status == 200
            began = time.monotonic()
            assert IDLE - 0.5 < await closes_after(line, began) < IDLE + LATE

    async def test_it_begins_with_the_last_answer_whoever_gave_it(self, live: RunLive) -> None:
        async with live(limits=Limits(header_timeout=IDLE)) as server, server.line() as line:
            await fast_answer(server, line)
            healthy = request("GET", "/healthz", {"Connection": "keep-alive"})
            for asked in [healthy, ticketed(server, "Range: bytes=0-9")] * 3:
                await asyncio.sleep(IDLE / 2)
                line.send(asked)
                assert (await line.read_answer()).status in (200, 206)
            began = time.monotonic()
            assert IDLE - 0.5 < await closes_after(line, began) < IDLE + LATE


class TestManyFields:
    @pytest.mark.parametrize(("count", "status"), [(128, 206), (129, 400), (200, 400)])
    async def test_as_many_as_aiohttp_takes_and_no_more(
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


class TestTheLastRequest:
    """Who has said all that he will say (RFC 9112 section 9.6) is answered, and then let go."""

    @pytest.mark.parametrize("connection", ["keep-alive", "close"])
    @pytest.mark.parametrize("way", ["header", "ticket, cold", "ticket, warm", "healthz", "two"])
    async def test_it_may_come_together_with_the_end(
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

    async def test_a_large_one_too(self, live: RunLive, token: Token) -> None:
        async with live() as server, server.line() as line:
            line.send(stream_request(token(), Connection="keep-alive"))
            line.end()
            answer = Answer.of(await line.read_to_end())
            assert len(answer.body) == int(answer.headers["content-length"]) > 900_000

    @pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
    async def test_half_of_one_is_the_end(self, live: RunLive, said: bytes) -> None:
        async with live() as server, server.line() as line:
            line.send(said)
            line.end()
            began = time.monotonic()
            assert await closes_after(line, began) < 2.0

    async def test_half_a_body_is_the_end_too(self, live: RunLive, token: Token) -> None:
        async with live(limits=Limits(body_timeout=60)) as server, server.line() as line:
            half = {**bearer(token()), "Content-Length": "100", "Connection": "keep-alive"}
            line.send(request("POST", "/tracks/play/song", half) + b"{")
            await asyncio.sleep(0.1)
            line.end()
            began = time.monotonic()
            await line.read_to_end()
            assert time.monotonic() - began < 2.0

    async def test_a_websocket_whose_client_has_said_all_ends(self, live: RunLive) -> None:
        async with live() as server, server.line() as line:
            line.send(upgrade("/ws"))
            assert Answer.of(await line.read_head()).status == 101
            line.end()
            began = time.monotonic()
            await line.read_to_end()
            assert time.monotonic() - began < 2.0
