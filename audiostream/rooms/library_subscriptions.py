"""The devices that asked by ``watchLibrary`` to be sent ``libraryUpdated``.

No others are sent it: older clients do not know the event, and some count the frames they get.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..library.library import Library
from ..playback.commands import fast_dataclass
from ..protocol.envelope import FrameId, encode_frame
from .device import SendQueue

BATCH_SIZE = 200
"""Devices that are notified before the event loop serves others: about a millisecond."""


@fast_dataclass
class LibraryStatus:
    """``version`` is unique to each library that was published, by any process."""

    version: str
    is_scanning: bool

    def to_json(self) -> dict[str, Any]:
        """Return the data of ``libraryUpdated``."""
        return {"version": self.version, "isScanning": self.is_scanning}


class LibrarySubscriptions:
    """The subscribers of one library. Not thread-safe."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._version_prefix = secrets.token_hex(4)
        self._is_scanning = True  # until the first scan is over
        self._last_sent: dict[SendQueue, LibraryStatus] = {}
        self._last_notified = self.status

    @property
    def status(self) -> LibraryStatus:
        """The current status. Read it before the list that it describes: never newer than that."""
        return LibraryStatus(f"{self._version_prefix}-{self._library.version}", self._is_scanning)

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """Within this context, the status says that a scan is running."""
        self._is_scanning = True
        try:
            yield
        finally:
            self._is_scanning = False

    def subscribe(self, send_queue: SendQueue, frame_id: FrameId | None = None) -> LibraryStatus:
        """Send the status, now and after each change. Return it."""
        self._last_sent[send_queue] = status = self.status
        send_queue.send_text(encode_frame("libraryUpdated", status.to_json(), frame_id))
        return status

    def unsubscribe(self, send_queue: SendQueue) -> None:
        """Remove a subscriber, if it is one."""
        self._last_sent.pop(send_queue, None)

    def notify(self) -> Iterator[None]:
        """Send a changed status to all subscribers; yields after each batch of ``BATCH_SIZE``.

        Call about once a second, and let the event loop run at each step.
        """
        if self.status == self._last_notified:
            return
        self._last_notified = self.status
        for number, send_queue in enumerate(tuple(self._last_sent), 1):
            status = self.status  # it may have changed since the last batch
            if self._last_sent.get(send_queue, status) != status:
                self._last_sent[send_queue] = status
                send_queue.send_text(encode_frame("libraryUpdated", status.to_json()))
            if number % BATCH_SIZE == 0:
                yield
