"""What was played in a room and is not saved yet; storage has the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..playback.history import PlayedTrack, started_track
from ..playback.model import State

MAX_UNSAVED = 256
"""Tracks that wait to be saved: while the state file fails, the oldest are dropped."""


@dataclass(eq=False, slots=True)
class PlayHistory:
    """The tracks that were started since the last save, once each, the last one last."""

    unsaved: tuple[PlayedTrack, ...] = ()

    def record(self, before: State, after: State, wall_time: float) -> None:
        """Add the track that a change of the playback starts, if it starts one."""
        track_id = started_track(before, after)
        if track_id is not None:
            others = tuple(each for each in self.unsaved if each.track_id != track_id)
            self.unsaved = (*others, PlayedTrack(track_id, wall_time))[-MAX_UNSAVED:]

    def mark_saved(self, saved: Iterable[PlayedTrack]) -> None:
        """Note that these are in storage."""
        done = set(saved)
        self.unsaved = tuple(each for each in self.unsaved if each not in done)
