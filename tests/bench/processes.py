"""Commands on several processes that share a Redis, beside one process with it and without it.

The devices of a user are on different processes, so that every command goes by way of Redis to
another process. All processes but the load share the cores that are left, with Redis on the first
of them: on two cores, rates of three processes are those of one core, and the ratio of processor
time says what a command costs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.redis_server import running_redis

from . import servers
from .clients import Frames, Load, clocked, closing, converse
from .contest import OURS, Contest
from .events import NATIVE, OPEN_PER_ROOM
from .measure import Row, Spread
from .media import first_track, one_track
from .servers import CORES, Missing, Server, Times

WINDOW = 0.5
"""Seconds of one turn."""
ROOMS = 12
"""Users who command at the same time: commands of one wait for each other."""
DEVICES = 2
PROCESSES = 3
ONE, ALONE = "one process on Redis", "one process without Redis"


@dataclass(frozen=True, slots=True)
class Group(Server):
    """Processes that serve the same users: all of them count, and the Redis that they share."""

    members: tuple[Server, ...] = ()
    redis: int | None = None
    """Its process id."""

    def times(self) -> Times:
        found = [each.times() for each in self.members]
        if self.redis is not None:
            found.append(servers.times(self.redis))
        return Times(sum(each.ran for each in found), sum(each.waited for each in found))


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows of commands in a second, and of what Redis takes of them."""
    with ExitStack() as stack:
        media, contest = one_track(folder), Contest(stack)
        contest.add(OURS, lambda: _on_redis(folder, media, PROCESSES))
        contest.add(ONE, lambda: _on_redis(folder, media, 1))
        contest.add(ALONE, lambda: _alone(folder, media))
        if OURS not in contest.servers:
            yield Row("processes", "commands on several processes", "", note="skipped: no Redis")
            return
        track_id = first_track(contest.servers[OURS])["id"]
        shares: dict[str, list[float]] = {OURS: [], ONE: []}

        def turn(name: str, server: Server) -> Load:
            redis = server.redis if isinstance(server, Group) else None
            with ExitStack() as stack:
                rooms = [_room(stack, server, number) for number in range(ROOMS)]
                before, question = servers.times(redis or 0).ran, NATIVE.play(track_id)
                load = clocked(
                    server, lambda: converse(rooms, question, DEVICES, OPEN_PER_ROOM, WINDOW)
                )
                if redis is not None:
                    shares[name].append((servers.times(redis).ran - before) / load.done * 1e6)
            return load

        loads = contest.loads(turn, rounds)
        what = f"playTrack of {ROOMS} users sent to {DEVICES} devices, on {PROCESSES} processes"
        yield from contest.rows(Row("processes", what, "commands/s"), loads, {}, by_cpu_time=True)
        for name, found in shares.items():
            where = f"{PROCESSES} processes" if name == OURS else ONE
            yield Row("processes", f"Redis for a command, {where}", "us", Spread.of(found))


def _room(stack: ExitStack, server: Server, number: int) -> list[Frames]:
    """The devices of one user, each on the next process."""
    members = server.members if isinstance(server, Group) else (server,)
    room = [
        NATIVE.connect(members[(number + device) % len(members)], f"user{number}")
        for device in range(DEVICES)
    ]
    closing(stack, room)
    return room


@contextmanager
def _on_redis(folder: Path, media: Path, processes: int) -> Iterator[Server]:
    """Some processes on a Redis of their own. Raises ``Missing``."""
    if shutil.which("redis-server") is None:
        raise Missing("no redis-server here")
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(folder / f"redis-{processes}", appendonly=True))
        assert redis.process is not None
        _pin(redis.process.pid, 0)
        environment = {"AUDIOSTREAM_REDIS": redis.url}
        members = []
        for number in range(processes):
            member = servers.audiostream(folder, media, environment=environment)
            members.append(stack.enter_context(member))
            _pin(members[-1].process.pid, number)
        first = members[0]
        yield Group(
            first.name, first.process, first.port, first.log, tuple(members), redis.process.pid
        )


@contextmanager
def _alone(folder: Path, media: Path) -> Iterator[Server]:
    with servers.audiostream(folder, media, str(folder / "alone.sqlite3")) as server:
        yield server


def _pin(process: int, number: int) -> None:
    """Give a process one of the cores that the load leaves."""
    if hasattr(os, "sched_setaffinity"):
        left = CORES[:-1] or CORES
        os.sched_setaffinity(process, {left[number % len(left)]})
