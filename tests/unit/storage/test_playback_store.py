"""Users' playback in the state file."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.storage.playback_store import PlaybackStore, StoredUser
from audiostream.storage.stop_points import POSITIONS_KEPT
from tests.support.state_files import (
    PAUSED,
    PLAYING,
    pending,
    save,
    stop_points_kept,
)
from tests.support.waiting import PATIENCE


class TestSave:
    def test_an_unknown_user_loads_as_a_new_one(self, store: PlaybackStore) -> None:
        assert store.load("ada") == StoredUser()

    def test_a_paused_state_is_loaded_as_it_was_saved(self, store: PlaybackStore) -> None:
        save(store, PAUSED)
        state = store.load("ada").state
        assert (state.track_id, state.position, state.is_playing) == ("song", 10.0, False)
        assert (state.playback_rate, state.rev, state.updated_at) == (1.5, 7, 99.0)
        assert state.active_device is not None
        assert state.active_device.device_id == "phone"

    def test_a_playing_state_is_loaded_paused_with_a_stop_point_at_its_position(
        self, store: PlaybackStore
    ) -> None:
        save(store, PLAYING, now=104.0)
        saved = store.load("ada")
        assert (saved.state.position, saved.state.is_playing, saved.state.rev) == (16.0, False, 8)
        assert saved.stop_points == (StopPoint("song", 16.0, 99.0),)

    def test_the_loaded_active_device_is_not_a_connected_one(self, store: PlaybackStore) -> None:
        save(store, PLAYING)
        assert store.load("ada").state.active_device == DeviceRef(0, "phone")

    def test_a_state_without_a_track_is_not_stored(self, store: PlaybackStore) -> None:
        save(store, State())
        assert store.load("ada") == StoredUser()

    def test_the_latest_stop_points_of_each_track_are_kept(
        self, store: PlaybackStore, path: Path
    ) -> None:
        for at in range(POSITIONS_KEPT + 5):
            save(
                store,
                PLAYING,
                StopPoint("song", float(at), float(at)),
                StopPoint("b", 1.0, float(at)),
            )
        assert store.stop_point("ada", "song") == POSITIONS_KEPT + 4.0
        assert store.stop_point("ada", "b") == 1.0
        assert stop_points_kept(path)["song"] == POSITIONS_KEPT

    def test_one_users_state_is_not_loaded_for_another(self, store: PlaybackStore) -> None:
        save(store, PLAYING, StopPoint("song", 9.0, 1.0))
        assert store.load("bob") == StoredUser()

    def test_a_batch_is_stored_whole_or_not_at_all(self, store: PlaybackStore) -> None:
        bad = State(track_id="song", position=float("nan"), rev=1)  # NOT NULL: SQLite keeps no NaN
        with pytest.raises(sqlite3.IntegrityError):
            store.save([pending("ada", PLAYING), pending("bob", bad)])
        assert store.load("ada") == StoredUser()

    def test_a_state_survives_closing_the_file(self, path: Path) -> None:
        with closing(PlaybackStore(path)) as store:
            save(store, PLAYING)
        with closing(PlaybackStore(path)) as store:
            assert store.load("ada").state.rev == 8

    def test_a_store_in_memory_loads_what_it_saved(self) -> None:
        with closing(PlaybackStore(None)) as store:
            save(store, PLAYING)
            assert store.load("ada").state.rev == 8

    def test_only_the_owner_may_read_the_file(self, store: PlaybackStore, path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class TestClose:
    def test_it_waits_for_a_read_on_another_thread(self, path: Path) -> None:
        store = PlaybackStore(path)
        played = (PlayedTrack("song", 1.0), PlayedTrack("other", 2.0))
        store.save([pending("ada", PLAYING, played=played)])
        reached, go_on = threading.Event(), threading.Event()

        def is_listed(track_id: str) -> bool:
            reached.set()
            return go_on.wait(PATIENCE)

        with ThreadPoolExecutor(2) as threads:
            reading = threads.submit(store.history, "ada", (), is_listed, 50)
            assert reached.wait(PATIENCE)
            being_closed = threads.submit(store.close)
            with pytest.raises(TimeoutError):
                being_closed.result(0.05)
            go_on.set()
            assert [each.track_id for each in reading.result(PATIENCE)] == ["other", "song"]
            being_closed.result(PATIENCE)

    @pytest.mark.parametrize(
        "read",
        [
            lambda store: store.load("ada"),
            lambda store: store.stop_point("ada", "song"),
            lambda store: store.stop_points("ada", "song"),
            lambda store: store.history("ada", (), lambda _: True, 50),
        ],
        ids=["load", "stop_point", "stop_points", "history"],
    )
    def test_reads_that_race_it_end_with_an_answer_or_an_error(
        self, tmp_path: Path, read: Callable[[PlaybackStore], object]
    ) -> None:
        """Without the lock SQLite crashes the process within some of these rounds."""
        for _ in range(50):
            store = PlaybackStore(tmp_path / "state.sqlite3")
            has_begun = threading.Event()

            def read_until_closed(store: PlaybackStore, has_begun: threading.Event) -> None:
                while True:
                    has_begun.set()
                    try:
                        read(store)
                    except sqlite3.ProgrammingError:
                        return

            with ThreadPoolExecutor(1) as thread:
                reading = thread.submit(read_until_closed, store, has_begun)
                assert has_begun.wait(PATIENCE)
                store.close()
                reading.result(PATIENCE)
