"""A server with the fast path, and its clients."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiohttp import web

from audiostream import Settings, create_app
from audiostream.library.safe_open import open_regular_file
from audiostream.ops.access_log import AccessLogger
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.streaming.fastpath.open_files import OpenFile
from audiostream.streaming.fastpath.protocol import FastPathProtocol
from audiostream.streaming.fastpath.request import RangeRequest
from audiostream.streaming.fastpath.responder import RangeResponder, RangeResponse
from audiostream.streaming.ranges import ByteRangeSpec
from tests.support.waiting import PATIENCE

IDLE_LIMIT = 2.0
"""Seconds that a connection may be idle."""
STREAM = "/tracks/stream/song"
on_linux = pytest.mark.skipif(
    not hasattr(os, "RWF_NOWAIT"), reason="only Linux says what is in memory"
)


class CountingResponder(RangeResponder):
    """Counts the requests that it has answered."""

    answered = 0

    def respond(
        self, request: RangeRequest, spec: ByteRangeSpec, opened: OpenFile
    ) -> RangeResponse | None:
        response = super().respond(request, spec, opened)
        self.answered += response is not None
        return response


@dataclass
class Reply:
    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def without_date(self) -> tuple[list[bytes], bytes]:
        lines = self.head.split(b"\r\n")
        return [line for line in lines if not line.startswith(b"Date:")], self.body


@dataclass
class Line:
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *pieces: bytes) -> Reply:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        return await self.reply()

    async def reply(self) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
            return Reply(head, await self.reader.readexactly(int(fields[b"content-length"])))

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(0.1):
                return not await self.reader.read(1)
        except TimeoutError:
            return True


@dataclass
class Server:
    app: web.Application
    responder: CountingResponder
    port: int

    @asynccontextmanager
    async def line(self, *, warm: bool = True, room: int | None = None) -> AsyncIterator[Line]:
        """A connection; a warm one finds the song's file at rest. ``room`` is for bytes unread."""
        connection = socket.socket()
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
        line = Line(reader, writer)
        try:
            if warm:
                assert (await line.ask(self.get("Range: bytes=0-4"))).status == 206
                self.responder.answered = 0
            yield line
        finally:
            writer.close()
            await writer.wait_closed()

    def ticket(self, user: str = "ada", track: str = "song") -> str:
        return self.app[SERVICES].tokens.ticket(user, track, 60.0, time.time())

    def get(self, *fields: str, target: str | None = None) -> bytes:
        target = target or f"/api{STREAM}?ticket={self.ticket()}"
        lines = [f"GET {target} HTTP/1.1", "Host: here", *fields]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


@asynccontextmanager
async def serve(
    settings: Settings, media: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A server with the fast path, whose song has eleven thousand bytes."""
    (media / "song.wav").write_bytes(bytes(range(256)) * 43)
    app = create_app(replace(settings, limits=Limits(streams_per_user=3, stall_timeout=1)))
    app[SERVICES].library.scan()
    runner = web.AppRunner(app, access_log_class=AccessLogger, keepalive_timeout=IDLE_LIMIT)
    await runner.setup()
    responder = CountingResponder(app)
    assert runner.server is not None
    fallback: Callable[[], web.RequestHandler] = runner.server
    listener = await asyncio.get_running_loop().create_server(
        lambda: FastPathProtocol(responder, fallback()), "127.0.0.1", 0, ssl=tls
    )
    yield Server(app, responder, listener.sockets[0].getsockname()[1])
    listener.close()
    await runner.cleanup()
    responder.close()


def ranged(asked: str | None) -> list[str]:
    return [] if asked is None else [f"Range: {asked}"]


class SlowDisk:
    """Opens files only when a test says so."""

    def __init__(self) -> None:
        self.is_ready = threading.Event()
        self.opened = 0

    def open(self, path: str) -> tuple[io.FileIO, os.stat_result]:
        assert self.is_ready.wait(PATIENCE)
        self.opened += 1
        return open_regular_file(path)
