"""The rooms of a server in memory, on a real state file and a fake clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audiostream.playback.commands import PlayTrack
from audiostream.rooms.registry import Registry
from audiostream.rooms.stop_points import StopPointNotLoaded
from audiostream.storage.loader import RoomLoader
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.saver import StateSaver
from audiostream.storage.throttled_warning import ThrottledWarning
from tests.support.fakes import FakeClock, FakeLibrary


class ServerMemory:
    """Rooms with their loader and saver; ``restart`` loses the rooms and keeps the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.library = FakeLibrary()
        self.revoked: list[Mapping[str, float]] = []
        self.start()

    def start(self) -> None:
        self._writer, self._reader = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        warn = ThrottledWarning(self.clock)
        self.registry = Registry(self.library, self.clock)
        self.store = PlaybackStore(self.path)
        self.loader = RoomLoader(self.registry, self.store, self._reader, warn)
        self.saver = StateSaver(
            self.registry, self.store, self._writer, self.clock, warn, self.revoked.append
        )

    async def stop(self, *, killed: bool = False) -> None:
        if killed:
            self._writer.submit(self.store.close).result()
        else:
            await self.saver.close()
        self._writer.shutdown()
        self._reader.shutdown()

    async def restart(self, *, killed: bool = False) -> None:
        await self.stop(killed=killed)
        self.start()

    async def resumed(self, track_id: str) -> float:
        """The position at which Ada's track starts with ``resume``."""
        command = PlayTrack(track_id, resume=True)
        room = await self.loader.room("ada")
        try:
            now = room.apply(command)
        except StopPointNotLoaded as needed:
            await self.loader.load_stop_point(room, needed.track_id)
            now = room.apply(command)
        return room.view(now).current_time

    def break_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every write fail."""

        def full(batch: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(self.store, "save", full)
