"""``WritabilityWatcher``: call back when a connection can be written to again."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final

CALLBACKS_PER_ITERATION: Final = 16
"""Connections that go on in one iteration of the event loop, so that others have their turn."""


class WritabilityWatcher:
    """Watch file descriptors of transports, for one event loop. Linux only.

    asyncio refuses ``add_writer`` for a descriptor that a transport has. A separate ``epoll`` may
    watch it, needs no second descriptor, and becomes readable for the loop itself (epoll(7)).
    """

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._call_back)

    def once(self, fd: int, callback: Callable[[], None]) -> None:
        """Call ``callback`` one time, as soon as ``fd`` can be written to or is broken."""
        events = select.EPOLLOUT | select.EPOLLONESHOT
        if fd in self._callbacks:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def forget(self, fd: int) -> None:
        """Stop watching a descriptor that is about to be closed: its number may be used again."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Stop watching. ``forget`` may still be called."""
        self._callbacks.clear()
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _call_back(self) -> None:
        for fd, _ in self._epoll.poll(0, CALLBACKS_PER_ITERATION):
            self._callbacks[fd]()
