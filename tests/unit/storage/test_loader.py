"""Loading rooms and stop points."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterable

import pytest

from audiostream.errors import StoreError
from audiostream.playback.commands import PauseTrack, PlayTrack
from audiostream.rooms.stop_points import StopPointNotLoaded
from audiostream.storage.playback_store import PendingWrite, StoredUser
from tests.support.server_memory import ServerMemory


async def test_two_concurrent_loads_return_one_room(memory: ServerMemory) -> None:
    one, two = await asyncio.gather(memory.loader.room("ada"), memory.loader.room("ada"))
    assert one is two


class TestResume:
    async def test_resume_continues_at_the_stop_point_also_after_a_restart(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        memory.clock.advance(20.0)
        room.apply(PlayTrack("other"))
        await memory.restart()
        assert await memory.resumed("song") == 120.0
        assert await memory.resumed("endless") == 0.0

    async def test_play_without_resume_starts_at_zero_and_a_position_overrides_resume(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("song"))).current_time == 0.0
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("song", 7.0, resume=True))).current_time == 7.0

    async def test_the_track_that_played_at_a_kill_has_a_stop_point(
        self, memory: ServerMemory
    ) -> None:
        (await memory.loader.room("ada")).apply(PlayTrack("song", 100.0))
        await memory.saver.flush()
        await memory.restart(killed=True)
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("song", resume=True))).current_time == 100.0

    async def test_a_stop_two_seconds_after_the_start_keeps_the_older_stop_point(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        room.apply(PauseTrack("song"))
        room.apply(PlayTrack("song", 0.0))
        memory.clock.advance(2.0)
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("song", resume=True))).current_time == 100.0

    async def test_a_track_that_played_to_its_end_resumes_at_zero(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("short"))
        memory.clock.advance(20.0)
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("short", resume=True))).current_time == 0.0

    async def test_resume_asks_for_a_load_only_of_a_track_that_the_room_does_not_know(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        with pytest.raises(StopPointNotLoaded, match="song"):
            room.apply(PlayTrack("song", resume=True))
        assert room.state.rev == 0
        room.apply(PlayTrack("song", 7.0, resume=True))
        room.apply(PauseTrack("song"))
        room.apply(PlayTrack("song", resume=True))
        room.apply(PlayTrack("other"))
        assert room.view(room.apply(PlayTrack("song", resume=True))).current_time == 7.0

    async def test_a_stop_point_made_during_a_load_is_kept(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def slow(user_id: str, track_id: str) -> float:
            assert gate.wait(10.0)
            return 100.0

        monkeypatch.setattr(memory.store, "stop_point", slow)
        room = await memory.loader.room("ada")
        recalling = asyncio.create_task(memory.loader.load_stop_point(room, "song"))
        await asyncio.sleep(0)
        room.apply(PlayTrack("song", 500.0))
        room.apply(PlayTrack("other"))
        gate.set()
        await recalling
        assert room.view(room.apply(PlayTrack("song", resume=True))).current_time == 500.0


class TestLoading:
    async def test_twenty_concurrent_requests_share_one_load(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, ...]] = []
        load, position = memory.store.load, memory.store.stop_point

        def counted_load(user_id: str) -> StoredUser:
            asked.append((user_id,))
            return load(user_id)

        def counted_position(user_id: str, track_id: str) -> float | None:
            asked.append((user_id, track_id))
            return position(user_id, track_id)

        monkeypatch.setattr(memory.store, "load", counted_load)
        monkeypatch.setattr(memory.store, "stop_point", counted_position)
        rooms = await asyncio.gather(*(memory.loader.room("ada") for _ in range(20)))
        assert len(set(rooms)) == 1
        await asyncio.gather(*(memory.loader.load_stop_point(rooms[0], "song") for _ in range(20)))
        assert asked == [("ada",), ("ada", "song")]

    async def test_a_load_does_not_wait_for_a_slow_write(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate, save = threading.Event(), memory.store.save

        def slow(batch: Iterable[PendingWrite]) -> None:
            assert gate.wait(10.0)
            save(batch)

        (await memory.loader.room("ada")).apply(PauseTrack("song", 9.0))
        await memory.saver.flush()
        memory.registry.remove_room("ada")
        (await memory.loader.room("bob")).apply(PauseTrack("song", 10.0))
        monkeypatch.setattr(memory.store, "save", slow)
        saving = asyncio.create_task(memory.saver.flush())
        async with asyncio.timeout(5.0):
            assert (await memory.loader.room("ada")).state.position == 9.0
        assert not saving.done()
        gate.set()
        await saving

    async def test_a_cancelled_request_does_not_cancel_a_shared_load(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def slow(user_id: str) -> StoredUser:
            assert gate.wait(10.0)
            return StoredUser()

        monkeypatch.setattr(memory.store, "load", slow)
        first, second = [asyncio.create_task(memory.loader.room("ada")) for _ in range(2)]
        await asyncio.sleep(0)
        first.cancel()
        gate.set()
        assert (await second).user_id == "ada"
        assert first.cancelled()

    async def test_a_failed_load_fails_its_waiters_and_the_next_request_tries_again(
        self,
        memory: ServerMemory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def broken(user_id: str) -> StoredUser:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(memory.store, "load", broken)
        failures = await asyncio.gather(
            *(memory.loader.room("ada") for _ in range(20)), return_exceptions=True
        )
        assert all(isinstance(failure, StoreError) for failure in failures)
        assert caplog.text.count("disk I/O error") == 1
        monkeypatch.undo()
        assert (await memory.loader.room("ada")).state.rev == 0
