"""Durations of FLAC files: that of STREAMINFO where the last frame agrees, or none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.durations import duration_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def crc_8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value


def flac(frames: int, claimed: int) -> bytes:
    """Frames of 4096 samples at 44,100 Hz, and a header that claims a number of samples."""
    rate = (44_100 << 44 | 1 << 41 | 15 << 36 | claimed).to_bytes(8, "big")
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + rate + bytes(16)
    head = b"fLaC\x80" + len(info).to_bytes(3, "big") + info
    for number in range(frames):
        frame = bytes([0xFF, 0xF8, 0xC9, 0x18]) + chr(number).encode()
        head += frame + bytes([crc_8(frame)]) + bytes(500)
    return head


def test_a_flac_file_whose_last_frame_agrees_has_the_duration_of_its_header(path: Path) -> None:
    samples = 500 * 4096
    assert duration_of(path, flac(500, samples)) == pytest.approx(samples / 44_100, abs=0.001)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_flac_file_cut_short_has_no_duration(path: Path, kept: float) -> None:
    content = flac(500, 500 * 4096)
    assert duration_of(path, content[: round(len(content) * kept)]) is None


def test_joined_flac_files_have_no_duration(path: Path) -> None:
    assert duration_of(path, flac(500, 500 * 4096) * 2) is None
