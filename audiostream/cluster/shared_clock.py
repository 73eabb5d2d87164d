"""``SharedClock``: the clock of the shared store, so that processes on machines whose own clocks
differ agree on positions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

MAX_DEVIATION: Final = 0.005
"""Seconds by which the clock may be off without being set: less than players can hear, and more
than the round trips to a store on the same network differ by."""


class SharedClock:
    """Callable: epoch seconds of the store's clock, by a local monotonic ``clock`` in between.

    Before the first ``adjust`` it follows ``wall_clock``.
    """

    def __init__(self, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset = wall_clock() - clock()
        self._is_adjusted = False

    def __call__(self) -> float:
        return self._clock() + self._offset

    async def adjust(self, read_time: Callable[[], Awaitable[float]]) -> None:
        """Set the clock by the store's, taken to be read in the middle of the round trip.

        A difference that the round trip may account for is left. Raises what ``read_time`` raises.
        """
        began = self._clock()
        time = await read_time()
        ended = self._clock()
        offset = time - (began + ended) / 2
        tolerance = max(MAX_DEVIATION, (ended - began) / 2)
        if not self._is_adjusted or abs(offset - self._offset) > tolerance:
            self._is_adjusted = True
            self._offset = offset
