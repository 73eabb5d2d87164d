"""What is on the disk alone is read where nobody else has to wait."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiostream.services import SERVICES
from audiostream.streaming.readahead import READ_AT_ONCE, is_in_memory, read_ahead
from audiostream.streaming.response import open_regular
from tests.support.live import Live, RunLive, stream_request
from tests.support.raw_http import Answer, request

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux says what is in memory, and forgets it when told to"
)

LENGTH = 24 << 20


@pytest.fixture
def path(media: Path) -> Path:
    path = media.resolve() / "song.wav"
    path.write_bytes(os.urandom(LENGTH))
    return path


def forget(path: Path, start: int = 0, length: int = 0) -> None:
    """Have the system keep nothing of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_DONTNEED)


def test_what_was_forgotten_is_not_in_memory_until_it_is_read(path: Path) -> None:
    file, _ = open_regular(str(path))
    with file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # no more than is asked for
        whole, middle = range(LENGTH), range(8 << 20, 16 << 20)
        read_ahead(file, whole)
        if not is_in_memory(file, whole):
            pytest.skip("this file system does not tell")
        forget(path, middle.start + (2 << 20), 4 << 20)  # a page may be of two megabytes
        assert is_in_memory(file, range(middle.start))
        assert is_in_memory(file, range(middle.stop, LENGTH))
        assert not is_in_memory(file, middle)
        read_ahead(file, middle)
        assert is_in_memory(file, whole)
        assert file.tell() == 0


def test_where_a_file_ends_there_is_no_more_to_read(path: Path) -> None:
    file, _ = open_regular(str(path))
    with file:
        read_ahead(file, range(LENGTH - 10, LENGTH + READ_AT_ONCE * 3))
        assert not is_in_memory(file, range(LENGTH, LENGTH + 1))


class Disk:
    """Sees each call that reads a file, and forgets what was read before it is asked for again."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = threading.get_ident()
        self.read_by_loop: list[str] = []
        self.read_by_others = 0
        self.content = path.read_bytes()
        self._preadv: Callable[..., int] = os.preadv
        self._pread: Callable[..., bytes] = os.pread
        self._sendfile: Callable[..., int] = os.sendfile
        monkeypatch.setattr(os, "sendfile", self.sendfile)
        monkeypatch.setattr(os, "pread", self.pread)

    def sendfile(self, out: int, file: int, start: int, count: int) -> int:
        part = bytearray(count)
        try:
            known = self._preadv(file, [part], start, os.RWF_NOWAIT)
        except BlockingIOError:
            known = 0
        sent = self._sendfile(out, file, start, count)
        if known < min(sent, LENGTH - start):
            self.read_by_loop.append(f"sendfile {start} {count}")
        return sent

    def pread(self, file: int, count: int, start: int) -> bytes:
        if threading.get_ident() == self.loop:
            self.read_by_loop.append(f"pread {start} {count}")
        self.read_by_others += 1
        return self._pread(file, count, start)


@pytest.fixture
def disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(path, monkeypatch)


def by_header(server: Live, token: Callable[..., str], asked: str) -> bytes:
    return stream_request(token(), Range=asked)


def by_ticket(server: Live, token: Callable[..., str], asked: str) -> bytes:
    ticket = server.app[SERVICES].tokens.ticket("ada", "song", 60.0, time.time())
    target = f"/api/tracks/stream/song?ticket={ticket}"
    return request("GET", target, {"Connection": "keep-alive", "Range": asked})


@pytest.mark.parametrize("ask", [by_header, by_ticket])
@pytest.mark.parametrize("asked", [(0, LENGTH - 1), (5 << 20, 9 << 20), (70_000, 170_000)])
async def test_the_loop_reads_no_byte_from_the_disk(
    live: RunLive,
    path: Path,
    disk: Disk,
    token: Callable[..., str],
    ask: Callable[..., bytes],
    asked: tuple[int, int],
) -> None:
    content = disk.content
    async with live() as server:
        async with server.line() as line:
            line.send(by_header(server, token, "bytes=0-9"))
            await line.read_to_end()
        forget(path)
        disk.read_by_others = 0
        async with server.line() as line:
            line.send(ask(server, token, f"bytes={asked[0]}-{asked[1]}"))
            answer = await line.read_answer()
        assert answer.body == content[asked[0] : asked[1] + 1]
        assert not disk.read_by_loop
        is_much = len(answer.body) > READ_AT_ONCE  # for little, asking is enough on a fast disk
        assert disk.read_by_others or not is_much


@pytest.mark.parametrize("ask", [by_header, by_ticket])
async def test_where_the_system_does_not_tell_threads_read_everything(
    live: RunLive,
    path: Path,
    disk: Disk,
    token: Callable[..., str],
    ask: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    content = disk.content
    async with live() as server:
        monkeypatch.setattr(os, "preadv", refuse)
        for _ in range(2):
            async with server.line() as line:
                line.send(ask(server, token, "bytes=0-"))
                assert (await line.read_answer()).body == content
        assert disk.read_by_others >= LENGTH // READ_AT_ONCE


@pytest.mark.parametrize("ask", [by_header, by_ticket])
async def test_a_disk_that_fails_ends_that_stream_alone(
    live: RunLive,
    path: Path,
    disk: Disk,
    token: Callable[..., str],
    ask: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with live() as server:
        async with server.line() as line:
            line.send(by_header(server, token, "bytes=0-9"))
            await line.read_to_end()
        async with server.line() as line:
            with monkeypatch.context() as patch:
                patch.setattr(os, "pread", fail)
                forget(path)
                line.send(ask(server, token, "bytes=0-"))
                assert len(Answer.of(await line.read_to_end()).body) < LENGTH
        assert "stopped sending" in caplog.text
        async with server.line() as line:
            line.send(ask(server, token, "bytes=0-"))
            assert len((await line.read_answer()).body) == LENGTH
