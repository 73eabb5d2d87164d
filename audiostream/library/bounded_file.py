"""A file that is read within bounds: a broken one may lie about every length in it.

Here: how many bytes and how much processor time the parsers of one file may use. Not here: what
the bytes mean (``id3``, ``durations``), and the bounds of the process around it (``tags_worker``).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

MAX_READ: Final = 256 * 1024 * 1024
"""Bytes that are read of one file, all reads together."""
MAX_TIME: Final = 1.0
"""Seconds of processor time for one file."""
MAX_PIECE: Final = 16_000_000
"""Bytes of one read: a length that a file claims must not become memory."""
MAX_CALLS: Final = 100_000
"""Reads by a parser that is not ours; a tag has some hundred fields."""
_WINDOW: Final = 64 * 1024


class TooMuch(Exception):
    """The file would take more bytes or time than its tags are worth."""


class BoundedFile:
    """A regular file, open for reading at any offset. Raises OSError and ``TooMuch``."""

    def __init__(self, path: str, clock: Callable[[], float] = time.process_time) -> None:
        # Without O_NONBLOCK a named pipe that took the file's place would never open.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        self._descriptor = os.open(path, flags)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError("no regular file")
        self.size = status.st_size
        self._clock = clock
        self._deadline = clock() + MAX_TIME
        self._left = MAX_READ
        self._window = b""
        self._window_start = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    def at(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` on, fewer where the file ends."""
        begin = offset - self._window_start
        if begin < 0 or begin + length > len(self._window):
            self._fill(offset, length)
            begin = 0
        return self._window[begin : begin + length]

    def find(self, sign: bytes, offset: int, end: int) -> int:
        """Where ``sign`` begins first from ``offset`` on and before ``end``; -1 if nowhere."""
        while offset < end:
            begin = offset - self._window_start
            if not 0 <= begin <= len(self._window) - len(sign):
                self._fill(offset, len(sign))
                begin = 0
                if len(self._window) < len(sign):
                    return -1
            found = self._window.find(sign, begin)
            if found >= 0:
                found += self._window_start
                return found if found < end else -1
            offset = self._window_start + len(self._window) - len(sign) + 1
        return -1

    def _fill(self, offset: int, length: int) -> None:
        if length > MAX_PIECE or offset < 0:
            raise TooMuch("a length that no tag has")
        if self._clock() > self._deadline:
            raise TooMuch("it takes too long")
        self._window = os.pread(self._descriptor, max(length, _WINDOW), offset)
        self._window_start = offset
        self._left -= len(self._window)
        if self._left < 0:
            raise TooMuch("there is too much to read")


class FileView:
    """The ``read``, ``seek`` and ``tell`` of a file that begins at ``start`` of another."""

    def __init__(self, file: BoundedFile, start: int = 0) -> None:
        self._file = file
        self._start = start
        self._position = 0
        self._calls = 0

    def read(self, size: int = -1) -> bytes:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise TooMuch("too many small pieces")
        left = max(self._file.size - self._start - self._position, 0)
        data = self._file.at(self._start + self._position, left if size < 0 else min(size, left))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._file.size - self._start,
        }[whence]
        if base + offset < 0:
            raise OSError("a place before the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position
