"""What Redis and the processes take for what users do: measured, and what that carries: computed.

Two processes share one core, as only costs are compared: processor time, by ``schedstat``, for each
operation. Each user has a device in both. Beside them is one process without Redis.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import State, StopPoint
from audiostream.playback.queue import Queue
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Change
from tests.support.redis_server import HOST, RedisServer, running_cluster, running_redis

from . import servers
from .clients import Frames, in_turn
from .cluster_capacity import (
    USES,
    ClusterCosts,
    operations,
    redis_time,
    users_of_processes,
    users_of_redis,
)
from .events import NATIVE
from .growth import OPEN_AT_ONCE, Place
from .measure import Row, Spread, interleaved
from .media import first_track, one_track
from .servers import Server

USERS = 48
COMMANDS, CONNECTIONS = 480, 96
"""How many make a turn."""
DIRECT = 400
"""Users that are asked about in one turn, without a server."""
PUBLICATIONS, PUBLICATION_BYTES = 20_000, 700
"""As large as that of a command without a new queue."""
WITHOUT = "one process without Redis"
PROCESSES = (4, 40, 400)
NODES = (1, 3, 10, 30)
STORED = {"one track": (1, 1, 1), "100 tracks in the queue, 200 played": (100, 200, 2)}
"""Tracks in the queue, tracks of the history, and stop points of each."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Users with a device in each of two processes; ``redis`` is None where it is one process."""

    first: Server
    second: Server
    redis: RedisServer | None
    senders: Sequence[Frames]
    hearers: Sequence[Frames]
    track_id: str

    def command(self) -> tuple[float, float]:
        """Microseconds of Redis and of the processes for a command, sent to two devices."""
        frame = NATIVE.frame("pauseTrack", {"trackId": self.track_id, "currentTime": 10.0})
        return self._cost(lambda: in_turn(self.senders, frame, OPEN_AT_ONCE, COMMANDS), COMMANDS)

    def connection(self) -> tuple[float, float]:
        """The same for a device that connects and disconnects."""

        def run() -> None:
            with ExitStack() as stack:
                for number in range(CONNECTIONS):
                    line = NATIVE.connect(self.first, f"user{number % USERS}")
                    stack.callback(line.line.close)
                self.first.settle()

        return self._cost(run, CONNECTIONS)

    def report(self) -> float:
        """Microseconds of a process for an absorbed report, which comes alone."""
        return Place(self.first, self.senders, (), self.track_id).lone_report()

    def _cost(self, run: Callable[[], object], count: int) -> tuple[float, float]:
        before = self._times()
        run()
        for server in {self.first.port: self.first, self.second.port: self.second}.values():
            server.settle()
        for each in (*self.senders, *self.hearers):
            each.forget()
        redis, processes = (after - at for after, at in zip(self._times(), before, strict=True))
        return redis / count * 1e6, processes / count * 1e6

    def _times(self) -> tuple[float, float]:
        ports = {each.port: each.times().ran for each in (self.first, self.second)}
        return (redis_ran(self.redis) if self.redis else 0.0), sum(ports.values())


