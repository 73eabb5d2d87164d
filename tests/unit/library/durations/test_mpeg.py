"""Durations of MPEG audio and ADTS: right within 5 %, or none."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.audio_files import MPEG_RATE, adts_frames, id3_of, id3v1, mpeg_frames
from tests.support.durations import duration_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_frames_of_mp3_between_tags_are_counted(path: Path) -> None:
    content = id3_of(TIT2="a") + mpeg_frames(500) + id3v1(b"a")
    assert duration_of(path, content) == pytest.approx(500 * 1152 / MPEG_RATE, rel=0.01)


def test_a_tag_between_two_joined_mp3_files_is_not_counted_as_audio(path: Path) -> None:
    cover = id3_of(TIT2="a", TXXX="x" * 200_000)
    content = mpeg_frames(500) + cover + mpeg_frames(500)
    assert duration_of(path, content) == pytest.approx(1000 * 1152 / MPEG_RATE, rel=0.01)


@pytest.mark.parametrize("others", [50, 200, 2000])
def test_a_part_of_another_bitrate_in_an_mp3_file_counts_with_its_own_length(
    path: Path, others: int
) -> None:
    frames = mpeg_frames(1000) + mpeg_frames(others, bitrate_index=14) + mpeg_frames(1000)
    content = frames
    assert duration_of(path, content) == pytest.approx((2000 + others) * 1152 / MPEG_RATE, rel=0.01)


def test_a_xing_header_that_contradicts_the_size_of_the_file_is_ignored(path: Path) -> None:
    frames = bytearray(mpeg_frames(500))
    frames[36:52] = b"Xing" + struct.pack(">III", 3, 10_000, 4_000_000)
    assert duration_of(path, bytes(frames)) == pytest.approx(500 * 1152 / MPEG_RATE, rel=0.01)
    frames[36:52] = b"Xing" + struct.pack(">III", 3, 499, len(frames))
    assert duration_of(path, bytes(frames)) == pytest.approx(499 * 1152 / MPEG_RATE, rel=0.001)


@pytest.mark.parametrize("tags", [id3v1(b"a") * 2, id3v1(b"a") * 3, id3_of(TIT2="a") + id3v1(b"a")])
def test_frames_before_several_tags_at_the_end_of_an_mp3_file_are_counted(
    path: Path, tags: bytes
) -> None:
    assert duration_of(path, mpeg_frames(100) + tags) == pytest.approx(
        100 * 1152 / MPEG_RATE, rel=0.01
    )


def test_frames_of_adts_are_counted(path: Path) -> None:
    content = id3_of(TIT2="a") + adts_frames(2584)
    assert duration_of(path, content) == pytest.approx(60.0, rel=0.001)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfb\x90",
        bytes(100_000),
        b"<html>" + b"text " * 10_000,
        b"\xff" * 100_000,
        b"\xff\xfb\x90\x00" * 25_000,
        mpeg_frames(20) + bytes(100_000),
        bytes(2_000_000) + mpeg_frames(50),
        b"OggS" + bytes(100),
        b"fLaC" + bytes(100),
        b"fLaC\0\0\0\x22\x10\0\x10\0" + bytes(6) + b"\x0a\xc4\x42\xf0\0\1\0\0" + bytes(99),
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\0\1\0\0" + bytes(256),
        b"\0\0\0\x18ftypM4A " + bytes(12) + b"\0\0\0\x08moov",
        b"\0\0\0\x18ftypM4A " + bytes(12) + b"\xff\xff\xff\xffmoov" + bytes(99),
        b"\0\0\0\x18ftypM4A " + bytes(12) + b"\0\0\0\x74moov\0\0\0\x6cmvhd" + bytes(100),
        b"\x1aE\xdf\xa3webm" + bytes(999),
    ],
)
def test_a_file_without_audio_has_no_duration(path: Path, content: bytes) -> None:
    assert duration_of(path, content) is None


@given(
    count=st.integers(3, 200),
    bitrate_index=st.sampled_from([1, 5, 9, 14]),
    tag=st.integers(0, 3000),
    has_v1=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_mp3_file_of_one_bitrate_lasts_as_long_as_its_frames_whatever_its_tags(
    path: Path, count: int, bitrate_index: int, tag: int, has_v1: bool
) -> None:
    end = id3v1(b"a") if has_v1 else b""
    content = id3_of(TIT2="x" * tag) + mpeg_frames(count, bitrate_index) + end
    expected = count * 1152 / MPEG_RATE
    assert duration_of(path, content) == pytest.approx(expected, rel=0.01)
