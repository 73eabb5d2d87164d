"""A server under attack: every answer is kept, and searched at the end for what it gives away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.raw_http import Answer, RawConnection, bearer, request, upgrade
from tests.support.raw_websocket import RawWebSocket
from tests.support.server_process import UNLIMITED, Launch, ServerProcess

PATIENCE = 5.0
"""Seconds to wait for an answer or an end that must come."""

_DISCLOSURES = re.compile(rb'Traceback|\w+(?:Error|Exception)\b|File "|\.py\b|/site-packages/')
_TOKEN = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")
"""A JSON Web Token, which the parser quotes: a part of it may begin with "py"."""


@dataclass
class AttackTarget:
    """The server under attack, all its answers, and the secrets that must not be logged."""

    server: ServerProcess
    media: Path
    answers: list[bytes] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[RawConnection]:
        async with self._connection() as (reader, writer):
            yield RawConnection(reader, writer)

    @asynccontextmanager
    async def socket(
        self, token: str | None = None, path: str | bytes = "/ws"
    ) -> AsyncIterator[RawWebSocket]:
        """A WebSocket, authenticated by header if there is a ``token``."""
        async with self._connection() as (reader, writer):
            writer.write(upgrade(path, bearer(token) if token else {}))
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield RawWebSocket(reader, writer, self.answers)

    async def exchange(self, data: bytes, patience: float = PATIENCE) -> tuple[bytes, bool]:
        """Send ``data`` on a connection of its own: all that came back, and whether it ended."""
        async with self.connect() as wire:
            await wire.send(data)
            received, ended = await wire.rest(patience)
        self.answers.append(received)
        return received, ended

    async def ask(
        self,
        method: str,
        path: str | bytes,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Return the one answer to a well-formed request."""
        received, ended = await self.exchange(request(method, path, headers, body))
        assert ended, f"{method} {path!r} was answered, but the connection left open"
        return Answer.of(received)

    async def handshake(self, path: str | bytes, headers: Mapping[str, str | bytes]) -> Answer:
        """Return the answer to a WebSocket handshake that should not succeed."""
        async with self.connect() as wire:
            await wire.send(upgrade(path, headers))
            async with asyncio.timeout(PATIENCE):
                head = await wire.reader.readuntil(b"\r\n\r\n")
                answer = Answer.of(head)
                length = int(answer.headers.get("content-length", "0"))
                data = head + await wire.reader.readexactly(length)
        self.answers.append(data)
        return Answer.of(data)

    def stop(self) -> None:
        """Stop the server; fail if it did not stop cleanly, or disclosed anything."""
        assert self.server.stop() == 0
        self.server.wait_for_end()
        disclosed = [answer for answer in self.answers if self._discloses(answer)]
        assert not disclosed, disclosed[:3]
        pieces = [p for s in self.secrets for p in re.split(r"[.\s]", s) if len(p) >= 16]
        leaks = [line for line in self.server.log if any(piece in line for piece in pieces)]
        assert not leaks, leaks[:3]

    def _discloses(self, answer: bytes) -> bool:
        places = {str(self.media), str(self.media.resolve()), str(self.media.parent)}
        if any(place.encode() in answer for place in places):
            return True
        is_content = re.match(rb"HTTP/1\.1 [23]", answer) is not None
        return not is_content and _DISCLOSURES.search(without_tokens(answer)) is not None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


def without_tokens(answer: bytes) -> bytes:
    """Return an answer without the access tokens that it quotes."""
    return _TOKEN.sub(b"", answer)


@contextmanager
def under_attack(launch: Launch, media: Path, **environ: str) -> Iterator[AttackTarget]:
    """A server whose media folder has been scanned; at the end it is stopped and searched."""
    server = launch(**{"AUDIOSTREAM_STATE": ":memory:", **UNLIMITED, **environ})
    server.wait_for_log("the library has")
    target = AttackTarget(server, media)
    yield target
    target.stop()