def redis_ran(redis: RedisServer) -> float:
    """Seconds of processor that a Redis has had."""
    assert redis.process is not None
    return servers.times(redis.process.pid).ran


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows of costs, and of the users that follow from them."""
    if servers.redis_program() is None:
        yield Row("cluster", "costs of several processes", "", note="skipped: no Redis")
        return
    costs: dict[str, float] = {}
    yield from _of_users(folder, rounds, costs)
    yield from _of_redis(folder, rounds, costs)
    yield from _memory(folder)
    yield _bus(folder, rounds, costs)
    yield from _computed(ClusterCosts(**costs))


def _of_users(folder: Path, rounds: int, costs: dict[str, float]) -> Iterator[Row]:
    """What users cause, with Redis and without it."""
    media = one_track(folder)
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(folder / "redis-costs", appendonly=True))
        given = {"AUDIOSTREAM_REDIS": redis.url}
        pair = [
            stack.enter_context(servers.audiostream(folder, media, environment=given))
            for _ in range(2)
        ]
        state = str(folder / "costs.sqlite3")
        alone = stack.enter_context(servers.audiostream(folder, media, state))
        both = {
            "with": _connected(stack, pair[0], pair[1], redis),
            "without": _connected(stack, alone, alone, None),
        }
        for name, what in (("command", "a command"), ("connection", "a connection")):
            found: dict[str, list[tuple[float, float]]] = {place: [] for place in both}
            began = _traffic(redis)
            for _ in range(rounds):
                for place, each in both.items():
                    found[place].append(getattr(each, name)())
            count = rounds * (COMMANDS if name == "command" else CONNECTIONS)
            asked, received, sent = (
                (b - a) / count for a, b in zip(began, _traffic(redis), strict=True)
            )
            note = f"{asked:.1f} operations; {received:,.0f} bytes to Redis, {sent:,.0f} from it"
            in_redis = [each[0] for each in found["with"]]
            costs[name] = median(in_redis)
            yield Row("cluster", f"Redis for {what}", "us", Spread.of(in_redis), note=note)
            ours, theirs = ([each[1] for each in found[place]] for place in ("with", "without"))
            costs[f"server_{name}"] = median(ours)
            yield _beside(f"the processes for {what}", ours, theirs)
        reports = interleaved({place: each.report for place, each in both.items()}, rounds)
        costs["server_report"] = median(reports["with"])
        yield _beside("a process for an absorbed report", reports["with"], reports["without"])


def _beside(what: str, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    row = Row("cluster", what, "us", Spread.of(ours), WITHOUT, Spread.of(theirs))
    return replace(row, ratio=Spread.of(a / b for a, b in zip(ours, theirs, strict=True)))


def _connected(stack: ExitStack, first: Server, second: Server, redis: RedisServer | None) -> Pair:
    """Everybody is connected to both, and paused at ten seconds into the same track."""
    track_id = first_track(first)["id"]
    pause = NATIVE.frame("pauseTrack", {"trackId": track_id, "currentTime": 10.0})
    senders: list[Frames] = []
    hearers: list[Frames] = []
    for number in range(USERS):
        for server, lines in ((first, senders), (second, hearers)):
            lines.append(NATIVE.connect(server, f"user{number}"))
            stack.callback(lines[-1].line.close)
        senders[-1].send(pause)
        senders[-1].wait_for(1)
    return Pair(first, second, redis, senders, hearers, track_id)


def _traffic(redis: RedisServer) -> tuple[int, int, int]:
    """Commands of clients, bytes received, bytes sent, so far."""
    info = redis.ask("INFO", "stats") + redis.ask("INFO", "commandstats")
    calls = re.findall(r"cmdstat_(evalsha|subscribe|unsubscribe):calls=(\d+)", info)
    received, sent = (
        int(re.findall(rf"total_net_{way}_bytes:(\d+)", info)[0]) for way in ("input", "output")
    )
    return sum(int(count) for _, count in calls), received, sent


# Redis alone.


def _of_redis(folder: Path, rounds: int, costs: dict[str, float]) -> Iterator[Row]:
    """What the processes ask for by themselves."""
    users = [f"user{number}" for number in range(DIRECT)]
    ones = dict.fromkeys(users, 1)
    with running_redis(folder / "redis-direct", appendonly=True) as redis:
        turns = {
            "comparison": lambda store: store.versions(users),
            "exchange": lambda store: store.exchange("other", ones, {}),
        }
        for name, what in (("comparison", "a version"), ("exchange", "streams of a user")):
            found = [_direct(redis, turns[name]) / DIRECT for _ in range(rounds)]
            costs[name] = median(found)
            yield Row("cluster", f"Redis for {what}", "us", Spread.of(found))

        async def second(store: RedisStore) -> None:
            for _ in range(DIRECT):
                await store.revoked()
            for _ in range(DIRECT // 5):
                await store.renew("other")

        now = time.time()
        for number in range(PROCESSES[-1]):
            redis.ask("ZADD", "audiostream:processes", str(now), f"{number:016x}")
        found = [_direct(redis, second) / DIRECT for _ in range(rounds)]
        costs["process"] = median(found)
        what = "Redis for an idle process, a second"
        yield Row("cluster", what, "us", Spread.of(found), note=f"one of {PROCESSES[-1]}")


def _direct(redis: RedisServer, turn: Callable[[RedisStore], Awaitable[object]]) -> float:
    """Microseconds of Redis for a turn."""

    async def run() -> float:
        store = RedisStore(redis.url)
        await store.open()
        try:
            await turn(store)  # connections are made
            before = redis_ran(redis)
            await turn(store)
            return (redis_ran(redis) - before) * 1e6
        finally:
            await store.close()

    return asyncio.run(run())


def _memory(folder: Path) -> Iterator[Row]:
    """Bytes that Redis keeps of a user who has no device."""
    for what, (queued, played, stops) in STORED.items():
        with running_redis(folder / f"redis-{queued}") as redis:
            before = _used_memory(redis)
            count = max(20, 2000 // queued)
            asyncio.run(_store_users(redis.url, count, queued, played, stops))
            found = (_used_memory(redis) - before) / count / 1024
            yield Row("cluster", f"memory of Redis for a user: {what}", "KiB", Spread.of([found]))


def _used_memory(redis: RedisServer) -> int:
    return int(re.findall(r"used_memory:(\d+)", redis.ask("INFO", "memory"))[0])


async def _store_users(url: str, count: int, queued: int, played: int, stops: int) -> None:
    store = RedisStore(url)
    await store.open()
    tracks = [f"artist-name-album-title-{number:04}" for number in range(max(queued, played))]
    for user in range(count):
        change = Change(
            user_id=f"user-{user:06}",
            process_id="p" * 16,
            change_id=f"{user:016}",
            expected_version=0,
            version=1,
            state=State(
                track_id=tracks[0],
                position=12.345678,
                queue=Queue(tuple(tracks[:queued]), 0, "off"),
            ),
            writes_queue=True,
            played=tuple(PlayedTrack(each, 1.7e9) for each in tracks[:played]),
            stop_points=tuple(
                StopPoint(each, 12.345678 + stop, 1.7e9 + stop)
                for each in tracks[:played]
                for stop in range(stops)
            ),
        )
        await store.commit(change)
    await store.close()


def _bus(folder: Path, rounds: int, costs: dict[str, float]) -> Row:
    """What a publication takes of two nodes of a Redis Cluster, to send it on and to receive it.

    By the difference to one Redis, where it goes to no node: three nodes have two further ones.
    """
    with running_redis(folder / "no-bus") as one, running_cluster(folder / "bus") as cluster:
        found = []
        for _ in range(rounds):
            times = []
            for nodes in ([one], cluster.nodes):
                before = sum(map(redis_ran, nodes))
                _publish(nodes[0])
                nodes[-1].ask("PING")
                times.append(sum(map(redis_ran, nodes)) - before)
            found.append((times[1] - times[0]) / 2 / PUBLICATIONS * 1e6)
    costs["publication"] = median(found)
    what = "two nodes of a Redis Cluster for a publication from one to the other"
    note = f"{PUBLICATION_BYTES} bytes, nobody subscribed"
    return Row("cluster", what, "us", Spread.of(found), note=note)


def _publish(node: RedisServer) -> None:
    text = b"x" * PUBLICATION_BYTES
    request = b"*3\r\n$7\r\nPUBLISH\r\n$7\r\nchannel\r\n$%d\r\n%s\r\n" % (len(text), text)
    with closing(socket.create_connection((HOST, node.port), timeout=servers.PATIENCE)) as link:
        for _ in range(PUBLICATIONS // 100):
            link.sendall(request * 100)
            answers = 0
            while answers < 100:
                answers += link.recv(1 << 16).count(b"\r\n")


# What follows.


def _computed(costs: ClusterCosts) -> Iterator[Row]:
    for use in USES:
        asked = (
            f"{operations(use):.3f} operations, {redis_time(use, costs):.1f} us of Redis a second"
        )
        for processes in PROCESSES:
            by_processes = users_of_processes(use, costs, processes)
            by_redis = {nodes: users_of_redis(use, costs, processes, nodes) for nodes in NODES}
            users = min(by_processes, by_redis[1])
            shards = ", ".join(f"{nodes}: {count:,}" for nodes, count in by_redis.items())
            yield Row(
                "cluster",
                f"computed: {use.name}, {processes} processes",
                "users",
                Spread.of([users]),
                note=f"{asked}; processes {by_processes:,}; Redis by nodes {shards}",
            )
