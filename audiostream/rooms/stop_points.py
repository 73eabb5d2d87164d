"""The positions at which a user's tracks were last stopped (R20), as a bounded cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..playback.model import StopPoint
from .room_waits import RoomWaits

MAX_CACHED = 256
"""Tracks whose stop point stays in memory, apart from those that are not saved yet."""
MAX_UNSAVED = 256
"""Stop points that wait to be saved: while the state file fails, the oldest are dropped."""


class StopPointNotLoaded(RoomWaits):
    """Raised for a command that needs the stop point of ``track_id`` from storage.

    It is loaded, added with ``add_loaded``, and the command is done again.
    """

    def __init__(self, track_id: str) -> None:
        super().__init__(track_id)
        self.track_id = track_id


@dataclass(eq=False, slots=True)
class StopPoints:
    """The stop points of one user, in seconds by track; None: the track has none.

    ``unsaved`` are those that the state file lacks. ``is_complete``: it has no others.
    """

    is_complete: bool = True
    unsaved: tuple[StopPoint, ...] = ()
    _positions: dict[str, float | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._positions)

    def position(self, track_id: str) -> float | None:
        """Return the track's stop point. Raises ``StopPointNotLoaded``."""
        if not self.is_complete and track_id not in self._positions:
            raise StopPointNotLoaded(track_id)
        return self._positions.get(track_id)

    def add(self, stop_point: StopPoint) -> None:
        """Add or move a track's stop point; it is unsaved then."""
        track_id = stop_point.track_id
        if self._positions.get(track_id) == stop_point.position:
            return
        self._positions.pop(track_id, None)  # the order is that of age
        self._positions[track_id] = stop_point.position
        self.unsaved = (*self.unsaved, stop_point)[-MAX_UNSAVED:]

    def add_loaded(self, track_id: str, position: float | None) -> None:
        """Add what storage has of a track, unless a newer stop point is known."""
        self._positions.setdefault(track_id, position)
        self._evict()

    def clear(self) -> None:
        """Forget all, so that each is read from storage."""
        self.is_complete = False
        self.unsaved = ()
        self._positions.clear()

    def mark_saved(self, saved: Iterable[StopPoint]) -> None:
        """Note that these are in storage."""
        done = set(saved)
        self.unsaved = tuple(each for each in self.unsaved if each not in done)
        self._evict()

    def _evict(self) -> None:
        excess = len(self._positions) - MAX_CACHED
        if excess > 0:
            unsaved = {each.track_id for each in self.unsaved}
            for track_id in list(self._positions)[:excess]:
                if track_id not in unsaved:
                    del self._positions[track_id]
