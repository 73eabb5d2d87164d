"""Durations of MP4 files: that of the movie header, or none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.durations import duration_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_an_mp4_file_without_a_known_duration_or_cut_short_has_none(path: Path) -> None:
    def movie(units: bytes) -> bytes:
        head = bytes(12) + struct.pack(">I", 1000) + units + bytes(80)
        box = struct.pack(">I4s", len(head) + 8, b"mvhd") + head
        moov = struct.pack(">I4s", len(box) + 8, b"moov") + box
        return b"\0\0\0\x18ftypM4A " + bytes(12) + moov

    assert duration_of(path, movie(struct.pack(">I", 61_000))) == 61.0
    assert duration_of(path, movie(b"\xff" * 4)) is None
    assert duration_of(path, movie(struct.pack(">I", 61_000))[:-1]) is None
