"""Durations of WAV files: of the audio that is there, or none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.support.durations import duration_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def wav(format_tag: int, data: bytes, claimed: int) -> bytes:
    """Eight thousand bytes a second."""
    form = struct.pack("<HHIIHH", format_tag, 1, 8000, 8000, 1, 8)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", claimed)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks + data


@pytest.mark.parametrize("claimed", [80_000, 0xFFFFFFFF, 160_000])
def test_a_wav_file_lasts_as_long_as_the_bytes_that_are_there(path: Path, claimed: int) -> None:
    assert duration_of(path, wav(1, bytes(80_000), claimed)) == 10.0


def test_a_compressed_wav_file_has_no_duration(path: Path) -> None:
    assert duration_of(path, wav(0x11, bytes(80_000), 80_000)) is None
