"""Files that are read within bounds of bytes and processor time.

A damaged or hostile file may lie about every length in it. The parsers of tags, durations and
pictures therefore read through a ``BoundedFile``.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from typing import Final, Self

MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes that are read of one file, all reads together: more than any tag or table of contents."""
MAX_CPU_TIME: Final = 1.0
"""Seconds of processor time for one file."""
MAX_READ_LENGTH: Final = 16_000_000
"""Bytes of one read: a length that a file claims must not become an allocation."""
MAX_READ_CALLS: Final = 100_000
"""Reads by a parser of another package; a tag has a few hundred fields."""
_WINDOW: Final = 64 * 1024
"""Bytes of one system call, so that the small reads of a parser are answered from memory."""


class ReadLimitExceeded(Exception):
    """Parsing the file would take more bytes or time than its tags are worth."""


class BoundedFile:
    """A regular file open for reading at any offset.

    ``clock`` gives seconds of processor time. Raises ``OSError`` for a symbolic link and for
    anything but a regular file, and ``ReadLimitExceeded`` once a limit is reached.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.process_time) -> None:
        # Without O_NONBLOCK a named pipe that took the file's place would never open.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        self._fd = os.open(path, flags)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError("not a regular file")
        self.size = status.st_size
        self._clock = clock
        self._deadline = clock() + MAX_CPU_TIME
        self._remaining = MAX_BYTES
        self._window = b""
        self._window_start = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, fewer at the end of the file."""
        begin = offset - self._window_start
        if begin < 0 or begin + length > len(self._window):
            self._fill(offset, length)
            begin = 0
        return self._window[begin : begin + length]

    def find(self, pattern: bytes, offset: int, end: int) -> int:
        """Return where ``pattern`` first begins in ``offset <= position < end``, or -1."""
        while offset < end:
            begin = offset - self._window_start
            if not 0 <= begin <= len(self._window) - len(pattern):
                self._fill(offset, len(pattern))
                begin = 0
                if len(self._window) < len(pattern):
                    return -1
            found = self._window.find(pattern, begin)
            if found >= 0:
                found += self._window_start
                return found if found < end else -1
            offset = self._window_start + len(self._window) - len(pattern) + 1
        return -1

    def _fill(self, offset: int, length: int) -> None:
        if length > MAX_READ_LENGTH or offset < 0:
            raise ReadLimitExceeded("a length that no tag has")
        if self._clock() > self._deadline:
            raise ReadLimitExceeded("it takes too long")
        self._window = os.pread(self._fd, max(length, _WINDOW), offset)
        self._window_start = offset
        self._remaining -= len(self._window)
        if self._remaining < 0:
            raise ReadLimitExceeded("there is too much to read")


class FileView:
    """A ``BoundedFile`` as a file object with ``read``, ``seek`` and ``tell``, for other parsers.

    The view begins at byte ``start``. ``max_bytes`` bounds what all reads together may ask for.
    """

    def __init__(self, file: BoundedFile, start: int = 0, max_bytes: int = sys.maxsize) -> None:
        self._file = file
        self._start = start
        self._position = 0
        self._remaining_bytes = max_bytes
        self._remaining_calls = MAX_READ_CALLS

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all that follow if it is negative."""
        available = max(self._file.size - self._start - self._position, 0)
        length = min(available, self._remaining_bytes) if size < 0 else size
        # Checked before reading: a length that a file claims must not become an allocation.
        if length > self._remaining_bytes:
            raise ReadLimitExceeded("there is too much to read")
        self._remaining_calls -= 1
        if self._remaining_calls < 0:
            raise ReadLimitExceeded("too many small reads")
        data = self._file.read_at(self._start + self._position, min(length, available))
        self._remaining_bytes -= len(data)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset and return it. Raises ``OSError`` before the beginning."""
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._file.size - self._start,
        }[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the current offset."""
        return self._position
