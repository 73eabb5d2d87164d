"""What was measured, as a table, as JSON and as a plot.

The plot is an SVG of one bar for each ratio,
on a logarithmic axis: to the right of 1 the server is ahead of its yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from .capacity import BUSY_AT_MOST, Answer
from .measure import Row, Spread

_HEAD = ("", "ours", "yardstick", "theirs", "ratio", "target", "")
_WIDTH = 470
_AHEAD, _BEHIND, _INK, _FAINT = "#2a7f62", "#c0632b", "#222", "#bbb"


def table(rows: Iterable[Row]) -> str:
    """A Markdown table of the rows of one part."""
    return _markdown(_HEAD, [_cells(row) for row in rows])


def capacity_table(answers: Iterable[Answer]) -> str:
    """A Markdown table of what was computed."""
    head = ("what users do", "where", "users", "limited by", "busy on average")
    return _markdown(
        head,
        [
            (each.behaviour, each.box, f"{each.users:,}", each.limit, f"{each.mean_busy:.0%}")
            for each in answers
        ],
    )


def verdict(rows: Iterable[Row]) -> str:
    """How many of the targets are met."""
    found = [row.is_met for row in rows if row.is_met is not None]
    return f"{sum(found)} of {len(found)} targets met; computed for cores {BUSY_AT_MOST:.0%} busy"


def as_json(
    rows: Iterable[Row], answers: Iterable[Answer], machine: dict[str, Any]
) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "machine": machine,
        "measured": [asdict(row) | {"is_met": row.is_met} for row in rows],
        "computed": [asdict(answer) for answer in answers],
    }


def plot(rows: Sequence[Row], title: str) -> str:
    """An SVG with a bar for every row that has a ratio of which more is better."""
    shown = [row for row in rows if row.ratio is not None and row.unit != "ms"]
    left, width, line, top = 455, _WIDTH, 19, 56
    low = min([0.1, *(row.ratio.low for row in shown if row.ratio)])
    high = max([10.0, *(row.ratio.high for row in shown if row.ratio)])
    scale = width / math.log(high / low)

    def across(ratio: float) -> float:
        return left + math.log(max(ratio, low) / low) * scale

    height = top + line * len(shown) + 12
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="8" y="20" font-size="14" fill="{_INK}">{escape(title)}</text>',
    ]
    for tick in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25):
        if low <= tick <= high:
            x, colour = across(tick), _INK if tick == 1 else _FAINT
            drawn.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{height - 8}" '
                f'stroke="{colour}"/><text x="{x:.1f}" y="{top - 12}" fill="{_INK}" '
                f'text-anchor="middle">{tick:g} x</text>'
            )
    for number, row in enumerate(shown):
        assert row.ratio is not None
        drawn.append(_bar(row, row.ratio, top + number * line, left, across))
    return "\n".join([*drawn, "</svg>", ""])


def _bar(row: Row, ratio: Spread, y: float, left: float, across: Any) -> str:
    one, end = across(1.0), across(ratio.median)
    colour = _AHEAD if ratio.median >= 1 else _BEHIND
    parts = [
        f'<text x="{left - 10}" y="{y + 11}" fill="{_INK}" text-anchor="end">'
        f"{escape(f'{row.what} : {row.yardstick}')}</text>",
        f'<rect x="{min(one, end):.1f}" y="{y + 2}" width="{abs(end - one):.1f}" height="12" '
        f'fill="{colour}"/>',
        f'<line x1="{across(ratio.low):.1f}" x2="{across(ratio.high):.1f}" y1="{y + 8}" '
        f'y2="{y + 8}" stroke="{_INK}"/>',
        f'<text x="{left + _WIDTH + 60}" y="{y + 12}" fill="{_INK}" text-anchor="end">'
        f"{ratio.median:.2f}</text>",
    ]
    if row.target is not None:
        x = across(row.target.limit)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 16}" stroke="#d22" '
            'stroke-width="2"/>'
        )
    return "".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {None: "", True: ", met", False: ", NOT MET"}[row.is_met]
    return (
        row.what,
        f"{_figure(row.ours)} {row.unit}" if row.ours else "-",
        row.yardstick,
        _figure(row.theirs),
        _figure(row.ratio),
        f"{row.target}{verdict}" if row.target else "",
        row.note,
    )


def _figure(spread: Spread | None) -> str:
    """The median, and the lowest and highest where they differ."""
    if spread is None:
        return ""
    if spread.low == spread.high:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.low)} to {_number(spread.high)})"


def _number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.3f}"


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    ruler = ["-" * max(width, 3) for width in widths]
    return "\n".join(
        "| "
        + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + " |"
        for line in (head, ruler, *lines)
    )
