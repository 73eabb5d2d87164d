"""A TCP proxy with a switch: the bad network between a client and the server.

It runs in the test's own event loop. What an end has sent before the line is held arrives when the
line passes again, as TCP delivers it after an outage, however late; an end that closed or was
aborted meanwhile is seen to be gone only then. On a slow line every piece comes late, by a random
time, and in order.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import TypeAlias

HOST = "127.0.0.1"
CHUNK = 64 * 1024
"""Bytes that are passed on at once."""
MAX_ON_THE_WAY = 256
"""Pieces of one direction that a slow line has taken and not delivered yet."""

Piece: TypeAlias = tuple[float, bytes, OSError | None]
"""When what an end sent is due by the loop's clock, what it is, and how the end has failed."""


class Mode(Enum):
    """What the proxy does with connections that exist, and with new ones."""

    PASS = auto()
    """Bytes pass in both directions."""
    HOLD = auto()
    """Nothing passes and nothing closes; new connections are accepted and held too."""
    REFUSE = auto()
    """New connections are refused, existing ones are held."""
    CUT = auto()
    """New connections are refused, existing ones are aborted."""


class Proxy:
    """A port of this machine that leads to another one, as long as the switch lets it.

    ``accepted`` counts the connections of clients so far. ``delays`` are the shortest and the
    longest time in seconds that a piece takes in either direction, from now on.
    """

    def __init__(self, target_port: int, delays: tuple[float, float] = (0.0, 0.0)) -> None:
        self.accepted = 0
        self.delays = delays
        self._target_port = target_port
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: set[asyncio.WriteTransport] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def switch(self, mode: Mode) -> None:
        """Treat all connections so from now on."""
        if mode is Mode.PASS:
            self._passing.set()
        else:
            self._passing.clear()
        if mode in (Mode.PASS, Mode.HOLD):
            await self._listen()
        else:
            self._stop_listening()
        if mode is Mode.CUT:
            await self._abort_all()

    async def close(self) -> None:
        """Abort all connections, and give the port back."""
        await self.switch(Mode.CUT)
        self._reserved.close()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self.port))

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._transports.add(writer.transport)
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both of its ends have ended it or one has aborted it."""
        transports = [writer.transport]
        try:
            await self._passing.wait()
            there, onwards = await asyncio.open_connection(HOST, self._target_port)
            transports.append(onwards.transport)
            self._transports.add(onwards.transport)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, onwards))
                both.create_task(self._pump(there, writer))
        except (OSError, ExceptionGroup):  # an end has aborted, or nobody listens over there
            pass
        finally:
            for transport in transports:
                transport.abort()
                self._transports.discard(transport)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_the_way: asyncio.Queue[Piece] = asyncio.Queue(MAX_ON_THE_WAY)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(reader, on_the_way))
            both.create_task(self._deliver(on_the_way, writer))

    async def _take(self, reader: asyncio.StreamReader, on_the_way: asyncio.Queue[Piece]) -> None:
        """Read to the end; without a delay only what the other end takes."""
        now, due = asyncio.get_running_loop().time, 0.0
        while True:
            data, failure = await _read(reader)
            due = max(due, now() + random.uniform(*self.delays))  # noqa: S311 - no secret
            await on_the_way.put((due, data, failure))
            if failure is not None or not data:
                return
            if not any(self.delays):
                await on_the_way.join()

    async def _deliver(
        self, on_the_way: asyncio.Queue[Piece], writer: asyncio.StreamWriter
    ) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data, failure = await on_the_way.get()
            if due > now():
                await asyncio.sleep(due - now())
            await self._passing.wait()
            if failure is not None:
                raise failure
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            on_the_way.task_done()

    async def _abort_all(self) -> None:
        for transport in tuple(self._transports):
            transport.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, OSError | None]:
    """What has come, or what has happened to the other end, which the proxy may not show yet."""
    try:
        return await reader.read(CHUNK), None
    except OSError as failure:
        return b"", failure


def _bound(port: int) -> socket.socket:
    """A socket at ``port``, any free one for 0. The port stays taken while one of them is open."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((HOST, port))
    return sock


ProxyTo = Callable[[int], Awaitable[Proxy]]
"""What the fixture ``proxy_to`` is."""


@asynccontextmanager
async def proxies() -> AsyncIterator[ProxyTo]:
    """Proxies that pass at first, and are closed in the end: ``await start(port)``."""
    started: list[Proxy] = []

    async def start(port: int) -> Proxy:
        proxy = Proxy(port)
        started.append(proxy)
        await proxy.switch(Mode.PASS)
        return proxy

    yield start
    for proxy in started:
        await proxy.close()
