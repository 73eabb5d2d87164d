"""Open files at rest: a few descriptors that wait, for a moment, for the next request.

Here: how many wait and how long, how one is known to be still the file at its path, and how many
more this process may have. Not here: opening, reading and sending (``streaming``).

A descriptor has one owner at a time: the pool, or the response that took it from there; it may be
lent to any number of others, who read at places of their own, and is closed when the last of these
is done. Whoever takes it finds a file whose status is that of the moment it was opened. Unlinking,
replacing, renaming, cutting or writing a file changes its status, and ``fstat`` tells at once, from
memory; what happens to a folder above it is noticed when the path is walked anew, after
``TRUSTED_FOR``.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

TRUSTED_FOR = 0.5
"""Seconds that a descriptor may stand for the path that it was opened by."""
MOST_AT_REST = 64
"""Descriptors that may wait at one time."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenFile:
    """A regular file, open for reading. ``opened_at`` is in seconds of ``time.monotonic``."""

    path: str
    file: io.FileIO
    status: os.stat_result
    opened_at: float

    def is_unchanged(self) -> bool:
        """Whether it is the version that was opened, and still has its name."""
        try:
            now, then = os.fstat(self.file.fileno()), self.status
        except OSError:  # a network's file that was taken away
            return False
        # Writing moves mtime or size; unlinking, replacing, renaming and chmod move ctime (POSIX).
        return (
            now.st_ctime_ns == then.st_ctime_ns
            and now.st_mtime_ns == then.st_mtime_ns
            and now.st_size == then.st_size
            and now.st_nlink == then.st_nlink
            and now.st_ino == then.st_ino
            and now.st_dev == then.st_dev
        )


class Descriptors:
    """Files at rest, by path. For one event loop; ``close`` closes a file and may not block."""

    def __init__(
        self,
        close: Callable[[io.FileIO], object],
        *,
        clock: Callable[[], float] = lambda: time.monotonic(),
        most: int = MOST_AT_REST,
    ) -> None:
        self._close = close
        self._clock = clock
        self._most = most
        self._at_rest: dict[OpenFile, None] = {}
        self._by_path: dict[str, list[OpenFile]] = {}
        self._lent: Counter[OpenFile] = Counter()
        self._to_close: set[OpenFile] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._is_shut = False

    def __len__(self) -> int:
        return len(self._at_rest)

    def take(self, path: str) -> OpenFile | None:
        """A file that was opened by this path a moment ago and has not changed, or None."""
        while waiting := self._by_path.get(path):
            kept = waiting[-1]
            self._remove(kept)
            if self._is_trusted(kept) and kept.is_unchanged():
                return kept
            self._let_go(kept)
        return None

    def at_rest(self, path: str, now: float) -> OpenFile | None:
        """The same, for those who are done with it before anything else can happen: it stays.

        ``now`` is in seconds of the clock.
        """
        waiting = self._by_path.get(path)
        if not waiting:
            return None
        kept = waiting[-1]
        return kept if now - kept.opened_at < TRUSTED_FOR and kept.is_unchanged() else None

    def lend(self, kept: OpenFile) -> None:
        """Do not close one, whoever owns it, until it was taken back as often."""
        self._lent[kept] += 1

    def take_back(self, kept: OpenFile) -> None:
        """One user less. Close it if it was the last, and nobody keeps it."""
        self._lent[kept] -= 1
        if not self._lent[kept]:
            del self._lent[kept]
            if kept in self._to_close:
                self._to_close.remove(kept)
                self._close(kept.file)

    def give(self, used: OpenFile) -> None:
        """Take over a file that its owner is done with, to keep or to close."""
        if self._is_shut or not self._most or not self._is_trusted(used):
            self._let_go(used)
            return
        if len(self._at_rest) >= self._most:
            oldest = next(iter(self._at_rest))
            self._remove(oldest)
            self._let_go(oldest)
        self._at_rest[used] = None
        self._by_path.setdefault(used.path, []).append(used)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(TRUSTED_FOR, self._close_idle)

    def shut(self) -> None:
        """Close all, and from here on whatever is given back."""
        self._is_shut = True
        self._close_all(list(self._at_rest))
        if self._sweep is not None:
            self._sweep.cancel()

    def _close_idle(self) -> None:
        self._sweep = None
        self._close_all([kept for kept in self._at_rest if not self._is_trusted(kept)])
        if self._at_rest:
            self._sweep = asyncio.get_running_loop().call_later(TRUSTED_FOR, self._close_idle)

    def _close_all(self, files: list[OpenFile]) -> None:
        for kept in files:
            self._remove(kept)
            self._let_go(kept)

    def _let_go(self, kept: OpenFile) -> None:
        """Close it, now or as soon as nobody uses it."""
        if kept in self._lent:
            self._to_close.add(kept)
        else:
            self._close(kept.file)

    def _is_trusted(self, kept: OpenFile) -> bool:
        return self._clock() - kept.opened_at < TRUSTED_FOR

    def _remove(self, kept: OpenFile) -> None:
        del self._at_rest[kept]
        waiting = self._by_path[kept.path]
        waiting.remove(kept)
        if not waiting:
            del self._by_path[kept.path]


DESCRIPTORS = web.AppKey("audiostream_descriptors", Descriptors)
