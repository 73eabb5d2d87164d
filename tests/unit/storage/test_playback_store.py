"""Users' playback in the state file."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from audiostream.playback.rules import DeviceRef, Left, State
from audiostream.storage.playback_store import PlaybackStore, StoredUser
from audiostream.storage.stop_points import POSITIONS_KEPT
from tests.support.state_files import (
    PAUSED,
    PLAYING,
    pending,
    save,
    stop_points_kept,
)


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
        assert saved.stop_points == (Left("song", 16.0, 99.0),)

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
            save(store, PLAYING, Left("song", float(at), float(at)), Left("b", 1.0, float(at)))
        assert store.stop_point("ada", "song") == POSITIONS_KEPT + 4.0
        assert store.stop_point("ada", "b") == 1.0
        assert stop_points_kept(path)["song"] == POSITIONS_KEPT

    def test_one_users_state_is_not_loaded_for_another(self, store: PlaybackStore) -> None:
        save(store, PLAYING, Left("song", 9.0, 1.0))
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
