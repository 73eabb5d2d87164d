"""The server, the users and the connections of the tests of faults."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.support.raw_http import Answer, bearer, request, upgrade
from tests.support.raw_websocket import RawWebSocket
from tests.support.server_process import Launch, ServerProcess
from tests.support.waiting import PATIENCE
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MIB = 2**20
LONG = 16 * MIB
"""Bytes of a track that no socket's buffers hold."""
SMALL_BUFFER = 4096
"""Bytes that a device which reads nothing lets its system take in."""
EVENTS = 8000
"""Commands of one user beside a device that stops reading: they fill its buffers several times."""
WIDE = "x" * 128
"""A device's label; with it a frame has half a kilobyte."""


@dataclass
class RestClient:
    """The REST API of a server, as one user."""

    session: ClientSession
    url: str
    token: str

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        url = f"{self.url}/tracks/{path}"
        async with self.session.post(url, json=body, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def state(self) -> dict[str, Any]:
        status, state = await self.get("/tracks/current-state")
        assert status == 200
        return dict(state)

    async def health(self) -> str:
        status, health = await self.get("/healthz")
        assert status == 200
        return str(health["status"])

    async def health_becomes(self, wanted: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.health() != wanted:
                await asyncio.sleep(0.05)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def rest_client(server: ServerProcess, token: str) -> AsyncIterator[RestClient]:
    async with ClientSession() as session:
        yield RestClient(session, server.url, token)


def unlimited_session() -> ClientSession:
    """For as many connections at once as a test wants."""
    return ClientSession(connector=TCPConnector(limit=0))


@asynccontextmanager
async def raw_connection(
    port: int, buffer: int = 0
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection whose reader takes nothing unasked; with a ``buffer`` nor does its system."""
    line = socket.socket()
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=line, limit=SMALL_BUFFER)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def sleeper(port: int, token: str) -> AsyncIterator[RawWebSocket]:
    """A device that connects and from then on reads nothing, and answers no ping."""
    async with raw_connection(port, SMALL_BUFFER) as (reader, writer):
        writer.write(upgrade("/ws", bearer(token)))
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield RawWebSocket(reader, writer, [])


class Download:
    """One stream, read as slowly as the test wants."""

    def __init__(self, reader: asyncio.StreamReader, answer: Answer) -> None:
        self.answer = answer
        self._reader = reader
        self._body = bytearray()

    async def read(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            self._body += await self._reader.readexactly(count)

    async def rest(self) -> bytes:
        """Everything from the first byte on, to the end or to where the connection was cut."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while data := await self._reader.read(MIB):
                    self._body += data
        return bytes(self._body)


@asynccontextmanager
async def download(
    port: int, track_id: str, token: str, behind: bytes = b""
) -> AsyncIterator[Download]:
    """A stream under way; a request ``behind`` it waits for its answer on the same connection."""
    headers = bearer(token) | {"Connection": "keep-alive" if behind else "close"}
    async with raw_connection(port, 16 * SMALL_BUFFER) as (reader, writer):
        writer.write(request("GET", f"/tracks/stream/{track_id}", headers) + behind)
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        yield Download(reader, Answer.of(head))


def descriptors(server: ServerProcess) -> set[int]:
    """The numbers of the files that a server has open."""
    return {int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd")}


def resident(server: ServerProcess) -> int:
    """Bytes of memory that a server has resident."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def unsent(server: ServerProcess) -> dict[str, int]:
    """Bytes that the system has taken from a server and no device yet, by the device's address."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = f":{server.port:04X}"
    return {
        remote: int(queues.partition(":")[0], 16)
        for _, local, remote, _, queues, *_ in lines
        if local.endswith(ours)
    }


def add_track(media: Path, track_id: str, content: bytes = b"", duration: float = 600.0) -> Path:
    """Add a track to the manifest, or another duration to one that is there."""
    manifest = media / "tracks.json"
    entries = {entry["id"]: entry for entry in json.loads(manifest.read_text())}
    entry = entries.setdefault(track_id, {"id": track_id, "audioUrl": f"{track_id}.webm"})
    entry["duration"] = duration
    manifest.write_text(json.dumps(list(entries.values())))
    path = media / str(entry["audioUrl"])
    if content:
        path.write_bytes(content)
    return path


async def ready(launch: Launch, *arguments: str, **environ: str) -> ServerProcess:
    """A server whose library has been scanned."""
    server = await asyncio.to_thread(launch, *arguments, **environ)
    await server.logs("the library has")
    return server


@dataclass
class ActingUser:
    """A user who sends commands from one device, and waits for the event of each."""

    phone: Peer
    rev: int = 0
    took: list[float] = field(default_factory=list)

    async def act(self, count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await self.phone.send("playTrack", trackId="song", currentTime=self.rev % 50)
            received = await self.phone.receives("trackPlaying")
            self.took.append(time.perf_counter() - began)
            self.rev += 1
            assert received["rev"] == self.rev


@asynccontextmanager
async def acting_user(
    session: ClientSession, server: ServerProcess, token: str
) -> AsyncIterator[ActingUser]:
    async with connect(session, f"{server.url}/ws?deviceId={WIDE}", token) as phone:
        yield ActingUser(phone)


def check_integrity(state: Path) -> None:
    """Check that a killed server's file is readable: a copy of it, as opening repairs it."""
    copy = state.with_name("copy")
    for ending in ("", "-wal"):
        if state.with_name(state.name + ending).exists():
            shutil.copy(state.with_name(state.name + ending), copy.with_name(copy.name + ending))
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA application_id").fetchone() != (0,)
    for left in copy.parent.glob("copy*"):
        left.unlink()


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()
