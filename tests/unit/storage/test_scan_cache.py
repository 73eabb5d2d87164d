"""What the last scan found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from audiostream.errors import StoreError
from audiostream.library.tag_cache import ScanRow
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.scan_cache import ScanCache
from tests.support.state_files import (
    PLAYING,
    save,
)

ROWS: list[ScanRow] = [
    ("a/one.mp3", "d2.5.7", "One", None, "Album", 1.5, "Artist", 1, 12),
    ("two.wav", "", None, None, None, None, None, None, None),
]


class TestScanCache:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "media"

    def kept(self, path: Path, folder: Path, rows: list[ScanRow] = ROWS) -> None:
        cache = ScanCache(path, folder)
        cache.load()
        cache.save(rows)

    @pytest.mark.usefixtures("store")
    def test_the_rows_of_a_scan_survive_a_restart(self, path: Path, folder: Path) -> None:
        self.kept(path, folder)
        assert ScanCache(path, folder).load() == ROWS

    def test_the_rows_of_a_scan_are_kept_in_a_file_that_is_created_for_them(
        self, tmp_path: Path, folder: Path
    ) -> None:
        path = tmp_path / "new" / "state.sqlite3"
        ScanCache(path, folder).create()
        self.kept(path, folder)
        cache = ScanCache(path, folder)
        cache.create()
        assert cache.load() == ROWS
        assert path.stat().st_mode & 0o777 == 0o600

    def test_a_database_of_another_program_is_left_as_it_is(
        self, tmp_path: Path, folder: Path
    ) -> None:
        path = tmp_path / "other.sqlite3"
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE theirs (a)")
        content, cache = path.read_bytes(), ScanCache(path, folder)
        with pytest.raises(StoreError, match="another program's"):
            cache.create()
        assert cache.load() == []
        cache.save(ROWS)
        assert path.read_bytes() == content

    @pytest.mark.usefixtures("store")
    def test_the_rows_of_the_next_scan_replace_those_before(self, path: Path, folder: Path) -> None:
        cache = ScanCache(path, folder)
        assert cache.load() == []
        changed: ScanRow = ("a/one.mp3", "d2.7.7", "One", None, None, 2.0, None, None, 3)
        for rows in (ROWS, [changed], [changed], [*ROWS[1:], changed], []):
            cache.save(rows)
            assert ScanCache(path, folder).load() == sorted(rows)

    def test_rows_that_did_not_change_are_not_written(
        self, store: PlaybackStore, path: Path, folder: Path
    ) -> None:
        self.kept(path, folder)
        store.revocations.changed()
        self.kept(path, folder)
        assert store.revocations.changed() is None

    @pytest.mark.usefixtures("store")
    def test_the_rows_of_another_folder_are_not_loaded(self, path: Path, folder: Path) -> None:
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
    def test_a_damaged_table_loads_as_empty_and_is_made_again(
        self, store: PlaybackStore, path: Path, folder: Path, damage: str
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
    def test_an_invalidated_cache_is_written_again(self, path: Path, folder: Path) -> None:
        self.kept(path, folder)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE scanned SET duration = 'yesterday'")
        cache = ScanCache(path, folder)
        cache.load()
        cache.invalidate()
        cache.save(ROWS)
        assert ScanCache(path, folder).load() == ROWS

    def test_a_cache_without_a_file_keeps_nothing(self, folder: Path) -> None:
        cache = ScanCache(None, folder)
        cache.save(ROWS)
        assert cache.load() == []
