"""Reading for many connections in one go, after each was upgraded to something that is not HTTP.

Here: ``Arrivals``, which reads what has come for all of them, and ``Upgraded``, a connection's
protocol from then on. Not here: what the bytes mean (``frames``, ``sockets``), writing.

asyncio would look up, wrap and call anew for every connection that has something; for a device's
frames that costs as much as what they ask for. Here it waits for one descriptor only, an ``epoll``
of our own (epoll(7)), which knows all connections that have something::

    asyncio ──► epoll ──► each connection that can be read ──► take(bytes)
                               │ its end, or an error
                               ▼
                           asyncio again, which ends it as any other

Where that cannot be, under TLS and on other systems than Linux, asyncio reads and calls ``take``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import sys
from collections.abc import Callable
from typing import Final, cast

READ_AT_ONCE: Final = 64
"""Connections that are read before others have their turn."""
READ_AT_MOST: Final = 64 * 1024
"""Bytes that are read at once of one connection."""

_log = logging.getLogger(__name__)


class Arrivals:
    """Reads for all connections that were upgraded. For one event loop, until closed."""

    def __init__(self) -> None:
        self._read: dict[int, Upgraded] = {}
        self._epoll: select.epoll | None = None

    def upgrade(self, transport: asyncio.Transport, take: Callable[[bytes], object]) -> Upgraded:
        """Have ``take`` called with what arrives, as soon as reading is resumed."""
        upgraded = Upgraded(self, transport, take)
        transport.pause_reading()
        transport.set_protocol(upgraded)
        return upgraded

    def start(self, upgraded: Upgraded) -> bool:
        """Read for a connection from now on, and say whether that can be."""
        if upgraded.number is None or sys.platform != "linux":
            return False
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)
        if upgraded.number not in self._read:
            self._epoll.register(upgraded.number, select.EPOLLIN)
            self._read[upgraded.number] = upgraded
        return True

    def stop(self, upgraded: Upgraded) -> None:
        """Read no more for a connection, if it was; also before its number may be another's."""
        number = upgraded.number
        if number is not None and self._read.get(number) is upgraded and self._epoll is not None:
            del self._read[number]
            self._epoll.unregister(number)

    def close(self) -> None:
        """Read for nobody any more. Connections may still end after this."""
        self._read.clear()
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _look(self) -> None:
        if self._epoll is None:
            return
        for number, _ in self._epoll.poll(0, READ_AT_ONCE):
            upgraded = self._read.get(number)
            if upgraded is not None:  # one before it may have ended it
                upgraded.read(number)


class Upgraded(asyncio.Protocol):
    """What arrives on a connection goes to ``take``; all else about it stays with the protocol that
    it had.

    ``number`` is that of its descriptor, None where only asyncio may read it.
    """

    __slots__ = ("_arrivals", "_former", "_take", "_transport", "number")

    def __init__(
        self, arrivals: Arrivals, transport: asyncio.Transport, take: Callable[[bytes], object]
    ) -> None:
        self._arrivals = arrivals
        self._transport = transport
        self._take = take
        self._former = cast(asyncio.Protocol, transport.get_protocol())
        self.number: int | None = None
        if transport.get_extra_info("sslcontext") is None:
            socket = transport.get_extra_info("socket")
            self.number = None if socket is None else socket.fileno()

    def resume_reading(self) -> None:
        if not self._arrivals.start(self):
            self._transport.resume_reading()

    def pause_reading(self) -> None:
        self._arrivals.stop(self)
        self._transport.pause_reading()

    def read(self, number: int) -> None:
        """Take what has arrived at the descriptor of that number."""
        try:
            data = b"" if self._transport.is_closing() else os.read(number, READ_AT_MOST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._arrivals.stop(self)
            self._transport.resume_reading()
            return
        try:
            self._take(data)
        except Exception:
            _log.exception("what arrived could not be handled; the connection is cut")
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def eof_received(self) -> bool | None:
        return self._former.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._arrivals.stop(self)
        self.number = None  # soon another connection's
        self._former.connection_lost(error)

    def pause_writing(self) -> None:
        self._former.pause_writing()

    def resume_writing(self) -> None:
        self._former.resume_writing()
