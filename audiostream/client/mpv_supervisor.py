"""Keeps an mpv running: starts another when one has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from .mpv_ipc import MpvConnection, MpvEvent
from .mpv_player import MpvPlayer

FIRST_DELAY: Final = 0.5
"""Seconds before mpv is started again; each further delay is twice as long."""
STEADY: Final = 10.0
"""Seconds that mpv must last for the delays to begin again at FIRST_DELAY."""
MAX_STARTS: Final = 5
"""Starts in a row that did not last after which no other follows."""

StartMpv = Callable[[Callable[[MpvEvent], None]], AbstractAsyncContextManager[MpvConnection]]
"""What starts mpv with a function for its events, and ends it with the block."""


class MpvKeepsEnding(Exception):
    """Raised when mpv has ended soon after each of MAX_STARTS starts."""


class MpvSupervisor:
    """Runs mpv after mpv. ``clock`` returns monotonic seconds, ``sleep`` waits for some."""

    def __init__(
        self,
        start: StartMpv,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._start = start
        self._clock = clock
        self._sleep = sleep

    async def run(
        self, on_event: Callable[[MpvEvent], None], use: Callable[[MpvPlayer], Awaitable[None]]
    ) -> None:
        """Call ``use`` with each mpv in turn; it returns when that has ended.

        Raises ``MpvKeepsEnding``, and what the start raises.
        """
        starts = 0
        while True:
            began = self._clock()
            async with self._start(on_event) as connection:
                await use(MpvPlayer(connection, self._clock))
            starts = 1 if self._clock() - began > STEADY else starts + 1
            if starts >= MAX_STARTS:
                raise MpvKeepsEnding("mpv ends soon after each start; the log says why")
            await self._sleep(FIRST_DELAY * 2.0 ** (starts - 1))
