"""State files for tests: what is written into one, and files of older schemas."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.storage.playback_store import PendingWrite, PlaybackStore

PLAYING = State(
    track_id="song",
    duration=60.0,
    position=10.0,
    anchored_at=100.0,
    is_playing=True,
    playback_rate=1.5,
    rev=7,
    updated_at=99.0,
    active_device=DeviceRef(3, "phone"),
)
PAUSED = State(
    track_id="song",
    position=10.0,
    anchored_at=100.0,
    playback_rate=1.5,
    rev=7,
    updated_at=99.0,
    active_device=DeviceRef(3, "phone"),
)


def pending(
    user_id: str,
    state: State,
    *stop_points: StopPoint,
    played: tuple[PlayedTrack, ...] = (),
    now: float = 100.0,
) -> PendingWrite:
    """What is to be written of a user."""
    return PendingWrite(
        user_id=user_id, state=state, stop_points=stop_points, played=played, now=now
    )


def save(
    store: PlaybackStore,
    state: State,
    *stop_points: StopPoint,
    user_id: str = "ada",
    now: float = 100.0,
) -> None:
    """Write one user."""
    store.save([pending(user_id, state, *stop_points, now=now)])


def with_stop_point(path: Path) -> Path:
    """Create a file in which Ada is at 9 s of "other", and has left "song" at 30 s; return it."""
    paused = State(track_id="other", duration=60.0, position=9.0, rev=5)
    with closing(PlaybackStore(path)) as store:
        save(store, paused, StopPoint("song", 30.0, 1.0), now=0.0)
    return path


def stop_points_kept(path: Path, user_id: str = "ada") -> dict[str, int]:
    """The number of stop points in the file, by track."""
    with closing(sqlite3.connect(path)) as db:
        return dict(
            db.execute(
                "SELECT track_id, count(*) FROM position WHERE user_id = ? GROUP BY track_id",
                (user_id,),
            ).fetchall()
        )


SCHEMA_3 = (Path(__file__).with_name("schema_3.sql")).read_text()
"""A dump of a file that the last release with schema 3 wrote before it was killed.

Ada played song (10 s, a jump to 50 s), other (paused at 25 s) and hers (paused at 42 s); Bob's song
was playing at 7.7 s; Cleo was revoked.
"""

SCHEMA_1 = """
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
PRAGMA application_id = 1635083369;
PRAGMA user_version = 1;
INSERT INTO playback VALUES ('ada', 'song', 10.0, 0, 1.0, 7, 99.0, 'phone');
INSERT INTO position VALUES ('ada', 'song', 99.0, 10.0);
INSERT INTO revoked VALUES ('bob', 5.0);
"""

SCHEMA_2 = (
    SCHEMA_1
    + """
CREATE TABLE scanned (
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
PRAGMA user_version = 2;
INSERT INTO position VALUES ('ada', 'song', 100.0, 11.0);
INSERT INTO position VALUES ('ada', 'other', 98.0, 12.0);
INSERT INTO position VALUES ('bob', 'song', 97.0, 13.0);
INSERT INTO playback VALUES ('bob', 'song', 14.0, 1, 1.5, 3, 97.0, NULL);
"""
)
