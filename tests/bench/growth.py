"""Growth: what a report, a command and a list cost at 1, 4 and 16 times as many of each.

A cost is the processor time that the server has had, by the number of frames: how busy the machine
is otherwise hardly shows in it. The servers of all three sizes run at the same time, and take
turns. A cost that stays has exponent 0, one that doubles with the size has 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import servers
from .clients import Frames, clocked, closing, end_gap, in_turn
from .events import NATIVE
from .measure import Row, Spread, Target, exponent, interleaved
from .media import first_track, many_tracks, one_track
from .memory import scan_seconds
from .servers import Server, fetch

TIMES = (1, 4, 16)
USERS, DEVICES, TRACKS = 64, 1, 625
"""What one time is."""
ROOMS = 8
REPORTS, COMMANDS, LISTS = 2000, 400, 4
"""How many make a turn."""
OPEN_AT_ONCE = 16
APART = 0.0003
"""Seconds between two reports that are to come alone."""
STAYS, LINEAR = Target(0.1, at_least=False), Target(1.1, at_least=False)
"""As exactly as it can be measured."""

Turn = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Place:
    """A server of some size, the connections to it, and one track of it."""

    server: Server
    senders: Sequence[Frames]
    hearers: Sequence[Frames]
    track_id: str

    def report(self) -> float:
        """Microseconds of one absorbed report: what a report and a state cost, less the state."""
        report, state = self._absorbed_report(), NATIVE.question()
        both = report * 4 + state
        return max(0.01, (self._cost(both, REPORTS // 4) - self._cost(state, REPORTS // 4)) / 4)

    def lone_report(self) -> float:
        """Microseconds of a report that comes alone and wakes the server up, as they do."""
        report, clock = self._absorbed_report(), time.perf_counter

        def run() -> float:
            began = clock()
            for number in range(REPORTS):
                while clock() < began + number * APART:
                    pass
                self.senders[number % len(self.senders)].send(report)
            self.server.settle()
            return REPORTS

        return clocked(self.server, run).cost

    def command(self) -> float:
        """Microseconds of one command that is sent to all devices of its user."""
        where = {"trackId": self.track_id, "currentTime": 10.0}
        frame = NATIVE.frame("pauseTrack", where)
        return self._cost(frame, COMMANDS)

    def list(self, path: str = "/api/tracks") -> float:
        """Microseconds of one list of tracks."""

        def run() -> float:
            for _ in range(LISTS):
                fetch(self.server, path)
            return LISTS

        return clocked(self.server, run).cost

    def page(self) -> float:
        """Microseconds of the first fifty tracks."""
        return self.list("/api/tracks?limit=50")

    def _absorbed_report(self) -> bytes:
        """A report that agrees; those of the senders are absorbed as they come from now on."""
        report = NATIVE.report(self.track_id, 10.0, is_playing=False)
        end_gap(self.senders, report + NATIVE.question())
        return report

    def _cost(self, frame: bytes, count: int) -> float:
        load = clocked(self.server, lambda: in_turn(self.senders, frame, OPEN_AT_ONCE, count))
        self.server.settle()
        for each in self.hearers:
            each.forget()
        return load.cost


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows with the cost at the smallest size, and its exponent."""
    media = one_track(folder)
    for axis, sizes, place in (
        ("users", [USERS * times for times in TIMES], _users),
        ("devices", [DEVICES * times for times in TIMES], with_devices),
    ):
        with ExitStack() as stack:
            places = [place(stack, folder, media, size) for size in sizes]
            yield _row("a report", axis, sizes, [each.report for each in places], rounds, STAYS)
            limit = STAYS if axis == "users" else LINEAR
            yield _row("a command", axis, sizes, [each.command for each in places], rounds, limit)
    sizes = [TRACKS * times for times in TIMES]
    with ExitStack() as stack:
        places = [_tracks(stack, folder, size) for size in sizes]
        yield _row("a report", "tracks", sizes, [each.report for each in places], rounds, STAYS)
        yield _row("a command", "tracks", sizes, [each.command for each in places], rounds, STAYS)
        yield _row("a list", "tracks", sizes, [each.list for each in places], rounds, LINEAR)
        yield _row("a page of 50", "tracks", sizes, [each.page for each in places], rounds, LINEAR)
    scans = [_scan(folder, size) for size in sizes]
    yield _row("the first scan", "tracks", sizes, scans, 1, LINEAR)


def _row(
    what: str,
    axis: str,
    sizes: Sequence[int],
    turns: Sequence[Turn],
    rounds: int,
    target: Target,
) -> Row:
    names = {str(size): turn for size, turn in zip(sizes, turns, strict=True)}
    figures = interleaved(names, rounds)
    slopes = [exponent(sizes, costs) for costs in zip(*figures.values(), strict=True)]
    medians = [Spread.of(each).median for each in figures.values()]
    costs = ", ".join(f"{size:,}: {cost:,.1f}" for size, cost in zip(sizes, medians, strict=True))
    bare = f"{what} by the number of {axis}"
    return Row("growth", bare, "exponent", Spread.of(slopes), target=target, note=f"µs at {costs}")


def _users(stack: ExitStack, folder: Path, media: Path, count: int) -> Place:
    return _place(stack, folder, media, users=count, devices=1)


def with_devices(stack: ExitStack, folder: Path, media: Path, count: int) -> Place:
    """Eight users of ``count`` devices each."""
    return _place(stack, folder, media, users=ROOMS, devices=count)


def _tracks(stack: ExitStack, folder: Path, count: int) -> Place:
    return _place(stack, folder, many_tracks(folder, count), users=OPEN_AT_ONCE, devices=1)


def _place(stack: ExitStack, folder: Path, media: Path, users: int, devices: int) -> Place:
    """Everybody is connected, and paused at ten seconds into the same track."""
    server = stack.enter_context(servers.audiostream(folder, media))
    track_id = first_track(server)["id"]
    pause = NATIVE.frame("pauseTrack", {"trackId": track_id, "currentTime": 10.0})
    senders, hearers = [], []
    for user in range(users):
        lines = [NATIVE.connect(server, f"user{user}") for _ in range(devices)]
        closing(stack, lines)
        lines[0].send(pause)
        lines[0].wait_for(1)
        senders.append(lines[0])
        hearers.extend(lines[1:])
    return Place(server, senders, hearers, track_id)


def _scan(folder: Path, count: int) -> Turn:
    return lambda: scan_seconds(folder, count) * 1e6
