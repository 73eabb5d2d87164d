"""The lock by which one server process owns a state file."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Final

from ..errors import StoreError

ADVICE: Final = "Name another with --state FILE, or --state :memory: to keep nothing."
_IN_USE: Final = f"the state file is in use by another server. {ADVICE}"
_LOCKED_BYTE: Final = 2**62
"""Offset of the locked byte: beyond any file, and beyond what SQLite locks at 1 GiB."""
_locked_inodes: set[tuple[int, int]] = set()
"""Device and inode of each file that this process has locked.

A file is looked up here without being opened: when a process closes any descriptor of a file, it
loses all POSIX locks that it has on that file (fcntl(2)), and SQLite relies on those.
"""
_guard = threading.Lock()


class FileLock:
    """An exclusive lock on a state file, until released.

    On Linux it is on the inode: links, bind mounts and other names of the file or of its folder
    lead to the same lock, and there is no lock file that somebody could remove.
    """

    def __init__(self, path: Path) -> None:
        """Lock the file, created where it is absent. Raises ``StoreError`` and ``OSError``."""
        with _guard:
            if path.exists() and _inode(path.stat()) in _locked_inodes:
                raise StoreError(_IN_USE)
            self._descriptor = _open_locked(path)
            self._inode = _inode(os.fstat(self._descriptor))
            _locked_inodes.add(self._inode)

    def release(self) -> None:
        """Unlock. The database must be closed before."""
        with _guard:
            _locked_inodes.discard(self._inode)
            os.close(self._descriptor)


def check_name(path: Path) -> None:
    """Raise ``StoreError`` where a running server would not notice a write through this name.

    SQLite keeps the newest changes in files named after the database. Through a hard link, or a
    bind mount of the file alone, these are not the server's, and the database is damaged.
    """
    if sys.platform != "linux" or not path.exists():
        return
    name = path.resolve()
    if _is_locked(path) and not name.with_name(f"{name.name}-shm").exists():
        raise StoreError(
            "a server uses the state file by another name. "
            "Name it as the server does, in the same container if it runs in one."
        )


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _open_locked(path: Path) -> int:
    """Return a descriptor that holds the lock. Raises ``StoreError`` where it is taken.

    On Linux an open file description lock (fcntl(2)) on one byte of the file. It is independent of
    SQLite's locks, also on network file systems, where ``flock`` locks the whole file and SQLite
    out. Other systems have ``flock`` alone, in one list with SQLite: there a second file is locked.
    """
    if sys.platform == "linux":
        descriptor, kind = _open(path)
    else:
        second = path.resolve()
        second = second.with_name(f"{second.name}.lock")
        descriptor = os.open(second, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(kind))
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise StoreError(_IN_USE) from None
        raise
    return descriptor


def _open(path: Path) -> tuple[int, int]:
    """Return a descriptor of the file, and the kind of lock that it can hold.

    A process that may only read the file takes a shared lock, beside others that may only read.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600), fcntl.F_WRLCK
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS} or not path.exists():
            raise
        return os.open(path, os.O_RDONLY), fcntl.F_RDLCK


def _flock(kind: int) -> bytes:
    """``struct flock`` for the one locked byte."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, _LOCKED_BYTE, 1, 0)


def _is_locked(path: Path) -> bool:
    """Whether a server, of this process or another, holds the lock."""
    if _inode(path.stat()) in _locked_inodes:
        return True
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    return int(struct.unpack_from("h", found)[0]) != fcntl.F_UNLCK
