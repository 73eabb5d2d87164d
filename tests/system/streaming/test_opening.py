"""Which files are opened, what a failure to open gets, and that no file stays open."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from aiohttp.test_utils import make_mocked_request

from audiostream.streaming.response import AudioFileResponse
from audiostream.streaming.stream_slots import StreamSlots
from tests.support.stream_server import (
    CONTENT,
    Start,
    descriptors_of,
    warnings,
)

P = ParamSpec("P")
T = TypeVar("T")


def a_missing_file(folder: Path) -> Path:
    return folder / "missing.mp3"


def a_file_below_a_file(folder: Path) -> Path:
    (folder / "file.mp3").touch()
    return folder / "file.mp3" / "x.mp3"


def a_directory(folder: Path) -> Path:
    (folder / "directory.mp3").mkdir()
    return folder / "directory.mp3"


def a_link(folder: Path) -> Path:
    (folder / "target.mp3").write_bytes(CONTENT)
    (folder / "link.mp3").symlink_to(folder / "target.mp3")
    return folder / "link.mp3"


def a_file_behind_a_link(folder: Path) -> Path:
    (folder / "album").mkdir()
    (folder / "album" / "target.mp3").write_bytes(CONTENT)
    (folder / "linked").symlink_to(folder / "album")
    return folder / "linked" / "target.mp3"


def a_circle_of_links(folder: Path) -> Path:
    (folder / "circle.mp3").symlink_to(folder / "circle.mp3")
    return folder / "circle.mp3"


def a_path_with_dots(folder: Path) -> Path:
    (folder / "album").mkdir()
    (folder / "target.mp3").write_bytes(CONTENT)
    return folder / "album" / ".." / "target.mp3"


def a_named_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp3")
    return folder / "pipe.mp3"


def a_socket(folder: Path) -> Path:
    path = folder / "s.mp3"
    here = Path.cwd()
    os.chdir(folder)  # A socket's path is limited to about a hundred bytes.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)
    return path


def a_name_that_is_too_long(folder: Path) -> Path:
    return folder / ("x" * 300 + ".mp3")


@pytest.mark.parametrize(
    "make",
    [
        a_missing_file,
        a_file_below_a_file,
        a_directory,
        a_link,
        a_file_behind_a_link,
        a_circle_of_links,
        a_path_with_dots,
        a_named_pipe,
        a_socket,
        a_name_that_is_too_long,
    ],
)
async def test_anything_but_a_regular_file_gets_404(
    start: Start, folder: Path, make: Callable[[Path], Path]
) -> None:
    server = await start(make(folder))
    async with asyncio.timeout(10):
        answer = await server.ask(Range="bytes=0-3")
        head = await server.ask("HEAD")
    assert (answer.status, answer.error) == (404, "track_not_found")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert str(folder) not in answer.body.decode()
    assert "ETag" not in answer.headers
    assert (head.status, head.body) == (404, b"")
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]


class FailingExecutor(Executor):
    """Fails every job."""

    def __init__(self, number: int) -> None:
        self.error = OSError(number, os.strerror(number), "/secret/path")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        job: Future[T] = Future()
        job.set_exception(self.error)
        return job


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.EACCES, 404, "track_not_found"),
        (errno.EMFILE, 503, "internal"),
        (errno.ENFILE, 503, "internal"),
        (errno.EIO, 503, "internal"),
    ],
)
async def test_a_failure_to_open_gets_404_or_503_by_its_errno(
    start: Start, track: Path, number: int, status: int, code: str
) -> None:
    answer = await (await start(track, executor=FailingExecutor(number))).ask()
    assert (answer.status, answer.error) == (status, code)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"/secret/path" not in answer.body


class GatedExecutor(ThreadPoolExecutor):
    """One thread; its jobs begin, and then wait for the gate to open."""

    def __init__(self) -> None:
        super().__init__(1)
        self.begun = threading.Event()
        self.gate = threading.Event()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def job() -> T:
            self.begun.set()
            self.gate.wait(10)
            return fn(*args, **kwargs)

        return super().submit(job)


class InlineExecutor(Executor):
    """Has done each job by the time it is submitted; refuses all after the first ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.done = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self.done == self.limit:
            raise RuntimeError("shut down")
        self.done += 1
        job: Future[T] = Future()
        job.set_result(fn(*args, **kwargs))
        return job


def response_of(path: Path, executor: Executor) -> AudioFileResponse:
    slots = StreamSlots(Counter(), None)
    return AudioFileResponse(path, executor=executor, slots=slots, owner="ada")


def prepare(path: Path, executor: Executor) -> asyncio.Task[object]:
    response = response_of(path, executor)
    return asyncio.create_task(_prepare(response))


async def _prepare(response: AudioFileResponse) -> object:
    return await response.prepare(make_mocked_request("GET", "/"))


async def test_a_file_that_a_thread_opens_for_a_cancelled_request_is_closed(track: Path) -> None:
    executor = GatedExecutor()
    task = prepare(track, executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    executor.gate.set()
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0


async def test_a_failure_to_open_for_a_cancelled_request_is_not_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    executor = GatedExecutor()
    task = prepare(folder / "missing.mp3", executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    executor.gate.set()
    executor.shutdown()
    assert warnings(caplog) == []


async def test_a_request_cancelled_while_queued_opens_no_file(track: Path) -> None:
    executor = GatedExecutor()
    before = prepare(track, executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task = prepare(track, executor)
    await asyncio.sleep(0)
    for cancelled in (task, before):
        cancelled.cancel()
        await asyncio.wait([cancelled])
    executor.gate.set()
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_request_cancelled_just_after_its_file_was_opened_closes_it(
    track: Path, limit: int
) -> None:
    task = prepare(track, InlineExecutor(limit))
    await asyncio.sleep(0)
    assert descriptors_of(os.stat(track)) == 1
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert descriptors_of(os.stat(track)) == 0


async def test_a_request_without_a_connection_raises_and_closes_the_file(
    executor: ThreadPoolExecutor, track: Path
) -> None:
    request = make_mocked_request("GET", "/")
    request.protocol.transport = None
    with pytest.raises(ConnectionResetError):
        await response_of(track, executor).prepare(request)
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0
