"""What users played, one row for each track: the table ``play_history``.

All functions raise ``sqlite3.Error``; the caller holds the transaction where one is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ..playback.history import PlayedTrack
from . import stop_points

TRACKS_KEPT: Final = 2_000
"""Tracks of one user that are kept where no setting says otherwise: those played last."""
TRACKS_DROPPED_AT_ONCE: Final = 50
"""Tracks beyond the limit that are dropped in one transaction, where the limit was lowered."""
_LATEST: Final = """
SELECT track_id, played_at, (
    SELECT position FROM position
    WHERE position.user_id = play_history.user_id AND position.track_id = play_history.track_id
    ORDER BY left_at DESC LIMIT 1
) FROM play_history WHERE user_id = ? ORDER BY ordinal DESC
"""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A track, when it was last started (epoch seconds), and its last stop point (seconds)."""

    track_id: str
    played_at: float
    position: float | None


def add(db: sqlite3.Connection, user_id: str, played: PlayedTrack) -> None:
    """Insert or move a track as the one played last, also where the clock was set back since."""
    db.execute(
        "INSERT OR REPLACE INTO play_history VALUES (?1, ?2, 1 + coalesce("
        " (SELECT max(ordinal) FROM play_history WHERE user_id = ?1), 0), ?3)",
        (user_id, played.track_id, played.at),
    )


def drop_excess(db: sqlite3.Connection, user_id: str, kept: int) -> None:
    """Drop some of the tracks beyond the ``kept`` ones that a user played last."""
    (count,) = db.execute(
        "SELECT count(*) FROM play_history WHERE user_id = ?", (user_id,)
    ).fetchone()
    if count > kept:
        db.execute(
            "DELETE FROM play_history WHERE user_id = ?1 AND ordinal IN ("
            " SELECT ordinal FROM play_history WHERE user_id = ?1 ORDER BY ordinal LIMIT ?2)",
            (user_id, min(count - kept, TRACKS_DROPPED_AT_ONCE)),
        )


def drop_all(db: sqlite3.Connection) -> None:
    """Drop the history of all users."""
    db.execute("DELETE FROM play_history")


def latest(
    db: sqlite3.Connection,
    user_id: str,
    unsaved: Sequence[PlayedTrack],
    is_listed: Callable[[str], bool],
    limit: int,
) -> list[HistoryEntry]:
    """Return up to ``limit`` tracks that a user played and still has, the last one first.

    ``unsaved`` are those that the table lacks, the last one last. ``is_listed(track_id)`` tells
    whether the user has a track.
    """
    entries = _merge(db, user_id, unsaved)
    return list(islice((each for each in entries if is_listed(each.track_id)), limit))


def _merge(
    db: sqlite3.Connection, user_id: str, unsaved: Sequence[PlayedTrack]
) -> Iterator[HistoryEntry]:
    for played in reversed(unsaved):
        position = stop_points.latest(db, user_id, played.track_id)
        yield HistoryEntry(played.track_id, played.at, position)
    newer = {played.track_id for played in unsaved}
    for row in db.execute(_LATEST, (user_id,)):
        if row[0] not in newer:
            yield HistoryEntry(*row)
