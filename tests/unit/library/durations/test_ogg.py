"""Durations of Ogg files: by the positions of their pages, or none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.durations import duration_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_an_ogg_file_that_lacks_its_beginning_or_is_damaged_has_no_duration(path: Path) -> None:
    def page(kind: int, position: int, packet: bytes) -> bytes:
        table = bytes([*[255] * (len(packet) // 255), len(packet) % 255])
        head = struct.pack("<4sBBQIIIB", b"OggS", 0, kind, position, 7, 0, 0, len(table))
        return head + table + packet

    head = page(2, 0, b"OpusHead\1\2" + struct.pack("<H", 312) + bytes(7))
    pages = [page(0, 48_000 * second + 312, bytes(600)) for second in range(1, 31)]
    assert duration_of(path, head + b"".join(pages)) == 30.0
    assert duration_of(path, head + b"".join(pages[15:])) is None
    assert duration_of(path, head + b"".join(pages[:9]) + bytes(9999)) is None
