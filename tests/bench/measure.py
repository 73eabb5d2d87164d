"""Rounds, medians and spreads: plain arithmetic on what was measured, and the order of turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Turn = Callable[[], float]
"""Measures once, and answers the figure."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises ``statistics.StatisticsError`` where there are none."""
        given = tuple(values)
        return cls(statistics.median(given), min(given), max(given))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure, or its ratio where there is a yardstick, should at least or at most be."""

    limit: float
    at_least: bool = True

    def is_met(self, figure: float) -> bool:
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``ours`` and ``theirs`` are in ``unit``; ``ratio`` is that of each round, ours by theirs.
    ``note`` says what else a reader has to know, or why there is no figure.
    """

    part: str
    what: str
    unit: str
    ours: Spread | None = None
    yardstick: str = ""
    theirs: Spread | None = None
    ratio: Spread | None = None
    target: Target | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none, or nothing was measured."""
        figure = self.ratio if self.yardstick else self.ours
        return None if self.target is None or figure is None else self.target.is_met(figure.median)


def interleaved(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """Let each take its turn, A B C A B C, so that a slow moment of the machine meets all."""
    figures: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            figures[name].append(turn())
    return figures


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """How a cost grows: the slope of its logarithm by that of the size. 0 stays, 1 is linear."""
    slope, _ = statistics.linear_regression([*map(math.log, sizes)], [*map(math.log, costs)])
    return slope


def line(sizes: Sequence[float], costs: Sequence[float]) -> tuple[float, float]:
    """What each costs (never below 0) and what every unit of its size adds: least squares."""
    slope, intercept = statistics.linear_regression(sizes, costs)
    return max(0.0, intercept), max(0.0, slope)
