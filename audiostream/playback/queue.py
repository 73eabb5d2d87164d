"""``Queue``: the tracks that follow each other without a command, as a value."""

from __future__ import annotations

from .commands import Repeat, fast_dataclass


@fast_dataclass
class Queue:
    """A list of tracks, and the place in it of the user's current track.

    A track may be in it several times, so that a place is an index. ``index``: None where the
    current track is not in it; then the first track follows.
    """

    track_ids: tuple[str, ...] = ()
    index: int | None = None
    repeat: Repeat = "off"


EMPTY_QUEUE = Queue()
