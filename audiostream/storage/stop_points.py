"""Where users stopped in tracks: the tables ``position`` and ``track_history``.

No call takes long because of what one user has kept: tracks are dropped a few at a time. All
functions raise ``sqlite3.Error``; the caller holds the transaction where one is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from typing import Final

from ..playback.model import StopPoint

POSITIONS_KEPT: Final = 20
"""Stop points kept per user and track."""
TRACKS_KEPT: Final = 2_000
"""Tracks of one user whose stop points are kept: those stopped in last."""
TRACKS_DROPPED_AT_ONCE: Final = 50
"""Tracks whose stop points are dropped in one transaction: about 10 ms."""
TRACKS_REVIEWED_AT_ONCE: Final = 200
"""Tracks that one call of ``review`` looks at."""
GONE_FOR: Final = 90 * 86400.0
"""Seconds after which the stop points of a track that left the library are dropped.

A disk that is not mounted today may be back next month.
"""


def latest(db: sqlite3.Connection, user_id: str, track_id: str) -> float | None:
    """Return where a user last stopped in a track, in seconds; None where never."""
    row = db.execute(
        "SELECT position FROM position WHERE user_id = ? AND track_id = ?"
        " ORDER BY left_at DESC LIMIT 1",
        (user_id, track_id),
    ).fetchone()
    return None if row is None else float(row[0])


def of_track(db: sqlite3.Connection, user_id: str, track_id: str) -> list[StopPoint]:
    """Return a user's stop points in a track, the newest first; at most POSITIONS_KEPT."""
    rows = db.execute(
        "SELECT position, left_at FROM position WHERE user_id = ? AND track_id = ?"
        " ORDER BY left_at DESC LIMIT ?",
        (user_id, track_id, POSITIONS_KEPT),
    )
    return [StopPoint(track_id, position, at) for position, at in rows]


def add(db: sqlite3.Connection, user_id: str, stop_point: StopPoint) -> None:
    """Insert a stop point as the latest of its track, also where the clock was set back since."""
    key = (user_id, stop_point.track_id)
    row = db.execute(
        "SELECT stopped_at FROM track_history WHERE user_id = ? AND track_id = ?", key
    ).fetchone()
    at = stop_point.at if row is None or row[0] < stop_point.at else row[0] + 0.001
    db.execute(
        "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", (*key, at, stop_point.position)
    )
    db.execute("INSERT OR REPLACE INTO track_history VALUES (?, ?, ?, NULL)", (*key, at))
    db.execute(
        "DELETE FROM position WHERE user_id = ?1 AND track_id = ?2 AND left_at <= ("
        " SELECT left_at FROM position WHERE user_id = ?1 AND track_id = ?2"
        " ORDER BY left_at DESC LIMIT 1 OFFSET ?3)",
        (*key, POSITIONS_KEPT),
    )


def drop_excess(db: sqlite3.Connection, user_id: str) -> bool:
    """Drop some of a user's oldest tracks beyond TRACKS_KEPT; return whether there were any."""
    (count,) = db.execute(
        "SELECT count(*) FROM track_history WHERE user_id = ?", (user_id,)
    ).fetchone()
    excess = int(count) - TRACKS_KEPT
    if excess > 0:
        oldest = db.execute(
            "SELECT user_id, track_id FROM track_history WHERE user_id = ?"
            " ORDER BY stopped_at LIMIT ?",
            (user_id, min(excess, TRACKS_DROPPED_AT_ONCE)),
        ).fetchall()
        _drop(db, oldest)
    return excess > 0


def review(
    db: sqlite3.Connection,
    after: tuple[str, str],
    exists: Callable[[str, str], bool],
    now: float,
) -> tuple[str, str] | None:
    """Drop stop points of tracks that left the library, some in each call.

    Call it after a scan, first with ``("", "")`` and then with what it returned, until that is
    None. ``exists(user_id, track_id)`` tells whether the user still has the track. A track that is
    missing for the first time at ``now`` (epoch seconds) is only noted, and dropped after GONE_FOR.
    """
    rows = db.execute(
        "SELECT user_id, track_id, gone_since FROM track_history"
        " WHERE (user_id, track_id) > (?, ?) ORDER BY user_id, track_id LIMIT ?",
        (*after, TRACKS_REVIEWED_AT_ONCE),
    ).fetchall()
    noted: list[tuple[float | None, str, str]] = []
    expired: list[tuple[str, str]] = []
    for user_id, track_id, gone_since in rows:
        if exists(user_id, track_id):
            if gone_since is not None:
                noted.append((None, user_id, track_id))
        elif gone_since is None or gone_since > now:
            noted.append((now, user_id, track_id))
        elif now - gone_since >= GONE_FOR:
            expired.append((user_id, track_id))
    with db:
        db.executemany(
            "UPDATE track_history SET gone_since = ? WHERE user_id = ? AND track_id = ?", noted
        )
        _drop(db, expired[:TRACKS_DROPPED_AT_ONCE])
        has_more = len(expired) > TRACKS_DROPPED_AT_ONCE
        for user_id in sorted({row[0] for row in rows}):
            has_more = has_more or drop_excess(db, user_id)
    if has_more:
        return after
    return rows[-1][:2] if rows else None


def _drop(db: sqlite3.Connection, tracks: Iterable[tuple[str, str]]) -> None:
    for table in ("position", "track_history"):
        db.executemany(
            f"DELETE FROM {table} WHERE user_id = ? AND track_id = ?",  # noqa: S608
            tracks,
        )
