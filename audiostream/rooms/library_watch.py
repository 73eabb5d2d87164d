"""Telling devices that the library has changed.

Here: which devices asked for it, by ``watchLibrary``, and ``libraryUpdated``, which they are told.
Not here: the tracks (``library``), when it is scanned (``app``), who a device is (``gateway``).

Only those who asked are told: a client that was written before would not know what to make of it,
or, if it counts the frames that it gets, take it for another.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from ..library.library import Library
from ..protocol.messages import FrameId, encode, value

TOLD_AT_ONCE: Final = 200
"""Devices that are told before others have their turn: about a millisecond."""


@value
class LibraryState:
    """``version`` differs for each library that was published, also by another process."""

    version: str
    is_scanning: bool

    def to_json(self) -> dict[str, Any]:
        """What ``libraryUpdated`` tells."""
        return {"version": self.version, "isScanning": self.is_scanning}


class Outbox(Protocol):
    """The way to one device. ``send_text`` never waits."""

    def send_text(self, text: str) -> None: ...


class LibraryWatch:
    """Those who watch one library. For the event loop's thread."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._process = secrets.token_hex(4)
        self._is_scanning = True  # until the first scan is over
        self._told: dict[Outbox, LibraryState] = {}
        self._told_last = self.state

    @property
    def state(self) -> LibraryState:
        """As it is now. Ask before what is listed: an old list must not pass for a new one."""
        return LibraryState(f"{self._process}-{self._library.version}", self._is_scanning)

    @contextmanager
    def scan(self) -> Iterator[None]:
        """A scan runs until the end of this."""
        self._is_scanning = True
        try:
            yield
        finally:
            self._is_scanning = False

    def add(self, outbox: Outbox, frame_id: FrameId | None = None) -> LibraryState:
        """Tell a device the state, and again whenever it is another. Answers what it is told."""
        self._told[outbox] = state = self.state
        outbox.send_text(encode("libraryUpdated", state.to_json(), frame_id))
        return state

    def remove(self, outbox: Outbox) -> None:
        """Tell a device nothing any more. Does nothing if it did not watch."""
        self._told.pop(outbox, None)

    async def tell(self) -> None:
        """Tell all what they have not been told yet. Call about once a second."""
        if self.state == self._told_last:
            return
        self._told_last = self.state
        for number, outbox in enumerate(tuple(self._told), 1):
            state = self.state  # another by now, perhaps
            if self._told.get(outbox, state) != state:
                self._told[outbox] = state
                outbox.send_text(encode("libraryUpdated", state.to_json()))
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
