"""Load rooms, stop points and histories from the state file, without blocking the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from ..errors import StoreError
from ..playback.model import StopPoint
from ..rooms.registry import Registry
from ..rooms.room import Room
from ..rooms.stop_points import StopPointNotLoaded
from .play_history import HistoryEntry
from .playback_store import PlaybackStore
from .stop_points import POSITIONS_KEPT
from .throttled_warning import ThrottledWarning

_UNREADABLE: Final = "the state cannot be read now; try again"
_T = TypeVar("_T")


class RoomLoader:
    """Loads what is not in memory on ``executor``; a load that is under way is shared.

    ``executor`` is not the saver's, so that a load does not wait for a slow write; for a store in
    memory it must be the saver's.
    """

    def __init__(
        self,
        registry: Registry,
        store: PlaybackStore,
        executor: Executor,
        warn: ThrottledWarning,
    ) -> None:
        self._registry = registry
        self._store = store
        self._executor = executor
        self._warn = warn
        self._loading: dict[tuple[str, str | None], asyncio.Future[Any]] = {}

    async def room(self, user_id: str) -> Room:
        """Return a user's room, loaded where it is not in memory. Raises ``StoreError``."""
        room = self._registry.rooms.get(user_id)
        if room is not None:
            return room
        stored = await self._load((user_id, None), partial(self._store.load, user_id))
        room = self._registry.rooms.get(user_id)
        if room is None:  # not restored by a concurrent call
            room = self._registry.room(user_id)
            room.restore(stored.state, stored.stop_points, stored.reached_at)
        return room

    async def perform(self, user_id: str, action: Callable[[Room], _T], waited: float = 0.0) -> _T:
        """Do an action in a user's room and return what it returns.

        Where it needs a stop point, that is loaded, and it runs again; however long it has
        ``waited``, as a file answers. Raises what it raises, and ``StoreError``.
        """
        while True:
            room = await self.room(user_id)  # in each round: it may have been removed meanwhile
            try:
                return action(room)
            except StopPointNotLoaded as needed:
                await self.load_stop_point(room, needed.track_id)

    async def load_stop_point(self, room: Room, track_id: str) -> None:
        """Give a room its user's last stop point in a track. Raises ``StoreError``."""
        key = (room.user_id, track_id)
        position = await self._load(key, partial(self._store.stop_point, *key))
        room.stop_points.add_loaded(track_id, position)

    async def history(
        self, user_id: str, is_listed: Callable[[str], bool], limit: int
    ) -> list[HistoryEntry]:
        """Return up to ``limit`` tracks that a user played, the last one first.

        Left out are those for which ``is_listed(track_id)``, called on the executor's thread, is
        false. Raises ``StoreError``.
        """
        room = await self.room(user_id)  # of a track that a kill interrupted it has the stop point
        newer = {each.track_id: each.position for each in room.stop_points.unsaved}
        unsaved = room.play_history.unsaved
        stored = await self._read(partial(self._store.history, user_id, unsaved, is_listed, limit))
        return [replace(each, position=newer.get(each.track_id, each.position)) for each in stored]

    async def stop_points(self, user_id: str, track_id: str) -> list[StopPoint]:
        """Return a user's stop points in a track, the newest first. Raises ``StoreError``."""
        room = await self.room(user_id)
        unsaved = room.stop_points.unsaved
        stored = await self._read(partial(self._store.stop_points, user_id, track_id))
        newer = [
            each
            for each in reversed(unsaved)
            if each.track_id == track_id and not _is_among(stored, each)
        ]
        return [*newer, *stored][:POSITIONS_KEPT]

    async def _read(self, read: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, read)
        except sqlite3.Error as error:
            self._warn_unreadable(error)
            raise StoreError(_UNREADABLE) from None

    async def _load(self, key: tuple[str, str | None], read: Callable[[], _T]) -> _T:
        loading = self._loading.get(key)
        if loading is None:
            loop = asyncio.get_running_loop()
            loading = self._loading[key] = loop.run_in_executor(self._executor, read)
            loading.add_done_callback(partial(self._on_loaded, key))
        await asyncio.wait((loading,))  # a caller that is cancelled leaves it to the others
        try:
            result: _T = loading.result()
        except sqlite3.Error:
            raise StoreError(_UNREADABLE) from None
        return result

    def _on_loaded(self, key: tuple[str, str | None], loading: asyncio.Future[Any]) -> None:
        del self._loading[key]
        if error := loading.exception():
            self._warn_unreadable(error)

    def _warn_unreadable(self, error: BaseException) -> None:
        self._warn(f"cannot read the state file ({error})")


def _is_among(stored: Iterable[StopPoint], stop_point: StopPoint) -> bool:
    """Whether a stop point was saved meanwhile; its time may have been moved (``add``)."""
    return any(each.position == stop_point.position and each.at >= stop_point.at for each in stored)
