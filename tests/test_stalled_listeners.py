"""Listeners that hold a connection and take nothing: cut without a trace, and not too early."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from audiostream.keys import TOKENS
from audiostream.settings import Limits

from .attacks import Answer, bearer, request, upgrade
from .conftest import PATIENCE, until
from .live import LONG, SMALL_BUFFER, Line, Live, RunLive, stream_request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was taken")

Token = Callable[..., str]
Ask = Callable[[Live, str], bytes]


@pytest.fixture(autouse=True)
def long_song(media: Path) -> None:
    os.truncate(media / "song.wav", LONG)


def by_header(server: Live, token: str) -> bytes:
    """The way through aiohttp."""
    return stream_request(token, Connection="keep-alive")


def by_ticket(server: Live, token: str) -> bytes:
    """The way past it, once the file is open."""
    ticket = server.app[TOKENS].ticket("ada", "song", 60.0, time.time())
    target = f"/api/tracks/stream/song?ticket={ticket}"
    return request("GET", target, {"Connection": "keep-alive"})


each_way = pytest.mark.parametrize("ask", [by_header, by_ticket])


async def stall(stack: AsyncExitStack, server: Live, asked: bytes) -> Line:
    """A listener that has taken the beginning of a stream, and takes nothing more."""
    line = await stack.enter_async_context(server.line(SMALL_BUFFER))
    line.send(asked)
    head = await line.read_head()
    assert head.startswith(b"HTTP/1.1 20"), head
    await line.read_exactly(1000)
    return line


async def answers_at_once(server: Live, token: str) -> None:
    """Twenty new connections of three kinds, each answered in under a second."""
    part = stream_request(token, "other", Range="bytes=0-99")
    for number in range(20):
        asked, status = [
            (request("GET", "/healthz", {}), 200),
            (part, 206),
            (upgrade("/ws", bearer(token)), 101),
        ][number % 3]
        async with server.line() as line:
            began = time.monotonic()
            line.send(asked)
            assert Answer.of(await line.read_head()).status == status
            assert time.monotonic() - began < 1.0


@each_way
@pytest.mark.parametrize("listeners", [1, 5])
async def test_after_a_cut_the_next_connections_are_answered_at_once(
    live: RunLive, token: Token, ask: Ask, listeners: int
) -> None:
    async with live(limits=Limits(stall_timeout=1)) as server, AsyncExitStack() as stack:
        async with server.line() as line:  # the file is open from here on
            line.send(stream_request(token(), Range="bytes=0-1"))
            await line.read_to_end()
        for _ in range(listeners):
            await stall(stack, server, ask(server, token()))
        assert server.streams == listeners
        await until(lambda: not server.streams)
        await answers_at_once(server, token())


async def test_a_listener_who_is_cut_again_and_again_still_gets_streams(
    live: RunLive, token: Token
) -> None:
    async with live(limits=Limits(stall_timeout=1, streams_per_user=2)) as server:
        for _ in range(3):
            async with AsyncExitStack() as stack:
                for _ in range(2):
                    await stall(stack, server, by_header(server, token()))
                await until(lambda: not server.streams)
                gc.collect()
