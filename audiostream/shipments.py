"""Bytes of files on their way to clients that take their time.

Here: ``Shipment``, which sends by ``sendfile`` what the system takes, ``WriteWatch``, which tells
when it takes more, and ``StallWatch``, which ends what nobody takes. Not here: which bytes of which
file, and what follows them (``shortcut``, ``streaming``).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from .descriptors import OpenFile

LOG = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 2 * 1024 * 1024
"""Bytes of a file that are sent before others have their turn."""
TOLD_AT_ONCE: Final = 16
"""Connections that may go on before others have their turn."""

# A client that left, in all the ways in which the system says so.
GONE: Final = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    }
)

_TCP_INFO_SIZE: Final = 256
_BYTES_ACKED: Final = struct.Struct("=Q")
_BYTES_ACKED_AT: Final = 120


class Shipment:
    """A part of a file on its way to one client.

    ``sent`` is in bytes, and begins with what went before; ``failure`` is the ``errno`` of what
    ended it, None where nothing did.
    """

    __slots__ = ("_body", "_connection", "_transport", "failure", "opened", "sent")

    def __init__(
        self,
        transport: asyncio.Transport,
        connection: int,
        opened: OpenFile,
        body: range,
        sent: int = 0,
    ) -> None:
        self.opened = opened
        self.sent = sent
        self.failure: int | None = None
        self._transport = transport
        self._connection = connection
        self._body = body

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to send."""
        return self.sent == len(self._body)

    def send(self) -> bool:
        """Send what the system takes, and say whether there is anything to wait for."""
        if self._transport.get_write_buffer_size():  # what comes first, and is asyncio's to send
            return True
        start = self._body.start + self.sent
        count = min(self._body.stop - start, MOST_AT_ONCE)
        try:
            sent = os.sendfile(self._connection, self.opened.file.fileno(), start, count)
        except BlockingIOError:
            return True
        except OSError as error:
            self.failure = error.errno
            if error.errno not in GONE:
                LOG.warning("stopped sending %r: %s", self.opened.path, error.strerror)
            return False
        self.sent += sent
        if not sent:
            missing = len(self._body) - self.sent
            LOG.warning("%r ended %d bytes early", self.opened.path, missing)
        return bool(sent) and not self.is_whole


class WriteWatch:
    """Tells when connections can be written to again. For one event loop; only Linux has it.

    asyncio lets nobody wait for a descriptor that a transport has. An ``epoll`` of our own may,
    takes no second descriptor for it, and the loop waits for it as for any other (epoll(7)).
    """

    def __init__(self) -> None:
        self._told: dict[int, Callable[[], None]] = {}
        if sys.platform == "linux":
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._tell)

    def once(self, connection: int, told: Callable[[], None]) -> None:
        """Call ``told`` as soon as ``connection`` can be written to, or is broken."""
        wanted = select.EPOLLOUT | select.EPOLLONESHOT
        if connection in self._told:
            self._epoll.modify(connection, wanted)
        else:
            self._epoll.register(connection, wanted)
        self._told[connection] = told

    def forget(self, connection: int) -> None:
        """Before a connection is closed: its number may soon be another's."""
        if self._told.pop(connection, None) is not None:
            self._epoll.unregister(connection)

    def close(self) -> None:
        """Tell nobody any more. Connections may still end after this."""
        self._told.clear()
        if sys.platform == "linux":
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _tell(self) -> None:
        for connection, _ in self._epoll.poll(0, TOLD_AT_ONCE):
            self._told[connection]()


class StallWatch:
    """Aborts a connection whose client takes no byte for ``patience`` seconds, until stopped.

    What the client has taken is what its TCP has acknowledged; where the system does not tell, or
    with None for ``patience``, nobody is cut.
    """

    __slots__ = ("_next_look", "_patience", "_since", "_taken", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, patience: float | None) -> None:
        self._transport = transport
        self._taken = -1
        self._since = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        if patience is not None:
            self._patience = patience
            self._look_later()

    def stop(self) -> None:
        """All has been taken, or given up."""
        if self._next_look is not None:
            self._next_look.cancel()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(self._patience / 4, self._look)

    def _look(self) -> None:
        taken, now = _acknowledged(self._transport.get_extra_info("socket")), time.monotonic()
        if taken is None:
            return
        if taken != self._taken:
            self._taken, self._since = taken, now
        elif now - self._since >= self._patience:
            LOG.info("cut a listener that stopped taking bytes")
            self._transport.abort()
            return
        self._look_later()


def disconnect(transport: asyncio.BaseTransport) -> None:
    """End a connection, also while asyncio sends on it.

    The transport learns of it as of a client that left, and closes the descriptor when it no
    longer waits for it: ``abort`` during ``loop.sendfile`` leaves a writer on a descriptor that
    is soon another connection's.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
            return
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _acknowledged(connection: socket.socket | None) -> int | None:
    """Bytes that the other side has acknowledged: ``tcpi_bytes_acked`` of Linux's TCP_INFO."""
    if connection is None or not hasattr(socket, "TCP_INFO") or sys.platform != "linux":
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return None
    return int(_BYTES_ACKED.unpack_from(info, _BYTES_ACKED_AT)[0]) if len(info) >= 128 else None
