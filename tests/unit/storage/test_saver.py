"""Loading, saving and forgetting rooms, on a fake clock and a real file."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.playback.commands import PauseTrack, PlayTrack, Report
from audiostream.playback.lifecycle import RESUME_GRACE
from audiostream.protocol.messages import GetCurrentState
from audiostream.rooms.registry import (
    POSITIONS_IN_MEMORY,
    UNSAVED_KEPT,
    PositionNeeded,
    Registry,
)
from audiostream.storage.playback_store import GONE_FOR, Saved, Store, Unsaved, revoke
from audiostream.storage.saver import COMPLAIN_EVERY, IDLE_AFTER, PLAYING_SAVED_EVERY, Keeper
from tests.support.fakes import FakeClock, FakeLibrary, RecordingSendQueue


class House:
    """A server's memory on a state file; ``restart`` gives it a new memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.shelf = FakeLibrary()
        self.revoked: list[Mapping[str, float]] = []
        self.start()

    def start(self) -> None:
        self.registry = Registry(self.shelf, self.clock)
        self.store = Store(self.path)
        self.keeper = Keeper(self.registry, self.store, self.clock, self.revoked.append)

    async def restart(self, *, killed: bool = False) -> None:
        if killed:
            await self.keeper._call(self.store.close)
        else:
            await self.keeper.close()
        self.start()

    async def resumed(self, track_id: str) -> float:
        """Where a track begins that is to go on where it was left."""
        command = PlayTrack(track_id, resume=True)
        room = await self.keeper.room("ada")
        try:
            return room.perform(command).current_time
        except PositionNeeded as needed:
            await self.keeper.recall(room, needed.track_id)
        return room.perform(command).current_time

    def break_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(batch: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(self.store, "save", full)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "state")
    yield house
    await house.keeper.close()


async def test_a_change_is_kept_at_the_next_tick_even_if_killed(house: House) -> None:
    room = await house.keeper.room("ada")
    room.perform(PauseTrack("song", 42.0))
    await house.keeper.tick()
    await house.restart(killed=True)
    state = (await house.keeper.room("ada")).state
    assert (state.track_id, state.position, state.rev) == ("song", 42.0, 1)


async def test_who_plays_is_kept_every_few_seconds_and_does_not_play_after(house: House) -> None:
    room = await house.keeper.room("ada")
    room.perform(PlayTrack("song", 10.0))
    await house.keeper.tick()
    house.clock.advance(PLAYING_SAVED_EVERY - 0.1)
    await house.keeper.tick()
    house.clock.advance(0.1)
    await house.keeper.tick()
    await house.restart(killed=True)
    state = (await house.keeper.room("ada")).state
    assert state.position == pytest.approx(10.0 + PLAYING_SAVED_EVERY)
    assert not state.is_playing


async def test_a_clean_stop_keeps_the_position_of_now(house: House) -> None:
    (await house.keeper.room("ada")).perform(PlayTrack("song", 10.0))
    await house.keeper.tick()
    house.clock.advance(2.0)
    await house.restart()
    assert (await house.keeper.room("ada")).state.position == pytest.approx(12.0)


async def test_a_restored_state_knows_its_duration_again(house: House) -> None:
    (await house.keeper.room("ada")).perform(PauseTrack("song", 10.0))
    await house.restart()
    room = await house.keeper.room("ada")
    assert room.perform(GetCurrentState()).duration == 7200.0


async def test_two_that_come_at_once_share_one_room(house: House) -> None:
    one, two = await asyncio.gather(house.keeper.room("ada"), house.keeper.room("ada"))
    assert one is two


