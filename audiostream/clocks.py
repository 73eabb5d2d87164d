"""The wall clock, and noticing that it was set.

Here: the time that is shown, and compared with tokens, tickets, cookies, revocations and HTTP
dates. Not here: positions and timeouts. These are differences, and use ``time.monotonic``, which
no one can set and which stands still while the machine is suspended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SMALLEST_STEP: Final = 0.5
"""Seconds by which the clocks must have moved apart to count as a step. NTP slews by up to 500
parts per million: half a second takes it over a quarter of an hour."""


def wall_clock() -> float:
    """Epoch seconds as the system has them now, read anew each time: the clock may be set."""
    return time.time()


class StepDetector:
    """Compares the wall clock with a monotonic one, as the system does not tell of a step."""

    def __init__(self, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._offset = wall_clock() - clock()

    def step(self) -> float:
        """Seconds by which the wall clock was set since the last step, 0 if it was not."""
        offset = self._wall_clock() - self._clock()
        step = offset - self._offset
        if abs(step) < SMALLEST_STEP:
            return 0.0
        self._offset = offset
        return step
