"""Users' queues: the table ``queue`` has their tracks, ``playback`` the place and what repeats.

A queue of 1000 tracks is about 40 KB of JSON. It is written when it changes, not with every
position of what plays.
"""

from __future__ import annotations

import json
import sqlite3

from ..playback.commands import Repeat
from ..playback.queue import Queue


def decode(track_ids: str | None, index: int | None, repeat: Repeat) -> Queue:
    """Return the queue of a user's rows; ``track_ids`` is None where ``queue`` has none."""
    return Queue(() if track_ids is None else tuple(json.loads(track_ids)), index, repeat)


def save_track_ids(db: sqlite3.Connection, user_id: str, track_ids: tuple[str, ...]) -> None:
    """Write the tracks of a user's queue; no row for an empty one."""
    if track_ids:
        text = json.dumps(track_ids, ensure_ascii=False, separators=(",", ":"))
        db.execute("INSERT OR REPLACE INTO queue VALUES (?, ?)", (user_id, text))
    else:
        db.execute("DELETE FROM queue WHERE user_id = ?", (user_id,))
