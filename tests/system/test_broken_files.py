"""Damaged files, odd dates and files without read permission, on a running server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.support.audio_files import tagged, write_wav
from tests.support.server_process import Launch, ServerProcess

Token = Callable[..., str]
MIB = 1024 * 1024


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def ask(server: ServerProcess, path: str, token: str) -> Any:
    request = Request(f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=20) as answer:
        return json.load(answer)


def titles(server: ServerProcess, token: str) -> list[str]:
    return [track["title"] for track in ask(server, "/tracks", token)["tracks"]]


def soon(condition: Callable[[], bool], patience: float = 20.0) -> float:
    """Wait for what must become true; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < patience
        time.sleep(0.02)
    return time.monotonic() - began


def peak_memory(server: ServerProcess) -> float:
    """In MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def workers(server: ServerProcess) -> int:
    """How many processes a server has started that are there, ended or not."""
    pid, found = str(server.process.pid), 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            found += status.read_text().rpartition(")")[2].split()[1] == pid
        except OSError:
            continue
    return found


def put_broken(folder: Path, mebibytes: int, name: str = "0 broken.mp3") -> None:
    with (folder / name).open("wb") as file:
        file.truncate(mebibytes * MIB)


def put_others(folder: Path, count: int = 30) -> None:
    for number in range(count):
        tagged(folder / f"{number}.mp3", TIT2=f"Song {number}", TPE1="Ada")


KILLER = """
import os, re
class TinyTag:
    @classmethod
    def get(cls, file_obj, **options):
        with open(os.environ["ASKED"], "a") as log:
            print("asked", file=log)
        re.fullmatch("(a+)+b", "a" * 60)
