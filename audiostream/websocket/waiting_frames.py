"""``WaitingFrames``: what one device has sent, and its room cannot do at once.

A room may have to wait for the store, for two seconds. Meanwhile the device is read on, so that the
wait of a frame begins with its arrival, and no reports pile up that are old once they are read::

    text ─► needs the store, or is behind one that does ─► add ─► perform, one after the other
                                       report ─► in place of the one that waits
                                       MAX_WAITING frames ─► the device is not read on
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ..playback.commands import Report
from ..protocol.envelope import Frame

MAX_WAITING: Final = 64
"""Frames of 64 KiB at most: the burst of commands that a device may send, and some."""
_tasks: Final[set[asyncio.Task[None]]] = set()
"""The event loop has only weak references."""


class _WaitingFrame(NamedTuple):
    """``report``: None for all that is answered, also for a report with an id."""

    frame: Frame
    report: Report | None
    arrived_at: float


class WaitingFrames:
    """The frames of one device in their order. ``perform(self, frame, report, waited)`` does one,
    which has waited for some seconds, and never raises.
    """

    __slots__ = ("_frames", "_has_room", "_loop", "_perform", "_task")

    def __init__(
        self,
        perform: Callable[[WaitingFrames, Frame, Report | None, float], Awaitable[None]],
    ) -> None:
        self._perform = perform
        self._frames: list[_WaitingFrame] = []
        self._has_room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def __bool__(self) -> bool:
        """Whether what comes now has to wait for what came before."""
        return self._task is not None

    @property
    def has_report(self) -> bool:
        """Whether a report waits: one that came before it is old."""
        return any(each.report is not None for each in self._frames)

    def has_room(self) -> Awaitable[None] | None:
        """Return what to await until there is room for a frame; None where there is."""
        return self._wait_for_room() if len(self._frames) >= MAX_WAITING else None

    async def _wait_for_room(self) -> None:
        while len(self._frames) >= MAX_WAITING:
            self._has_room.clear()
            await self._has_room.wait()

    def add(self, frame: Frame, report: Report | None) -> None:
        """Do a frame behind those that wait; a report in place of the one that waits (R22)."""
        if report is not None:
            self._frames = [each for each in self._frames if each.report is None]
        self._frames.append(_WaitingFrame(frame, report, self._loop.time()))
        if self._task is None:
            self._task = self._loop.create_task(self._perform_all())
            _tasks.add(self._task)
            self._task.add_done_callback(_tasks.discard)

    async def wait_done(self) -> None:
        """Return once nothing waits any more."""
        while self._task is not None:
            await asyncio.wait((self._task,))

    async def _perform_all(self) -> None:
        try:
            while self._frames:
                frame, report, arrived_at = self._frames.pop(0)
                self._has_room.set()
                await self._perform(self, frame, report, self._loop.time() - arrived_at)
        finally:
            self._task = None
