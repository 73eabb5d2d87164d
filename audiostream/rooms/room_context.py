"""``RoomContext``: what the rooms of one registry share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .broadcast import Catalogue

if TYPE_CHECKING:
    from .room import Room


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomContext:
    """What the rooms of one registry share, and the sets in which each room lists itself.

    ``clock`` returns monotonic seconds, ``wall_clock`` epoch seconds; ``tolerance`` is in seconds,
    ``max_queue`` in tracks; ``new_seed`` returns the seed of a shuffle.
    """

    catalogue: Catalogue
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    tolerance: float
    max_queue: int
    new_seed: Callable[[], int]
    ends: list[tuple[float, int, Room]] = field(default_factory=list)
    """A heap: when rooms come to the end of a track that something follows (R24), and a number."""
    needs_housekeeping: set[Room] = field(default_factory=set)
    """Rooms in which a timeout is running."""
    unsaved: set[Room] = field(default_factory=set)
    """Rooms whose state or stop points have changed since the saver took them from here."""
    maybe_idle: set[Room] = field(default_factory=set)
    """Rooms that are new, or that a device has left, since the saver took them from here."""
