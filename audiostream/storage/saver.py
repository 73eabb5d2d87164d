"""Between the rooms and the state file: loads, saves, forgets.

Here: when, and on which thread. A room is loaded when its user comes, a position when it is asked
for; what several ask for at once is loaded once. What has changed is saved by one transaction four
times a second, and rooms in which nothing is left to do are forgotten. Not here: the file
(``store``), the rooms (``registry``), the sockets of those who are revoked (``gateway``).

The event loop never waits for the file: it is written on one thread and read on another, so that
nobody who comes in waits for a slow disk to write. When the file cannot be written, playing goes on
from memory, and everything is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ..errors import StoreError
from ..rooms.registry import Registry, Room
from .playback_store import UNSAVABLE, Store, Unsaved

TICK = 0.25
"""Seconds from one look at what has changed to the next."""
SHORTEST_PAUSE = 0.05
"""Seconds between two looks where the disk was slow: what has changed meanwhile is late already."""
PLAYING_SAVED_EVERY = 4.0
"""Seconds between two savings of the position of someone who plays."""
IDLE_AFTER = 60.0
"""Seconds that a room without devices stays in memory."""
LATE = 1.0
"""Seconds within which an accepted change is to be on disk."""
REVIEW_PAUSE = 0.01
"""Seconds between two parts of a review, in which the thread is for others."""
COMPLAIN_EVERY = 60.0
"""Seconds between two lines of the log about a file that cannot be written, or not in time."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class _Seen:
    """What is known of one room in memory: what was saved of it, and since when it is idle."""

    state: object = None
    at: float = 0.0
    idle_since: float | None = None


