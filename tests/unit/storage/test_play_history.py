"""What users played: one row for each track, in order and bounded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import StoreError
from audiostream.playback.commands import PauseTrack, PlayTrack
from audiostream.playback.history import PlayedTrack
from audiostream.rooms.play_history import MAX_UNSAVED
from audiostream.storage.play_history import TRACKS_DROPPED_AT_ONCE
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.saver import IDLE_AFTER
from audiostream.storage.stop_points import POSITIONS_KEPT
from tests.support.server_memory import ServerMemory
from tests.support.state_files import PLAYING, pending


def play(store: PlaybackStore, *played: tuple[str, float], user_id: str = "ada") -> None:
    tracks = tuple(PlayedTrack(*each) for each in played)
    store.save([pending(user_id, PLAYING, played=tracks)])


def listed(store: PlaybackStore, user_id: str = "ada", limit: int = 10_000) -> list[str]:
    entries = store.history(user_id, (), lambda _: True, limit)
    return [each.track_id for each in entries]


class TestStore:
    def test_each_track_is_listed_once_the_last_one_first(self, store: PlaybackStore) -> None:
        play(store, ("song", 1.0), ("other", 2.0))
        play(store, ("song", 3.0))
        entries = store.history("ada", (), lambda _: True, 50)
        assert [(each.track_id, each.played_at) for each in entries] == [
            ("song", 3.0),
            ("other", 2.0),
        ]

    def test_a_history_is_one_users_alone(self, store: PlaybackStore) -> None:
        play(store, ("song", 1.0))
        play(store, ("other", 1.0), user_id="bob")
        assert (listed(store), listed(store, "bob")) == (["song"], ["other"])
        assert listed(store, "cleo") == []

    def test_the_last_track_is_first_also_after_the_clock_was_set_back(
        self, store: PlaybackStore
    ) -> None:
        play(store, ("song", 5000.0))
        play(store, ("other", 10.0))
        assert listed(store) == ["other", "song"]

    def test_tracks_that_are_gone_are_left_out_and_do_not_count(self, store: PlaybackStore) -> None:
        play(store, *((f"track-{number}", float(number)) for number in range(10)))
        entries = store.history("ada", (), lambda track_id: track_id < "track-5", 3)
        assert [each.track_id for each in entries] == ["track-4", "track-3", "track-2"]

    def test_unsaved_tracks_come_first_and_once(self, store: PlaybackStore) -> None:
        play(store, ("song", 1.0), ("other", 2.0))
        unsaved = (PlayedTrack("song", 3.0), PlayedTrack("new", 4.0))
        entries = store.history("ada", unsaved, lambda _: True, 50)
        assert [each.track_id for each in entries] == ["new", "song", "other"]

    @given(
        kept=st.integers(1, 20),
        batches=st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=12),
    )
    def test_the_tracks_played_last_are_kept_up_to_the_limit(
        self, kept: int, batches: list[list[int]]
    ) -> None:
        with closing(PlaybackStore(None, kept)) as store:
            order: list[str] = []
            for batch in batches:
                tracks = [f"track-{number}" for number in dict.fromkeys(batch)]
                play(store, *((track, 1.0) for track in tracks))
                order = [each for each in order if each not in tracks] + tracks
                assert listed(store) == order[::-1][:kept]
                order = order[-kept:]

    def test_a_lowered_limit_counts_at_once_and_drops_a_few_at_a_time(self, path: Path) -> None:
        with closing(PlaybackStore(path)) as store:
            play(store, *((f"track-{number:03}", 1.0) for number in range(200)))
        with closing(PlaybackStore(path, 20)) as store:
            assert len(listed(store)) == 20
            play(store, ("song", 2.0))
        with closing(PlaybackStore(path)) as store:
            assert len(listed(store)) == 201 - TRACKS_DROPPED_AT_ONCE
            assert listed(store, limit=2) == ["song", "track-199"]

    def test_a_limit_of_zero_keeps_none_and_drops_what_was_kept(self, path: Path) -> None:
        with closing(PlaybackStore(path)) as store:
            play(store, ("song", 1.0))
        with closing(PlaybackStore(path, 0)) as store:
            play(store, ("other", 2.0))
            unsaved = (PlayedTrack("new", 3.0),)
            assert store.history("ada", unsaved, lambda _: True, 50) == []
            store.review(("", ""), lambda *_: True, 0.0)
        with closing(PlaybackStore(path)) as store:
            assert listed(store) == []


async def history(memory: ServerMemory, limit: int = 50) -> list[tuple[str, float | None]]:
    entries = await memory.loader.history("ada", lambda _: True, limit)
    return [(each.track_id, each.position) for each in entries]


class TestRooms:
    async def test_a_history_is_the_same_before_and_after_it_is_saved(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        memory.clock.advance(20.0)
        room.apply(PlayTrack("other"))
        assert await history(memory) == [("other", None), ("song", 120.0)]
        await memory.saver.flush()
        assert room.play_history.unsaved == ()
        assert await history(memory) == [("other", None), ("song", 120.0)]
        room.apply(PlayTrack("song"))
        room.apply(PauseTrack("song", 60.0))
        assert await history(memory) == [("song", 60.0), ("other", None)]
        await memory.restart(killed=True)
        assert await history(memory) == [("other", 0.0), ("song", 120.0)]

    async def test_a_history_survives_an_eviction_of_its_room(self, memory: ServerMemory) -> None:
        (await memory.loader.room("ada")).apply(PlayTrack("song"))
        (await memory.loader.room("ada")).apply(PauseTrack("song"))
        await memory.saver.flush()
        memory.clock.advance(IDLE_AFTER)
        await memory.saver.flush()
        assert "ada" not in memory.registry.rooms
        assert await history(memory) == [("song", None)]

    async def test_the_track_that_played_at_a_kill_has_its_position(
        self, memory: ServerMemory
    ) -> None:
        (await memory.loader.room("ada")).apply(PlayTrack("song", 100.0))
        await memory.saver.flush()
        await memory.restart(killed=True)
        assert await history(memory) == [("song", 100.0)]

    async def test_an_hour_of_a_failing_file_keeps_a_bounded_history(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        memory.library.durations = {f"track-{n}": 60.0 for n in range(MAX_UNSAVED + 10)}
        memory.break_file(monkeypatch)
        room = await memory.loader.room("ada")
        for track_id in memory.library.durations:
            room.apply(PlayTrack(track_id))
            await memory.saver.flush()
        tracks = [track for track, _ in await history(memory, 1000)]
        assert tracks == list(memory.library.durations)[::-1][:MAX_UNSAVED]
        monkeypatch.undo()
        await memory.saver.flush()
        await memory.restart(killed=True)
        assert [track for track, _ in await history(memory, 1000)] == tracks

    async def test_a_history_that_cannot_be_read_is_refused(
        self, memory: ServerMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*arguments: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(memory.store, "history", broken)
        with pytest.raises(StoreError, match="try again"):
            await history(memory)


class TestPositions:
    async def positions(self, memory: ServerMemory, track_id: str = "song") -> list[float]:
        return [each.position for each in await memory.loader.stop_points("ada", track_id)]

    async def test_stop_points_are_listed_newest_first_saved_or_not(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        room.apply(PlayTrack("song", 100.0))
        room.apply(PlayTrack("song", 500.0))
        await memory.saver.flush()
        room.apply(PlayTrack("song", 900.0))
        room.apply(PauseTrack("song", 910.0))
        expected = [910.0, 500.0, 100.0]
        assert await self.positions(memory) == expected
        await memory.saver.flush()
        assert await self.positions(memory) == expected
        await memory.restart(killed=True)
        assert await self.positions(memory) == expected
        assert await self.positions(memory, "other") == []

    async def test_a_stop_point_saved_while_it_is_asked_for_is_listed_once(
        self, memory: ServerMemory
    ) -> None:
        room = await memory.loader.room("ada")
        for position in (100.0, 200.0, 300.0):
            room.apply(PauseTrack("song", position))
        unsaved = room.stop_points.unsaved
        assert len(unsaved) == 2
        await memory.saver.flush()
        room.stop_points.unsaved = unsaved  # as of when the file was asked
        assert await self.positions(memory) == [each.position for each in reversed(unsaved)]

    async def test_at_most_twenty_positions_are_listed(self, memory: ServerMemory) -> None:
        room = await memory.loader.room("ada")
        for number in range(2 * POSITIONS_KEPT):
            room.apply(PlayTrack("song", 100.0 * (number + 1)))
            memory.clock.advance(1.0)
            if number == POSITIONS_KEPT:
                await memory.saver.flush()
        assert len(await self.positions(memory)) == POSITIONS_KEPT == 20
        assert (await self.positions(memory))[0] == 3901.0
