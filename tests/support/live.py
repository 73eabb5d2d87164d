"""The server in this process, run as ``python -m audiostream`` runs it, and watched for leaks.

The fixture ``live`` fails the test on every error that asyncio logs, and when file descriptors,
tasks or counters do not return to where they began. aiohttp's own test server cancels the handler
of a client that disconnects; the real one does not.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest
from aiohttp import web

from audiostream import Settings, create_app
from audiostream.server import serving
from audiostream.services import SERVICES
from tests.support.logged_errors import no_logged_errors
from tests.support.raw_http import Answer, bearer, request, upgrade
from tests.support.waiting import PATIENCE, until

SMALL_BUFFER = 4096
"""Bytes that a client which reads nothing lets its system take in."""
LONG = 2000.0
"""Seconds of a track, 32 MB, that no socket's buffers hold."""


@dataclass(frozen=True)
class Ledger:
    """What must not grow: open descriptors, tasks, streams and sockets that are counted.

    SQLite opens the files beside its own when it first writes.
    """

    descriptors: int
    tasks: int
    counted: int

    @classmethod
    def of(cls, app: web.Application) -> Ledger:
        services = app[SERVICES]
        counted = services.open_streams.total() + services.unauthenticated.total()
        return cls(open_descriptors(), len(asyncio.all_tasks()), counted)

    def __le__(self, other: Ledger) -> bool:
        return (
            self.descriptors <= other.descriptors
            and self.tasks <= other.tasks
            and self.counted <= other.counted
        )


def open_descriptors() -> int:
    """How many this process has, but for those of the state file."""
    return sum("/state" not in name for name in open_files())


def open_files() -> list[str]:
    """What this process has open."""
    names = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    found = []
    for name in names:
        with suppress(FileNotFoundError):
            found.append(os.readlink(name))
    return found


@dataclass
class Live:
    """A running server."""

    app: web.Application
    port: int

    @classmethod
    def at(cls, port: int) -> Live:
        """One in another process, of which nothing but its port is known."""
        return cls(web.Application(), port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def streams(self) -> int:
        """How many are counted, of all listeners together."""
        return sum(self.app[SERVICES].open_streams.values())

    @asynccontextmanager
    async def line(self, room: int | None = None) -> AsyncIterator[Line]:
        """A connection; with ``room`` its system takes in about as many bytes unasked."""
        connection = socket.socket()
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        with connection:
            yield Line(connection)

    async def ask(self, target: str, **headers: str) -> Answer:
        """One request on a connection of its own, which ends with the answer."""
        async with self.line() as line:
            line.send(request("GET", target, {"Connection": "close", **headers}))
            return Answer.of(await line.read_to_end())


class Line:
    """A client that takes what it is told to, and lets the rest wait."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    async def read(self, most: int = 1 << 20) -> bytes:
        """What there is, waited for; nothing at the end."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.connection, most)

    async def read_exactly(self, count: int) -> bytes:
        got = bytearray()
        while len(got) < count:
            piece = await self.read(count - len(got))
            assert piece, f"ended after {len(got)} of {count} bytes"
            got += piece
        return bytes(got)

    async def read_head(self) -> bytes:
        """The head of an answer, to its last byte."""
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += await self.read_exactly(1)
        return bytes(head)

    async def read_answer(self) -> Answer:
        """A whole answer that says its length."""
        head = await self.read_head()
        length = int(Answer.of(head).headers["content-length"])
        return Answer.of(head + await self.read_exactly(length))

    async def read_to_end(self) -> bytes:
        """All that still comes; a cut is an end."""
        got = bytearray()
        with suppress(ConnectionError):
            while piece := await self.read():
                got += piece
        return bytes(got)

    def end(self) -> None:
        """Say that no more will be said, and go on listening."""
        self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave without a goodbye."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


def stream_request(token: str, track: str = "song", **headers: str) -> bytes:
    """For a stream, by Bearer header: the way through aiohttp."""
    return request("GET", f"/tracks/stream/{track}", {**bearer(token), **headers})


@asynccontextmanager
async def run_live(settings: Settings) -> AsyncIterator[Live]:
    """A server that must leave nothing behind; its clients are gone by the time it is checked."""
    before = open_descriptors()
    with no_logged_errors():
        app = create_app(settings)
        async with serving(app, replace(settings, host="127.0.0.1", port=0)) as sockets:
            await asyncio.to_thread(app[SERVICES].library.scan)
            live = Live(app, sockets.tcp[0].getsockname()[1])
            async with live.line() as line:  # what is made for the first WebSocket stays
                line.send(upgrade())
                assert Answer.of(await line.read_head()).status == 101
            await until(lambda: not app[SERVICES].unauthenticated)
            started = Ledger.of(app)
            yield live
            await returns_to(started, app)
        gc.collect()
        await until(lambda: open_descriptors() <= before)


async def returns_to(started: Ledger, app: web.Application) -> None:
    """Wait until nothing is left of what has been since; files at rest stay open for a moment."""
    try:
        await until(lambda: Ledger.of(app) <= started)
    except TimeoutError:
        now = Ledger.of(app)
        pytest.fail(
            f"left behind: {now}, began with {started}; {asyncio.all_tasks()} {open_files()}"
        )
    gc.collect()


RunLive = Callable[..., AbstractAsyncContextManager[Live]]
"""What the fixture ``live`` is."""