class TestResume:
    async def test_a_track_goes_on_where_it_was_left_also_after_a_restart(
        self, house: House
    ) -> None:
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("song", 100.0))
        house.clock.advance(20.0)
        room.perform(PlayTrack("other"))
        await house.restart()
        assert await house.resumed("song") == 120.0
        assert await house.resumed("endless") == 0.0

    async def test_only_if_asked_for_and_a_position_wins(self, house: House) -> None:
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("song", 100.0))
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("song")).current_time == 0.0
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("song", 7.0, resume=True)).current_time == 7.0

    async def test_what_played_when_the_server_died_is_remembered_too(self, house: House) -> None:
        (await house.keeper.room("ada")).perform(PlayTrack("song", 100.0))
        await house.keeper.tick()
        await house.restart(killed=True)
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("song", resume=True)).current_time == 100.0

    async def test_a_stop_directly_after_the_start_does_not_erase_the_older(
        self, house: House
    ) -> None:
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("song", 100.0))
        room.perform(PauseTrack("song"))
        room.perform(PlayTrack("song", 0.0))
        house.clock.advance(2.0)
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("song", resume=True)).current_time == 100.0

    async def test_a_track_heard_to_its_end_starts_again(self, house: House) -> None:
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("short"))
        house.clock.advance(20.0)
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("short", resume=True)).current_time == 0.0

    async def test_only_what_the_file_may_know_has_to_be_loaded(self, house: House) -> None:
        room = await house.keeper.room("ada")
        with pytest.raises(PositionNeeded, match="song"):
            room.perform(PlayTrack("song", resume=True))
        assert room.state.rev == 0
        room.perform(PlayTrack("song", 7.0, resume=True))
        room.perform(PauseTrack("song"))
        room.perform(PlayTrack("song", resume=True))
        room.perform(PlayTrack("other"))
        assert room.perform(PlayTrack("song", resume=True)).current_time == 7.0

    async def test_what_happens_while_it_is_loaded_is_newer(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def slow(user_id: str, track_id: str) -> float:
            assert gate.wait(10.0)
            return 100.0

        monkeypatch.setattr(house.store, "position", slow)
        room = await house.keeper.room("ada")
        recalling = asyncio.create_task(house.keeper.recall(room, "song"))
        await asyncio.sleep(0)
        room.perform(PlayTrack("song", 500.0))
        room.perform(PlayTrack("other"))
        gate.set()
        await recalling
        assert room.perform(PlayTrack("song", resume=True)).current_time == 500.0


async def test_a_state_that_cannot_be_saved_keeps_no_other_from_the_file(house: House) -> None:
    for user, label in (("ada", "half of a pair: \ud800"), ("bob", "phone")):
        room = await house.keeper.room(user)
        device = house.registry.connect(user, RecordingSendQueue(), label)
        room.perform(PauseTrack("song", 9.0), device)
    await house.keeper.tick()
    await house.restart(killed=True)
    assert (await house.keeper.room("ada")).state.track_id is None
    assert (await house.keeper.room("bob")).state.position == 9.0


class TestWhoWentOnOverARestart:
    """A player that is at the right place after a restart is followed, however it came to it."""

    async def stopped(self, house: House, *, abandoned: bool) -> None:
        room = await house.keeper.room("ada")
        device = house.registry.connect("ada", RecordingSendQueue(), "phone")
        room.perform(PlayTrack("song", 100.0), device)
        house.clock.advance(50.0)
        if abandoned:
            house.registry.disconnect("ada", device)
            house.clock.advance(RESUME_GRACE + 1.0)
            house.registry.settle()
            assert not room.state.is_playing
        await house.keeper.tick()
        await house.restart(killed=True)
        house.clock.advance(300.0)

    @pytest.mark.parametrize("abandoned", [False, True])
    async def test_it_is_followed(self, house: House, abandoned: bool) -> None:
        await self.stopped(house, abandoned=abandoned)
        room = await house.keeper.room("ada")
        at = 150.0 + 300.0 + (RESUME_GRACE + 1.0 if abandoned else 0.0)
        device = house.registry.connect("ada", RecordingSendQueue(), "phone")
        assert room.perform(Report("song", at, True), device).is_playing
        assert room.state.position == at

    @pytest.mark.parametrize("abandoned", [False, True])
    async def test_beyond_the_time_since_it_is_not(self, house: House, abandoned: bool) -> None:
        await self.stopped(house, abandoned=abandoned)
        room = await house.keeper.room("ada")
        device = house.registry.connect("ada", RecordingSendQueue(), "phone")
        assert not room.perform(Report("song", 150.0 + 340.0, True), device).is_playing
        assert room.state.position == 150.0


class TestLoading:
    async def test_twenty_that_ask_at_once_are_answered_by_one_load(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, ...]] = []
        load, position = house.store.load, house.store.position

        def counted_load(user_id: str) -> Saved:
            asked.append((user_id,))
            return load(user_id)

        def counted_position(user_id: str, track_id: str) -> float | None:
            asked.append((user_id, track_id))
            return position(user_id, track_id)

        monkeypatch.setattr(house.store, "load", counted_load)
        monkeypatch.setattr(house.store, "position", counted_position)
        rooms = await asyncio.gather(*(house.keeper.room("ada") for _ in range(20)))
        assert len(set(rooms)) == 1
        await asyncio.gather(*(house.keeper.recall(rooms[0], "song") for _ in range(20)))
        assert asked == [("ada",), ("ada", "song")]

    async def test_it_does_not_wait_for_what_is_being_saved(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate, save = threading.Event(), house.store.save

        def slow(batch: Iterable[Unsaved]) -> None:
            assert gate.wait(10.0)
            save(batch)

        (await house.keeper.room("ada")).perform(PauseTrack("song", 9.0))
        await house.keeper.tick()
        house.registry.forget("ada")
        (await house.keeper.room("bob")).perform(PauseTrack("song", 10.0))
        monkeypatch.setattr(house.store, "save", slow)
        saving = asyncio.create_task(house.keeper.tick())
        async with asyncio.timeout(5.0):
            assert (await house.keeper.room("ada")).state.position == 9.0
        assert not saving.done()
        gate.set()
        await saving

    async def test_one_that_gives_up_does_not_take_it_from_the_others(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = threading.Event()

        def slow(user_id: str) -> Saved:
            assert gate.wait(10.0)
            return Saved()

        monkeypatch.setattr(house.store, "load", slow)
        first, second = [asyncio.create_task(house.keeper.room("ada")) for _ in range(2)]
        await asyncio.sleep(0)
        first.cancel()
        gate.set()
        assert (await second).user_id == "ada"
        assert first.cancelled()

    async def test_a_failure_is_of_those_who_waited_and_the_next_one_tries_again(
        self, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(user_id: str) -> Saved:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(house.store, "load", broken)
        failures = await asyncio.gather(
            *(house.keeper.room("ada") for _ in range(20)), return_exceptions=True
        )
        assert all(isinstance(failure, StoreError) for failure in failures)
        assert caplog.text.count("disk I/O error") == 1
        monkeypatch.undo()
        assert (await house.keeper.room("ada")).state.rev == 0


class TestMemory:
    @pytest.fixture
    def shelf(self, house: House) -> None:
        house.shelf.durations.update({f"track-{number}": 7200.0 for number in range(1000)})

    @pytest.mark.usefixtures("shelf")
    async def test_a_room_remembers_a_bounded_number_of_tracks_and_the_file_the_others(
        self, house: House
    ) -> None:
        room = await house.keeper.room("ada")
        for first in range(0, 900, 100):
            for number in range(first, first + 100):
                room.perform(PlayTrack(f"track-{number}", 50.0 + number))
            await house.keeper.tick()
        assert len(room.positions) <= POSITIONS_IN_MEMORY
        assert await house.resumed("track-3") == 53.0
        assert await house.resumed("track-890") == 940.0

    @pytest.mark.usefixtures("shelf")
    async def test_while_the_file_fails_what_waits_is_bounded_too(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        room = await house.keeper.room("ada")
        with monkeypatch.context() as broken:
            house.break_file(broken)
            for number in range(900):
                room.perform(PlayTrack(f"track-{number}", 50.0 + number))
                if number % 100 == 0:
                    await house.keeper.tick()
        assert len(room.left) <= UNSAVED_KEPT
        await house.keeper.tick()
        assert not room.left
        assert len(room.positions) <= POSITIONS_IN_MEMORY
        await house.restart(killed=True)
        assert await house.resumed("track-898") == 948.0

    async def test_what_is_left_while_it_is_saved_is_saved_next(self, house: House) -> None:
        room = await house.keeper.room("ada")
        room.perform(PlayTrack("song", 100.0))
        room.perform(PauseTrack("song"))
        saving = asyncio.create_task(house.keeper.tick())
        await asyncio.sleep(0)
        house.clock.advance(1.0)
        room.perform(PlayTrack("other", 200.0))
        room.perform(PauseTrack("other"))
        await saving
        assert [each.track_id for each in room.left] == ["other"]
        await house.keeper.tick()
        assert not room.left
        await house.restart(killed=True)
        assert await house.resumed("song") == 100.0


class TestReview:
    async def test_what_the_library_has_no_more_is_dropped_in_the_end(self, house: House) -> None:
        room = await house.keeper.room("ada")
        for track_id in ("song", "other", "endless"):
            room.perform(PlayTrack(track_id, 100.0))
        await house.keeper.tick()
        await house.keeper.review(lambda *key: key == ("ada", "song"), house.clock())
        assert await asyncio.to_thread(house.store.position, "ada", "other") == 100.0
        house.clock.advance(GONE_FOR)
        await house.keeper.review(lambda *key: key == ("ada", "song"), house.clock())
        assert await asyncio.to_thread(house.store.position, "ada", "other") is None
        assert await asyncio.to_thread(house.store.position, "ada", "song") == 100.0

    async def test_a_file_that_fails_is_complained_of_and_left_for_the_next_time(
        self, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(house.store, "review", broken)
        await house.keeper.review(lambda *_: True, 0.0)
        assert caplog.text.count("disk I/O error") == 1


class TestForgetting:
    async def test_memory_holds_those_who_listen(self, house: House) -> None:
        for user in ("listens", "plays", "left"):
            room = await house.keeper.room(user)
            room.perform(PauseTrack("song", 9.0))
        house.registry.connect("listens", RecordingSendQueue(), "phone")
        house.registry.room("plays").perform(PlayTrack("song"))
        for _ in range(3):
            await house.keeper.tick()
            house.clock.advance(IDLE_AFTER)
        assert set(house.registry.rooms) == {"listens", "plays"}
        assert (await house.keeper.room("left")).state.position == 9.0

    async def test_nobody_is_forgotten_who_is_not_saved(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (await house.keeper.room("ada")).perform(PauseTrack("song", 9.0))
        house.break_file(monkeypatch)
        for _ in range(3):
            await house.keeper.tick()
            house.clock.advance(IDLE_AFTER)
        assert "ada" in house.registry.rooms


class TestAFileThatFails:
    async def test_playing_goes_on_and_everything_is_saved_afterwards(
        self, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        house.break_file(monkeypatch)
        room = await house.keeper.room("ada")
        for position in range(100):
            room.perform(PauseTrack("song", float(position)))
            await house.keeper.tick()
        assert house.keeper.is_degraded
        assert caplog.text.count("playing goes on from memory") == 1
        house.clock.advance(COMPLAIN_EVERY)
        await house.keeper.tick()
        assert caplog.text.count("playing goes on from memory") == 2
        monkeypatch.undo()
        await house.keeper.tick()
        assert not house.keeper.is_degraded
        assert "can be written again" in caplog.text
        await house.restart(killed=True)
        assert (await house.keeper.room("ada")).state.position == 99.0

    async def test_one_that_cannot_be_read_lets_nobody_in(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(user_id: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(house.store, "load", broken)
        with pytest.raises(StoreError, match="try again") as refused:
            await house.keeper.room("ada")
        assert "disk" not in str(refused.value)
        assert "ada" not in house.registry.rooms

    async def test_at_the_stop_it_is_said_that_something_was_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        house = House(tmp_path / "other")
        (await house.keeper.room("ada")).perform(PlayTrack("song"))
        house.break_file(monkeypatch)
        await house.keeper.close()
        assert "could not be saved" in caplog.text

    async def test_whatever_goes_wrong_the_keeper_goes_on(
        self, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("audiostream.storage.saver.TICK", 0.0)
        ticked = asyncio.Event()
        tick = house.keeper.tick

        async def once_broken() -> None:
            monkeypatch.setattr(house.keeper, "tick", again)
            raise ZeroDivisionError

        async def again() -> None:
            await tick()
            ticked.set()

        monkeypatch.setattr(house.keeper, "tick", once_broken)
        task = asyncio.create_task(house.keeper.run())
        async with asyncio.timeout(5):
            await ticked.wait()
        task.cancel()
        assert "saving failed" in caplog.text

    async def test_a_slow_disk_is_complained_of_once_a_minute(
        self, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("TICK", "SHORTEST_PAUSE", "LATE"):
            monkeypatch.setattr(f"audiostream.storage.saver.{name}", 0.0)
        ticks = 0
        tick, tenth = house.keeper.tick, asyncio.Event()

        async def counted() -> None:
            nonlocal ticks
            await tick()
            ticks += 1
            if ticks == 5:
                house.clock.advance(COMPLAIN_EVERY)
            if ticks == 10:
                tenth.set()

        monkeypatch.setattr(house.keeper, "tick", counted)
        task = asyncio.create_task(house.keeper.run())
        async with asyncio.timeout(5):
            await tenth.wait()
        task.cancel()
        assert caplog.text.count("the disk is slow") == 2
        assert not house.keeper.is_degraded


async def test_revocations_are_passed_on_once(house: House) -> None:
    await house.keeper.tick()
    await asyncio.to_thread(revoke, house.path, "ada", 5.0)
    await house.keeper.tick()
    await house.keeper.tick()
    assert house.revoked == [{"ada": 5.0}]
