"""``HalfCloseProtocol``: answer a client that has ended its side of the connection.

A client may shut its sending side down behind its last request and still read the answer (RFC 9112
§9.6). aiohttp's protocol lets asyncio close the connection at once, and the answer is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from aiohttp import web

from .aiohttp_compat import is_idle

READ_BUFFER_SIZE: Final = 64 * 1024
"""Bytes that are read at once; asyncio would allocate 256 KiB for each read."""
ANSWERED_POLL: Final = 0.05
"""Seconds between two looks whether a client that has ended its side has its answer."""

_BODY_FIELDS: Final = (b"content-length", b"transfer-encoding", b"upgrade")
"""Fields of a request that something else than the next request may follow."""
_TAIL: Final = max(map(len, _BODY_FIELDS)) - 1
"""Bytes of one read that may be the beginning of a field's name."""


class HalfCloseProtocol(asyncio.BufferedProtocol):
    """One connection: forward everything to aiohttp, and keep the connection until it has answered.

    Where a request has a body, or is an upgrade, the end of the client's side ends the connection:
    the rest of the body, or a frame, cannot come any more. ``read_buffer`` may be shared by all
    connections of one event loop, as what is read is copied at once.
    """

    __slots__ = ("_closing", "_fallback", "_has_bodies", "_read_buffer", "_tail", "_transport")

    def __init__(self, fallback: web.RequestHandler, read_buffer: memoryview) -> None:
        self._fallback = fallback
        self._read_buffer = read_buffer
        self._transport: asyncio.Transport
        self._has_bodies = False
        self._tail = b""
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._fallback.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._fallback.connection_lost(exc)

    def pause_writing(self) -> None:
        self._fallback.pause_writing()

    def resume_writing(self) -> None:
        self._fallback.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._forward(bytes(self._read_buffer[:nbytes]))

    def eof_received(self) -> bool:
        """Return whether the transport stays open."""
        self._fallback.eof_received()
        if self._has_bodies or is_idle(self._fallback):
            return False
        if self._closing is None:
            self._close_when_answered()
        return True

    def _forward(self, data: bytes) -> None:
        if not self._has_bodies:
            seen = (self._tail + data).lower()
            self._has_bodies = any(name in seen for name in _BODY_FIELDS)
            self._tail = seen[-_TAIL:]
        self._fallback.data_received(data)

    def _close_when_answered(self) -> None:
        if is_idle(self._fallback):
            self._transport.close()
            return
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(ANSWERED_POLL, self._close_when_answered)


def half_close_protocols(server: web.Server) -> Callable[[], HalfCloseProtocol]:
    """Make the protocols of a server, for ``loop.create_server``."""
    read_buffer = memoryview(bytearray(READ_BUFFER_SIZE))
    return lambda: HalfCloseProtocol(server(), read_buffer)
