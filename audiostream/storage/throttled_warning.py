"""A log line that repeats at most once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

WARN_EVERY: Final = 60.0
"""Seconds between two lines about a file that cannot be read, or written in time."""
_log = logging.getLogger(__name__)


class ThrottledWarning:
    """Logs an error unless it logged one within WARN_EVERY. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._logged_at = -WARN_EVERY

    def __call__(self, message: str) -> None:
        now = self._clock()
        if now - self._logged_at >= WARN_EVERY:
            self._logged_at = now
            _log.error("%s", message)
