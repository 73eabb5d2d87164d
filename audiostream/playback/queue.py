"""``Queue``: the tracks that follow each other without a command, as a value (R23)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from .commands import Repeat, fast_dataclass

IsListed = Callable[[str], bool]
"""Whether the user's library has a track."""


@fast_dataclass
class QueuePlace:
    """A track, and its index in the queue; None where it is not in it."""

    track_id: str
    index: int | None


@fast_dataclass
class Queue:
    """A list of tracks, and the place in it of the user's current track.

    A track may be in it several times, so that a place is an index. ``index``: None where the
    current track is not in it; then the first track follows.
    """

    track_ids: tuple[str, ...] = ()
    index: int | None = None
    repeat: Repeat = "off"

    def with_current(self, track_id: str) -> Queue:
        """Return the queue once ``track_id`` is the current track: empty if it is not in it."""
        if not self.track_ids:
            return self
        index = find_place(self.track_ids, track_id, self.index or 0)
        if index is None:
            return Queue(repeat=self.repeat)
        return self if index == self.index else replace(self, index=index)

    def with_tracks(
        self, track_ids: tuple[str, ...], current_id: str | None, start: int | None
    ) -> Queue:
        """Return the queue with another list, in which ``current_id`` is looked for from ``start``.

        Without a ``start`` it is looked for from the beginning.
        """
        index = None if current_id is None else find_place(track_ids, current_id, start or 0)
        return Queue(track_ids, index, self.repeat)

    def shuffled(self, seed: int) -> Queue:
        """Return the queue with what comes after the current place in another order."""
        first = 0 if self.index is None else self.index + 1
        rest = list(self.track_ids[first:])
        Random(seed).shuffle(rest)  # noqa: S311 - an order, no secret
        return replace(self, track_ids=(*self.track_ids[:first], *rest))

    def after(self, is_listed: IsListed) -> QueuePlace | None:
        """Return the next track that is listed; with ``repeat: all`` around the end."""
        first, size = 0 if self.index is None else self.index + 1, len(self.track_ids)
        around = range(first) if self.repeat == "all" else ()
        return self._first_listed((*range(first, size), *around), is_listed)

    def before(self, is_listed: IsListed) -> QueuePlace | None:
        """Return the previous track that is listed; with ``repeat: all`` around the start."""
        if self.index is None:
            return None
        last = len(self.track_ids) - 1
        around = range(last, self.index, -1) if self.repeat == "all" else ()
        return self._first_listed((*range(self.index - 1, -1, -1), *around), is_listed)

    def following(self, current_id: str | None, is_listed: IsListed) -> QueuePlace | None:
        """Return what starts at the end of the current track; with ``repeat: one`` that again."""
        if self.repeat == "one" and current_id is not None and is_listed(current_id):
            return QueuePlace(current_id, self.index)
        return self.after(is_listed)

    def _first_listed(self, places: Iterable[int], is_listed: IsListed) -> QueuePlace | None:
        for index in places:
            if is_listed(self.track_ids[index]):
                return QueuePlace(self.track_ids[index], index)
        return None


EMPTY_QUEUE = Queue()


def find_place(track_ids: tuple[str, ...], track_id: str, start: int) -> int | None:
    """Return the first index of ``track_id`` at or after ``start``, else its first at all."""
    for begin in (start, 0):
        try:
            return track_ids.index(track_id, begin)
        except ValueError:
            continue
    return None
