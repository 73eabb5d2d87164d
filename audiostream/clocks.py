"""The wall clock, and detecting that it was set.

The wall clock is for times that are shown, and compared with tokens, tickets, cookies, revocations
and HTTP dates. Positions and timeouts are differences, and use ``time.monotonic``, which cannot be
set and stands still while the machine is suspended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

MIN_STEP: Final = 0.5
"""Seconds by which the clocks must have moved apart to count as a step. NTP slews by up to 500
parts per million: half a second takes it over a quarter of an hour."""


def wall_clock() -> float:
    """Return the system's epoch seconds, read anew each time: the clock may be set."""
    return time.time()


class StepDetector:
    """Compares the wall clock with a monotonic one, as the system does not report a step."""

    def __init__(self, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._offset = wall_clock() - clock()

    def step(self) -> float:
        """Return the seconds by which the wall clock was set since the last step, or 0."""
        offset = self._wall_clock() - self._clock()
        step = offset - self._offset
        if abs(step) < MIN_STEP:
            return 0.0
        self._offset = offset
        return step
