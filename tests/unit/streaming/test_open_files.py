"""Open files at rest: whose they are, what makes them useless, and that none is forgotten."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from audiostream.streaming.open_files import MOST_AT_REST, TRUSTED_FOR, Descriptors, OpenFile
from tests.support.stream_server import descriptors_of


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pool(clock: Clock) -> Descriptors:
    return Descriptors(io.FileIO.close, clock=clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"audio")
    return path


def opened(path: Path, at: float = 1000.0) -> OpenFile:
    file = io.FileIO(path)
    return OpenFile(os.fspath(path), file, os.fstat(file.fileno()), at)


async def test_what_was_given_is_taken_once(pool: Descriptors, path: Path) -> None:
    assert pool.take(os.fspath(path)) is None
    file = opened(path)
    pool.give(file)
    assert pool.take(os.fspath(path)) is file
    assert pool.take(os.fspath(path)) is None
    pool.give(file)
    pool.shut()


async def test_one_looked_at_stays(pool: Descriptors, path: Path, clock: Clock) -> None:
    file, name = opened(path), os.fspath(path)
    assert pool.at_rest(name, clock.now) is None
    pool.give(file)
    assert pool.at_rest(name, clock.now) is pool.at_rest(name, clock.now) is file
    assert pool.at_rest(name, clock.now + TRUSTED_FOR) is None
    pool.shut()


async def test_one_that_is_lent_is_closed_when_all_are_done(
    pool: Descriptors, path: Path, clock: Clock
) -> None:
    file = opened(path)
    pool.give(file)
    for _ in range(2):
        pool.lend(file)
    pool.take_back(file)
    assert pool.at_rest(os.fspath(path), clock.now) is file
    clock.now += TRUSTED_FOR
    assert pool.take(os.fspath(path)) is None
    assert not file.file.closed
    pool.take_back(file)
    assert file.file.closed


async def test_one_that_is_lent_may_still_be_at_rest_afterwards(
    pool: Descriptors, path: Path
) -> None:
    file = opened(path)
    pool.give(file)
    pool.lend(file)
    pool.take_back(file)
    assert not file.file.closed
    pool.lend(file)
    pool.shut()
    assert not file.file.closed
    pool.take_back(file)
    assert file.file.closed


async def test_two_responses_never_share_one(pool: Descriptors, path: Path) -> None:
    first, second = opened(path), opened(path)
    pool.give(first)
    pool.give(second)
    assert {pool.take(first.path), pool.take(first.path)} == {first, second}
    first.file.close()
    second.file.close()


def unlinked(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("new")
    other.write_bytes(b"other")
    other.replace(path)


def renamed(path: Path) -> None:
    path.rename(path.with_name("moved"))


def truncated(path: Path) -> None:
    os.truncate(path, 1)


def written(path: Path) -> None:
    path.write_bytes(b"other")
    os.utime(path, (1, 1))


def closed_to_all(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("change", [unlinked, replaced, renamed, truncated, written, closed_to_all])
async def test_a_file_that_changed_is_closed_not_taken(
    pool: Descriptors, path: Path, change: Callable[[Path], None]
) -> None:
    os.utime(path, (1, 2))
    os.link(path, path.with_name("another name"))  # so that no change ends the file itself
    file = opened(path)
    pool.give(file)
    await asyncio.sleep(0.02)  # file systems count in ticks of some milliseconds
    change(path)
    assert pool.take(os.fspath(path)) is None
    assert file.file.closed
    assert len(pool) == 0


async def test_after_a_moment_the_path_is_walked_anew(
    pool: Descriptors, clock: Clock, path: Path
) -> None:
    file = opened(path)
    pool.give(file)
    clock.now += TRUSTED_FOR - 0.01
    assert pool.take(file.path) is file
    pool.give(file)
    clock.now += 0.01
    assert pool.take(file.path) is None
    assert file.file.closed


async def test_what_comes_back_late_is_closed(pool: Descriptors, clock: Clock, path: Path) -> None:
    file = opened(path)
    clock.now += TRUSTED_FOR
    pool.give(file)
    assert file.file.closed


async def test_the_oldest_makes_room(pool: Descriptors, tmp_path: Path) -> None:
    files = []
    for number in range(MOST_AT_REST + 3):
        path = tmp_path / f"{number}.mp3"
        path.touch()
        files.append(opened(path))
        pool.give(files[-1])
    assert len(pool) == MOST_AT_REST
    assert [file.file.closed for file in files] == [True] * 3 + [False] * MOST_AT_REST
    pool.shut()
    assert all(file.file.closed for file in files)


async def test_nothing_stays_open_while_nobody_asks(path: Path) -> None:
    pool = Descriptors(io.FileIO.close)
    pool.give(opened(path, time.monotonic()))
    async with asyncio.timeout(20):
        while len(pool):
            await asyncio.sleep(TRUSTED_FOR / 5)
    assert descriptors_of(os.stat(path)) == 0
    assert pool._sweep is None


async def test_when_it_is_shut_all_are_closed_and_none_is_kept(
    pool: Descriptors, path: Path
) -> None:
    resting, out = opened(path), opened(path)
    pool.give(resting)
    pool.shut()
    assert resting.file.closed
    pool.give(out)
    assert out.file.closed
    assert pool.take(out.path) is None
