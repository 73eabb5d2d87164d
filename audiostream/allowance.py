"""How often something may happen: a token bucket.

Here: counting. Not here: what is counted and what follows (``gateway``).
"""

from __future__ import annotations

BURST_SECONDS = 2.0
"""How many seconds' worth may come at once."""


class Allowance:
    """``rate`` a second on average, and a burst of ``BURST_SECONDS`` times that.

    Times are float seconds of any clock that only goes on.
    """

    __slots__ = ("_at", "_left", "_most", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = self._left = rate * BURST_SECONDS
        self._at = now

    def take(self, now: float) -> bool:
        """Whether it may happen once more; if so, it counts."""
        left = self._left + (now - self._at) * self._rate
        if left > self._most:
            left = self._most
        is_enough = left >= 1.0
        self._left = left - 1.0 if is_enough else left
        self._at = now
        return is_enough
