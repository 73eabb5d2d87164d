"""A listed duration is right within 5 %, or there is none."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from audiostream.library.library import Library
from audiostream.library.tags.worker import read_tags
from tests.support.audio_files import MPEG_RATE, adts_frames, id3_of, id3v1, mpeg_frames

SECONDS = 20.0
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the files")
SOUND = "aevalsrc='if(lt(mod(t,6),3),random(0)*0.5,0)':s=44100:d=20"
"""Noise and silence in turn, of which a variable bitrate makes very different frames."""
MADE = {
    "cbr.mp3": "-b:a 128k",
    "cbr no header.mp3": "-b:a 128k -write_xing 0",
    "cbr low.mp3": "-ar 22050 -b:a 32k -write_xing 0",
    "vbr.mp3": "-q:a 4",
    "vbr no header.mp3": "-q:a 4 -write_xing 0",
    "raw.aac": "-c:a aac",
    "whole.m4a": "-c:a aac",
    "front.m4a": "-c:a aac -movflags +faststart",
    "pieces.m4a": "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 2000000",
    "late pieces.m4a": "-c:a aac -movflags frag_keyframe -frag_duration 2000000",
    "a.ogg": "-c:a libvorbis",
    "a.opus": "-c:a libopus",
    "oggflac.ogg": "-c:a flac",
    "a.flac": "-c:a flac",
    "a.wav": "",
    "adpcm.wav": "-c:a adpcm_ima_wav",
    "mulaw.wav": "-c:a pcm_mulaw",
}
KNOWN = MADE.keys() - {"pieces.m4a", "late pieces.m4a", "adpcm.wav"}
"""Those whose duration stands somewhere, or is counted."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of 20 s."""
    folder = tmp_path_factory.mktemp("made")
    for name, options in MADE.items():
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", SOUND, *options.split()]
        subprocess.run([*command, str(folder / name)], check=True)
    piped = ["ffmpeg", "-v", "error", "-i", str(folder / "a.wav"), "-f", "wav", "-"]
    (folder / "piped.wav").write_bytes(subprocess.run(piped, check=True, stdout=-1).stdout)
    return folder


def duration(path: Path) -> float | None:
    return read_tags(str(path)).duration


def is_right_or_absent(path: Path, seconds: float) -> bool:
    found = duration(path)
    return found is None or abs(found - seconds) < 0.05 * seconds


@needs_ffmpeg
class TestFilesOfARealEncoder:
    @pytest.mark.parametrize("name", [*sorted(KNOWN), "piped.wav"])
    def test_a_whole_file_has_its_duration(self, made: Path, name: str) -> None:
        assert duration(made / name) == pytest.approx(SECONDS, rel=0.02)

    @pytest.mark.parametrize("name", sorted(MADE))
    def test_nothing_else_is_ever_said(self, made: Path, name: str) -> None:
        assert is_right_or_absent(made / name, SECONDS)

    @pytest.mark.parametrize(
        "name", [name for name in sorted(MADE) if name.endswith((".mp3", ".aac", ".ogg", ".opus"))]
    )
    def test_two_files_joined_last_as_long_as_both(
        self, made: Path, tmp_path: Path, name: str
    ) -> None:
        joined = tmp_path / name
        joined.write_bytes((made / name).read_bytes() * 2)
        assert duration(joined) == pytest.approx(2 * SECONDS, rel=0.03)

    def test_files_of_different_bitrates_joined(self, made: Path, tmp_path: Path) -> None:
        names = ("cbr.mp3", "vbr no header.mp3", "cbr.mp3")
        tag = id3_of(TIT2="x" * 30_000)
        (tmp_path / "a.mp3").write_bytes(
            b"".join(tag + (made / name).read_bytes() for name in names)
        )
        assert duration(tmp_path / "a.mp3") == pytest.approx(3 * SECONDS, rel=0.02)

    def test_flac_files_joined_have_none(self, made: Path, tmp_path: Path) -> None:
        for count in (2, 3, 4):
            (tmp_path / "a.flac").write_bytes((made / "a.flac").read_bytes() * count)
            assert duration(tmp_path / "a.flac") is None

    @pytest.mark.parametrize("name", [*sorted(MADE), "piped.wav"])
    @pytest.mark.parametrize("part", [0.3, 0.8])
    def test_of_a_file_cut_short_the_rest_counts(
        self, made: Path, tmp_path: Path, name: str, part: float
    ) -> None:
        content, cut = (made / name).read_bytes(), tmp_path / name
        cut.write_bytes(content[: round(len(content) * part)])
        done = subprocess.run(
            [
                "ffmpeg",
                "-v",
                "quiet",
                "-i",
                str(cut),
                "-f",
                "s16le",
                "-ac",
                "1",
                "-ar",
                "8000",
                "-",
            ],
            stdout=subprocess.PIPE,
            check=False,
        )
        assert is_right_or_absent(cut, len(done.stdout) / 16_000)
        if name.endswith((".mp3", ".aac", "a.ogg", ".opus", "a.wav")):
            assert duration(cut) is not None

    def test_the_format_counts_and_not_the_suffix(self, made: Path, tmp_path: Path) -> None:
        for name in ("raw.aac", "whole.m4a", "a.flac", "a.ogg"):
            shutil.copy(made / name, tmp_path / "any.mp3")
            assert duration(tmp_path / "any.mp3") == pytest.approx(SECONDS, rel=0.02)


