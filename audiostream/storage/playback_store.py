"""The state file: playback that survives a restart, and what the last scan found, in SQLite.

Here: the file, its schema, reading and writing it; every method blocks. Not here: when to write
and on which thread (``keeper``, ``app``), what a state means (``playback``) or a file's tags
(``library``).

One process writes a file: the server holds a lock on the file itself, by whatever name it was
opened. ``python -m audiostream revoke`` is the exception; what it adds is noticed by
``revocations``. A file that is damaged, newer or not ours is refused before anything in it is
touched.

No call takes long because of what one user has kept: a load reads one row, and what is dropped is
dropped a few tracks at a time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ..errors import StoreError
from ..playback.model import DeviceRef, State, StopPoint

SCHEMA_VERSION = 3
APPLICATION_ID = 0x61756469
POSITIONS_KEPT = 20
"""How many positions are kept per user and track."""
UNSAVABLE = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""What ``save`` raises for a value that SQLite does not hold, like half a surrogate pair or NaN."""
TRACKS_KEPT = 2_000
"""Tracks of one user whose positions are kept: those that were left last."""
TRACKS_DROPPED_AT_ONCE = 50
"""Tracks whose positions are dropped in one transaction: it takes about 10 ms."""
TRACKS_REVIEWED_AT_ONCE = 200
"""Tracks that ``review`` looks at in one call."""
GONE_FOR = 90 * 86400.0
"""Seconds after which the positions of a track that the library no longer has are dropped.

A disk that is not mounted today may be back next month.
"""

_SCHEMA = f"""
CREATE TABLE playback (
    user_id TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    position REAL NOT NULL,
    is_playing INTEGER NOT NULL,
    playback_rate REAL NOT NULL,
    rev INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    device_id TEXT
) WITHOUT ROWID;
CREATE TABLE position (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    left_at REAL NOT NULL,
    position REAL NOT NULL,
    PRIMARY KEY (user_id, track_id, left_at)
) WITHOUT ROWID;
CREATE TABLE revoked (
    user_id TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
"""
_SCANNED = """
CREATE TABLE IF NOT EXISTS scanned (
    folder TEXT NOT NULL,
    path TEXT NOT NULL,
    identity TEXT NOT NULL,
    title TEXT,
    artist TEXT,
    album TEXT,
    duration REAL,
    album_artist TEXT,
    disc INTEGER,
    track_number INTEGER,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
"""
"""What came with schema 2. A table with other columns is a cache in disorder, and is replaced."""
_TRACK_HISTORY = """
CREATE TABLE track_history (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    stopped_at REAL NOT NULL,
    gone_since REAL,
    PRIMARY KEY (user_id, track_id)
) WITHOUT ROWID;
CREATE INDEX track_history_by_age ON track_history (user_id, stopped_at);
INSERT INTO track_history
    SELECT user_id, track_id, max(left_at), NULL FROM position GROUP BY user_id, track_id;
ALTER TABLE playback ADD COLUMN reached_at REAL;
ALTER TABLE playback ADD COLUMN is_abandoned INTEGER NOT NULL DEFAULT 0;
"""
"""What came with schema 3: one row for each track of a user in ``position``, and two columns.

``stopped_at`` is the last ``left_at``. ``gone_since``: when a scan first missed the track.
``reached_at``: when the playback was at its position, in epoch seconds.
"""

