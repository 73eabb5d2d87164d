"""Token buckets: one for each device, one for each user of REST commands."""

from __future__ import annotations

from collections import OrderedDict

BURST_SECONDS = 2.0
"""Seconds' worth of the rate that may come at once: a reconnecting client sends a few together."""


class TokenBucket:
    """Allows ``rate`` a second on average, and a burst of ``BURST_SECONDS`` times that.

    ``now`` is in seconds of any clock that only goes on.
    """

    __slots__ = ("_capacity", "_rate", "_tokens", "_updated_at")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._capacity = self._tokens = rate * BURST_SECONDS
        self._updated_at = now

    def try_acquire(self, now: float) -> bool:
        """Take a token, and return whether there was one."""
        tokens = self._tokens + (now - self._updated_at) * self._rate
        if tokens > self._capacity:
            tokens = self._capacity
        is_allowed = tokens >= 1.0
        self._tokens = tokens - 1.0 if is_allowed else tokens
        self._updated_at = now
        return is_allowed

    def take(self, count: int, now: float) -> None:
        """Take tokens, whether there are as many or not."""
        self._tokens = self._tokens_at(now) - count
        self._updated_at = now

    def is_full(self, now: float) -> bool:
        """Whether the bucket is like a new one."""
        return self._tokens_at(now) >= self._capacity

    def _tokens_at(self, now: float) -> float:
        return min(self._capacity, self._tokens + (now - self._updated_at) * self._rate)


class TokenBuckets:
    """A ``TokenBucket`` of the same rate for each key. Full ones are dropped from memory."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._used: OrderedDict[str, tuple[float, TokenBucket]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def try_acquire(self, key: str, now: float) -> bool:
        """Take a token of ``key``, and return whether there was one."""
        self._drop_full(now)
        _, bucket = self._used.get(key) or (now, TokenBucket(self._rate, now))
        self._used[key] = now, bucket
        self._used.move_to_end(key)
        return bucket.try_acquire(now)

    def _drop_full(self, now: float) -> None:
        """A bucket that is full again is like a new one."""
        while self._used:
            last_used, _ = next(iter(self._used.values()))
            if now - last_used < BURST_SECONDS:
                break
            self._used.popitem(last=False)