class TestFilesMadeByHand:
    def put(self, tmp_path: Path, content: bytes) -> Path:
        (tmp_path / "file").write_bytes(content)
        return tmp_path / "file"

    def test_mpeg_frames_are_clean_number(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, id3_of(TIT2="a") + mpeg_frames(500) + id3v1(b"a"))
        assert duration(path) == pytest.approx(500 * 1152 / MPEG_RATE, rel=0.01)

    def test_a_picture_between_two_joined_files_is_no_audio(self, tmp_path: Path) -> None:
        cover = id3_of(TIT2="a", TXXX="x" * 200_000)
        path = self.put(tmp_path, mpeg_frames(500) + cover + mpeg_frames(500))
        assert duration(path) == pytest.approx(1000 * 1152 / MPEG_RATE, rel=0.01)

    @pytest.mark.parametrize("others", [50, 200, 2000])
    def test_a_part_of_another_bitrate_counts_as_long_as_it_is(
        self, tmp_path: Path, others: int
    ) -> None:
        frames = mpeg_frames(1000) + mpeg_frames(others, bitrate_index=14) + mpeg_frames(1000)
        path = self.put(tmp_path, frames)
        assert duration(path) == pytest.approx((2000 + others) * 1152 / MPEG_RATE, rel=0.01)

    def test_a_header_that_counts_other_bytes_than_there_are_is_not_believed(
        self, tmp_path: Path
    ) -> None:
        frames = bytearray(mpeg_frames(500))
        frames[36:52] = b"Xing" + struct.pack(">III", 3, 10_000, 4_000_000)
        assert duration(self.put(tmp_path, bytes(frames))) == pytest.approx(
            500 * 1152 / MPEG_RATE, rel=0.01
        )
        frames[36:52] = b"Xing" + struct.pack(">III", 3, 499, len(frames))
        assert duration(self.put(tmp_path, bytes(frames))) == pytest.approx(
            499 * 1152 / MPEG_RATE, rel=0.001
        )

    def test_adts_frames_are_clean_number(self, tmp_path: Path) -> None:
        path = self.put(tmp_path, id3_of(TIT2="a") + adts_frames(2584))
        assert duration(path) == pytest.approx(60.0, rel=0.001)

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
    def test_what_is_no_audio_has_none(self, tmp_path: Path, content: bytes) -> None:
        assert duration(self.put(tmp_path, content)) is None

    def test_an_mp4_that_does_not_know_has_none(self, tmp_path: Path) -> None:
        def movie(units: bytes) -> bytes:
            head = bytes(12) + struct.pack(">I", 1000) + units + bytes(80)
            box = struct.pack(">I4s", len(head) + 8, b"mvhd") + head
            moov = struct.pack(">I4s", len(box) + 8, b"moov") + box
            return b"\0\0\0\x18ftypM4A " + bytes(12) + moov

        assert duration(self.put(tmp_path, movie(struct.pack(">I", 61_000)))) == 61.0
        assert duration(self.put(tmp_path, movie(b"\xff" * 4))) is None
        assert duration(self.put(tmp_path, movie(struct.pack(">I", 61_000))[:-1])) is None

    def test_ogg_that_began_elsewhere_or_is_damaged_has_none(self, tmp_path: Path) -> None:
        def page(kind: int, position: int, packet: bytes) -> bytes:
            table = bytes([*[255] * (len(packet) // 255), len(packet) % 255])
            head = struct.pack("<4sBBQIIIB", b"OggS", 0, kind, position, 7, 0, 0, len(table))
            return head + table + packet

        head = page(2, 0, b"OpusHead\1\2" + struct.pack("<H", 312) + bytes(7))
        pages = [page(0, 48_000 * second + 312, bytes(600)) for second in range(1, 31)]
        assert duration(self.put(tmp_path, head + b"".join(pages))) == 30.0
        assert duration(self.put(tmp_path, head + b"".join(pages[15:]))) is None
        assert duration(self.put(tmp_path, head + b"".join(pages[:9]) + bytes(9999))) is None


@needs_ffmpeg
def test_the_library_lists_what_was_read(made: Path, tmp_path: Path) -> None:
    (tmp_path / "double.mp3").write_bytes((made / "cbr.mp3").read_bytes() * 2)
    shutil.copy(made / "raw.aac", tmp_path)
    library = Library(tmp_path)
    library.scan()
    durations = [track.duration for track in library.tracks_for(None)]
    assert durations == pytest.approx([2 * SECONDS, SECONDS], rel=0.03)
