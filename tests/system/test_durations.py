"""The durations of files of a real encoder are right within 5 %, or there are none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from audiostream.library.library import Library
from tests.support.audio_files import id3_of
from tests.support.durations import duration_of

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes the files")


SECONDS = 20.0
SOUND = "aevalsrc='if(lt(mod(t,6),3),random(0)*0.5,0)':s=44100:d=20"
"""Noise and silence in turn, of which a variable bitrate makes very different frames."""
OPTIONS = {
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
KNOWN = OPTIONS.keys() - {"pieces.m4a", "late pieces.m4a", "adpcm.wav"}
"""Those whose duration stands somewhere, or is counted."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files of 20 s."""
    folder = tmp_path_factory.mktemp("made")
    for name, options in OPTIONS.items():
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", SOUND, *options.split()]
        subprocess.run([*command, str(folder / name)], check=True)
    piped = ["ffmpeg", "-v", "error", "-i", str(folder / "a.wav"), "-f", "wav", "-"]
    (folder / "piped.wav").write_bytes(subprocess.run(piped, check=True, stdout=-1).stdout)
    return folder


def is_right_or_absent(path: Path, seconds: float) -> bool:
    found = duration_of(path)
    return found is None or abs(found - seconds) < 0.05 * seconds


@pytest.mark.parametrize("name", [*sorted(KNOWN), "piped.wav"])
def test_a_whole_file_of_each_format_has_its_duration(made: Path, name: str) -> None:
    assert duration_of(made / name) == pytest.approx(SECONDS, rel=0.02)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_no_whole_file_has_a_wrong_duration(made: Path, name: str) -> None:
    assert is_right_or_absent(made / name, SECONDS)


@pytest.mark.parametrize(
    "name", [name for name in sorted(OPTIONS) if name.endswith((".mp3", ".aac", ".ogg", ".opus"))]
)
def test_two_joined_files_last_as_long_as_both(made: Path, tmp_path: Path, name: str) -> None:
    joined = tmp_path / name
    joined.write_bytes((made / name).read_bytes() * 2)
    assert duration_of(joined) == pytest.approx(2 * SECONDS, rel=0.03)


def test_joined_mp3_files_of_different_bitrates_last_as_long_as_all(
    made: Path, tmp_path: Path
) -> None:
    names = ("cbr.mp3", "vbr no header.mp3", "cbr.mp3")
    tag = id3_of(TIT2="x" * 30_000)
    (tmp_path / "a.mp3").write_bytes(b"".join(tag + (made / name).read_bytes() for name in names))
    assert duration_of(tmp_path / "a.mp3") == pytest.approx(3 * SECONDS, rel=0.02)


def test_joined_flac_files_of_an_encoder_have_no_duration(made: Path, tmp_path: Path) -> None:
    for count in (2, 3, 4):
        (tmp_path / "a.flac").write_bytes((made / "a.flac").read_bytes() * count)
        assert duration_of(tmp_path / "a.flac") is None


@pytest.mark.parametrize("name", [*sorted(OPTIONS), "piped.wav"])
@pytest.mark.parametrize("part", [0.3, 0.8])
def test_a_file_cut_short_lasts_as_long_as_what_is_left_or_has_no_duration(
    made: Path, tmp_path: Path, name: str, part: float
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
        assert duration_of(cut) is not None


def test_a_duration_depends_on_the_content_of_a_file_and_not_on_its_suffix(
    made: Path, tmp_path: Path
) -> None:
    for name in ("raw.aac", "whole.m4a", "a.flac", "a.ogg"):
        shutil.copy(made / name, tmp_path / "any.mp3")
        assert duration_of(tmp_path / "any.mp3") == pytest.approx(SECONDS, rel=0.02)


def test_the_library_lists_the_durations_of_joined_files(made: Path, tmp_path: Path) -> None:
    (tmp_path / "double.mp3").write_bytes((made / "cbr.mp3").read_bytes() * 2)
    shutil.copy(made / "raw.aac", tmp_path)
    library = Library(tmp_path)
    library.scan()
    durations = [track.duration for track in library.tracks_for(None)]
    assert durations == pytest.approx([2 * SECONDS, SECONDS], rel=0.03)
