"""``OpenFileCache``: what is cached, what is no longer trusted, and that every file is closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audiostream.streaming.fastpath.open_files import (
    CAPACITY,
    TRUSTED_FOR,
    OpenFile,
    OpenFileCache,
)
from tests.conftest import FOLDER_CHANGE_SEEN_AFTER
from tests.support.waiting import until


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
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def cache(executor: ThreadPoolExecutor, clock: Clock) -> AsyncIterator[OpenFileCache]:
    cache = OpenFileCache(executor, clock=clock)
    yield cache
    cache.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(b"audio")
    return path


async def open_in(cache: OpenFileCache, path: Path, clock: Clock) -> OpenFile:
    """Open a file and return what is cached then."""
    await cache.open(os.fspath(path))
    opened = cache.cached(os.fspath(path), clock.now)
    assert opened is not None
    return opened


async def closed(*files: OpenFile) -> None:
    await until(lambda: all(each.file.closed for each in files))


async def test_a_file_is_cached_once_it_has_been_opened(
    cache: OpenFileCache, path: Path, clock: Clock
) -> None:
    assert cache.cached(os.fspath(path), clock.now) is None
    opened = await open_in(cache, path, clock)
    assert opened.file.read() == b"audio"
    assert cache.cached(os.fspath(path), clock.now) is opened


async def test_requests_at_the_same_time_share_one_opening(
    cache: OpenFileCache, path: Path
) -> None:
    assert cache.open(os.fspath(path)) is cache.open(os.fspath(path))
    await cache.open(os.fspath(path))
    assert len(cache) == 1


async def test_what_is_no_regular_file_is_not_cached(cache: OpenFileCache, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("fifo", "link", "missing", "."):
        with pytest.raises(OSError, match=r".+"):
            await cache.open(os.fspath(tmp_path / name))
    assert len(cache) == 0


async def test_a_retained_file_is_closed_when_it_is_released_by_all(
    cache: OpenFileCache, path: Path, clock: Clock
) -> None:
    opened = await open_in(cache, path, clock)
    for _ in range(2):
        cache.retain(opened)
    cache.release(opened)
    clock.now += TRUSTED_FOR
    assert cache.cached(os.fspath(path), clock.now) is None
    await asyncio.sleep(0.05)
    assert not opened.file.closed
    cache.release(opened)
    await closed(opened)


async def test_a_released_file_stays_cached(cache: OpenFileCache, path: Path, clock: Clock) -> None:
    opened = await open_in(cache, path, clock)
    cache.retain(opened)
    cache.release(opened)
    assert cache.cached(os.fspath(path), clock.now) is opened


def unlink(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("new")
    other.write_bytes(b"other")
    other.replace(path)


def rename(path: Path) -> None:
    path.rename(path.with_name("moved"))


def truncate(path: Path) -> None:
    os.truncate(path, 1)


def write(path: Path) -> None:
    path.write_bytes(b"other")
    os.utime(path, (1, 1))


def deny(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize("change", [unlink, replace, rename, truncate, write, deny])
async def test_a_changed_file_is_closed_and_not_returned(
    cache: OpenFileCache, path: Path, clock: Clock, change: Callable[[Path], None]
) -> None:
    os.utime(path, (1, 2))
    os.link(path, path.with_name("another name"))  # so that no change ends the file itself
    opened = await open_in(cache, path, clock)
    await asyncio.sleep(0.02)  # file systems count in ticks of some milliseconds
    change(path)
    assert cache.cached(os.fspath(path), clock.now) is None
    await closed(opened)
    assert len(cache) == 0


async def test_a_file_is_not_trusted_for_longer_than_the_limit(
    cache: OpenFileCache, path: Path, clock: Clock
) -> None:
    assert TRUSTED_FOR <= FOLDER_CHANGE_SEEN_AFTER
    opened = await open_in(cache, path, clock)
    clock.now += TRUSTED_FOR
    assert cache.cached(os.fspath(path), clock.now) is None
    await closed(opened)


async def test_the_oldest_file_makes_room(
    cache: OpenFileCache, tmp_path: Path, clock: Clock
) -> None:
    files = []
    for number in range(CAPACITY + 3):
        path = tmp_path / f"{number}.mp3"
        path.touch()
        files.append(await open_in(cache, path, clock))
    assert len(cache) == CAPACITY
    await closed(*files[:3])
    assert not any(each.file.closed for each in files[3:])


async def test_a_file_that_nobody_asks_for_is_closed_after_a_moment(
    executor: ThreadPoolExecutor, path: Path
) -> None:
    cache = OpenFileCache(executor)
    await cache.open(os.fspath(path))
    assert len(cache) == 1
    await until(lambda: len(cache) == 0)
    cache.close()


async def test_a_closed_cache_closes_cached_and_late_files(
    executor: ThreadPoolExecutor, path: Path, clock: Clock, tmp_path: Path
) -> None:
    cache = OpenFileCache(executor, clock=clock)
    opened = await open_in(cache, path, clock)
    (tmp_path / "late").touch()
    late = cache.open(os.fspath(tmp_path / "late"))
    cache.close()
    file, _ = await late
    await until(lambda: opened.file.closed and file.closed)
    assert len(cache) == 0
