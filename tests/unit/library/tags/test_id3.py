"""ID3 tags are read right, or not at all, whatever program wrote them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from audiostream.library.library import Library
from audiostream.library.tracks import Track
from tests.support.audio_files import frame, id3, id3_of, id3v1, mpeg_frames, synchsafe, text_frame

AUDIO = mpeg_frames(40)


def track_of(folder: Path, content: bytes, name: str = "name.mp3") -> Track:
    """The only track of a folder with one file."""
    (folder / name).write_bytes(content)
    library = Library(folder)
    library.scan()
    [track] = library.tracks_for(None)
    return track


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
def test_texts_of_id3v2_are_read_in_every_version_and_encoding(
    tmp_path: Path, version: int, encoding: int
) -> None:
    texts = {"TIT2": "Élan", "TPE1": "Ada", "TALB": "Dreams", "TPE2": "Everyone"}
    tag = id3_of(version, encoding, **texts, TRCK="3/12", TPOS="2")
    track = track_of(tmp_path, tag + AUDIO)
    assert (track.title, track.artist, track.album) == ("Élan", "Ada", "Dreams")
    assert (track.album_artist, track.track_number, track.disc) == ("Everyone", 3, 2)


def test_a_title_of_id3v2_2_is_read(tmp_path: Path) -> None:
    content = text_frame("TT2", "Old", 0)
    frames = b"TT2" + struct.pack(">I", len(content))[1:] + content
    assert track_of(tmp_path, id3(frames, version=2) + AUDIO).title == "Old"


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Björk: Jóga".encode(), "Björk: Jóga"),
        ("Ночь".encode(), "Ночь"),
        ("Café".encode("latin-1"), "Café"),
        (b"Don\x92t", "Don\u2019t"),
        # 30 bytes, of which the last is half a character
        (("x" * 28 + "éé").encode()[:30], "x" * 28 + "é"),
        (("é" + "x" * 27 + "é").encode()[:30], "é" + "x" * 27),
        (("x" * 29 + "é").encode("latin-1"), "x" * 29 + "é"),
        (b"Cut\0rubbish", "Cut"),
    ],
)
def test_texts_of_id3v1_are_read_in_utf_8_latin_1_and_windows_1252(
    tmp_path: Path, title: bytes, shown: str
) -> None:
    track = track_of(tmp_path, AUDIO + id3v1(title, number=7))
    assert (track.title, track.track_number) == (shown, 7)


def test_fields_of_id3v2_take_precedence_over_those_of_id3v1(tmp_path: Path) -> None:
    track = track_of(tmp_path, id3_of(TIT2="New") + AUDIO + id3v1(b"Old", b"Artist"))
    assert (track.title, track.artist) == ("New", "Artist")


def test_utf_8_that_is_declared_as_latin_1_is_read_as_utf_8(tmp_path: Path) -> None:
    tag = id3(frame("TIT2", b"\0" + "Sigur Rós: ágætis".encode()))
    assert track_of(tmp_path, tag + AUDIO).title == "Sigur Rós: ágætis"


def test_a_text_whose_bytes_are_not_in_its_encoding_is_ignored(tmp_path: Path) -> None:
    tag = id3(frame("TIT2", b"\3\xff\xfebroken\xc3") + frame("TPE1", b"\3Ada"))
    track = track_of(tmp_path, tag + AUDIO)
    assert (track.title, track.artist) == ("name", "Ada")


def unsynchronised(data: bytes) -> bytes:
    """As ID3v2.4.0's structure, section 6.1, asks for."""
    done = bytearray()
    for index, byte in enumerate(data):
        done.append(byte)
        following = data[index + 1] if index + 1 < len(data) else 0
        if byte == 0xFF and (following >= 0xE0 or following == 0):
            done.append(0)
    return bytes(done)


TEXT_FRAMES = frame("TIT2", text_frame("TIT2", "Ночь ÿ", 1)) + frame("TPE1", b"\0Ada")


def test_an_unsynchronised_tag_of_id3v2_3_is_read(tmp_path: Path) -> None:
    track = track_of(tmp_path, id3(unsynchronised(TEXT_FRAMES), flags=0x80) + AUDIO)
    assert (track.title, track.artist) == ("Ночь ÿ", "Ada")


def test_texts_after_an_unsynchronised_picture_are_read(tmp_path: Path) -> None:
    picture = b"\0image/jpeg\0\3\0" + b"\xff\xd8\xff\xe0" + b"\xff\0" * 5000
    frames = unsynchronised(frame("APIC", picture) + TEXT_FRAMES)
    assert track_of(tmp_path, id3(frames, flags=0x80) + AUDIO).title == "Ночь ÿ"


