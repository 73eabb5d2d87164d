"""Saving and evicting rooms, on a fake clock and a real file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from audiostream.playback.commands import PauseTrack, PlayTrack, Report
from audiostream.playback.lifecycle import RESUME_GRACE
from audiostream.protocol.decode import GetCurrentState
from audiostream.rooms.room import Room
from audiostream.rooms.stop_points import MAX_CACHED, MAX_UNSAVED
from audiostream.storage.playback_store import PendingWrite
from audiostream.storage.revocations import revoke
from audiostream.storage.saver import IDLE_AFTER, PLAYING_SAVED_EVERY
from audiostream.storage.stop_points import GONE_FOR
from tests.support.fakes import RecordingSendQueue
from tests.support.server_memory import ServerMemory


class UnwalkedRooms(dict[str, Room]):
    """Rooms that are looked up by user, and fail the test when they are walked."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all rooms were walked")

    def values(self) -> Any:
        raise AssertionError("all rooms were walked")


async def test_a_change_survives_a_kill_after_the_next_flush(memory: ServerMemory) -> None:
    room = await memory.loader.room("ada")
    room.apply(PauseTrack("song", 42.0))
    await memory.saver.flush()
    await memory.restart(killed=True)
    state = (await memory.loader.room("ada")).state
    assert (state.track_id, state.position, state.rev) == ("song", 42.0, 1)


async def test_a_playing_position_is_written_every_four_seconds_and_loaded_paused(
    memory: ServerMemory,
) -> None:
    room = await memory.loader.room("ada")
    room.apply(PlayTrack("song", 10.0))
    await memory.saver.flush()
    memory.clock.advance(PLAYING_SAVED_EVERY - 0.1)
    await memory.saver.flush()
    memory.clock.advance(0.1)
    await memory.saver.flush()
    await memory.restart(killed=True)
    state = (await memory.loader.room("ada")).state
    assert state.position == pytest.approx(10.0 + PLAYING_SAVED_EVERY)
    assert not state.is_playing


async def test_a_clean_stop_writes_the_current_position(memory: ServerMemory) -> None:
    (await memory.loader.room("ada")).apply(PlayTrack("song", 10.0))
    await memory.saver.flush()
    memory.clock.advance(2.0)
    await memory.restart()
    assert (await memory.loader.room("ada")).state.position == pytest.approx(12.0)


async def test_a_restored_state_has_its_listed_duration(memory: ServerMemory) -> None:
    (await memory.loader.room("ada")).apply(PauseTrack("song", 10.0))
    await memory.restart()
    room = await memory.loader.room("ada")
    assert room.view(room.apply(GetCurrentState())).duration == 7200.0


async def test_a_state_that_sqlite_refuses_does_not_prevent_the_others(
    memory: ServerMemory,
) -> None:
    for user, label in (("ada", "half of a pair: \ud800"), ("bob", "phone")):
        room = await memory.loader.room(user)
        device = memory.registry.connect(user, RecordingSendQueue(), label)
        room.apply(PauseTrack("song", 9.0), device)
    await memory.saver.flush()
    await memory.restart(killed=True)
    assert (await memory.loader.room("ada")).state.track_id is None
    assert (await memory.loader.room("bob")).state.position == 9.0


