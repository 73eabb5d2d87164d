"""Sending a part of a file to one client as fast as it takes it, with ``sendfile``."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from typing import Final

from .open_files import OpenFile
from .readahead import READ_AHEAD_SIZE, is_cached

LOG = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""Bytes of one file that are sent in one loop iteration."""
MAX_WRITABLE_EVENTS: Final = 16
"""Connections that are continued in one loop iteration."""
CACHE_CHECK_SIZE: Final = 256 * 1024
"""Bytes that are known to be in the page cache when they are sent."""

DISCONNECT_ERRNOS: Final = frozenset(
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
"""A client that has left, in all the ways in which the system reports it."""


class FileTransfer:
    """A part of a file on its way to one client.

    ``sent`` is in bytes, and begins with what went before; ``failure`` is the ``errno`` of what
    ended it, None where nothing did. ``cold`` are bytes that have to be read from the disk before
    it can go on: whoever sees that reads them, and says ``was_read``.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_read_to",
        "_transport",
        "cold",
        "failure",
        "opened",
        "sent",
    )

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
        self.cold = range(0)
        self._read_to = 0
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
        most = self.sent + MAX_BATCH_BYTES
        while self.sent < most and not self.is_whole:
            part = self._in_memory()
            if not part:
                return True
            sent = self._send(part)
            if sent is None:
                return True
            if not sent:
                return False
            self.sent += sent
            if sent < len(part):
                return True
        return not self.is_whole

    def was_read(self) -> None:
        """What was cold is in memory now, or nothing can be done about it."""
        self._read_to, self.cold = self.cold.stop, range(0)

    def fail(self, error: BaseException) -> None:
        """What was cold cannot be read."""
        self.failure = error.errno if isinstance(error, OSError) else None
        LOG.warning("stopped sending %r: %r", self.opened.path, error)

    def _in_memory(self) -> range:
        """The next bytes to send; none, where they are on the disk alone."""
        start, stop = self._body.start + self.sent, self._body.stop
        read_to, self._read_to = self._read_to, 0
        if start < read_to:
            return range(start, read_to)
        part = range(start, min(start + CACHE_CHECK_SIZE, stop))
        if is_cached(self.opened.file, part):
            return part
        self.cold = range(start, min(start + READ_AHEAD_SIZE, stop))
        return range(0)

    def _send(self, part: range) -> int | None:
        """How many bytes the system took; 0 after a failure, None where it takes nothing now."""
        try:
            sent = os.sendfile(self._connection, self.opened.file.fileno(), part.start, len(part))
        except BlockingIOError:
            return None
        except OSError as error:
            self.failure = error.errno
            if error.errno not in DISCONNECT_ERRNOS:
                LOG.warning("stopped sending %r: %s", self.opened.path, error.strerror)
            return 0
        if not sent:
            missing = len(self._body) - self.sent
            LOG.warning("%r ended %d bytes early", self.opened.path, missing)
        return sent


class WritabilityWatcher:
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
        for connection, _ in self._epoll.poll(0, MAX_WRITABLE_EVENTS):
            self._told[connection]()