class Keeper:
    """Keeps the rooms of ``registry`` in a store. ``clock`` answers what theirs does."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float],
        on_revoked: Callable[[Mapping[str, float]], None],
    ) -> None:
        self.is_degraded = False
        self._registry = registry
        self._store: Store
        self._clock = clock
        self._on_revoked = on_revoked
        self._thread = ThreadPoolExecutor(1, "audiostream-state")
        self._reader = self._thread
        self._loading: dict[tuple[str, str | None], asyncio.Future[Any]] = {}
        self._seen: dict[str, _Seen] = {}
        self._complained_at = -COMPLAIN_EVERY

    def open(self, store: Store) -> None:
        """Use an opened store. Has to be called before anything is loaded or saved."""
        self._store = store
        if not store.is_in_memory:
            self._reader = ThreadPoolExecutor(1, "audiostream-state-reader")

    async def room(self, user_id: str) -> Room:
        """The room of a user, loaded if it is not in memory. Raises ``StoreError``."""
        room = self._registry.rooms.get(user_id)
        if room is not None:
            return room
        saved = await self._load((user_id, None), lambda: self._store.load(user_id))
        room = self._registry.rooms.get(user_id)
        if room is None:  # nobody else was faster
            room = self._registry.room(user_id)
            room.restore(saved.state, saved.left, saved.reached_at)
        return room

    async def recall(self, room: Room, track_id: str) -> None:
        """Have a room know where its user left a track. Raises ``StoreError``."""
        user_id = room.user_id
        key = (user_id, track_id)
        position = await self._load(key, lambda: self._store.position(user_id, track_id))
        room.recall(track_id, position)

    async def review(self, exists: Callable[[str, str], bool], now: float) -> None:
        """Drop what is kept of tracks that are no more, and of too many. Call it after a scan.

        ``exists`` says whether a user (the first argument) still has a track; it is called on
        another thread. ``now`` is in epoch seconds. What cannot be done is left for the next time.
        """
        place: tuple[str, str] | None = ("", "")
        try:
            while place is not None:
                part = partial(self._store.review, place, exists, now)
                place = await self._call(part)
                await asyncio.sleep(REVIEW_PAUSE)
        except sqlite3.Error as error:
            self._complain(f"cannot drop from the state file what is no more ({error})")

    async def run(self) -> None:
        """Save, forget and look for revocations until cancelled."""
        loop = asyncio.get_running_loop()
        pause = TICK
        while True:
            await asyncio.sleep(pause)
            began = loop.time()
            try:
                await self.tick()
            except Exception:
                _log.exception("saving failed; it is tried again")
            took = loop.time() - began
            if took > LATE:
                self._complain(f"saving took {took:.1f} s; the disk is slow")
            pause = max(SHORTEST_PAUSE, TICK - took)

    async def tick(self) -> None:
        """One look at everything. Never raises for a file that cannot be read or written."""
        try:
            await self._save()
            revoked = await self._call(self._store.revocations)
        except sqlite3.Error as error:
            self.is_degraded = True
            self._complain(f"cannot write the state file ({error}); playing goes on from memory")
        else:
            if self.is_degraded:
                _log.warning("the state file can be written again; everything is saved")
            self.is_degraded = False
            if revoked:
                self._on_revoked(revoked)
        self._forget_idle()

    async def close(self) -> None:
        """Save everything, positions of now included, and close the file."""
        try:
            await self._save(everything=True)
        except sqlite3.Error as error:
            _log.error("the last changes could not be saved: %s", error)
        if self._reader is not self._thread:
            self._reader.shutdown()
        await self._call(self._store.close)
        self._thread.shutdown()

    async def _save(self, *, everything: bool = False) -> None:
        now = self._clock()
        rooms = [
            room for room in self._registry.rooms.values() if self._is_due(room, now, everything)
        ]
        if not rooms:
            return
        wall_time = self._registry.wall_time()
        batch = [
            Unsaved(room.user_id, room.state, tuple(room.left), now, wall_time) for room in rooms
        ]
        try:
            await self._call(lambda: self._store.save(batch))
        except UNSAVABLE:
            await self._save_apart(batch)
        for room, unsaved in zip(rooms, batch, strict=True):
            seen = self._seen.setdefault(room.user_id, _Seen())
            seen.state, seen.at = unsaved.state, now
            room.saved(unsaved.left)

    async def _save_apart(self, batch: Sequence[Unsaved]) -> None:
        """Save each user of a batch alone: what the file cannot hold is lost, and nobody else's."""
        for unsaved in batch:
            try:
                await self._call(partial(self._store.save, (unsaved,)))
            except UNSAVABLE as error:
                self._complain(f"a user's state cannot be saved ({type(error).__name__})")

    def _is_due(self, room: Room, now: float, everything: bool) -> bool:
        seen = self._seen.get(room.user_id)
        if room.left or seen is None or seen.state is not room.state:
            return room.state.track_id is not None
        return room.state.is_playing and (everything or now - seen.at >= PLAYING_SAVED_EVERY)

    def _forget_idle(self) -> None:
        """Let go of rooms that nobody is in, that nothing happens in, and that are saved."""
        now = self._clock()
        for user_id, room in tuple(self._registry.rooms.items()):
            seen = self._seen.setdefault(user_id, _Seen())
            if room.devices or room.state.is_playing or self._is_due(room, now, False):
                seen.idle_since = None
            elif seen.idle_since is None:
                seen.idle_since = now
            elif now - seen.idle_since >= IDLE_AFTER:
                self._registry.forget(user_id)
        for user_id in self._seen.keys() - self._registry.rooms.keys():
            del self._seen[user_id]

    def _complain(self, trouble: str) -> None:
        now = self._clock()
        if now - self._complained_at >= COMPLAIN_EVERY:
            self._complained_at = now
            _log.error("%s", trouble)

    async def _load(self, key: tuple[str, str | None], work: Callable[[], _T]) -> _T:
        """What ``work`` answers. Those who ask for the same meanwhile get the same answer.

        Raises ``StoreError``.
        """
        loading = self._loading.get(key)
        if loading is None:
            loop = asyncio.get_running_loop()
            loading = self._loading[key] = loop.run_in_executor(self._reader, work)
            loading.add_done_callback(partial(self._loaded, key))
        await asyncio.wait((loading,))  # who is cancelled here does not cancel it for the others
        try:
            answer: _T = loading.result()
        except sqlite3.Error:
            raise StoreError("the state cannot be read now; try again") from None
        return answer

    def _loaded(self, key: tuple[str, str | None], loading: asyncio.Future[Any]) -> None:
        del self._loading[key]
        if error := loading.exception():
            self._complain(f"cannot read the state file ({error})")

    async def _call(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
