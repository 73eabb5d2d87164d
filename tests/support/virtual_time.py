"""An event loop whose clock is ahead of time: what waits for a timer does not wait."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Selector(selectors.SelectSelector):
    """Moves the clock of its loop instead of waiting."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            assert timeout is not None, "nothing is left that could happen"
            self.loop.now += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """``now`` is its time in seconds; for code that waits for timers alone."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def current_time() -> float:
    """Return the time of the running event loop, virtual or not."""
    return asyncio.get_running_loop().time()
