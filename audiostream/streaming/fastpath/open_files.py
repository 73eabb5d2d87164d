"""``OpenFileCache``: files that stay open for a moment, for the next request.

A cached file is known to be the one at its path: writing, replacing, renaming or removing a file
changes its status, which ``fstat`` reports from memory. What happens to a folder above it is
noticed when the path is walked again, after ``TRUSTED_FOR``.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Final, TypeAlias

from ...library.safe_open import close_in_executor, open_regular_file
from ..readahead import read_ahead

TRUSTED_FOR: Final = 0.5
"""Seconds for which an open file may stand for the path that it was opened by."""
CAPACITY: Final = 64
"""Files that may be cached."""

_version = attrgetter("st_ctime_ns", "st_mtime_ns", "st_size", "st_nlink", "st_ino", "st_dev")
"""What differs after a change: writing changes mtime or size, unlink, rename and chmod change ctime
(POSIX)."""

Opening: TypeAlias = asyncio.Future[tuple[io.FileIO, os.stat_result]]


@dataclass(frozen=True, slots=True, eq=False)
class OpenFile:
    """A regular file, open for reading. ``opened_at`` is in seconds of ``time.monotonic``."""

    path: str
    file: io.FileIO
    status: os.stat_result
    opened_at: float
    version: object = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", _version(self.status))

    def is_unchanged(self) -> bool:
        """Return whether it is the version that was opened, and still has its name."""
        try:
            return bool(_version(os.fstat(self.file.fileno())) == self.version)
        except OSError:  # of a network file system that is gone
            return False


class OpenFileCache:
    """Open files by path, read by any number of requests at positions of their own.

    For one event loop. Files are opened and closed in ``executor``. One that leaves the cache is
    closed when the last request that has retained it releases it.
    """

    def __init__(self, executor: Executor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._executor = executor
        self._clock = clock
        self._files: dict[str, OpenFile] = {}  # the oldest first
        self._opening: dict[str, Opening] = {}
        self._users: Counter[OpenFile] = Counter()
        self._unused: set[OpenFile] = set()  # retained, but not cached any more
        self._sweep: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._files)

    def cached(self, path: str, now: float) -> OpenFile | None:
        """Return the file if it is open and unchanged; ``now`` in seconds of the clock.

        It is good until the next iteration of the event loop, or until it is released.
        """
        opened = self._files.get(path)
        if opened is None:
            return None
        if now - opened.opened_at >= TRUSTED_FOR or not opened.is_unchanged():
            self._discard(opened)
            return None
        return opened

    def open(self, path: str) -> Opening:
        """Open a file in a thread and cache it; all who ask meanwhile share one future.

        The future raises OSError for anything but a regular file. Raises RuntimeError where the
        executor has been shut down.
        """
        opening = self._opening.get(path)
        if opening is None:
            loop, now = asyncio.get_running_loop(), self._clock()
            opening = loop.run_in_executor(self._executor, open_regular_file, path)
            self._opening[path] = opening
            opening.add_done_callback(partial(self._add, path, now))
        return opening

    def retain(self, opened: OpenFile) -> None:
        """Keep a file open until it is released as often."""
        self._users[opened] += 1

    def release(self, opened: OpenFile) -> None:
        """Undo one ``retain``."""
        self._users[opened] -= 1
        if not self._users[opened]:
            del self._users[opened]
            if opened in self._unused:
                self._unused.remove(opened)
                close_in_executor(self._executor, opened.file)

    async def read_ahead(self, opened: OpenFile, part: range) -> None:
        """Read a part into the page cache in a thread, which keeps the file open until it is done.

        Raises OSError, and RuntimeError where the executor has been shut down.
        """
        loop = asyncio.get_running_loop()
        job = loop.run_in_executor(self._executor, read_ahead, opened.file, part)
        self.retain(opened)
        job.add_done_callback(lambda _: self.release(opened))
        await asyncio.shield(job)

    def close(self) -> None:
        """Close all files, and those that are still being opened or retained when they are done."""
        self._is_closed = True
        for opened in tuple(self._files.values()):
            self._discard(opened)
        if self._sweep is not None:
            self._sweep.cancel()

    def _add(self, path: str, opened_at: float, opening: Opening) -> None:
        del self._opening[path]
        if opening.cancelled() or opening.exception() is not None:
            return
        opened = OpenFile(path, *opening.result(), opened_at)
        older = self._files.get(path)
        if older is None and len(self._files) >= CAPACITY:
            older = next(iter(self._files.values()))
        if older is not None:
            self._discard(older)
        self._files[path] = opened
        if self._is_closed:
            self._discard(opened)
        elif self._sweep is None:
            self._schedule_sweep()

    def _schedule_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(TRUSTED_FOR, self._discard_old)

    def _discard_old(self) -> None:
        self._sweep = None
        latest = self._clock() - TRUSTED_FOR
        for opened in [each for each in self._files.values() if each.opened_at <= latest]:
            self._discard(opened)
        if self._files:
            self._schedule_sweep()

    def _discard(self, opened: OpenFile) -> None:
        del self._files[opened.path]
        if opened in self._users:
            self._unused.add(opened)
        else:
            close_in_executor(self._executor, opened.file)
