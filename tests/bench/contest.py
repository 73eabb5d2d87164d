"""Several servers under the same load, turn by turn, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

from . import servers
from .clients import Load
from .measure import Row, Spread, Target, interleaved, ratios
from .servers import Missing, Server

OURS = "audiostream"
BESIDE = "another commit"
WORTH_SAYING = 0.05


class Contest:
    """``audiostream`` and its yardsticks, all running; those that are missing are remembered."""

    def __init__(self, stack: ExitStack) -> None:
        self.servers: dict[str, Server] = {}
        self._stack = stack
        self._missing: dict[str, str] = {}

    def add(self, name: str, start: Callable[[], AbstractContextManager[Server]]) -> None:
        """Start one. Whatever is not installed here is left out."""
        try:
            self.servers[name] = self._stack.enter_context(start())
        except Missing as error:
            self._missing[name] = str(error)

    def divide(self, name: str, names: Iterable[str]) -> None:
        """Let one server take several turns in each round, under these names instead of its own."""
        server = self.servers.pop(name)
        self.servers = dict.fromkeys(names, server) | self.servers

    def add_ours(self, folder: Path, media: Path) -> None:
        """Start this checkout's server, and that of another commit where one is named."""
        self.add(OURS, lambda: servers.audiostream(folder, media))
        if (checkout := servers.BESIDE) is not None:
            self.add(BESIDE, lambda: servers.audiostream(folder, media, checkout=checkout))

    def loads(self, turn: Callable[[str, Server], Load], rounds: int) -> dict[str, list[Load]]:
        """What each turn of each server brought."""
        loads: dict[str, list[Load]] = {name: [] for name in self.servers}

        def one(name: str) -> float:
            loads[name].append(turn(name, self.servers[name]))
            self.servers[name].settle()
            return loads[name][-1].rate

        def turn_of(name: str) -> Callable[[], float]:
            return lambda: one(name)

        interleaved({name: turn_of(name) for name in self.servers}, rounds)
        return loads

    def rows(
        self,
        bare: Row,
        loads: Mapping[str, list[Load]],
        targets: Mapping[str, Target | None],
        *,
        ours: str = OURS,
        by_cpu_time: bool = False,
    ) -> Iterator[Row]:
        """A row for each yardstick; ``bare`` says what was measured.

        ``by_cpu_time`` compares the processor's time for an answer, busy machine or not.
        """
        row = replace(bare, ours=Spread.of([load.rate for load in loads[ours]]))
        for name in (*self.servers, *self._missing):
            if name.startswith(OURS):
                continue
            against = replace(row, yardstick=name, target=targets.get(name))
            if name in self._missing:
                yield replace(against, note=f"skipped: {self._missing[name]}")
                continue
            yield _compared(against, loads[ours], loads[name], by_cpu_time)


def _compared(row: Row, ours: list[Load], theirs: list[Load], by_cpu_time: bool) -> Row:
    """The row with the ratio of the rates; where others took the core, by processor time.

    The scheduler shares a core among threads, so that on a busy machine the server with the most
    of them looks the fastest.
    """
    rates = ratios([load.rate for load in ours], [load.rate for load in theirs])
    times = ratios([load.cost for load in theirs], [load.cost for load in ours])
    is_busy = by_cpu_time or any(
        mean(load.is_disturbed for load in each) > 0.5 for each in (ours, theirs)
    )
    other = f"{median(rates):.2f} by rates" if is_busy else f"{median(times):.2f} by CPU time"
    generator = median(load.generator.ran / load.seconds for load in theirs)
    sides = f"ours {busy(*ours)}, theirs {busy(*theirs)}, generator {generator:.0%}"
    return replace(
        row,
        theirs=Spread.of([load.rate for load in theirs]),
        ratio=Spread.of(times if is_busy else rates),
        note=f"{'ratio by CPU time, ' if is_busy else ''}{other}; busy: {sides}",
    )


def busy(*loads: Load) -> str:
    """The share of its core that a server had, and that it waited for the core."""
    ran = median(load.server.ran / load.seconds for load in loads)
    waited = median(load.server.waited / load.seconds for load in loads)
    return f"{ran:.0%}" + (f" (waited {waited:.0%})" if waited > WORTH_SAYING else "")
