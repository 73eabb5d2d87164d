"""The state file: what is kept, what is refused, and what is never overwritten."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.storage import playback_store as store_module
from audiostream.storage.playback_store import (
    GONE_FOR,
    POSITIONS_KEPT,
    SCHEMA_VERSION,
    TRACKS_KEPT,
    Saved,
    ScanCache,
    ScanRow,
    Store,
    Unsaved,
    revoke,
)

PLAYING = State(
    track_id="song",
    duration=60.0,
    position=10.0,
    anchored_at=100.0,
    is_playing=True,
    playback_rate=1.5,
    rev=7,
    updated_at=99.0,
    active_device=DeviceRef(3, "phone"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def save(
    store: Store, state: State, *left: StopPoint, user_id: str = "ada", now: float = 100.0
) -> None:
    store.save([Unsaved(user_id, state, left, now)])


class TestKeeping:
    def test_an_unknown_user_has_nothing(self, store: Store) -> None:
        assert store.load("ada") == Saved()

    def test_a_paused_state_comes_back_as_it_was(self, store: Store) -> None:
        save(
            store,
            State(
                track_id="song",
                position=10.0,
                anchored_at=100.0,
                playback_rate=1.5,
                rev=7,
                updated_at=99.0,
                active_device=DeviceRef(3, "phone"),
            ),
        )
        state = store.load("ada").state
        assert (state.track_id, state.position, state.is_playing) == ("song", 10.0, False)
        assert (state.playback_rate, state.rev, state.updated_at) == (1.5, 7, 99.0)
        assert state.active_device is not None
        assert state.active_device.device_id == "phone"

    def test_a_playing_one_comes_back_paused_where_it_was_and_is_remembered_there(
        self, store: Store
    ) -> None:
        save(store, PLAYING, now=104.0)
        saved = store.load("ada")
        assert (saved.state.position, saved.state.is_playing, saved.state.rev) == (16.0, False, 8)
        assert saved.left == (StopPoint("song", 16.0, 99.0),)

    def test_the_restored_active_device_is_no_connected_one(self, store: Store) -> None:
        save(store, PLAYING)
        assert store.load("ada").state.active_device == DeviceRef(0, "phone")

    def test_what_nobody_ever_played_is_not_kept(self, store: Store) -> None:
        save(store, State())
        assert store.load("ada") == Saved()

    def test_the_last_positions_of_each_track(self, store: Store) -> None:
        for at in range(POSITIONS_KEPT + 5):
            save(
                store,
                PLAYING,
                StopPoint("song", float(at), float(at)),
                StopPoint("b", 1.0, float(at)),
            )
        assert store.position("ada", "song") == POSITIONS_KEPT + 4.0
        assert store.position("ada", "b") == 1.0
        count = "SELECT count(*) FROM position WHERE track_id = 'song'"
        assert store._db.execute(count).fetchone() == (POSITIONS_KEPT,)

    def test_users_do_not_mix(self, store: Store) -> None:
        save(store, PLAYING, StopPoint("song", 9.0, 1.0))
        assert store.load("bob") == Saved()

    def test_a_batch_is_kept_whole_or_not_at_all(self, store: Store) -> None:
        bad = State(track_id="song", position=float("nan"), rev=1)  # NOT NULL: SQLite keeps no NaN
        with pytest.raises(sqlite3.IntegrityError):
            store.save([Unsaved("ada", PLAYING, (), 100.0), Unsaved("bob", bad, (), 100.0)])
        assert store.load("ada") == Saved()

    def test_it_survives_closing(self, path: Path) -> None:
        with closing(Store(path)) as store:
            save(store, PLAYING)
        with closing(Store(path)) as store:
            assert store.load("ada").state.rev == 8

    def test_in_memory_it_ends_with_the_process(self) -> None:
        with closing(Store(None)) as store:
            save(store, PLAYING)
            assert store.load("ada").state.rev == 8

    def test_only_its_owner_may_read_it(self, store: Store, path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"not a database at all, but long enough to be one", "damaged"),
            (b"SQLite format 3\0" * 99, "damaged"),
        ],
    )
    def test_a_damaged_file(self, path: Path, content: bytes, says: str) -> None:
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(StoreError, match=says):
            Store(path)
        assert path.read_bytes() == content

    def test_a_file_damaged_in_the_middle(self, path: Path) -> None:
        with closing(Store(path)) as store:
            for number in range(500):
                save(store, PLAYING, user_id=f"user{number}")
        content = bytearray(path.read_bytes())
        content[8192:12288] = b"\xaa" * 4096
        path.write_bytes(content)
        with pytest.raises(StoreError, match="damaged"):
            Store(path)
        assert path.read_bytes() == content

    def test_a_newer_file(self, path: Path) -> None:
        Store(path).close()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 99")
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"newer audiostream \(schema 99\)"):
            Store(path)
        assert path.read_bytes() == before

    def test_another_programs_file(self, path: Path) -> None:
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE bookmarks (url)")
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program's"):
            Store(path)
        assert path.read_bytes() == before

    def test_a_file_in_use(self, store: Store, path: Path) -> None:
        with pytest.raises(StoreError, match="in use by another server"):
            Store(path)
        save(store, PLAYING)

    def test_a_place_where_no_file_can_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        for place in (tmp_path / "file" / "state", tmp_path):
            with pytest.raises(StoreError, match="cannot be used"):
                Store(place)

    def test_after_a_refusal_the_file_is_free(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(path: Path | None) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(store_module, "_connect", broken)
        with pytest.raises(StoreError, match="disk I/O error"):
            Store(path)
        monkeypatch.undo()
        Store(path).close()

    def test_an_empty_file_is_a_new_one(self, path: Path) -> None:
        path.parent.mkdir()
        path.touch()
        Store(path).close()
        Store(path).close()

    def test_a_schema_that_cannot_be_made_leaves_no_connection(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_module, "_SCHEMA", "CREATE TABLE broken (;")
        with pytest.raises(StoreError):
            Store(path)


class TestRevocations:
    def test_they_are_told_once_and_again_when_they_change(self, store: Store, path: Path) -> None:
        assert store.revocations() == {}
        assert store.revocations() is None
        revoke(path, "ada", 5.0)
        assert store.revocations() == {"ada": 5.0}
        assert store.revocations() is None
        revoke(path, "ada", 6.0)
        revoke(path, "bob", 7.0)
        assert store.revocations() == {"ada": 6.0, "bob": 7.0}

    def test_without_a_server_they_wait_for_one(self, path: Path) -> None:
        revoke(path, "ada", 5.0)
        with closing(Store(path)) as store:
            assert store.revocations() == {"ada": 5.0}

    def test_a_damaged_file_is_left_alone(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b"x" * 5000)
        with pytest.raises(StoreError):
            revoke(path, "ada", 5.0)
        with pytest.raises(StoreError, match="cannot be used"):
            revoke(path / "below", "ada", 5.0)


SCHEMA_1 = """
CREATE TABLE playback (
    user_id TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    position REAL NOT NULL,
    is_playing INTEGER NOT NULL,
    playback_rate REAL NOT NULL,
    rev INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    device_id TEXT
) WITHOUT ROWID;
CREATE TABLE position (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    left_at REAL NOT NULL,
    position REAL NOT NULL,
    PRIMARY KEY (user_id, track_id, left_at)
) WITHOUT ROWID;
CREATE TABLE revoked (
    user_id TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;
PRAGMA application_id = 1635083369;
PRAGMA user_version = 1;
INSERT INTO playback VALUES ('ada', 'song', 10.0, 0, 1.0, 7, 99.0, 'phone');
INSERT INTO position VALUES ('ada', 'song', 99.0, 10.0);
INSERT INTO revoked VALUES ('bob', 5.0);
"""


class TestAFileOfSchema1:
    def test_everything_in_it_stays(self, path: Path) -> None:
        path.parent.mkdir()
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA_1)
        for _ in range(2):
            with closing(Store(path)) as store:
                assert store.load("ada").state.rev == 7
                assert store.position("ada", "song") == 10.0
                assert store.revocations() == {"bob": 5.0}
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
            assert db.execute("SELECT count(*) FROM scanned").fetchone() == (0,)


SCHEMA_2 = (
    SCHEMA_1
    + """
CREATE TABLE scanned (
    folder TEXT NOT NULL,
    path TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    title TEXT,
    artist TEXT,
    album TEXT,
    duration REAL,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
PRAGMA user_version = 2;
INSERT INTO position VALUES ('ada', 'song', 100.0, 11.0);
INSERT INTO position VALUES ('ada', 'other', 98.0, 12.0);
INSERT INTO position VALUES ('bob', 'song', 97.0, 13.0);
INSERT INTO playback VALUES ('bob', 'song', 14.0, 1, 1.5, 3, 97.0, NULL);
"""
)


class TestAFileOfSchema2:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.sqlite3"
        with closing(sqlite3.connect(path)) as db:
            db.executescript(SCHEMA_2)
        return path

    def test_everything_in_it_stays(self, path: Path) -> None:
        for _ in range(2):
            with closing(Store(path)) as store:
                assert store.load("ada").state.rev == 7
                bob = store.load("bob")
                assert (bob.state.position, bob.state.rev) == (14.0, 4)
                assert bob.left == (StopPoint("song", 14.0, 97.0),)
                assert store.position("ada", "song") == 11.0
                assert store.position("ada", "other") == 12.0
                assert store.position("bob", "song") == 13.0
                assert store.position("bob", "other") is None
                assert store.revocations() == {"bob": 5.0}
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
            assert db.execute("SELECT count(*) FROM position").fetchone() == (4,)

    def test_what_is_saved_then_is_the_newest(self, path: Path) -> None:
        with closing(Store(path)) as store:
            save(store, PLAYING, StopPoint("song", 50.0, 200.0))
            assert store.position("ada", "song") == 50.0


def positions_kept(path: Path, user_id: str = "ada") -> dict[str, int]:
    """How many positions of each track the file has."""
    with closing(sqlite3.connect(path)) as db:
        return dict(
            db.execute(
                "SELECT track_id, count(*) FROM position WHERE user_id = ? GROUP BY track_id",
                (user_id,),
            ).fetchall()
        )


def review(store: Store, *existing: str, now: float = 0.0) -> None:
    """All of it, as after a scan that found these tracks."""
    place: tuple[str, str] | None = ("", "")
    while place is not None:
        place = store.review(place, lambda _, track_id: track_id in existing, now)


class TestWhatIsDropped:
    def test_of_more_tracks_than_are_kept_the_oldest(self, store: Store, path: Path) -> None:
        lefts = [StopPoint(f"track-{n}", 9.0, float(n)) for n in range(TRACKS_KEPT)]
        save(store, PLAYING, *lefts, StopPoint("track-0", 10.0, 5000.0))
        save(store, PLAYING, StopPoint("new", 11.0, 5001.0), StopPoint("newer", 12.0, 5002.0))
        kept = positions_kept(path)
        assert len(kept) == TRACKS_KEPT
        assert {"track-0", "track-3", "new", "newer"} <= kept.keys()
        assert not {"track-1", "track-2"} & kept.keys()

    def test_each_user_has_a_count_of_ones_own(self, store: Store, path: Path) -> None:
        for user_id in ("ada", "bob"):
            lefts = [StopPoint(f"track-{n}", 9.0, float(n)) for n in range(TRACKS_KEPT)]
            save(store, PLAYING, *lefts, user_id=user_id)
        assert len(positions_kept(path, "ada")) == len(positions_kept(path, "bob")) == TRACKS_KEPT

    def test_a_user_who_comes_no_more_is_reviewed_after_a_scan(
        self, store: Store, path: Path
    ) -> None:
        names = [f"track-{n}" for n in range(TRACKS_KEPT + 500)]
        save(store, PLAYING, *(StopPoint(name, 9.0, float(n)) for n, name in enumerate(names)))
        review(store, *names)
        assert positions_kept(path).keys() == set(names[-TRACKS_KEPT:])

    def test_a_track_that_is_gone_for_long(self, store: Store, path: Path) -> None:
        save(store, PLAYING, StopPoint("song", 9.0, 1.0), StopPoint("gone", 10.0, 2.0))
        review(store, "song", now=10.0)
        review(store, "song", now=9.0 + GONE_FOR)
        assert store.position("ada", "gone") == 10.0
        review(store, "song", now=10.0 + GONE_FOR)
        assert store.position("ada", "gone") is None
        assert positions_kept(path) == {"song": 1}

    def test_one_that_was_last_left_long_ago_is_not_dropped_when_its_disk_is_away(
        self, store: Store
    ) -> None:
        save(store, PLAYING, StopPoint("gone", 10.0, 0.0))
        review(store, "song", now=3 * GONE_FOR)
        assert store.position("ada", "gone") == 10.0

    def test_one_that_came_back_or_was_left_again_counts_from_the_start(self, store: Store) -> None:
        save(store, PLAYING, StopPoint("song", 9.0, 1.0), StopPoint("other", 10.0, 1.0))
        review(store, now=10.0)
        save(store, PLAYING, StopPoint("other", 11.0, 20.0))
        review(store, "song", now=GONE_FOR)
        review(store, now=10.0 + GONE_FOR)
        review(store, now=GONE_FOR + GONE_FOR - 1.0)
        assert store.position("ada", "song") == 9.0
        assert store.position("ada", "other") == 11.0

    def test_a_clock_that_was_far_ahead_makes_nothing_old(self, store: Store) -> None:
        save(store, PLAYING, StopPoint("gone", 10.0, 1.0))
        review(store, now=10 * GONE_FOR)
        review(store, now=10.0)
        review(store, now=GONE_FOR)
        assert store.position("ada", "gone") == 10.0

    def test_each_call_looks_at_a_part_alone(self, store: Store) -> None:
        names = [f"track-{n}" for n in range(1000)]
        save(store, PLAYING, *(StopPoint(name, 9.0, float(n)) for n, name in enumerate(names)))
        asked: list[str] = []

        def exists(user_id: str, track_id: str) -> bool:
            assert user_id == "ada"
            asked.append(track_id)
            return True

        place: tuple[str, str] | None = ("", "")
        while place is not None:
            before = len(asked)
            place = store.review(place, exists, 0.0)
            assert len(asked) - before <= 200
        assert sorted(asked) == sorted(names)


def test_after_the_clock_was_set_back_what_is_left_last_is_still_the_last(store: Store) -> None:
    save(store, PLAYING, StopPoint("song", 100.0, 5000.0))
    save(store, PLAYING, StopPoint("song", 200.0, 10.0))
    save(store, PLAYING, StopPoint("song", 300.0, 11.0))
    assert store.position("ada", "song") == 300.0


ROWS: list[ScanRow] = [
    ("a/one.mp3", "d2.5.7", "One", None, "Album", 1.5, "Artist", 1, 12),
    ("two.wav", "", None, None, None, None, None, None, None),
]


class TestWhatAScanFound:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "media"

    def kept(self, path: Path, folder: Path, rows: list[ScanRow] = ROWS) -> None:
        cache = ScanCache(path, folder)
        cache.load()
        cache.save(rows)

    @pytest.mark.usefixtures("store")
    def test_it_survives_a_restart(self, path: Path, folder: Path) -> None:
        self.kept(path, folder)
        assert ScanCache(path, folder).load() == ROWS

    @pytest.mark.usefixtures("store")
    def test_the_next_scan_takes_its_place(self, path: Path, folder: Path) -> None:
        cache = ScanCache(path, folder)
        assert cache.load() == []
        changed: ScanRow = ("a/one.mp3", "d2.7.7", "One", None, None, 2.0, None, None, 3)
        for rows in (ROWS, [changed], [changed], [*ROWS[1:], changed], []):
            cache.save(rows)
            assert ScanCache(path, folder).load() == sorted(rows)

    def test_what_is_already_kept_is_not_written_again(
        self, store: Store, path: Path, folder: Path
    ) -> None:
        self.kept(path, folder)
        store.revocations()
        self.kept(path, folder)
        assert store.revocations() is None

    @pytest.mark.usefixtures("store")
    def test_of_another_folder_nothing_is_known(self, path: Path, folder: Path) -> None:
        self.kept(path, folder)
        self.kept(path, folder / "other", ROWS[:1])
        assert ScanCache(path, folder / "other").load() == ROWS[:1]
        assert ScanCache(path, folder).load() == []

    @pytest.mark.parametrize(
        "damage",
        [
            "DROP TABLE scanned",
            "ALTER TABLE scanned DROP COLUMN identity",
            "UPDATE scanned SET title = CAST(x'ff' AS TEXT)",
        ],
    )
    def test_in_disorder_it_is_nothing_and_is_made_anew(
        self, store: Store, path: Path, folder: Path, damage: str
    ) -> None:
        save(store, PLAYING)
        self.kept(path, folder)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(damage)
        assert ScanCache(path, folder).load() == []
        self.kept(path, folder)
        assert ScanCache(path, folder).load() == ROWS
        assert store.load("ada").state.rev == 8

    @pytest.mark.usefixtures("store")
    def test_one_that_is_distrusted_is_written_anew(self, path: Path, folder: Path) -> None:
        self.kept(path, folder)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE scanned SET duration = 'yesterday'")
        cache = ScanCache(path, folder)
        cache.load()
        cache.distrust()
        cache.save(ROWS)
        assert ScanCache(path, folder).load() == ROWS

    def test_without_a_file_nothing_is_kept(self, folder: Path) -> None:
        cache = ScanCache(None, folder)
        cache.save(ROWS)
        assert cache.load() == []