"""
"""A parser of FLAC that no file gets out of."""


class TestOneBrokenFile:
    def test_a_damaged_file_delays_neither_the_other_files_nor_requests(
        self, launch: Launch, media: Path, token: Token, state: str
    ) -> None:
        put_others(media)
        put_broken(media, 64)
        (media / "0 text.mp3").write_bytes(b"All work and no play. " * (50 * MIB // 22))
        credential = token()
        server = launch("--state", state)
        took = soon(lambda: len(titles(server, credential)) == 32)
        waits = []
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            began = time.monotonic()
            ask(server, "/healthz", credential)
            waits.append(time.monotonic() - began)
        server.wait_for_log("the library has 32 tracks")
        assert took < 5.0
        assert median(waits) < 0.25
        assert max(waits) < 2.0
        assert {f"Song {number}" for number in range(30)} < set(titles(server, credential))
        assert peak_memory(server) < 150
        assert workers(server) == 0
        assert server.stop() == 0

    def test_a_server_that_is_stopped_during_its_first_scan_waits_for_no_damaged_file(
        self, launch: Launch, media: Path
    ) -> None:
        for number in range(6):
            put_broken(media, 66, f"{number}.mp3")
        server = launch()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5.0

    def test_a_file_in_which_a_parser_loops_is_listed_by_its_name_and_read_once(
        self, launch: Launch, media: Path, token: Token, state: str, tmp_path: Path
    ) -> None:
        (tmp_path / "parsers").mkdir()
        (tmp_path / "parsers/tinytag.py").write_text(KILLER)
        environment = {"PYTHONPATH": str(tmp_path / "parsers"), "ASKED": str(tmp_path / "asked")}
        (media / "0 loop.flac").write_bytes(b"fLaC" + bytes(100))
        put_others(media, 5)
        credential = token()
        server = launch("--state", state, **environment)
        soon(lambda: len(titles(server, credential)) == 6, 5.0)
        server.wait_for_log("'0 loop.flac': its tags cannot be read")
        server.wait_for_log("the library has 6 tracks")
        assert sorted(titles(server, credential)) == ["0 loop", *(f"Song {n}" for n in range(5))]
        assert workers(server) == 0
        assert server.stop() == 0
        again = launch("--state", state, **environment)
        again.wait_for_log("the library has 6 tracks")
        assert (tmp_path / "asked").read_text() == "asked\n"
        os.utime(media / "0 loop.flac", (1, 1))
        again.process.send_signal(signal.SIGHUP)
        again.wait_for_log("'0 loop.flac': its tags cannot be read")
        assert (tmp_path / "asked").read_text() == "asked\n" * 2

    def test_a_server_that_is_stopped_while_a_parser_loops_exits_at_once(
        self, launch: Launch, media: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "parsers").mkdir()
        (tmp_path / "parsers/tinytag.py").write_text(KILLER)
        for number in range(9):
            (media / f"{number}.flac").write_bytes(b"fLaC" + bytes(100))
        asked = tmp_path / "asked"
        server = launch(PYTHONPATH=str(tmp_path / "parsers"), ASKED=str(asked))
        soon(asked.exists)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5.0


def test_a_retagged_file_has_its_new_title_where_size_and_mtime_stay(
    launch: Launch, media: Path, token: Token, state: str
) -> None:
    def retag(title: str) -> None:
        status = (media / "a.mp3").stat()
        tagged(media / "a.mp3", TIT2=title)
        os.utime(media / "a.mp3", ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (media / "a.mp3").stat().st_size == status.st_size
        assert (media / "a.mp3").stat().st_mtime_ns == status.st_mtime_ns

    credential = token()
    tagged(media / "a.mp3", TIT2="One")
    server = launch("--state", state)
    server.wait_for_log("the library has")
    assert titles(server, credential) == ["One"]
    retag("Two")
    server.process.send_signal(signal.SIGHUP)
    soon(lambda: titles(server, credential) == ["Two"])
    assert server.stop() == 0
    retag("Six")
    again = launch("--state", state)
    again.wait_for_log("the library has")
    assert titles(again, credential) == ["Six"]


def test_a_file_that_replaces_another_of_its_size_and_date_is_read(
    launch: Launch, media: Path, token: Token, state: str
) -> None:
    credential = token()
    for name, title in (("a.mp3", "One"), ("../new.mp3", "Two")):
        tagged(media / name, TIT2=title)
        os.utime(media / name, ns=(10**18, 10**18))
    server = launch("--state", state)
    server.wait_for_log("the library has")
    (media / "../new.mp3").rename(media / "a.mp3")
    server.process.send_signal(signal.SIGHUP)
    soon(lambda: titles(server, credential) == ["Two"])


DATES = {
    "in 2400": 13_569_465_600,
    "in 1950": -631_152_000,
    "at the epoch": 0,
    "in 1902": -2_145_916_800,
}


@pytest.mark.parametrize("moment", DATES.values(), ids=DATES.keys())
def test_a_file_of_any_date_is_scanned_restored_and_streamed(
    launch: Launch, media: Path, token: Token, state: str, moment: int
) -> None:
    credential = token()
    write_wav(media / "a.wav", 1.0)
    try:
        os.utime(media / "a.wav", (moment, moment))
    except OSError:
        pytest.skip("the file system knows no such date")
    if int((media / "a.wav").stat().st_mtime) != moment:
        pytest.skip("the file system keeps no such date")
    for _ in range(2):
        server = launch("--state", state)
        server.wait_for_log("the library has 1 track")
        server.process.send_signal(signal.SIGHUP)
        [track] = ask(server, "/tracks", credential)["tracks"]
        assert track["duration"] == 1.0
        for _ in range(2):  # opened, and from the descriptor that waits
            fields = {"Range": "bytes=0-9"}
            with urlopen(Request(server.url + track["streamUrl"], headers=fields)) as answer:
                assert (answer.status, len(answer.read())) == (206, 10)
                etag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
            date = parsedate_to_datetime(modified)
            assert date <= datetime.now(date.tzinfo)
            assert moment > time.time() or date.timestamp() == moment
            fields["If-Range"] = etag
            with urlopen(Request(server.url + track["streamUrl"], headers=fields)) as answer:
                assert answer.status == 206
        assert server.stop() == 0
        log = "".join(server.log)
        assert "failed" not in log
        assert "cannot keep" not in log


@pytest.fixture
def without_privileges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are started by a user whom the modes of files bind."""
    if os.geteuid() != 0:
        return
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and setpriv takes that away")
    command = f'exec setpriv --bounding-set=-dac_override,-dac_read_search {sys.executable} "$@"'
    (tmp_path / "python").write_text(f"#!/bin/sh\n{command}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


@pytest.mark.usefixtures("without_privileges")
def test_a_file_without_read_permission_is_not_listed_and_is_logged_once(
    launch: Launch, media: Path, token: Token
) -> None:
    credential = token()
    for name in ("closed.mp3", "named.mp3", "open.mp3"):
        tagged(media / name, TIT2=name.removesuffix(".mp3"))
    (media / "closed.mp3").chmod(0)
    (media / "named.mp3").chmod(0)
    entries = [{"id": "named", "audioUrl": "named.mp3"}]
    (media / "tracks.json").write_text(json.dumps(entries))
    server = launch()
    server.wait_for_log("the library has 1 track")
    assert titles(server, credential) == ["open"]
    for name in ("closed.mp3", "named.mp3"):
        lines = [line for line in server.log if name in line]
        assert len(lines) == 1
        assert "cannot be read (Permission denied)" in lines[0]
    (media / "closed.mp3").chmod(0o600)
    server.process.send_signal(signal.SIGHUP)
    soon(lambda: len(titles(server, credential)) == 2)
