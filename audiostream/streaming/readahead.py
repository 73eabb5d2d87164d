"""Which bytes of a file are in memory, and reading the others where nobody else has to wait.

Here: asking the page cache, and the read that fills it. Not here: sending (``shipments``,
``streaming``).

``sendfile`` reads what it sends. On a disk that has to spin up, or on a network's file, that takes
seconds in which an event loop does nothing else, so its bytes are in memory before it is called:
those that are not are read in a thread. ``posix_fadvise`` would only ask for that, and not wait.
"""

from __future__ import annotations

import io
import os
from typing import Final

READ_AT_ONCE: Final = 1024 * 1024
"""Bytes that are read ahead at one time: eight of a disk's usual own read-aheads."""

# Linux alone can be asked to read what is in memory and nothing else.
_FROM_MEMORY: int | None = getattr(os, "RWF_NOWAIT", None)
# What is read here is wanted by nobody. From 256 KiB, which a processor's cache holds, a megabyte
# is asked for in 30 µs, a tenth of what sending it takes.
_SCRATCH = memoryview(bytearray(256 * 1024))


def is_in_memory(file: io.FileIO, part: range) -> bool:
    """Whether the system has all of these bytes of a file in memory. Never waits.

    False where it does not tell. What it has to fetch it begins to fetch.
    """
    if _FROM_MEMORY is None:
        return False
    try:
        return all(
            os.preadv(file.fileno(), [_SCRATCH[: len(piece)]], piece.start, _FROM_MEMORY)
            == len(piece)
            for piece in _pieces(part)
        )
    except OSError:  # not in memory, or a file system that does not tell
        return False


def read_ahead(file: io.FileIO, part: range) -> None:
    """Have these bytes of a file in memory, as far as it has them. Blocks; raises OSError."""
    for piece in _pieces(part):
        if not os.pread(file.fileno(), len(piece), piece.start):
            return


def _pieces(part: range) -> list[range]:
    size = len(_SCRATCH)
    return [part[start : start + size] for start in range(0, len(part), size)]
