"""The reader of tags, and the worker process behind it, which a damaged file may end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from audiostream.library.library import Library
from audiostream.library.tags import reader as tag_reader
from audiostream.library.tags.fields import Tags
from audiostream.library.tags.reader import TagReader
from tests.support.audio_files import tagged
from tests.support.media_folder import put, scanned

Replace = Callable[[str], None]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Replace the worker's program by another, which has ``answer(title)``."""

    def replace(program: str) -> None:
        path = tmp_path / "worker"
        path.write_text(
            f"#!{sys.executable}\n"
            "import json, os, signal, sys, time\n"
            "def answer(title):\n"
            "    print(json.dumps([title, *[None] * 6]), flush=True)\n"
            f"{program}\n"
        )
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return replace


FAITHFUL = """
print("ready", flush=True)
for line in sys.stdin:
    for path in json.loads(line):
        name = os.path.basename(path)
        if name == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if name == "end":
            sys.exit()
        if name == "nonsense":
            print("}", flush=True)
        if name == "slow":
            time.sleep(60)
        answer(name)
"""


def read(*names: str, stop: threading.Event | None = None) -> list[tuple[str, str | None]]:
    """The title of each file, "-" where there are no tags, None where it was not read."""
    with TagReader(stop or threading.Event()) as reader:
        return [
            (path.name, None if tags is None else tags.title or "-")
            for path, tags in reader.read([Path(name) for name in names])
        ]


def children(of: int | None = None) -> set[int]:
    """The processes that one, or this one, has started and that are there, ended or not."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == (of or os.getpid()):
                found.add(int(status.parent.name))
    return found


def test_tags_are_read_in_the_order_of_the_request(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mp3" for number in range(300)]
    for path in paths:
        tagged(path, TIT2=f"Title {path.stem}")
    with TagReader(threading.Event()) as reader:
        found = list(reader.read([*paths, tmp_path / "none.mp3"]))
    assert [(path, tags and tags.title) for path, tags in found] == [
        *((path, f"Title {path.stem}") for path in paths),
        (tmp_path / "none.mp3", None),
    ]


def test_files_with_names_of_any_bytes_and_length_are_read(tmp_path: Path) -> None:
    names = [
        "a\nb",
        "c\"d'",
        os.fsdecode(b"e\xff"),
        "ü" * 100,
        *(f"{'x' * 240}{n}" for n in range(40)),
    ]
    for name in names:
        tagged(tmp_path / name, TIT2="T")
    with TagReader(threading.Event()) as reader:
        found = list(reader.read([tmp_path / name for name in names]))
    assert [path.name for path, _ in found] == names
    assert {tags and tags.title for _, tags in found} == {"T"}


def test_a_worker_is_started_for_the_first_file_and_ended_with_the_reader(worker: Replace) -> None:
    before = children()
    worker(FAITHFUL)
    with TagReader(threading.Event()) as reader:
        assert list(reader.read([])) == []
        assert children() == before
        assert [path.name for path, _ in reader.read([Path("a"), Path("b")])] == ["a", "b"]
        assert len(children()) == len(before) + 1
    assert children() == before


@pytest.mark.parametrize("broken", ["crash", "end", "nonsense"])
def test_a_file_that_ends_the_worker_has_no_tags_and_the_others_are_read(
    worker: Replace, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    before = children()
    worker(FAITHFUL)
    assert read("a", broken, "b", broken, "c") == [
        ("a", "a"),
        (broken, "-"),
        ("b", "b"),
        (broken, "-"),
        ("c", "c"),
    ]
    assert caplog.text.count(f"'{broken}': its tags cannot be read") == 2
    assert children() == before


def test_a_file_whose_disk_does_not_answer_is_not_marked_as_read(
    worker: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_reader, "ANSWER_TIMEOUT", 1.0)
    worker(FAITHFUL)
    assert read("a", "slow", "b") == [("a", "a"), ("slow", None), ("b", "b")]


def test_an_answer_with_invalid_values_ends_the_worker(worker: Replace) -> None:
    worker(FAITHFUL + "        answer(5)\n")
    assert read("a", "b")[1] == ("b", "-")


def test_a_stopped_reader_waits_for_no_file(worker: Replace) -> None:
    worker(FAITHFUL)
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    began = time.monotonic()
    assert read("a", "slow", "b", stop=stop) == [("a", "a")]
    assert time.monotonic() - began < 5.0


def test_on_wait_is_called_while_a_reader_waits_for_an_answer(
    worker: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_reader, "ANSWER_TIMEOUT", 1.0)
    worker(FAITHFUL)
    waited = []
    with TagReader(threading.Event(), lambda: waited.append(1)) as reader:
        list(reader.read([Path("slow")]))
    assert len(waited) > 3


@pytest.mark.parametrize("program", ["sys.exit(1)", "raise ImportError", "signal.raise_signal(9)"])
def test_a_worker_that_does_not_start_is_logged_once_and_no_file_is_read(
    worker: Replace, program: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker(program)
    assert read(*map(str, range(100))) == []
    assert caplog.text.count("no process to read tags with") == 1


def test_a_missing_interpreter_is_logged_once_and_no_file_is_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert read("a", "b") == []
    assert caplog.text.count("no process to read tags with") == 1


def test_without_the_tags_extra_no_worker_is_started(
    worker: Replace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker("open('started', 'w')")
    monkeypatch.setitem(sys.modules, "tinytag", None)
    assert read("a") == []
    assert caplog.text.count("audiostream[tags]") == 1


def test_the_environment_of_a_worker_has_no_secrets(
    worker: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", "hush")
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", "/srv/hush")
    worker(
        'print("ready", flush=True)\n'
        "sys.stdin.readline()\n"
        'answer(str(any("hush" in value for value in os.environ.values())))\n'
    )
    assert read("a") == [("a", "False")]


PARENT = """
import sys, threading
from pathlib import Path
from audiostream.library.tags.reader import TagReader
with TagReader(threading.Event()) as reader:
    for path, tags in reader.read([Path(sys.argv[1])]):
        print("read", flush=True)
        threading.Event().wait()
"""


def test_a_worker_exits_when_its_server_is_killed(tmp_path: Path) -> None:
    tagged(tmp_path / "a.mp3", TIT2="A")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "a.mp3")], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"read\n"
        [pid] = children(parent.pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_file_without_tags_is_marked_as_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"<html>")
    with TagReader(threading.Event()) as reader:
        assert list(reader.read([tmp_path / "a.mp3"])) == [(tmp_path / "a.mp3", Tags())]


def test_without_the_tags_extra_tracks_have_no_duration_and_one_line_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "a.wav", "b.wav")
    monkeypatch.setitem(sys.modules, "tinytag", None)
    library = scanned(tmp_path)
    assert [track.duration for track in library.tracks_for(None)] == [None, None]
    assert caplog.text.count("audiostream[tags]") == 1


def test_files_that_were_scanned_without_the_tags_extra_are_read_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.wav")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "tinytag", None)
        before = scanned(tmp_path)
    library = Library(tmp_path)
    library.restore(before.rows())
    assert library.tracks_for(None)[0].duration is None
    library.scan()
    assert library.tracks_for(None)[0].duration == pytest.approx(0.1)