@pytest.mark.parametrize("tag_flags", [0x80, 0])
def test_an_unsynchronised_frame_of_id3v2_4_is_read(tmp_path: Path, tag_flags: int) -> None:
    content = unsynchronised(text_frame("TIT2", "Ночь", 1))
    frames = frame("TIT2", content, 4, flags=0x02) + frame("TPE1", b"\3Ada", 4)
    track = track_of(tmp_path, id3(frames, 4, tag_flags) + AUDIO)
    assert (track.title, track.artist) == ("Ночь", "Ada")


def test_a_tag_that_is_flagged_as_unsynchronised_and_is_not_is_read(tmp_path: Path) -> None:
    track = track_of(tmp_path, id3(TEXT_FRAMES, flags=0x80) + AUDIO)
    assert (track.title, track.artist) == ("Ночь ÿ", "Ada")


def test_a_text_after_a_data_length_indicator_is_read(tmp_path: Path) -> None:
    content = text_frame("TIT2", "Ночь", 3)
    frames = frame("TIT2", synchsafe(len(content)) + content, 4, flags=0x01)
    assert track_of(tmp_path, id3(frames, 4) + AUDIO).title == "Ночь"


@pytest.mark.parametrize(("version", "flags"), [(3, 0x80), (4, 0x09)])
def test_a_compressed_frame_is_read(tmp_path: Path, version: int, flags: int) -> None:
    content = text_frame("TIT2", "Packed", 3)
    stored = struct.pack(">I", len(content)) + zlib.compress(content)
    frames = frame("TIT2", stored, version, flags)
    assert track_of(tmp_path, id3(frames, version) + AUDIO).title == "Packed"


@pytest.mark.parametrize(("version", "flags"), [(3, 0x40), (4, 0x04)])
def test_an_encrypted_frame_is_ignored(tmp_path: Path, version: int, flags: int) -> None:
    frames = frame("TIT2", b"\1\xff\xfe\x12\x99", version, flags)
    assert track_of(tmp_path, id3(frames, version) + AUDIO).title == "name"


def test_frames_after_an_extended_header_are_read(tmp_path: Path) -> None:
    frames = frame("TIT2", b"\3Here", 4)
    assert track_of(tmp_path, id3(synchsafe(6) + b"\1\0" + frames, 4, 0x40) + AUDIO).title == "Here"
    frames = frame("TIT2", b"\3There")
    extended = struct.pack(">I", 6) + bytes(6)
    assert track_of(tmp_path, id3(extended + frames, 3, 0x40) + AUDIO).title == "There"


def test_frames_of_id3v2_4_with_the_sizes_of_id3v2_3_are_read(tmp_path: Path) -> None:
    album = b"\3" + b"x" * 300
    frames = b"TALB" + struct.pack(">IH", len(album), 0) + album + frame("TIT2", b"\3Title", 4)
    track = track_of(tmp_path, id3(frames, 4) + AUDIO)
    assert (track.title, track.album) == ("Title", "x" * 300)


def test_the_id3_chunk_of_a_wav_file_is_read(tmp_path: Path) -> None:
    tag = id3(unsynchronised(TEXT_FRAMES), flags=0x80)
    chunks = b"".join(
        (
            b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8),
            b"data" + struct.pack("<I", 80_000) + bytes(80_000),
            b"id3 " + struct.pack("<I", len(tag)) + tag,
        )
    )
    content = b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks
    track = track_of(tmp_path, content, "name.wav")
    assert (track.title, track.duration) == ("Ночь ÿ", 10.0)


@pytest.mark.parametrize(
    "tag",
    [
        b"ID3",
        b"ID3\3\0\0\0\0\0\x7f",
        b"ID3\3\0\0\x7f\x7f\x7f\x7f",
        b"ID3\3\0\0\xff\xff\xff\xff",
        b"ID3\xff\0\0\0\0\0\0",
        id3(b"TIT2\xff\xff\xff\xff\0\0"),
        id3(b"TIT2\0\0\0\0\0\0"),
        id3(frame("TIT2", b"\1"), 4, 0xFF),
        id3(frame("TIT2", b"\0\0\0\0rubbish", 3, 0x80)),
    ],
)
def test_a_damaged_tag_has_no_fields(tmp_path: Path, tag: bytes) -> None:
    assert track_of(tmp_path, tag + AUDIO).title == "name"
