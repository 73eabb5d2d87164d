"""``FileTransfer``: send a part of a file to one client with ``sendfile``."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from typing import Final

from ..readahead import READ_AHEAD_SIZE, is_cached
from .open_files import OpenFile

LOG = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""Bytes of one file that are sent in one iteration of the event loop."""
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
    """A part of a file on its way to one client; it sends what the system accepts, and never waits.

    ``sent`` counts bytes, from what was sent before; ``failure`` is the ``errno`` of what has ended
    the transfer, None where nothing has. ``cold`` are positions that have to be read into the page
    cache before it can go on: read them, then call ``resume``.
    """

    __slots__ = ("_body", "_fd", "_readable_to", "_transport", "cold", "failure", "opened", "sent")

    def __init__(
        self,
        transport: asyncio.Transport,
        fd: int,
        opened: OpenFile,
        body: range,
        sent: int = 0,
    ) -> None:
        self.opened = opened
        self.sent = sent
        self.failure: int | None = None
        self.cold = range(0)
        self._readable_to = 0
        self._transport = transport
        self._fd = fd
        self._body = body

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to send."""
        return self.sent == len(self._body)

    def send(self) -> bool:
        """Send what the system accepts; return whether to wait and call again."""
        if self._transport.get_write_buffer_size():  # asyncio sends these bytes first
            return True
        limit = self.sent + MAX_BATCH_BYTES
        while self.sent < limit and not self.is_complete:
            part = self._next_part()
            if not part:
                return True
            sent = self._sendfile(part)
            if sent is None:
                return True
            if not sent:
                return False
            self.sent += sent
            if sent < len(part):
                return True
        return not self.is_complete

    def resume(self) -> None:
        """Go on: the cold bytes have been read, as far as the file has them."""
        self._readable_to, self.cold = self.cold.stop, range(0)

    def fail(self, error: BaseException) -> None:
        """End it: the cold bytes cannot be read."""
        self.failure = error.errno if isinstance(error, OSError) else None
        LOG.warning("stopped sending %r: %r", self.opened.path, error)

    def _next_part(self) -> range:
        """Return the next positions to send; none, and ``cold`` set, where they are on disk."""
        start, stop = self._body.start + self.sent, self._body.stop
        readable_to, self._readable_to = self._readable_to, 0
        if start < readable_to:
            return range(start, readable_to)
        part = range(start, min(start + CACHE_CHECK_SIZE, stop))
        if is_cached(self.opened.file, part):
            return part
        self.cold = range(start, min(start + READ_AHEAD_SIZE, stop))
        return range(0)

    def _sendfile(self, part: range) -> int | None:
        """Return how many bytes were accepted; 0 after a failure, None where there is no room."""
        try:
            sent = os.sendfile(self._fd, self.opened.file.fileno(), part.start, len(part))
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
