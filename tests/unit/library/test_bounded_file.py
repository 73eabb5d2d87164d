"""A damaged file is read within bounds of bytes and processor time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audiostream.library.bounded_file import (
    MAX_READ_CALLS,
    MAX_READ_LENGTH,
    BoundedFile,
    FileView,
    ReadLimitExceeded,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000) + b"needle" + bytes(200_000) + b"end")
    return str(path)


def test_a_bounded_file_is_read_at_any_offset(path: str) -> None:
    with BoundedFile(path) as file:
        assert file.size == 300_009
        assert file.read_at(100_000, 6) == b"needle"
        assert file.read_at(99_999, 3) == b"\0ne"
        assert file.read_at(300_006, 99) == b"end"
        assert file.read_at(400_000, 9) == b""


def test_a_pattern_is_found_across_the_windows_of_a_bounded_file(path: str) -> None:
    with BoundedFile(path) as file:
        for start in (0, 100_000, 100_000 - 65_536 + 3):
            assert file.find(b"needle", start, file.size) == 100_000
        assert file.find(b"needle", 0, 100_000) == -1
        assert file.find(b"needle", 100_001, file.size) == -1
        assert file.find(b"end", 0, file.size) == 300_006


def test_a_file_view_begins_at_its_offset(path: str) -> None:
    with BoundedFile(path) as file:
        view = FileView(file, 100_000)
        assert (view.read(6), view.tell()) == (b"needle", 6)
        assert view.seek(-3, os.SEEK_END) == 200_006
        assert view.read() == b"end"
        assert view.seek(2) + view.seek(2, os.SEEK_CUR) == 6
        assert view.read(2) == b"le"
        with pytest.raises(OSError, match="before"):
            view.seek(-1)


def test_a_read_longer_than_the_limit_is_refused_before_memory_is_allocated(path: str) -> None:
    with BoundedFile(path) as file:
        with pytest.raises(ReadLimitExceeded):
            file.read_at(0, MAX_READ_LENGTH + 1)
        with pytest.raises(ReadLimitExceeded):
            file.read_at(-1, 1)


def test_a_file_view_refuses_reads_above_the_number_that_it_allows(path: str) -> None:
    with BoundedFile(path) as file:
        view = FileView(file)
        for _ in range(MAX_READ_CALLS):
            view.read(0)
        with pytest.raises(ReadLimitExceeded):
            view.read(0)


def test_a_file_view_with_a_budget_refuses_a_read_beyond_it_and_keeps_the_rest(path: str) -> None:
    with BoundedFile(path) as file:
        view = FileView(file, max_bytes=100)
        assert view.read(60) == bytes(60)
        with pytest.raises(ReadLimitExceeded):
            view.read(41)
        assert view.read() == bytes(40)
        assert view.read() == b""


def test_a_bounded_file_refuses_reads_above_its_bytes_and_its_processor_time(
    tmp_path: Path,
) -> None:
    path, now = tmp_path / "large", 0.0
    with path.open("wb") as large:
        large.truncate(2**33)
    with BoundedFile(str(path), clock=lambda: now) as file, pytest.raises(ReadLimitExceeded):
        file.find(b"\xff", 0, file.size)
    with BoundedFile(str(path), clock=lambda: now) as file:
        file.read_at(0, 1)
        now = 10.0
        assert file.read_at(100, 1) == b"\0"
        with pytest.raises(ReadLimitExceeded):
            file.read_at(10**6, 1)


def test_links_pipes_and_folders_are_not_opened_as_bounded_files(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(path)
    for name in ("pipe", "link", "none", "."):
        with pytest.raises(OSError, match=r"."):
            BoundedFile(str(tmp_path / name))
