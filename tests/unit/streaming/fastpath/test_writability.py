"""``WritabilityWatcher``: one call for each request to be called, and none after ``forget``."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import until

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


async def test_a_callback_is_called_once_each_time_that_it_is_given(
    watcher: WritabilityWatcher, fd: int
) -> None:
    called: list[str] = []
    watcher.once(fd, lambda: called.append("first"))
    await until(lambda: called)
    await asyncio.sleep(0.02)
    assert called == ["first"]
    watcher.once(fd, lambda: called.append("second"))
    await until(lambda: called == ["first", "second"])


async def test_a_forgotten_descriptor_is_not_called_and_may_be_watched_again(
    watcher: WritabilityWatcher, fd: int
) -> None:
    called: list[str] = []
    watcher.once(fd, lambda: called.append("the one before"))
    watcher.forget(fd)
    watcher.forget(fd)
    await asyncio.sleep(0.02)
    assert not called
    watcher.once(fd, lambda: called.append("another"))
    await until(lambda: called == ["another"])


async def test_a_connection_may_end_after_the_watcher_is_closed(fd: int) -> None:
    called: list[str] = []
    watcher = WritabilityWatcher()
    watcher.once(fd, lambda: called.append("too late"))
    watcher.close()
    watcher.forget(fd)
    await asyncio.sleep(0.02)
    assert not called
