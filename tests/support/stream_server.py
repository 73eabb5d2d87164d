"""A server with one route, ``/track``, that answers with an ``AudioFileResponse``; its clients."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict

CONTENT = bytes(range(256)) * 4

BIG = 64 * 1024 * 1024
"""Bytes: more than all socket buffers between server and client hold."""

LONG_AGO = 1_700_000_000
"""Epoch seconds of the modification of a track."""
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def error(self) -> str:
        code = json.loads(self.body)["error"]["code"]
        assert isinstance(code, str)
        return code


@dataclass(slots=True)
class Server:
    """A running server with one route, ``/track``."""

    runner: web.AppRunner
    port: int
    finished: asyncio.Queue[tuple[int, int]] = field(default_factory=asyncio.Queue)
    """(status, bytes sent with the headers) of every response, in order."""

    async def ask(self, method: str = "GET", **fields: str) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        url = f"http://127.0.0.1:{self.port}/track"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers) as response,
        ):
            return Answer(response.status, CIMultiDict(response.headers), await response.read())

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    async def wait_finished(self) -> tuple[int, int]:
        async with asyncio.timeout(20):
            return await self.finished.get()


@dataclass(frozen=True, slots=True)
class Connection:
    """A client connection that sees every byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    async def read_head(self) -> dict[str, str]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.strip().split("\r\n")
        return {"status": status_line.split()[1], **dict(line.split(": ", 1) for line in lines)}

    async def read_answer(self) -> tuple[str, bytes]:
        head = await self.read_head()
        return head["status"], await self.reader.readexactly(int(head["Content-Length"]))

    async def read_to_end(self) -> bytes:
        received = bytearray()
        try:
            async with asyncio.timeout(20):
                while chunk := await self.reader.read(1 << 20):
                    received += chunk
        except ConnectionResetError:
            pass
        return bytes(received)

    def close(self) -> None:
        self.writer.transport.abort()


Start = Callable[..., Awaitable[Server]]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def prepare_early(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send the response from inside a middleware, and ignore a lost connection."""
    response = await handler(request)
    with suppress(ConnectionError):
        await response.prepare(request)
    return response


def descriptors_of(identity: os.stat_result) -> int:
    """Return how many descriptors of this process are open on that file."""
    count = 0
    for descriptor in range(1024):
        try:
            count += os.path.samestat(os.fstat(descriptor), identity)
        except OSError:
            continue
    return count


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages that were logged at WARNING or above, or with a traceback."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING or record.exc_info
    ]
