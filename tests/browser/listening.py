"""What comes out of the player page, sampled: sound, silence, jumps, and what the page shows of it.

A script looks at the audio element ten times a second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .engines import Tab

RECORD = """(() => {
  const audio = document.getElementById("audio");
  const text = (id) => document.getElementById(id).textContent.trim();
  window.heard = [];
  const look = () => heard.push([
    performance.now() / 1000,
    text("now-title"),
    audio.currentTime,
    audio.readyState > 1 && !audio.seeking && !audio.paused && !audio.ended,
    document.getElementById("seek").valueAsNumber,
    document.getElementById("toggle").getAttribute("aria-label"),
    text("connection"),
  ]);
  setInterval(look, 100);
  look();
})()"""
SOUNDING = 0.5
"""The share of real time by which a position advances at least where there is sound."""
CHOOSE = """(() => {
  const parts = [...document.querySelectorAll("#tracks li *")];
  parts.find(({ textContent }) => textContent === %s).click();
})()"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The page at a moment: ``at`` in its own seconds, positions in seconds of the track."""

    at: float
    title: str
    position: float
    is_ready: bool
    shown: float
    button: str
    status: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound without a gap: of one track, from one moment and position to others."""

    title: str
    begin: float
    end: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Heard:
    """All samples of a time, in their order."""

    samples: tuple[Sample, ...]

    @property
    def now(self) -> Sample:
        return self.samples[-1]

    def since(self, at: float) -> Heard:
        return Heard(tuple(sample for sample in self.samples if sample.at >= at))

    def stretches(self) -> list[Stretch]:
        """What sounded, in its order."""
        found: list[Stretch] = []
        for one, other in pairwise(self.samples):
            elapsed, advanced = other.at - one.at, other.position - one.position
            is_same = one.title == other.title and one.is_ready and other.is_ready
            if not is_same or not SOUNDING * elapsed <= advanced <= elapsed + SOUNDING:
                continue
            last = found[-1] if found else None
            if last and (last.title, last.end, last.last) == (one.title, one.at, one.position):
                found[-1] = Stretch(last.title, last.begin, other.at, last.first, other.position)
            else:
                found.append(Stretch(one.title, one.at, other.at, one.position, other.position))
        return found

    def titles(self) -> list[str]:
        """The tracks that sounded, each once in a row."""
        titles = [stretch.title for stretch in self.stretches()]
        return [t for t, before in zip(titles, [None, *titles], strict=False) if t != before]

    def jumps(self) -> list[float]:
        """By how much the sound left its place, in seconds, each time that it did so at all."""
        return [
            other.first - one.last
            for one, other in pairwise(self.stretches())
            if one.title == other.title and other.first != one.last
        ]

    def silence(self) -> float:
        """Seconds without sound since it began."""
        begin = self.stretches()[0].begin
        lost = 0.0
        for one, other in pairwise(self.since(begin).samples):
            elapsed, advanced = other.at - one.at, other.position - one.position
            is_heard = one.title == other.title and 0 <= advanced <= elapsed + SOUNDING
            lost += elapsed - advanced if is_heard else elapsed
        return lost


async def listen(tab: Tab) -> None:
    """Begin to sample."""
    await tab.evaluate(RECORD)


async def heard(tab: Tab) -> Heard:
    """What was sampled so far."""
    rows: list[list[Any]] = await tab.evaluate("window.heard")
    return Heard(tuple(Sample(*row) for row in rows))


async def mute(tab: Tab) -> None:
    """Let a browser play that has no way to be heard: Firefox does, if nobody would hear it."""
    await tab.evaluate("document.getElementById('audio').muted = true")


async def choose(tab: Tab, title: str) -> None:
    """Start a track of the list."""
    await tab.evaluate(CHOOSE % json.dumps(title))
