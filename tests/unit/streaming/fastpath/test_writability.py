"""``WritabilityWatcher``: who waits is woken once, and never after ``forget``."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.waiting import PATIENCE

if sys.platform != "linux":
    pytest.skip("epoll is Linux's", allow_module_level=True)

from audiostream.streaming.fastpath.writability import WritabilityWatcher


@pytest.fixture
def fd() -> Iterator[int]:
    """A connection that can be written to."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours.fileno()


@pytest.fixture
async def watcher() -> AsyncIterator[WritabilityWatcher]:
    watcher = WritabilityWatcher()
    yield watcher
    watcher.close()


async def test_waiting_ends_once_the_connection_can_be_written_to(
    watcher: WritabilityWatcher, fd: int
) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            await watcher.wait(fd)


async def test_a_forgotten_descriptor_is_not_woken_and_may_be_watched_again(
    watcher: WritabilityWatcher, fd: int
) -> None:
    forgotten = watcher.wait(fd)
    watcher.forget(fd)
    watcher.forget(fd)
    await asyncio.sleep(0.02)
    assert not forgotten.done()
    async with asyncio.timeout(PATIENCE):
        await watcher.wait(fd)


async def test_a_wait_that_was_cancelled_is_not_woken(watcher: WritabilityWatcher, fd: int) -> None:
    watcher.wait(fd).cancel()
    await asyncio.sleep(0.02)
    async with asyncio.timeout(PATIENCE):
        await watcher.wait(fd)


async def test_a_connection_may_end_after_the_watcher_is_closed(fd: int) -> None:
    watcher = WritabilityWatcher()
    waiter = watcher.wait(fd)
    watcher.close()
    watcher.forget(fd)
    await asyncio.sleep(0.02)
    assert not waiter.done()
