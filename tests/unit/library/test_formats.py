"""The table of audio formats: suffixes, media types and signatures."""

from __future__ import annotations

import pytest

from audiostream.library.formats import (
    AUDIO_TYPES,
    FORMATS,
    UNSUPPORTED_SUFFIXES,
    detect_format,
    media_type,
    suffix_of,
)


def test_a_suffix_is_either_supported_or_unsupported_and_in_lower_case() -> None:
    assert not AUDIO_TYPES.keys() & UNSUPPORTED_SUFFIXES
    assert all(
        suffix == suffix_of(f"x{suffix}") for suffix in (*AUDIO_TYPES, *UNSUPPORTED_SUFFIXES)
    )


def test_no_suffix_is_in_two_rows_of_the_table() -> None:
    assert len(AUDIO_TYPES) == sum(len(row.media_types) for row in FORMATS)


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"fLaC\0\0\0\x22", ".flac"),
        (b"OggS\0\2", ".opus"),
        (b"\0\0\0\x18ftypM4A ", ".m4b"),
        (b"RIFF\1\2\3\4WAVE", ".wav"),
        (b"\x1aE\xdf\xa3", ".weba"),
        (b"\xff\xfb\x90\0", ".mp3"),
        (b"RIFF\1\2\3\4AVI ", ".mp3"),
        (b"", ".mp3"),
    ],
)
def test_a_format_is_detected_by_its_signature_and_is_mpeg_otherwise(
    head: bytes, suffix: str
) -> None:
    assert suffix in detect_format(head).media_types


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Book.m4b", "audio/mp4"),
        ("RING.M4R", "audio/mp4"),
        ("a.mpga", "audio/mpeg"),
        ("a.wave", "audio/wav"),
        ("a.weba", "audio/webm"),
        ("a.adts", "audio/aac"),
        ("a.opus", "audio/ogg; codecs=opus"),
        ("/folder/....mp3", "audio/mpeg"),
        ("/folder.mp3/a", "application/octet-stream"),
        ("a.html", "application/octet-stream"),
    ],
)
def test_the_media_type_of_a_file_depends_on_its_suffix_alone(name: str, expected: str) -> None:
    assert media_type(name) == expected
