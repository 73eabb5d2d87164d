"""Paced listeners: how many one core feeds while a thousand devices report.

A listener plays 320 kbit/s. It asks for 64 KiB at the moment at which the 64 KiB before begin to
play, so that the answer has 1.6 s to come; one that comes later is an underrun. All begin at
another moment of that time: the load is even from the first instant on.
"""

from __future__ import annotations

import random
import resource
import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from . import servers
from .clients import Download, Frames, Load, clocked, closing, end_gap
from .contest import busy
from .events import NATIVE
from .measure import Row, Spread
from .media import first_track, one_track
from .servers import TOKENS, Server

BYTES_PER_SECOND = 320_000 // 8
CHUNK = 64 << 10
CHUNK_SECONDS = CHUNK / BYTES_PER_SECOND
DEVICES = 1000
REPORTS_PER_SECOND = 4
WINDOW = 3 * CHUNK_SECONDS
FIRST_TRIAL = 2000
BISECTIONS = 2
_FILES_KEPT = 2 * DEVICES + 500


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of ``listeners``: chunks that came too late, and the load."""

    listeners: int
    underruns: int
    load: Load


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """One row: the most listeners of whom none heard a gap. The search takes no ``rounds``."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.audiostream(folder, one_track(folder)))
        track = first_track(server)
        devices = [NATIVE.connect(server, f"user{number}") for number in range(DEVICES)]
        closing(stack, devices)
        for each in devices:
            each.send(NATIVE.frame("pauseTrack", {"trackId": track["id"], "currentTime": 10.0}))
            each.wait_for(1)
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _FILES_KEPT
        most = min(files, 16_000)
        best, trials = _most(Listeners(server, track["id"], stack), devices, most)
        if best is None:
            note = f"not even {trials[-1].listeners:,}"
            yield Row("listeners", "fed without an underrun", "listeners", note=note)
            return
        late = sum(trial.underruns for trial in trials if trial.listeners > best.listeners)
        yield Row(
            "listeners",
            f"320 kbit/s listeners fed without an underrun, {DEVICES:,} devices reporting",
            "listeners",
            Spread.of([best.listeners]),
            note=f"busy: ours {busy(best.load)}, generator "
            f"{best.load.generator.ran / best.load.seconds:.0%}; "
            + (f"{late} underruns above" if late else f"no more than {most:,} were tried"),
        )


def _most(
    listeners: Listeners, devices: Sequence[Frames], most: int
) -> tuple[Trial | None, list[Trial]]:
    """Double until there is an underrun, then halve the gap."""
    trials: list[Trial] = []
    good, bad, wanted = None, 0, FIRST_TRIAL
    left = BISECTIONS
    while True:
        trial = _trial(listeners, devices, min(wanted, most))
        trials.append(trial)
        if trial.underruns:
            bad = trial.listeners
        else:
            good = trial
        reached = good.listeners if good else 0
        if reached >= most or (bad and left == 0):
            return good, trials
        left -= bool(bad)
        wanted = (reached + bad) // 2 if bad else 2 * reached


def _trial(listeners: Listeners, devices: Sequence[Frames], count: int) -> Trial:
    downloads, late = listeners.first(count), [0]
    report = NATIVE.report(listeners.track_id, 10.0, is_playing=False)
    end_gap(devices, report + NATIVE.question())
    for device in devices:
        device.line.setblocking(False)

    def run() -> float:
        done, late[0] = _listen(downloads, devices, report)
        return done

    load = clocked(listeners.server, run)
    for each in downloads:  # what is still under way belongs to no later trial
        each.line.setblocking(True)
        while each.missing:
            each.take()
        each.line.setblocking(False)
    return Trial(count, late[0], load)


class Listeners:
    """Connections that have each got a part of the track once, by tickets of many users."""

    def __init__(self, server: Server, track_id: str, stack: ExitStack) -> None:
        self.server, self.track_id = server, track_id
        self._stack = stack
        self._open: list[Download] = []

    def first(self, count: int) -> list[Download]:
        """So many of them; those that are missing are opened."""
        for number in range(len(self._open), count):
            user = f"user{number % DEVICES}"
            ticket = TOKENS.ticket(user, self.track_id, None, time.time())
            path = f"/api/tracks/stream/{self.track_id}?ticket={ticket}"
            first = 1_000_000 + 12_345 * (number % 256)
            if self._open:
                each = self._open[0].another(self.server, path, first, CHUNK)
            else:
                each = Download.open(self.server, path, first, CHUNK)
            self._open.append(each)
            self._stack.callback(self._open[-1].line.close)
        self.server.settle()
        return self._open[:count]


def _listen(
    downloads: Sequence[Download], devices: Sequence[Frames], report: bytes
) -> tuple[int, int]:
    """Play and report for one window; answer the chunks that came, and those that came late."""
    poll, clock, chance = select.epoll(), time.perf_counter, random.Random(1)  # noqa: S311
    began = clock()
    for each in downloads:
        each.due = began + chance.uniform(0.0, CHUNK_SECONDS)
        poll.register(each.line.fileno(), select.EPOLLIN)
    waiting = deque(sorted(downloads, key=lambda each: each.due))
    by_file = {each.line.fileno(): each for each in downloads}
    done = late = reported = 0
    rate, end = len(devices) * REPORTS_PER_SECOND, began + WINDOW
    while (now := clock()) < end:
        while waiting and waiting[0].due <= now:
            waiting.popleft().ask()
        while began + reported / rate <= now:
            devices[reported % len(devices)].send(report)
            reported += 1
        for file, _ in poll.poll(0.001):
            each = by_file[file]
            each.take()
            if not each.missing:
                done += 1
                each.due += CHUNK_SECONDS
                if clock() > each.due:
                    late += 1
                    each.due = clock()
                waiting.append(each)  # all are equally long: the queue stays in order
    poll.close()
    overdue = sum(1 for each in downloads if each.missing and end > each.due + CHUNK_SECONDS)
    return done, late + overdue