class TestPlayerThatPlayedThroughARestart:
    """A player that is at the right place after a restart is followed, however it came to it."""

    async def stopped(self, memory: ServerMemory, *, abandoned: bool) -> None:
        room = await memory.loader.room("ada")
        device = memory.registry.connect("ada", RecordingSendQueue(), "phone")
        room.apply(PlayTrack("song", 100.0), device)
        memory.clock.advance(50.0)
        if abandoned:
            memory.registry.disconnect("ada", device)
            memory.clock.advance(RESUME_GRACE + 1.0)
            memory.registry.housekeep()
            assert not room.state.is_playing
        await memory.saver.flush()
        await memory.restart(killed=True)
        memory.clock.advance(300.0)

    @pytest.mark.parametrize("abandoned", [False, True])
    async def test_a_report_at_the_continued_position_is_applied(
        self, memory: ServerMemory, abandoned: bool
    ) -> None:
        await self.stopped(memory, abandoned=abandoned)
        room = await memory.loader.room("ada")
        at = 150.0 + 300.0 + (RESUME_GRACE + 1.0 if abandoned else 0.0)
        device = memory.registry.connect("ada", RecordingSendQueue(), "phone")
        assert room.view(room.apply(Report("song", at, True), device)).is_playing
        assert room.state.position == at

    @pytest.mark.parametrize("abandoned", [False, True])
    async def test_a_report_beyond_the_elapsed_time_is_not_applied(
        self, memory: ServerMemory, abandoned: bool
    ) -> None:
        await self.stopped(memory, abandoned=abandoned)
        room = await memory.loader.room("ada")
        device = memory.registry.connect("ada", RecordingSendQueue(), "phone")
        assert not room.view(room.apply(Report("song", 150.0 + 340.0, True), device)).is_playing
        assert room.state.position == 150.0


