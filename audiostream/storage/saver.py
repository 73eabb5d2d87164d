"""Write changed rooms to the state file behind the event loop, and evict idle rooms.

A flush looks at the rooms that changed since the last one (``Registry.unsaved``), at playing rooms
whose position is due to be written, and at rooms that have been idle for long. It never walks all
rooms: with 60,000 idle rooms in memory an idle flush costs well under 1 ms.

When the file cannot be written, playback goes on from memory, and everything is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import takewhile
from typing import Final, TypeVar

from ..rooms.registry import Registry
from ..rooms.room import Room
from .playback_store import UNSAVABLE, PendingWrite, PlaybackStore
from .throttled_warning import ThrottledWarning

FLUSH_EVERY: Final = 0.25
"""Seconds between two flushes."""
SHORTEST_PAUSE: Final = 0.05
"""Seconds between two flushes where the disk was slow, and what changed meanwhile is late."""
PLAYING_SAVED_EVERY: Final = 4.0
"""Seconds between two writes of the position of a playing room: what a kill may cost."""
IDLE_AFTER: Final = 60.0
"""Seconds that a room without devices stays in memory; a page that is reloaded finds it there."""
LATE: Final = 1.0
"""Seconds within which a change is promised to be on disk; a longer flush logs a warning."""
REVIEW_PAUSE: Final = 0.01
"""Seconds between two parts of a review, in which the thread is free for flushes."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class StateSaver:
    """Writes the rooms of ``registry`` to ``store`` on ``executor``, one thread.

    ``clock`` is the registry's. ``on_revoked`` is called with ``Revocations.changed``.
    """

    def __init__(
        self,
        registry: Registry,
        store: PlaybackStore,
        executor: Executor,
        clock: Callable[[], float],
        warn: ThrottledWarning,
        on_revoked: Callable[[Mapping[str, float]], None],
    ) -> None:
        self.is_degraded = False
        self._registry = registry
        self._store = store
        self._executor = executor
        self._clock = clock
        self._warn = warn
        self._on_revoked = on_revoked
        self._playing: dict[Room, float] = {}
        """Playing rooms, and when each was last written: a queue in the order of that time."""
        self._idle: dict[Room, float] = {}
        """Rooms without devices that do not play, and since when: a queue in that order."""

    async def run(self, on_flush: Callable[[float], None]) -> None:
        """Flush until cancelled. ``on_flush`` is called with the seconds that each took."""
        loop = asyncio.get_running_loop()
        pause = FLUSH_EVERY
        while True:
            await asyncio.sleep(pause)
            began = loop.time()
            try:
                await self.flush()
            except Exception:
                _log.exception("saving failed; it is tried again")
            took = loop.time() - began
            on_flush(took)
            if took > LATE:
                self._warn(f"saving took {took:.1f} s; the disk is slow")
            pause = max(SHORTEST_PAUSE, FLUSH_EVERY - took)

    async def flush(self) -> None:
        """Write what changed, read revocations, evict idle rooms. Logs errors of the file."""
        try:
            await self._save(self._take_due())
            revoked = await self._call(self._store.revocations.changed)
        except sqlite3.Error as error:
            self.is_degraded = True
            self._warn(f"cannot write the state file ({error}); playing goes on from memory")
        else:
            if self.is_degraded:
                _log.warning("the state file can be written again; everything is saved")
            self.is_degraded = False
            if revoked:
                self._on_revoked(revoked)
        self._evict_idle()

    async def review(self, exists: Callable[[str, str], bool], now: float) -> None:
        """Drop stored stop points of tracks that left the library. Call it after a scan.

        ``exists(user_id, track_id)`` is called on the executor's thread; ``now`` is in epoch
        seconds. What cannot be done now is left for the next scan.
        """
        after: tuple[str, str] | None = ("", "")
        try:
            while after is not None:
                after = await self._call(partial(self._store.review, after, exists, now))
                await asyncio.sleep(REVIEW_PAUSE)
        except sqlite3.Error as error:
            self._warn(f"cannot drop stop points from the state file ({error})")

    async def close(self) -> None:
        """Write everything, positions of playing rooms included, and close the file."""
        playing = {room for room in self._registry.rooms.values() if room.state.is_playing}
        try:
            await self._save(tuple(playing | set(self._take_due())))
        except sqlite3.Error as error:
            _log.error("the last changes could not be saved: %s", error)
        await self._call(self._store.close)

    def _take_due(self) -> tuple[Room, ...]:
        """Return the rooms to write now, and mark them as saved."""
        unsaved = self._registry.unsaved
        unsaved.update(_up_to(self._playing, self._clock() - PLAYING_SAVED_EVERY))
        rooms = tuple(unsaved)
        unsaved.clear()
        self._note_idle((*rooms, *self._registry.maybe_idle))
        self._registry.maybe_idle.clear()
        return rooms

    async def _save(self, rooms: Sequence[Room]) -> None:
        """Write these rooms. Where that fails they are marked as unsaved again."""
        now, wall_time = self._clock(), self._registry.wall_time()
        batch = {
            room: PendingWrite(
                user_id=room.user_id,
                state=room.state,
                stop_points=room.stop_points.unsaved,
                played=room.play_history.unsaved,
                is_queue_saved=room.saved_track_ids is room.state.queue.track_ids,
                now=now,
                wall_time=wall_time,
            )
            for room in rooms
            if room.state.track_id is not None or room.state.rev
        }
        if not batch:
            return
        try:
            refused = await self._write(tuple(batch.values()))
        except BaseException:
            self._registry.unsaved.update(batch)
            raise
        for room, pending in batch.items():
            room.stop_points.mark_saved(pending.stop_points)
            room.play_history.mark_saved(pending.played)
            if pending not in refused:
                room.saved_track_ids = pending.state.queue.track_ids
            self._playing.pop(room, None)
            if pending.state.is_playing:
                self._playing[room] = now

    async def _write(self, batch: Sequence[PendingWrite]) -> Sequence[PendingWrite]:
        """Write a batch; each user alone where one of them has a value that SQLite refuses.

        Return those that are refused.
        """
        try:
            await self._call(partial(self._store.save, batch))
            return ()
        except UNSAVABLE:
            refused = []
        for pending in batch:
            try:
                await self._call(partial(self._store.save, (pending,)))
            except UNSAVABLE as error:
                refused.append(pending)
                self._warn(f"a user's state cannot be saved ({type(error).__name__})")
        return refused

    def _note_idle(self, rooms: Sequence[Room]) -> None:
        now = self._clock()
        for room in rooms:
            self._idle.pop(room, None)
            if not room.devices and not room.state.is_playing:
                self._idle[room] = now

    def _evict_idle(self) -> None:
        """Remove rooms from memory that nobody used for IDLE_AFTER."""
        for room in _up_to(self._idle, self._clock() - IDLE_AFTER):
            if room in self._registry.unsaved:
                continue
            del self._idle[room]
            is_idle = not room.devices and not room.state.is_playing
            if is_idle and self._registry.rooms.get(room.user_id) is room:
                self._registry.remove_room(room.user_id)

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _up_to(queue: dict[Room, float], time: float) -> tuple[Room, ...]:
    """Return the rooms at the head of a queue whose time is ``time`` or earlier."""
    return tuple(takewhile(lambda room: queue[room] <= time, queue))