ScanRow: TypeAlias = tuple[
    str, str, str | None, str | None, str | None, float | None, str | None, int | None, int | None
]
"""A file's path and identity; its tags: title, artist, album, duration, album artist, disc, track
number."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is kept of one user, except the positions (``Store.position``).

    ``left``: what is to be added to these, as the track was playing when the server stopped.
    ``reached_at``: when the playback was at its position, in epoch seconds.
    """

    state: State = field(default_factory=State)
    left: tuple[StopPoint, ...] = ()
    reached_at: float | None = None


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What is to be kept of one user; ``state`` is written as it is at ``now``.

    ``wall_time`` is ``now`` in epoch seconds, None where that is not known.
    """

    user_id: str
    state: State
    left: tuple[StopPoint, ...]
    now: float
    wall_time: float | None = None

    @property
    def reached_at(self) -> float | None:
        """When the playback was at the position that is written, in epoch seconds."""
        state = self.state
        if self.wall_time is None or (state.is_playing and state.frozen_at is None):
            return self.wall_time
        return self.wall_time - (self.now - state.anchored_at)


class Store:
    """One open state file; with ``None`` for its path one that ends with the process.

    It is written through one connection and read through another: ``load`` and ``position`` may be
    called on a thread of their own, and then do not wait for a disk that is slow to write. In
    memory there is one connection, and so one thread (``is_in_memory``).
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the file. Raises ``StoreError``, and then has changed nothing."""
        self._lock: _Lock | None = None
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = _Lock(path)
                _check(path)
            self._db = _connect(path)
            self._reading = self._db if path is None else self._beside(path)
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise StoreError(f"the state file cannot be used ({error}). {_ADVICE}") from None
        except StoreError:
            self._unlock()
            raise
        self.is_in_memory = path is None
        self._seen_version = -1

    def _beside(self, path: Path) -> sqlite3.Connection:
        """A connection to read while another one writes."""
        try:
            return _connect(path)
        except BaseException:
            self._db.close()
            raise

    def load(self, user_id: str) -> Saved:
        """What was kept of a user. Nobody plays by being loaded: a playing state comes paused.

        Raises ``sqlite3.Error``.
        """
        row = self._reading.execute(
            "SELECT track_id, position, is_playing, playback_rate, rev, updated_at, device_id,"
            " reached_at, is_abandoned FROM playback WHERE user_id = ?",
            (user_id,),
        ).fetchone()
        if row is None:
            return Saved()
        track_id, position, was_playing, rate, rev, updated_at, device_id, *stopped = row
        reached_at, is_abandoned = stopped
        state = State(
            track_id=track_id,
            position=position,
            playback_rate=rate,
            rev=rev + was_playing,
            updated_at=updated_at,
            active_device=None if device_id is None else DeviceRef(0, device_id),
            is_interrupted=bool(was_playing),
            is_abandoned=bool(is_abandoned),
        )
        left = (StopPoint(track_id, position, updated_at),) if was_playing else ()
        return Saved(state, left, updated_at if reached_at is None else reached_at)

    def position(self, user_id: str, track_id: str) -> float | None:
        """Where a user last left a track, in seconds; None: never. Raises ``sqlite3.Error``."""
        row = self._reading.execute(
            "SELECT position FROM position WHERE user_id = ? AND track_id = ?"
            " ORDER BY left_at DESC LIMIT 1",
            (user_id, track_id),
        ).fetchone()
        return None if row is None else float(row[0])

    def save(self, batch: Iterable[Unsaved]) -> None:
        """Write all of a batch or nothing of it. Raises ``sqlite3.Error`` and ``UNSAVABLE``."""
        with self._db:
            for unsaved in batch:
                self._save_state(unsaved)
                for left in unsaved.left:
                    self._save_position(unsaved.user_id, left)
                if unsaved.left:
                    self._drop_oldest(unsaved.user_id)

    def _save_state(self, unsaved: Unsaved) -> None:
        state = unsaved.state
        if state.track_id is None:
            return
        self._db.execute(
            "INSERT OR REPLACE INTO playback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                unsaved.user_id,
                state.track_id,
                state.position_at(unsaved.now),
                state.is_playing,
                state.playback_rate,
                state.rev,
                state.updated_at,
                state.active_device.device_id if state.active_device else None,
                unsaved.reached_at,
                state.is_abandoned,
            ),
        )

    def _save_position(self, user_id: str, left: StopPoint) -> None:
        """What is saved last counts as last, also where the clock was set back in between."""
        key = (user_id, left.track_id)
        row = self._db.execute(
            "SELECT stopped_at FROM track_history WHERE user_id = ? AND track_id = ?", key
        ).fetchone()
        at = left.at if row is None or row[0] < left.at else row[0] + 0.001
        self._db.execute(
            "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", (*key, at, left.position)
        )
        self._db.execute("INSERT OR REPLACE INTO track_history VALUES (?, ?, ?, NULL)", (*key, at))
        self._db.execute(
            "DELETE FROM position WHERE user_id = ?1 AND track_id = ?2 AND left_at <= ("
            " SELECT left_at FROM position WHERE user_id = ?1 AND track_id = ?2"
            " ORDER BY left_at DESC LIMIT 1 OFFSET ?3)",
            (*key, POSITIONS_KEPT),
        )

    def _drop_oldest(self, user_id: str) -> bool:
        """Drop some of a user's tracks if there are too many; answers whether there were."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM track_history WHERE user_id = ?", (user_id,)
        ).fetchone()
        too_many = count - TRACKS_KEPT
        if too_many > 0:
            oldest = self._db.execute(
                "SELECT user_id, track_id FROM track_history WHERE user_id = ?"
                " ORDER BY stopped_at LIMIT ?",
                (user_id, min(too_many, TRACKS_DROPPED_AT_ONCE)),
            ).fetchall()
            self._drop(oldest)
        return bool(too_many > 0)

    def _drop(self, tracks: Iterable[tuple[str, str]]) -> None:
        for table in ("position", "track_history"):
            self._db.executemany(
                f"DELETE FROM {table} WHERE user_id = ? AND track_id = ?",  # noqa: S608
                tracks,
            )

    def review(
        self, after: tuple[str, str], exists: Callable[[str, str], bool], now: float
    ) -> tuple[str, str] | None:
        """Drop what is kept of tracks that are no more, a part of all in each call.

        To be called after a scan, first with ``("", "")`` and then with what was answered, until
        that is None. ``exists`` says whether a user (the first argument) still has a track. One
        that is missed for the first time is only noted, and dropped after ``GONE_FOR``. Raises
        ``sqlite3.Error``.
        """
        rows = self._db.execute(
            "SELECT user_id, track_id, gone_since FROM track_history"
            " WHERE (user_id, track_id) > (?, ?) ORDER BY user_id, track_id LIMIT ?",
            (*after, TRACKS_REVIEWED_AT_ONCE),
        ).fetchall()
        noted: list[tuple[float | None, str, str]] = []
        over: list[tuple[str, str]] = []
        for user_id, track_id, gone_since in rows:
            if exists(user_id, track_id):
                if gone_since is not None:
                    noted.append((None, user_id, track_id))
            elif gone_since is None or gone_since > now:
                noted.append((now, user_id, track_id))
            elif now - gone_since >= GONE_FOR:
                over.append((user_id, track_id))
        with self._db:
            self._db.executemany(
                "UPDATE track_history SET gone_since = ? WHERE user_id = ? AND track_id = ?", noted
            )
            self._drop(over[:TRACKS_DROPPED_AT_ONCE])
            is_more = len(over) > TRACKS_DROPPED_AT_ONCE
            for user_id in sorted({row[0] for row in rows}):
                if not is_more:
                    is_more = self._drop_oldest(user_id)
        if is_more:
            return after
        return rows[-1][:2] if rows else None

    def revocations(self) -> dict[str, float] | None:
        """When each user was revoked last, in epoch seconds; None if that has not changed.

        Raises ``sqlite3.Error``.
        """
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        if version == self._seen_version:
            return None
        self._seen_version = version
        return dict(self._db.execute("SELECT user_id, at FROM revoked").fetchall())

    def close(self) -> None:
        self._reading.close()
        self._db.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


