"""The state file: playback that survives a restart, and what the last scan found, in SQLite.

Here: the file, its schema, reading and writing it; every method blocks. Not here: when to write
and on which thread (``keeper``, ``app``), what a state means (``playback``) or a file's tags
(``library``).

One process writes a file: the server holds a lock beside it. ``python -m audiostream revoke`` is
the exception; what it adds is noticed by ``revocations``. A file that is damaged, newer or not
ours is refused before anything in it is touched.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, TypeAlias

from .errors import StoreError
from .playback import DeviceRef, Left, State

SCHEMA_VERSION = 2
APPLICATION_ID = 0x61756469
POSITIONS_KEPT = 20
"""How many positions are kept per user and track."""

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
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    title TEXT,
    artist TEXT,
    album TEXT,
    duration REAL,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
"""
"""What came with schema 2."""

ScanRow: TypeAlias = tuple[str, int, int, str | None, str | None, str | None, float | None]
"""A file's path, mtime in nanoseconds, size; its tags: title, artist, album, duration."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What is kept of one user.

    ``positions``: where each track was last left, in seconds. ``left``: what is to be added to
    these, as the track was playing when the server stopped.
    """

    state: State = field(default_factory=State)
    positions: dict[str, float] = field(default_factory=dict)
    left: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What is to be kept of one user; ``state`` is written as it is at ``now``."""

    user_id: str
    state: State
    left: tuple[Left, ...]
    now: float


class Store:
    """One open state file; with ``None`` for its path one that ends with the process."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file. Raises ``StoreError``, and then has changed nothing."""
        self._lock: TextIO | None = None
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = _lock(path)
                _check(path)
            self._db = _connect(path)
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise StoreError(f"the state file cannot be used ({error}). {_ADVICE}") from None
        except StoreError:
            self._unlock()
            raise
        self._seen_version = -1

    def load(self, user_id: str) -> Saved:
        """What was kept of a user. Nobody plays by being loaded: a playing state comes paused.

        Raises ``sqlite3.Error``.
        """
        row = self._db.execute(
            "SELECT track_id, position, is_playing, playback_rate, rev, updated_at, device_id"
            " FROM playback WHERE user_id = ?",
            (user_id,),
        ).fetchone()
        positions = dict(
            self._db.execute(
                "SELECT track_id, position FROM position WHERE user_id = ? ORDER BY left_at",
                (user_id,),
            ).fetchall()
        )
        if row is None:
            return Saved(positions=positions)
        track_id, position, was_playing, rate, rev, updated_at, device_id = row
        state = State(
            track_id=track_id,
            position=position,
            anchored_at=updated_at,
            playback_rate=rate,
            rev=rev + was_playing,
            updated_at=updated_at,
            active_device=None if device_id is None else DeviceRef(0, device_id),
            is_interrupted=bool(was_playing),
        )
        left = (Left(track_id, position, updated_at),) if was_playing else ()
        return Saved(state, positions, left)

    def save(self, batch: Iterable[Unsaved]) -> None:
        """Write all of a batch or nothing of it. Raises ``sqlite3.Error``."""
        with self._db:
            for unsaved in batch:
                self._save_state(unsaved)
                for left in unsaved.left:
                    self._save_position(unsaved.user_id, left)

    def _save_state(self, unsaved: Unsaved) -> None:
        state = unsaved.state
        if state.track_id is None:
            return
        self._db.execute(
            "INSERT OR REPLACE INTO playback VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                unsaved.user_id,
                state.track_id,
                state.position_at(unsaved.now),
                state.is_playing,
                state.playback_rate,
                state.rev,
                state.updated_at,
                state.active_device.device_id if state.active_device else None,
            ),
        )

    def _save_position(self, user_id: str, left: Left) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)",
            (user_id, left.track_id, left.at, left.position),
        )
        self._db.execute(
            "DELETE FROM position WHERE user_id = ?1 AND track_id = ?2 AND left_at <= ("
            " SELECT left_at FROM position WHERE user_id = ?1 AND track_id = ?2"
            " ORDER BY left_at DESC LIMIT 1 OFFSET ?3)",
            (user_id, left.track_id, POSITIONS_KEPT),
        )

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
        self._db.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()


def revoke(path: Path, user_id: str, at: float) -> None:
    """Note in the file, of a running server or not, that a user's proofs end at ``at``.

    ``at`` is in epoch seconds. Raises ``StoreError``.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check(path)
        with closing(_connect(path)) as db, db:
            db.execute("INSERT OR REPLACE INTO revoked VALUES (?, ?)", (user_id, at))
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the state file cannot be used ({error}). {_ADVICE}") from None


class ScanCache:
    """What the last scan of a folder found, in the state file; nothing where there is none.

    It can be had again from the folder, so a cache in disorder is dropped and written anew.
    """

    def __init__(self, path: Path | None, folder: Path) -> None:
        self._path = path
        self._folder = str(folder)
        self._saved: set[ScanRow] | None = None

    def load(self) -> list[ScanRow]:
        """All rows, not yet looked at; none where they cannot be read."""
        if self._path is None:
            return []
        try:
            with closing(_connect(self._path)) as db:
                rows = db.execute(
                    "SELECT path, mtime_ns, size, title, artist, album, duration"
                    " FROM scanned WHERE folder = ? ORDER BY path",
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
        """Keep these rows and no others; writes only what differs. Raises ``sqlite3.Error``."""
        if self._path is None:
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
                "INSERT OR REPLACE INTO scanned VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((self._folder, *row) for row in fresh),
            )
        self._saved = now


_ADVICE = "Name another with --state FILE, or --state :memory: to keep nothing."


def _lock(path: Path) -> TextIO:
    """Claim a file for this process until the answer is closed. Raises ``StoreError``."""
    lock = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreError(f"the state file is in use by another server. {_ADVICE}") from None
    return lock


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
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # who listened to what is private
    db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            steps = _SCHEMA + _SCANNED if version < 1 else _SCANNED
            db.executescript(
                f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    except sqlite3.Error:
        db.close()
        raise
    return db
