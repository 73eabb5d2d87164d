"""Opening a track's file: a regular file that no symbolic link leads to, and nothing else.

A FIFO would keep its reader waiting, a device may act on being opened, and a link, or a folder that
was replaced meanwhile, may lead out of the media folder.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

_ATTEMPTS: Final = 3
"""Times that a file which is replaced while it is opened is opened."""


def open_regular_file(path: str) -> tuple[io.FileIO, os.stat_result]:
    """Open a regular file whose path is absolute and free of symbolic links. Blocks.

    Raises OSError if it is anything else. A file that is replaced while it is opened is opened
    again: what is open on return was at the path then.
    """
    for _ in range(_ATTEMPTS):
        file, status = _open_once(path)
        with suppress(OSError):
            if os.path.samestat(status, os.stat(path, follow_symlinks=False)):
                return file, status
        file.close()
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def close_in_executor(executor: Executor, file: io.FileIO) -> None:
    """Close a file in a thread: a slow disk would delay the event loop."""
    try:
        executor.submit(file.close)
    except RuntimeError:  # the executor has been shut down
        file.close()


def _open_once(path: str) -> tuple[io.FileIO, os.stat_result]:
    if os.path.realpath(path) != path:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    file = io.FileIO(path, opener=_opener)
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    except OSError:
        file.close()
        raise
    return file, status


def _opener(path: str, flags: int) -> int:
    # Without O_NONBLOCK a FIFO would keep the thread until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
