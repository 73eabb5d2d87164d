"""``WritabilityWatcher``: wait until a connection can be written to again."""

from __future__ import annotations

import asyncio
import select
from typing import Final

WAKEUPS_PER_ITERATION: Final = 16
"""Connections that go on in one iteration of the event loop, so that others have their turn."""


class WritabilityWatcher:
    """Watch file descriptors of transports, for one event loop. Linux only.

    asyncio refuses ``add_writer`` for a descriptor that a transport has. A separate ``epoll`` may
    watch it, needs no second descriptor, and becomes readable for the loop itself (epoll(7)).
    """

    def __init__(self) -> None:
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._epoll = select.epoll()
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._wake)

    def wait(self, fd: int) -> asyncio.Future[None]:
        """Return what is done as soon as ``fd`` can be written to or is broken."""
        events = select.EPOLLOUT | select.EPOLLONESHOT
        if fd in self._waiters:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._waiters[fd] = waiter = asyncio.get_running_loop().create_future()
        return waiter

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor that is about to be closed: its number may be used again."""
        if self._waiters.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Stop watching. ``forget`` may still be called."""
        self._waiters.clear()
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _wake(self) -> None:
        for fd, _ in self._epoll.poll(0, WAKEUPS_PER_ITERATION):
            waiter = self._waiters[fd]
            if not waiter.done():
                waiter.set_result(None)
