"""``WaitingFrames``: what one device has sent, and its room cannot do at once.

A room may have to wait for the store, for two seconds. Meanwhile the device is read on, so that the
wait of a frame begins with its arrival, and no reports pile up that are old once they are read::

    text ─► needs the store, or is behind one that does ─► add ─► perform, one after the other
                                       report ─► in place of the one that waits
                                       MAX_WAITING frames ─► the device is not read on

Events of Socket.IO clients wait here, too; python-socketio reads on, so more of them are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, NamedTuple, TypeVar

MAX_WAITING: Final = 64
"""Frames of 64 KiB at most: the burst of commands that a device may send, and some."""
_tasks: Final[set[asyncio.Task[None]]] = set()
"""The event loop has only weak references."""


T = TypeVar("T")


class _WaitingFrame(NamedTuple, Generic[T]):
    frame: T
    is_report: bool
    arrived_at: float


class WaitingFrames(Generic[T]):
    """The frames of one device in their order. ``perform(self, frame, waited)`` does one, which has
    waited for some seconds, and never raises.
    """

    __slots__ = ("_frames", "_has_room", "_loop", "_perform", "_task")

    def __init__(self, perform: Callable[[WaitingFrames[T], T, float], Awaitable[None]]) -> None:
        self._perform = perform
        self._frames: list[_WaitingFrame[T]] = []
        self._has_room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def __bool__(self) -> bool:
        """Whether what comes now has to wait for what came before."""
        return self._task is not None

    @property
    def has_report(self) -> bool:
        """Whether a report waits: one that came before it is old."""
        return any(each.is_report for each in self._frames)

    @property
    def is_full(self) -> bool:
        return len(self._frames) >= MAX_WAITING

    def has_room(self) -> Awaitable[None] | None:
        """Return what to await until there is room for a frame; None where there is."""
        return self._wait_for_room() if self.is_full else None

    async def _wait_for_room(self) -> None:
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def add(self, frame: T, *, is_report: bool) -> T | None:
        """Do a frame behind those that wait; a report in place of the one that waits (R22).

        Return the report that is not done any more, None where there is none.
        """
        replaced = None
        if is_report:
            replaced = next((each.frame for each in self._frames if each.is_report), None)
            self._frames = [each for each in self._frames if not each.is_report]
        self._frames.append(_WaitingFrame(frame, is_report, self._loop.time()))
        if self._task is None:
            self._task = self._loop.create_task(self._perform_all())
            _tasks.add(self._task)
            self._task.add_done_callback(_tasks.discard)
        return replaced

    async def wait_done(self) -> None:
        """Return once nothing waits any more."""
        while self._task is not None:
            await asyncio.wait((self._task,))

    async def _perform_all(self) -> None:
        try:
            while self._frames:
                frame, _, arrived_at = self._frames.pop(0)
                self._has_room.set()
                await self._perform(self, frame, self._loop.time() - arrived_at)
        finally:
            self._task = None
