"""The state file: opening, locking, checking and migrating one SQLite database.

One server process writes a file and holds a lock on it (``file_lock``). ``audiostream revoke`` is
the one other writer. A file that is damaged, newer or another program's is refused before anything
in it is changed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ..errors import StoreError
from .file_lock import ADVICE, FileLock

SCHEMA_VERSION: Final = 4
"""SQLite's ``user_version``: the number of ``_MIGRATIONS`` that a state file has had."""
APPLICATION_ID: Final = 0x61756469
"""SQLite's ``application_id`` of a state file: "audi"."""
BUSY_TIMEOUT: Final = 5.0
"""Seconds that SQLite waits for the lock of ``audiostream revoke``, which takes milliseconds."""

_SCHEMA_1 = f"""
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
SCAN_TABLE: Final = """
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
"""Schema 2. The table is a cache: one with other columns is dropped and made again."""
_SCHEMA_3 = """
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
"""One row for each track of a user in ``position``, and two columns of ``playback``.

``stopped_at`` is the last ``left_at``. ``gone_since`` is when a scan first missed the track.
``reached_at`` is when the playback was at its position. All in epoch seconds.
"""
_SCHEMA_4 = """
CREATE TABLE playback_4 (
    user_id TEXT PRIMARY KEY,
    track_id TEXT,
    position REAL NOT NULL,
    is_playing INTEGER NOT NULL,
    playback_rate REAL NOT NULL,
    rev INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    device_id TEXT,
    reached_at REAL,
    is_abandoned INTEGER NOT NULL,
    queue_index INTEGER,
    repeat TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO playback_4
    SELECT user_id, track_id, position, is_playing, playback_rate, rev, updated_at, device_id,
    reached_at, is_abandoned, NULL, 'off' FROM playback;
DROP TABLE playback;
ALTER TABLE playback_4 RENAME TO playback;
CREATE TABLE queue (
    user_id TEXT PRIMARY KEY,
    track_ids TEXT NOT NULL
);
CREATE TABLE play_history (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    played_at REAL NOT NULL,
    PRIMARY KEY (user_id, track_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX play_history_by_age ON play_history (user_id, ordinal);
INSERT INTO play_history
    SELECT user_id, track_id, row_number() OVER (PARTITION BY user_id ORDER BY max(at)), max(at)
    FROM (
        SELECT user_id, track_id, stopped_at AS at FROM track_history
        UNION ALL SELECT user_id, track_id, updated_at FROM playback
    ) GROUP BY user_id, track_id;
"""
"""Queues, and what was played.

A ``playback`` with a queue may have no track yet. ``queue`` has the ids, a JSON array, apart from
the row that is written every few seconds. ``ordinal`` grows with every start of a track, also where
the clock was set back. The history begins with the tracks that have stop points, and the current.
"""
_MIGRATIONS: Final = (_SCHEMA_1, SCAN_TABLE, _SCHEMA_3, _SCHEMA_4)


class StateFile:
    """An open, locked state file. A ``path`` of None is a database in memory.

    Reads have a connection of their own, so that one on another thread does not wait for a slow
    write. In memory there is one connection, for one thread (``is_in_memory``).
    """

    def __init__(self, path: Path | None) -> None:
        """Open or create the file. Raises ``StoreError`` and then has changed nothing."""
        self.is_in_memory = path is None
        self._lock: FileLock | None = None
        self._reads = threading.Lock()
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._lock = FileLock(path)
                check(path)
            self.writer = connect(path)
            self._reader = self.writer if path is None else self._second_connection(path)
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise unusable(error) from None
        except StoreError:
            self._unlock()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to read from, one block at a time; ``close`` waits for its end.

        SQLite crashes the process where a connection is closed while another thread reads from it.
        Raises ``sqlite3.Error`` where the file has been closed.
        """
        with self._reads:
            yield self._reader

    def close(self) -> None:
        with self._reads:
            self._reader.close()
        self.writer.close()
        self._unlock()

    def _second_connection(self, path: Path) -> sqlite3.Connection:
        try:
            return connect(path)
        except BaseException:
            self.writer.close()
            raise

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()


def unusable(error: Exception) -> StoreError:
    """The error for a file that cannot be opened, with what to do."""
    return StoreError(f"the state file cannot be used ({error}). {ADVICE}")


def check(path: Path) -> None:
    """Raise ``StoreError`` unless the file is absent, empty, or an intact state file."""
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
        raise StoreError(f"the state file is damaged; it is left as it is. {ADVICE}")
    if application_id != APPLICATION_ID:
        raise StoreError(f"the state file is another program's; it is left as it is. {ADVICE}")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the state file is of a newer audiostream (schema {version}); it is left as it is. "
            f"Update this one. {ADVICE}"
        )


def connect(path: Path | None) -> sqlite3.Connection:
    """Open a connection, and migrate the schema where it is older.

    Only the owner may read a new file (mode 0600): what somebody listened to is private.
    """
    if path is not None and not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path or ":memory:", check_same_thread=False, timeout=BUSY_TIMEOUT)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            steps = "".join(_MIGRATIONS[version:])
            db.executescript(
                f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    except sqlite3.Error:
        db.close()
        raise
    return db
