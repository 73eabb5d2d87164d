"""``FileTransfer``: send a part of a file to one client with ``sendfile``."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from typing import Final

from ..readahead import READ_AHEAD_SIZE, is_cached
from ..stall_timeout import StallTimeout
from .open_files import OpenFile, OpenFileCache
from .writability import WritabilityWatcher

_log = logging.getLogger(__name__)

MAX_BATCH_BYTES: Final = 2 * 1024 * 1024
"""Bytes of one file that are sent in one iteration of the event loop."""
RECHECK_AFTER: Final = 0.1
"""Seconds after which bytes that were in the page cache may have left it."""

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

    ``sent`` counts bytes, from what was sent before; ``failure`` is the ``errno`` of what has ended
    the transfer, None where nothing has.
    """

    __slots__ = (
        "_body",
        "_cached_to",
        "_checked_at",
        "_cold",
        "_fd",
        "_transport",
        "failure",
        "opened",
        "sent",
    )

    def __init__(
        self, transport: asyncio.Transport, fd: int, opened: OpenFile, body: range, sent: int = 0
    ) -> None:
        self.opened = opened
        self.sent = sent
        self.failure: int | None = None
        self._body = body
        self._cached_to = 0  # known when it was checked, in seconds of time.monotonic
        self._checked_at = 0.0
        self._cold = range(0)  # to be read into the page cache before more is sent
        self._fd = fd
        self._transport = transport

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to send."""
        return self.sent == len(self._body)

    def send(self) -> bool:
        """Send what the system accepts now; return whether ``send_rest`` has to send more."""
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

    async def send_rest(
        self, slot: StallTimeout, files: OpenFileCache, watcher: WritabilityWatcher
    ) -> None:
        """Send as the client accepts it and the disk has it, until all is sent or sending fails.

        ``slot`` is paused while the client has nothing to take.
        """
        while True:
            if self._cold:
                slot.pause()
                try:
                    await files.read_ahead(self.opened, self._cold)
                except (OSError, RuntimeError) as error:  # or the executor has been shut down
                    _log.warning("stopped sending %r: %r", self.opened.path, error)
                    return
                self._cached_to, self._checked_at = self._cold.stop, time.monotonic()
                self._cold = range(0)
                slot.resume()
            else:
                await watcher.wait(self._fd)
            if not self.send():
                return

    def _next_part(self) -> range:
        """Return the next positions to send; none where they are on disk alone."""
        start, now = self._body.start + self.sent, time.monotonic()
        part = range(start, min(start + READ_AHEAD_SIZE, self._body.stop))
        if start < self._cached_to and now - self._checked_at < RECHECK_AFTER:
            return range(start, self._cached_to)
        if not is_cached(self.opened.file, part):
            self._cold = part
            return range(0)
        self._cached_to, self._checked_at = part.stop, now
        return part

    def _sendfile(self, part: range) -> int | None:
        """Return how many bytes were accepted; 0 after a failure, None where there is no room."""
        try:
            sent = os.sendfile(self._fd, self.opened.file.fileno(), part.start, len(part))
        except BlockingIOError:
            return None
        except OSError as error:
            self.failure = error.errno
            if error.errno not in DISCONNECT_ERRNOS:
                _log.warning("stopped sending %r: %s", self.opened.path, error.strerror)
            return 0
        if not sent:
            missing = len(self._body) - self.sent
            _log.warning("%r ended %d bytes early", self.opened.path, missing)
        return sent
