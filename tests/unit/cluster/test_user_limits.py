"""The limits of users over several processes, on a store in memory and a clock of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from audiostream.cluster.store_health import StoreHealth
from audiostream.cluster.stream_counts import KNOWN_FOR, NOTED_AGAIN_AFTER
from audiostream.cluster.user_limits import UserLimits
from audiostream.settings import Limits
from tests.support.memory_store import MemoryDatabase, MemoryStore

STREAMS, COMMANDS = 3, 10
LIMITS = Limits(streams_per_user=STREAMS, commands_per_second=COMMANDS)


class Clock:
    """Seconds that a test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Process:
    """One process's limits; ``ended`` are streams that were too many."""

    limits: UserLimits
    store: MemoryStore
    clock: Clock
    ended: list[tuple[object, int]] = field(default_factory=list)

    async def open(self, user: str, count: int = 1) -> None:
        """Open streams as far as there is room for them."""
        for _ in range(count):
            if self.limits.streams.has_room(user) is None:
                await self.limits.learn(user)
            if self.limits.streams.has_room(user):
                self.limits.streams.here[user] += 1

    def close(self, user: str, count: int = 1) -> None:
        self.limits.streams.here[user] -= count
        if not self.limits.streams.here[user]:
            del self.limits.streams.here[user]

    async def tick(self) -> None:
        """Exchange what has changed."""
        await self.limits.note_changes()
        for _ in range(10):
            await asyncio.sleep(0)

    def send(self, user: str, count: int) -> int:
        """Send commands; return how many are allowed."""
        commands = self.limits.commands
        return sum(commands.try_acquire(user, self.clock()) for _ in range(count))

    def end(self, owner: object, count: int) -> None:
        self.ended.append((owner, count))
        self.close(str(owner), count)

    @property
    def exchanges(self) -> int:
        return self.store.operations.count("exchange")


