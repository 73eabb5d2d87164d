"""How often something may happen: a token bucket, and one for each of many keys.

Here: counting. Not here: what is counted and what follows (``gateway``, ``rest``).
"""

from __future__ import annotations

from collections import OrderedDict

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


class Allowances:
    """An ``Allowance`` of the same rate for each key; in memory are those that are not full."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._used: OrderedDict[str, tuple[float, Allowance]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def take(self, key: str, now: float) -> bool:
        """Whether it may happen once more for ``key``; if so, it counts."""
        self._forget_full(now)
        _, allowance = self._used.get(key) or (now, Allowance(self._rate, now))
        self._used[key] = now, allowance
        self._used.move_to_end(key)
        return allowance.take(now)

    def _forget_full(self, now: float) -> None:
        """One that is full again is like a new one."""
        while self._used:
            last_used, _ = next(iter(self._used.values()))
            if now - last_used < BURST_SECONDS:
                break
            self._used.popitem(last=False)