def revoke(path: Path, user_id: str, at: float) -> None:
    """Note in the file, of a running server or not, that a user's proofs end at ``at``.

    ``at`` is in epoch seconds. Where the clock was set back since the last revocation, the new one
    counts from just after it: no proof that was void becomes good again. Raises ``StoreError``.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_name(path)
        _check(path)
        with closing(_connect(path)) as db, db:
            db.execute(
                "INSERT INTO revoked VALUES (?, ?) ON CONFLICT DO UPDATE"
                " SET at = max(excluded.at, at + 0.001)",
                (user_id, at),
            )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the state file cannot be used ({error}). {_ADVICE}") from None


class ScanCache:
    """What the last scan of a folder found, in the state file; nothing where there is none.

    It can be had again from the folder, so a cache in disorder is dropped and written anew.
    """

    def __init__(self, path: Path | None, folder: Path) -> None:
        self._path = None if path is None else path.resolve()
        self._folder = str(folder)
        self._saved: set[ScanRow] | None = None

    def load(self) -> list[ScanRow]:
        """All rows, not yet looked at; none where they cannot be read."""
        if self._path is None:
            return []
        try:
            with closing(_connect(self._path)) as db:
                rows = db.execute(
                    "SELECT path, identity, title, artist, album, duration,"
                    " album_artist, disc, track_number FROM scanned WHERE folder = ? ORDER BY path",
                    (self._folder,),
                ).fetchall()
        except (OSError, sqlite3.Error):
            return []
        self._saved = set(rows)
        return rows

    def distrust(self) -> None:
        """Write all of it anew when it is saved next."""
        self._saved = None

    def save(self, rows: Iterable[ScanRow]) -> None:
        """Keep these rows and no others; writes only what differs. Raises ``sqlite3.Error``.

        A state file that was renamed meanwhile stays what it is: none is made in its place.
        """
        if self._path is None or not self._path.exists():
            return
        now, before = set(rows), self._saved
        gone = {row[0] for row in before or ()} - {row[0] for row in now}
        fresh = now - (before or set())
        if before is not None and not gone and not fresh:
            return
        with closing(_connect(self._path)) as db, db:
            if before is None:
                db.execute("DROP TABLE IF EXISTS scanned")
                db.execute(_SCANNED)
            db.execute("DELETE FROM scanned WHERE folder != ?", (self._folder,))
            db.executemany(
                "DELETE FROM scanned WHERE folder = ? AND path = ?",
                ((self._folder, path) for path in gone),
            )
            db.executemany(
                "INSERT OR REPLACE INTO scanned VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((self._folder, *row) for row in fresh),
            )
        self._saved = now


_ADVICE = "Name another with --state FILE, or --state :memory: to keep nothing."


_IN_USE = f"the state file is in use by another server. {_ADVICE}"
_LOCKED_BYTE = 2**62
"""Where the lock is: behind all of the file, and behind what SQLite locks at 1 GiB."""
_held: set[tuple[int, int]] = set()
"""Device and inode of each file that this process has locked.

