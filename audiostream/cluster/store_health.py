"""``StoreHealth``: whether the shared store answers, and what asking it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from ..errors import Unavailable
from ..storage.shared_store import SharedStore
from ..storage.throttled_warning import WARN_EVERY

GIVEN_UP_AFTER: Final = 1.0
"""Seconds without an answer after which an operation that is cancelled counts as not answered. One
that had less time, as its command had waited for others, tells nothing of the store."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class StoreCounters:
    """What was asked of the store since the start. ``seconds`` were spent on waiting for it."""

    round_trips: int = 0
    seconds: float = 0.0
    commit_losses: int = 0


class StoreHealth:
    """``is_degraded``: the store did not answer when it was last asked, or stores nothing: a
    replica, or a Redis whose disk is full, can be read. ``clock`` is monotonic.

    Both turns are logged, but for those within WARN_EVERY of the last: where one node of several is
    away, every other answer may be a turn.
    """

    def __init__(self, store: SharedStore, clock: Callable[[], float]) -> None:
        self.store = store
        self.is_degraded = False
        self.counters = StoreCounters()
        self._clock = clock
        self._logged_at = float("-inf")
        self._is_logged = False

    async def ask(self, operation: Awaitable[T], *, writes: bool = False) -> T:
        """Return what an operation of the store returns. Raises what it raises.

        ``writes``: an answer shows that changes can be stored.
        """
        began = self._clock()
        try:
            answer = await operation
        except Unavailable:
            self._note_failure()
            raise
        except asyncio.CancelledError:
            if self._clock() - began >= GIVEN_UP_AFTER:
                self._note_failure()
            raise
        finally:
            self.counters.round_trips += 1
            self.counters.seconds += self._clock() - began
        if self.is_degraded and writes:
            self.is_degraded = False
            if self._is_logged:
                _log.warning("the shared store answers again")
        return answer

    def _note_failure(self) -> None:
        """Note that the store did not answer."""
        if self.is_degraded:
            return
        self.is_degraded = True
        now = self._clock()
        self._is_logged = now - self._logged_at >= WARN_EVERY
        if self._is_logged:
            self._logged_at = now
            _log.warning("the shared store does not answer; commands wait, playing goes on")
