"""Users' playback in the state file. Every method blocks until the disk has answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..playback.history import PlayedTrack
from ..playback.lifecycle import NEVER_PLAYED
from ..playback.model import DeviceRef, State, StopPoint
from . import play_history, queues, stop_points
from .database import StateFile
from .play_history import TRACKS_KEPT, HistoryEntry
from .revocations import Revocations

UNSAVABLE: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""What ``save`` raises for a value that SQLite does not hold, like half a surrogate pair or NaN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """What the file has of a user, except stop points, which are loaded by track.

    ``stop_points`` are to be added to those: the track that played when the server stopped.
    ``reached_at`` is when the playback was at its position, in epoch seconds.
    """

    state: State = NEVER_PLAYED
    stop_points: tuple[StopPoint, ...] = ()
    reached_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingWrite:
    """What is to be written of a user: ``state`` as it is at ``now``, and what is new since.

    ``played`` are tracks that were started. ``is_queue_saved``: the file has the queue's tracks.
    ``wall_time`` is ``now`` in epoch seconds, None where that is not known.
    """

    user_id: str
    state: State
    stop_points: tuple[StopPoint, ...] = ()
    played: tuple[PlayedTrack, ...] = ()
    is_queue_saved: bool = False
    now: float
    wall_time: float | None = None

    @property
    def reached_at(self) -> float | None:
        """When the playback was at the written position, in epoch seconds."""
        state = self.state
        if self.wall_time is None or (state.is_playing and state.frozen_at is None):
            return self.wall_time
        return self.wall_time - (self.now - state.anchored_at)


class PlaybackStore:
    """One open state file; a ``path`` of None is one in memory, which ends with the process.

    ``load``, ``stop_point``, ``stop_points`` and ``history`` read through a connection of their
    own, and may be called on another thread than the rest, also while ``close`` is; in memory
    there is one connection, for one thread (``is_in_memory``). ``max_history`` is the number of
    tracks kept of each user's history; 0 keeps none.
    """

    def __init__(self, path: Path | None, max_history: int = TRACKS_KEPT) -> None:
        """Open or create the file. Raises ``StoreError`` and then has changed nothing."""
        self._file = StateFile(path)
        self._db = self._file.writer
        self._max_history = max_history
        self.revocations = Revocations(self._db)

    @property
    def is_in_memory(self) -> bool:
        return self._file.is_in_memory

    def load(self, user_id: str) -> StoredUser:
        """Return what is stored of a user; a state that was playing comes paused.

        Raises ``sqlite3.Error``.
        """
        with self._file.reading() as db:
            row = db.execute(
                "SELECT track_id, position, is_playing, playback_rate, rev, updated_at, device_id,"
                " reached_at, is_abandoned, track_ids, queue_index, repeat"
                " FROM playback LEFT JOIN queue USING (user_id) WHERE user_id = ?",
                (user_id,),
            ).fetchone()
        if row is None:
            return StoredUser()
        track_id, position, was_playing, rate, rev, updated_at, device_id, *others = row
        reached_at, is_abandoned, *queue = others
        state = State(
            track_id=track_id,
            position=position,
            playback_rate=rate,
            rev=rev + was_playing,
            updated_at=updated_at,
            active_device=None if device_id is None else DeviceRef(0, device_id),
            is_interrupted=bool(was_playing),
            is_abandoned=bool(is_abandoned),
            queue=queues.decode(*queue),
        )
        return StoredUser(
            state=state,
            stop_points=(StopPoint(track_id, position, updated_at),) if was_playing else (),
            reached_at=updated_at if reached_at is None else reached_at,
        )

    def stop_point(self, user_id: str, track_id: str) -> float | None:
        """Return where a user last stopped in a track, in seconds; None where never.

        Raises ``sqlite3.Error``.
        """
        with self._file.reading() as db:
            return stop_points.latest(db, user_id, track_id)

    def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        """Return where a user stopped in a track, the newest first. Raises ``sqlite3.Error``."""
        with self._file.reading() as db:
            return stop_points.of_track(db, user_id, track_id)

    def history(
        self,
        user_id: str,
        unsaved: Sequence[PlayedTrack],
        is_listed: Callable[[str], bool],
        limit: int,
    ) -> list[HistoryEntry]:
        """Return what a user played last; see ``play_history.latest``. Raises ``sqlite3.Error``."""
        limit = min(limit, self._max_history)
        with self._file.reading() as db:
            return play_history.latest(db, user_id, unsaved, is_listed, limit)

    def save(self, batch: Iterable[PendingWrite]) -> None:
        """Write a whole batch or nothing of it. Raises ``sqlite3.Error`` and ``UNSAVABLE``."""
        with self._db:
            for pending in batch:
                self._save_state(pending)
                self._save_history(pending)
                for each in pending.stop_points:
                    stop_points.add(self._db, pending.user_id, each)
                if pending.stop_points:
                    stop_points.drop_excess(self._db, pending.user_id)

    def review(
        self, after: tuple[str, str], exists: Callable[[str, str], bool], now: float
    ) -> tuple[str, str] | None:
        """Drop stop points of tracks that left the library; see ``stop_points.review``.

        Drop the history of all users where none is to be kept.
        """
        if self._max_history == 0:
            with self._db:
                play_history.drop_all(self._db)
        return stop_points.review(self._db, after, exists, now)

    def close(self) -> None:
        self._file.close()

    def _save_state(self, pending: PendingWrite) -> None:
        state = pending.state
        if state.track_id is None and state.rev == 0:  # nothing was changed yet
            return
        self._db.execute(
            "INSERT OR REPLACE INTO playback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                pending.user_id,
                state.track_id,
                state.position_at(pending.now),
                state.is_playing,
                state.playback_rate,
                state.rev,
                state.updated_at,
                state.active_device.device_id if state.active_device else None,
                pending.reached_at,
                state.is_abandoned,
                state.queue.index,
                state.queue.repeat,
            ),
        )
        if not pending.is_queue_saved:
            queues.save_track_ids(self._db, pending.user_id, state.queue.track_ids)

    def _save_history(self, pending: PendingWrite) -> None:
        if not pending.played or not self._max_history:
            return
        for played in pending.played:
            play_history.add(self._db, pending.user_id, played)
        play_history.drop_excess(self._db, pending.user_id, self._max_history)
