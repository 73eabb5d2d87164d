"""The worker process that reads tags: its answers, and its limits."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from audiostream.library.formats import AUDIO_TYPES
from audiostream.library.tags.fields import Tags
from audiostream.library.tags.worker import READY, read_tags
from tests.conftest import write_wav
from tests.support.audio_files import id3_of, mpeg_frames, tagged
from tests.support.paths import SAMPLES

SAMPLE_NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix in AUDIO_TYPES)
NOTHING = [None] * 7
COMMAND = [sys.executable, "-m", "audiostream.library.tags.worker"]


def answers(*lines: list[str]) -> list[object]:
    """What a process says to these questions before it ends by itself."""
    asked = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    done = subprocess.run(COMMAND, input=asked, stdout=subprocess.PIPE, check=True)
    assert done.stdout.startswith(READY)
    return [json.loads(line) for line in done.stdout.removeprefix(READY).splitlines()]


def test_the_worker_answers_each_path_with_a_line(tmp_path: Path) -> None:
    tagged(tmp_path / "a\n\ud8ff.mp3".encode("utf-8", "replace").decode(), TIT2="A")
    tagged(tmp_path / "b.mp3", TIT2="B", TPE1="Ada", TALB="X", TPE2="Y", TPOS="1/2", TRCK="7")
    (tmp_path / "broken.flac").write_bytes(b"fLaC" + b"\xff" * 50)
    odd = next(str(path) for path in tmp_path.iterdir() if path.name.startswith("a"))
    found = answers([odd], [str(tmp_path / "b.mp3"), str(tmp_path / "broken.flac")], ["/none"])
    assert found[0] == ["A", None, None, pytest.approx(2.0, rel=0.01), None, None, None]
    assert found[1] == ["B", "Ada", "X", pytest.approx(2.0, rel=0.01), "Y", 1, 7]
    assert found[2:] == [NOTHING, None]


@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_the_tags_of_every_sample_file_are_read(name: str) -> None:
    tags = read_tags(str(SAMPLES / name))
    assert tags.title is not None
    assert tags.title.lower().replace(" ", "-") == Path(name).stem
    assert tags.artist == "audiostream"
    assert 10 < (tags.duration or 0) < 60


def test_a_vorbis_comment_with_invalid_utf_8_is_ignored(tmp_path: Path) -> None:
    comments = [b"TITLE=\xffbroken", b"ARTIST=Ada", b"TRACKNUMBER=03/12", b"ALBUM ARTIST=All"]
    block = b"\0\0\0\0" + len(comments).to_bytes(4, "little")
    block += b"".join(len(text).to_bytes(4, "little") + text for text in comments)
    content = b"fLaC\x84" + len(block).to_bytes(3, "big") + block
    for start in (b"", id3_of(TALB="Before")):
        (tmp_path / "a.flac").write_bytes(start + content)
        tags = read_tags(str(tmp_path / "a.flac"))
        assert (tags.title, tags.artist, tags.track_number) == (None, "Ada", 3)
        assert (tags.album_artist, tags.album) == ("All", "Before" if start else None)


def test_the_worker_does_not_wait_for_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    assert answers([str(tmp_path / "pipe.mp3")]) == [None]


def test_the_worker_exits_when_its_input_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.readline() == READY
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_worker_imports_neither_aiohttp_nor_asyncio_nor_jwt() -> None:
    names = "import sys, audiostream.library.tags.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", names], stdout=subprocess.PIPE, check=True)
    loaded = set(done.stdout.decode().split())
    assert not {"aiohttp", "asyncio", "jwt"} & loaded


def test_the_worker_imports_no_module_of_the_package_but_parsers_and_their_table() -> None:
    names = "import sys, audiostream.library.tags.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", names], stdout=subprocess.PIPE, check=True)
    own = {name for name in done.stdout.decode().split() if name.startswith("audiostream.library.")}
    others = {name for name in own if name.split(".")[2] not in {"durations", "tags"}}
    assert others == {"audiostream.library.bounded_file", "audiostream.library.formats"}


LOOPS = "re.fullmatch('(a+)+b', 'a' * 60)"
"""Of which no exception and no signal handler of Python would ever get hold."""


@pytest.mark.parametrize(
    ("reads", "ends"), [(LOOPS, True), ("ctypes.string_at(0)", True), ("bytes(10**9)", False)]
)
def test_an_endless_loop_or_a_crash_ends_the_worker_and_a_huge_length_does_not(
    tmp_path: Path, reads: str, ends: bool
) -> None:
    (tmp_path / "tinytag.py").write_text(
        "import ctypes, re\n"
        "class TinyTag:\n"
        "    @classmethod\n"
        "    def get(cls, **options):\n"
        f"        {reads}\n"
    )
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(100))
    write_wav(tmp_path / "b.wav", 1.0)
    (tmp_path / "c.mp3").write_bytes(id3_of(TIT2="C") + mpeg_frames(50))
    done = subprocess.run(
        COMMAND,
        input=json.dumps([str(tmp_path / "c.mp3"), str(tmp_path / "a.flac")]).encode(),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
        timeout=60,
    )
    said = done.stdout.splitlines()[1:]
    assert json.loads(said[0])[0] == "C"
    assert (len(said), done.returncode < 0) == ((1, True) if ends else (2, False))
    assert ends or json.loads(said[1]) == NOTHING


def test_a_file_that_claims_a_huge_tag_takes_little_memory_of_the_worker(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"ID3\3\0\0\x7f\x7f\x7f\x7f")
    with (tmp_path / "a.mp3").open("r+b") as large:
        large.truncate(2**28)
    assert read_tags(str(tmp_path / "a.mp3")) == Tags()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert answers([str(tmp_path / "a.mp3")] * 3) == [NOTHING] * 3
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after == before or after < 64 * 1024  # KiB