@asynccontextmanager
async def running(clock: Clock, count: int = 2) -> AsyncIterator[list[Process]]:
    database, processes, tasks = MemoryDatabase(clock), [], []
    for number in range(count):
        store = MemoryStore(database)
        limits = UserLimits(StoreHealth(store, clock), f"p{number}", LIMITS, clock)
        processes.append(Process(limits, store, clock))
        limits.on_excess = processes[-1].end
        tasks.append(asyncio.create_task(limits.run()))
    try:
        yield processes
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_user_s_first_stream_waits_for_what_the_user_has_elsewhere(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await one.open("ada", STREAMS - 1)
        await one.tick()
        assert two.limits.streams.has_room("ada") is None
        await two.open("ada", 5)
        assert two.limits.streams.here == {"ada": 1}
        assert two.limits.streams.has_room("ada") is False
        assert two.exchanges == 1


async def test_what_one_process_opens_is_known_to_the_other_within_a_second(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await two.open("ada")
        await one.open("ada", STREAMS - 1)
        await one.tick()
        clock.now += KNOWN_FOR + 0.01
        await two.open("ada", 5)
        assert two.limits.streams.here["ada"] == 1
        one.close("ada", STREAMS - 1)
        await one.tick()
        clock.now += KNOWN_FOR + 0.01
        await two.open("ada", 5)
        assert two.limits.streams.here["ada"] == STREAMS


async def test_of_streams_that_begin_at_once_those_of_the_second_process_to_note_them_end(
    clock: Clock,
) -> None:
    async with running(clock, 3) as processes:
        for process in processes:
            await process.open("ada")
        for process in processes:
            await process.open("ada", STREAMS)
        for process in processes:
            await process.tick()
        ended = [sum(count for _, count in each.ended) for each in processes]
        assert ended == [0, STREAMS, STREAMS]
        for process in processes:
            await process.tick()
        assert sum(each.limits.streams.here["ada"] for each in processes) == STREAMS


async def test_no_stream_ends_that_was_noted_while_there_was_room(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await one.open("ada", 2)
        await one.tick()
        one.limits.streams.here["ada"] += 1
        two.limits.streams.here["ada"] += 2
        await two.tick()  # 2 + 2 are one too many
        await one.tick()  # 1 + 3: the last one goes
        assert (one.ended, two.ended) == ([("ada", 1)], [("ada", 1)])


async def test_what_a_dead_process_had_open_counts_no_longer_after_15_s(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await one.open("ada", STREAMS)
        await one.tick()  # the last sign of it
        clock.now += 14.0
        await two.open("ada")
        assert two.limits.streams.here["ada"] == 0
        clock.now += 1.1
        await two.open("ada", 5)
        assert two.limits.streams.here["ada"] == STREAMS


async def test_streams_that_go_on_are_noted_every_five_seconds(clock: Clock) -> None:
    async with running(clock) as (one, _):
        await one.open("ada", 2)
        await one.tick()
        before = one.exchanges
        for _ in range(40):
            clock.now += 0.5
            await one.tick()
        assert one.exchanges - before == 20 / NOTED_AGAIN_AFTER


async def test_streams_of_addresses_count_in_their_process_alone(clock: Clock) -> None:
    async with running(clock) as (one, _):
        streams, address = one.limits.streams, ("address", "192.0.2.7")
        for _ in range(STREAMS):
            assert streams.has_room(address)
            streams.here[address] += 1
        assert streams.has_room(address) is False
        await one.tick()
        assert one.exchanges == 0


async def test_commands_that_another_process_allowed_are_taken_from_the_bucket(
    clock: Clock,
) -> None:
    async with running(clock) as (one, two):
        assert one.send("ada", 100) == two.send("ada", 100) == 2 * COMMANDS
        await one.tick()
        await two.tick()
        clock.now += 0.5
        assert two.send("ada", 100) == 0  # it lacks 15 tokens
        assert one.send("ada", 100) == COMMANDS / 2  # it knows nothing of the other's yet
        await one.tick()
        clock.now += 1.5
        assert one.send("ada", 100) == 0  # it lacks 5
        assert two.send("ada", 100) == 0
        clock.now += 1.0
        assert one.send("ada", 100) == COMMANDS / 2


async def test_over_some_seconds_commands_have_the_rate_of_one_process(clock: Clock) -> None:
    async with running(clock, 3) as processes:
        allowed = 0
        for _ in range(40):
            for process in processes:
                allowed += process.send("ada", 20)
                await process.tick()
            clock.now += 0.5
        assert allowed <= 3 * 2 * COMMANDS + 20 * COMMANDS
        assert allowed >= 20 * COMMANDS


async def test_another_user_s_commands_are_not_taken(clock: Clock) -> None:
    async with running(clock) as (one, two):
        one.send("ada", 100)
        await one.tick()
        assert two.send("bob", 100) == 2 * COMMANDS


async def test_without_the_store_the_limits_hold_for_each_process(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await one.open("ada", STREAMS)
        await one.tick()
        two.store.is_cut = True
        await two.open("ada", 5)
        two.send("ada", 5)
        await two.tick()
        assert two.limits.streams.here["ada"] == STREAMS
        clock.now += KNOWN_FOR + 0.01
        before = two.exchanges
        await two.open("bob", 5)
        assert two.limits.streams.here["bob"] == STREAMS
        assert two.exchanges == before  # nobody waits for a store that does not answer
        two.store.is_cut = False
        await two.tick()
        assert two.ended == [("ada", STREAMS)]


async def test_a_store_that_answers_late_is_waited_for_half_a_second(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiostream.cluster.user_limits.ANSWER_WITHIN", 0.01)
    async with running(clock) as (one, _):
        one.store.delay = lambda: 60.0
        await one.open("ada", 5)
        assert one.limits.streams.here["ada"] == STREAMS


async def test_many_streams_that_begin_at_once_ask_once(clock: Clock) -> None:
    async with running(clock) as (one, _):
        await asyncio.gather(*(one.limits.learn("ada") for _ in range(20)))
        assert one.exchanges == 1


async def test_nothing_is_kept_of_users_who_have_gone(clock: Clock) -> None:
    async with running(clock) as (one, _):
        for number in range(50):
            user = f"user{number}"
            await one.open(user, 2)
            one.send(user, 3)
        await one.tick()
        assert len(one.limits.streams) == 50
        for number in range(50):
            one.close(f"user{number}", 2)
        clock.now += 2.5
        await one.tick()
        clock.now += 2.5
        await one.tick()
        one.send("another", 1)
        assert len(one.limits.streams) == 0
        assert len(one.limits.commands) == 1
        before = one.exchanges
        await one.tick()
        clock.now += 2.5
        await one.tick()
        assert one.exchanges == before + 1  # of the last command


async def test_a_process_that_ends_leaves_no_streams_behind(clock: Clock) -> None:
    async with running(clock) as (one, two):
        await one.open("ada", STREAMS)
        await one.tick()
        await one.limits.leave()
        await two.open("ada", 5)
        assert two.limits.streams.here["ada"] == STREAMS
