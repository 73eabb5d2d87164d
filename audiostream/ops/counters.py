"""``Counters``: what an application counts of itself, as plain numbers that ``/metrics`` shows.

What is rare is always counted: the end of a connection, a flush. What is frequent (frames, reports,
bytes of the fast path) is counted by subclasses, which stand in for their bases where
``counts_frames`` is set: without ``/metrics`` frames cost nothing more. Round trips to a shared
store are counted by ``cluster.store_health``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Literal

LAG_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds. A loop without work is late by up to 1 ms, to which epoll rounds; 0.25 s is heard."""
FLUSH_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds. An idle flush takes under 1 ms, one with an fsync 5 to 30 ms; 1 s logs a warning."""

Transport = Literal["websocket", "socketio", "rest"]
"""How a command came; devices have the first two."""
ReportOutcome = Literal["absorbed", "corrected", "applied", "refused"]
"""What a report did: nothing; the sender alone was sent the state; the state changed; an error."""


class Histogram:
    """How many values were at most each of the ``bounds``, how many more, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Return each bound, infinity at the end, and how many values were at most that."""
        return zip((*self._bounds, float("inf")), accumulate(self._counts), strict=True)


@dataclass(slots=True, eq=False)
class Counters:
    """The counts of one application since its start. For its event loop alone.

    ``disconnects`` by the word of the close reason, ``commands`` by transport and event.
    """

    counts_frames: bool = False
    """Whether commands, reports, frames and bytes of the fast path are counted too."""
    disconnects: Counter[str] = field(default_factory=Counter)
    commands: Counter[tuple[Transport, str]] = field(default_factory=Counter)
    reports: Counter[ReportOutcome] = field(default_factory=Counter)
    frames_sent: Counter[Transport] = field(default_factory=Counter)
    loop_lag: Histogram = field(default_factory=lambda: Histogram(LAG_BOUNDS))
    flushes: Histogram = field(default_factory=lambda: Histogram(FLUSH_BOUNDS))