They are looked up without opening the file: the first descriptor of a file that a process closes
takes all POSIX locks with it that the process has on it (fcntl(2)), and SQLite relies on these.
"""
_holding = threading.Lock()


class _Lock:
    """The claim of one server to a file, until released. Raises ``StoreError`` and ``OSError``.

    On Linux it is on the inode: links, bind mounts and other names of the file or of its folder
    lead to the same lock, and there is no file beside it that could be removed.
    """

    def __init__(self, path: Path) -> None:
        with _holding:
            if path.exists() and _inode(path.stat()) in _held:
                raise StoreError(_IN_USE)
            self._descriptor = _locked(path)
            self._inode = _inode(os.fstat(self._descriptor))
            _held.add(self._inode)

    def release(self) -> None:
        """Let others have the file. Call it when the database is closed."""
        with _holding:
            _held.discard(self._inode)
            os.close(self._descriptor)


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _locked(path: Path) -> int:
    """A descriptor that holds the lock. Raises ``StoreError`` where another one does.

    On Linux an open file description lock (fcntl(2)) on one byte of the file. It is independent of
    SQLite's locks, also on network file systems; there ``flock`` locks the whole file, and SQLite
    out. Other systems have only ``flock``, in one list with SQLite's: there it is on a file beside.
    """
    if sys.platform == "linux":
        descriptor, kind = _opened(path)
    else:
        beside = path.resolve()
        beside = beside.with_name(f"{beside.name}.lock")
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _lock_of(kind))
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise StoreError(_IN_USE) from None
        raise
    return descriptor


def _opened(path: Path) -> tuple[int, int]:
    """A descriptor of the file, made where there is none, and the lock that it can hold.

    Who listened to what is private: only the owner may read it. Where this process may only read,
    it shares the file with others that may only read.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600), fcntl.F_WRLCK
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS} or not path.exists():
            raise
        return os.open(path, os.O_RDONLY), fcntl.F_RDLCK


def _lock_of(kind: int) -> bytes:
    """``struct flock`` for the one byte that is locked."""
    return struct.pack("hhqqi0q", kind, os.SEEK_SET, _LOCKED_BYTE, 1, 0)


def _check_name(path: Path) -> None:
    """See that a running server will notice what is written. Raises ``StoreError``.

    SQLite keeps the newest changes in files that are named after the database. Through a hard link
    or a bind mount of the file alone they are others than the server's, and the file is damaged.
    """
    if sys.platform != "linux" or not path.exists():
        return
    name = path.resolve()
    if _is_held(path) and not name.with_name(f"{name.name}-shm").exists():
        raise StoreError(
            "a server uses the state file by another name. "
            "Name it as the server does, in the same container if it runs in one."
        )


def _is_held(path: Path) -> bool:
    """Whether a server, of this process or another, has locked the file."""
    if _inode(path.stat()) in _held:
        return True
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _lock_of(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    return int(struct.unpack_from("h", found)[0]) != fcntl.F_UNLCK


def _check(path: Path) -> None:
    """See that a file that exists is ours and whole. Raises ``StoreError``; writes nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            (application_id,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        application_id, version, verdict = APPLICATION_ID, 0, "damaged"
    if verdict != "ok":
        raise StoreError(f"the state file is damaged; it is left as it is. {_ADVICE}")
    if application_id != APPLICATION_ID:
        raise StoreError(f"the state file is another program's; it is left as it is. {_ADVICE}")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the state file is of a newer audiostream (schema {version}); it is left as it is. "
            f"Update this one. {_ADVICE}"
        )


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            steps = "".join((_SCHEMA, _SCANNED, _TRACK_HISTORY)[version:])
            db.executescript(
                f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    except sqlite3.Error:
        db.close()
        raise
    return db
