"""Load rooms and stop points from the state file, without blocking the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from ..errors import StoreError
from ..rooms.registry import Registry, Room
from .playback_store import PlaybackStore
from .throttled_warning import ThrottledWarning

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

    async def load_stop_point(self, room: Room, track_id: str) -> None:
        """Give a room its user's last stop point in a track. Raises ``StoreError``."""
        key = (room.user_id, track_id)
        room.recall(track_id, await self._load(key, partial(self._store.stop_point, *key)))

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
            raise StoreError("the state cannot be read now; try again") from None
        return result

    def _on_loaded(self, key: tuple[str, str | None], loading: asyncio.Future[Any]) -> None:
        del self._loading[key]
        if error := loading.exception():
            self._warn(f"cannot read the state file ({error})")