class TestMemory:
    @pytest.fixture
    def library(self, memory: ServerMemory) -> None:
        memory.library.durations.update({f"track-{number}": 7200.0 for number in range(1000)})

    @pytest.mark.usefixtures("library")
    async def test_a_room_keeps_256_stop_points_and_loads_the_others(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        for first in range(0, 900, 100):
            for number in range(first, first + 100):
                room.apply(PlayTrack(f"track-{number}", 50.0 + number))
            await memory.saver.flush()
        assert len(room.stop_points) <= MAX_CACHED
        assert await memory.resumed("track-3") == 53.0
        assert await memory.resumed("track-890") == 940.0

    @pytest.mark.usefixtures("library")
    async def test_unsaved_stop_points_are_bounded_while_the_file_fails(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = await memory.loader.room("ada")
        with monkeypatch.context() as broken:
            memory.break_file(broken)
            for number in range(900):
                room.apply(PlayTrack(f"track-{number}", 50.0 + number))
                if number % 100 == 0:
                    await memory.saver.flush()
        assert len(room.stop_points.unsaved) <= MAX_UNSAVED
        await memory.saver.flush()
        assert not room.stop_points.unsaved
        assert len(room.stop_points) <= MAX_CACHED
        await memory.restart(killed=True)
        assert await memory.resumed("track-898") == 948.0

    async def test_a_stop_point_made_during_a_save_is_saved_by_the_next(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        room.apply(PauseTrack("song"))
        saving = asyncio.create_task(memory.saver.flush())
        await asyncio.sleep(0)
        memory.clock.advance(1.0)
        room.apply(PlayTrack("other", 200.0))
        room.apply(PauseTrack("other"))
        await saving
        assert [each.track_id for each in room.stop_points.unsaved] == ["other"]
        await memory.saver.flush()
        assert not room.stop_points.unsaved
        await memory.restart(killed=True)
        assert await memory.resumed("song") == 100.0


class TestReview:
    async def test_stop_points_of_a_removed_track_are_dropped_after_ninety_days(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        for track_id in ("song", "other", "endless"):
            room.apply(PlayTrack(track_id, 100.0))
        await memory.saver.flush()
        await memory.saver.review(lambda *key: key == ("ada", "song"), memory.clock())
        assert await asyncio.to_thread(memory.store.stop_point, "ada", "other") == 100.0
        memory.clock.advance(GONE_FOR)
        await memory.saver.review(lambda *key: key == ("ada", "song"), memory.clock())
        assert await asyncio.to_thread(memory.store.stop_point, "ada", "other") is None
        assert await asyncio.to_thread(memory.store.stop_point, "ada", "song") == 100.0

    async def test_a_failed_review_is_logged_and_left_for_the_next_scan(
        self,
        memory: ServerMemory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def broken(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(memory.store, "review", broken)
        await memory.saver.review(lambda *_: True, 0.0)
        assert caplog.text.count("disk I/O error") == 1


class TestEviction:
    async def test_idle_rooms_are_evicted_and_loaded_again(self, memory: ServerMemory) -> None:
        for user in ("listens", "plays", "left"):
            room = await memory.loader.room(user)
            room.apply(PauseTrack("song", 9.0))
        memory.registry.connect("listens", RecordingSendQueue(), "phone")
        memory.registry.room("plays").apply(PlayTrack("song"))
        for _ in range(3):
            await memory.saver.flush()
            memory.clock.advance(IDLE_AFTER)
        assert set(memory.registry.rooms) == {"listens", "plays"}
        assert (await memory.loader.room("left")).state.position == 9.0

    async def test_a_room_that_is_not_saved_is_not_evicted(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (await memory.loader.room("ada")).apply(PauseTrack("song", 9.0))
        memory.break_file(monkeypatch)
        for _ in range(3):
            await memory.saver.flush()
            memory.clock.advance(IDLE_AFTER)
        assert "ada" in memory.registry.rooms

    async def test_a_device_that_comes_back_within_a_minute_keeps_its_room(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PauseTrack("song", 9.0))
        for _ in range(3):
            device = memory.registry.connect("ada", RecordingSendQueue(), "phone")
            memory.registry.disconnect("ada", device)
            await memory.saver.flush()
            memory.clock.advance(IDLE_AFTER - 1.0)
            await memory.saver.flush()
            assert memory.registry.rooms["ada"] is room
        memory.clock.advance(1.0)
        await memory.saver.flush()
        assert not memory.registry.rooms

    async def test_a_room_that_was_only_read_is_evicted_too(self, memory: ServerMemory) -> None:
        (await memory.loader.room("ada")).apply(GetCurrentState())
        await memory.saver.flush()
        memory.clock.advance(IDLE_AFTER)
        await memory.saver.flush()
        assert not memory.registry.rooms


class TestCost:
    """A flush looks at what changed, whatever the number of rooms in memory."""

    async def test_a_flush_does_not_walk_all_rooms(self, memory: ServerMemory) -> None:
        for number in range(100):
            memory.registry.connect(f"user{number}", RecordingSendQueue(), "phone")
            memory.registry.room(f"user{number}").apply(PauseTrack("song", 9.0))
        await memory.saver.flush()
        memory.registry.rooms = rooms = UnwalkedRooms(memory.registry.rooms)
        room = await memory.loader.room("user7")
        room.apply(PlayTrack("other", 5.0))
        await memory.saver.flush()
        memory.clock.advance(PLAYING_SAVED_EVERY)
        await memory.saver.flush()
        memory.registry.rooms = dict(rooms.items())
        await memory.restart(killed=True)
        assert (await memory.loader.room("user7")).state.position == 5.0 + PLAYING_SAVED_EVERY

    async def test_an_unchanged_paused_room_is_written_once(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[str] = []
        save = memory.store.save

        def recorded(batch: Iterable[PendingWrite]) -> None:
            written.extend(pending.user_id for pending in batch)
            save(batch)

        monkeypatch.setattr(memory.store, "save", recorded)
        (await memory.loader.room("ada")).apply(PauseTrack("song", 9.0))
        for _ in range(20):
            await memory.saver.flush()
            device = memory.registry.connect("ada", RecordingSendQueue(), "phone")
            memory.registry.disconnect("ada", device)
            memory.clock.advance(1.0)
        assert written == ["ada"]


async def test_revocations_are_passed_on_once(memory: ServerMemory) -> None:
    await memory.saver.flush()
    await asyncio.to_thread(revoke, memory.path, "ada", 5.0)
    await memory.saver.flush()
    await memory.saver.flush()
    assert memory.revoked == [{"ada": 5.0}]
