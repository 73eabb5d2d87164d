"""The rate limit of one device: one bucket for its commands, another for what comes often."""

from __future__ import annotations

from ..errors import RateLimited
from ..rate_limit import TokenBucket
from ..settings import Limits

REPORT_EVENT = "updateStreaming"
"""Players send it four times a second, so it has a limit of its own."""


FREQUENT_EVENTS = frozenset({REPORT_EVENT, "setVolume"})
"""Counted apart from other commands: a user who drags a volume, and then pauses, must not wait."""


class DeviceRateLimiter:
    """Counts what one device sends. ``now`` is in seconds of a monotonic clock."""

    __slots__ = ("_commands", "_reports")

    def __init__(self, limits: Limits, now: float) -> None:
        self._commands = TokenBucket(limits.commands_per_second, now)
        self._reports = TokenBucket(limits.reports_per_second, now)

    def check(self, event: str, now: float) -> None:
        """Count one event. Raises ``RateLimited``."""
        bucket = self._reports if event in FREQUENT_EVENTS else self._commands
        if not bucket.try_acquire(now):
            raise RateLimited("too many frames at once; wait a moment")
