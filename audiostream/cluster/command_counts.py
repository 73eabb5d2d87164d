"""``SharedTokenBuckets``: token buckets of users who send commands to other processes, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..rate_limit import BURST_SECONDS, TokenBuckets


class SharedTokenBuckets(TokenBuckets):
    """Counts what users send here, and takes tokens for what they have sent elsewhere.

    A bucket may lack tokens after that, as each process allows the whole rate until it knows of
    the others: over some seconds users have the rate of one bucket.
    """

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._new: Counter[str] = Counter()

    @property
    def users(self) -> set[str]:
        """Those whose commands have not been taken out by ``take_new``."""
        return set(self._new)

    def try_acquire(self, key: str, now: float) -> bool:
        """Take a token of ``key``, and return whether there was one."""
        is_allowed = super().try_acquire(key, now)
        if is_allowed:
            self._new[key] += 1
        return is_allowed

    def take_new(self, users: Iterable[str]) -> dict[str, int]:
        """Return how many commands some users have sent here since the last call for them."""
        return {user: self._new.pop(user) for user in users if user in self._new}

    def take_tokens(self, key: str, count: int, now: float) -> None:
        """Take tokens for commands that other processes have allowed, as many as there were."""
        is_one_taken = super().try_acquire(key, now)
        _, bucket = self._used[key]
        bucket.take(count - is_one_taken, now)

    def _drop_full(self, now: float) -> None:
        """Keep buckets that lack tokens for longer, and those behind them."""
        while self._used:
            last_used, bucket = next(iter(self._used.values()))
            if now - last_used < BURST_SECONDS or not bucket.is_full(now):
                break
            self._used.popitem(last=False)
