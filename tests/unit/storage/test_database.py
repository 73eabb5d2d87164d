"""Which files are refused, and which are migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.playback.queue import EMPTY_QUEUE, Queue
from audiostream.storage import database
from audiostream.storage.database import SCHEMA_VERSION
from audiostream.storage.playback_store import PlaybackStore
from tests.support.state_files import (
    PLAYING,
    SCHEMA_1,
    SCHEMA_2,
    SCHEMA_3,
    pending,
    save,
)


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"not a database at all, but long enough to be one", "damaged"),
            (b"SQLite format 3\0" * 99, "damaged"),
        ],
    )
    def test_a_damaged_file_is_refused_and_left_as_it_is(
        self, path: Path, content: bytes, says: str
    ) -> None:
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(StoreError, match=says):
            PlaybackStore(path)
        assert path.read_bytes() == content

    def test_a_file_damaged_in_the_middle_is_refused_and_left_as_it_is(self, path: Path) -> None:
        with closing(PlaybackStore(path)) as store:
            for number in range(500):
                save(store, PLAYING, user_id=f"user{number}")
        content = bytearray(path.read_bytes())
        content[8192:12288] = b"\xaa" * 4096
        path.write_bytes(content)
        with pytest.raises(StoreError, match="damaged"):
            PlaybackStore(path)
        assert path.read_bytes() == content

    def test_a_file_of_a_newer_schema_is_refused_and_left_as_it_is(self, path: Path) -> None:
        PlaybackStore(path).close()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"newer audiostream \(schema 99\)"):
            PlaybackStore(path)
        assert path.read_bytes() == before

    def test_another_programs_file_is_refused_and_left_as_it_is(self, path: Path) -> None:
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE bookmarks (url)")
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program's"):
            PlaybackStore(path)
        assert path.read_bytes() == before

    def test_a_file_in_use_is_refused_and_the_server_goes_on(
        self, store: PlaybackStore, path: Path
    ) -> None:
        with pytest.raises(StoreError, match="in use by another server"):
            PlaybackStore(path)
        save(store, PLAYING)

    def test_a_path_where_no_file_can_be_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for place in (tmp_path / "file" / "state", tmp_path):
            with pytest.raises(StoreError, match="cannot be used"):
                PlaybackStore(place)

    def test_a_file_is_unlocked_after_a_failed_open(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(path: Path | None) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(database, "connect", broken)
        with pytest.raises(StoreError, match="disk I/O error"):
            PlaybackStore(path)
        monkeypatch.undo()
        PlaybackStore(path).close()

    def test_an_empty_file_becomes_a_state_file(self, path: Path) -> None:
        path.parent.mkdir()
        path.touch()
        PlaybackStore(path).close()
        PlaybackStore(path).close()

    def test_a_schema_that_cannot_be_created_leaves_no_open_connection(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "_MIGRATIONS", ("CREATE TABLE broken (;",))
        with pytest.raises(StoreError):
            PlaybackStore(path)


class TestMigrationFromSchema1:
    def test_a_migration_keeps_everything(self, path: Path) -> None:
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA_1)
        for _ in range(2):
            with closing(PlaybackStore(path)) as store:
                assert store.load("ada").state.rev == 7
                assert store.stop_point("ada", "song") == 10.0
                assert store.revocations.changed() == {"bob": 5.0}
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
            assert db.execute("SELECT count(*) FROM scanned").fetchone() == (0,)


class TestMigrationFromSchema2:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA_2)
        return path

    def test_a_migration_keeps_everything(self, path: Path) -> None:
        for _ in range(2):
            with closing(PlaybackStore(path)) as store:
                assert store.load("ada").state.rev == 7
                bob = store.load("bob")
                assert (bob.state.position, bob.state.rev) == (14.0, 4)
                assert bob.stop_points == (StopPoint("song", 14.0, 97.0),)
                assert store.stop_point("ada", "song") == 11.0
                assert store.stop_point("ada", "other") == 12.0
                assert store.stop_point("bob", "song") == 13.0
                assert store.stop_point("bob", "other") is None
                assert store.revocations.changed() == {"bob": 5.0}
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
            assert db.execute("SELECT count(*) FROM position").fetchone() == (4,)

    def test_a_stop_point_saved_after_the_migration_is_the_latest(self, path: Path) -> None:
        with closing(PlaybackStore(path)) as store:
            save(store, PLAYING, StopPoint("song", 50.0, 200.0))
            assert store.stop_point("ada", "song") == 50.0


class TestMigrationFromSchema3:
    """From a file of the last release with schema 3, which was killed while a track played."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA_3)
        return path

    def test_a_migration_keeps_everything(self, path: Path) -> None:
        for _ in range(2):
            with closing(PlaybackStore(path)) as store:
                ada, bob = store.load("ada"), store.load("bob")
                assert (ada.state.track_id, ada.state.position, ada.state.rev) == ("hers", 42.0, 6)
                assert (ada.state.is_interrupted, ada.stop_points) == (False, ())
                assert (bob.state.track_id, bob.state.rev) == ("song", 2)
                assert bob.state.is_interrupted
                assert bob.state.position == pytest.approx(7.68, abs=0.01)
                assert bob.reached_at == pytest.approx(1795726325.919)
                assert ada.state.queue == bob.state.queue == EMPTY_QUEUE
                positions = [each.position for each in store.stop_points("ada", "song")]
                assert positions == pytest.approx([50.0, 10.0], abs=0.01)
                assert list(store.revocations.changed() or ()) == ["cleo"]
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
            assert db.execute("SELECT count(*) FROM scanned").fetchone() == (3,)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def test_the_history_begins_with_the_tracks_that_were_stopped_in_or_are_current(
        self, path: Path
    ) -> None:
        with closing(PlaybackStore(path)) as store:
            ada = store.history("ada", (), lambda _: True, 50)
            assert [each.track_id for each in ada] == ["hers", "other", "song"]
            assert [each.position for each in ada] == pytest.approx([42.0, 25.0, 50.0], abs=0.01)
            assert [each.played_at for each in ada] == sorted(
                (each.played_at for each in ada), reverse=True
            )
            bob = store.history("bob", (), lambda _: True, 50)
            assert [(each.track_id, each.position) for each in bob] == [("song", None)]

    def test_a_migrated_file_takes_queues_states_and_history(self, path: Path) -> None:
        queue = Queue(("song", "other"), 1, "all")
        with closing(PlaybackStore(path)) as store:
            state = State(track_id="other", rev=7, queue=queue, active_device=DeviceRef(1, "phone"))
            store.save([pending("ada", state, played=(PlayedTrack("other", 5.0),))])
        with closing(PlaybackStore(path)) as store:
            assert store.load("ada").state.queue == queue
            entries = store.history("ada", (), lambda _: True, 50)
            assert [each.track_id for each in entries] == ["other", "hers", "song"]

    @pytest.mark.parametrize("schema", [SCHEMA_1, SCHEMA_2, SCHEMA_3])
    def test_an_interrupted_migration_leaves_the_old_file(
        self, tmp_path: Path, schema: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "old.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(schema)
        with closing(sqlite3.connect(path)) as db:
            before = list(db.iterdump())
        steps = database._MIGRATIONS
        monkeypatch.setattr(database, "_MIGRATIONS", (*steps[:-1], f"{steps[-1]} SELECT broken();"))
        with pytest.raises(StoreError):
            PlaybackStore(path)
        with closing(sqlite3.connect(path)) as db:
            assert list(db.iterdump()) == before
        monkeypatch.undo()
        with closing(PlaybackStore(path)) as store:
            assert store.load("ada").state.rev >= 6
