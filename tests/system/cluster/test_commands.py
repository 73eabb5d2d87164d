"""Commands on several processes: one order, without gaps, and few round trips to Redis."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Change, Publication
from tests.support.cluster import Cluster
from tests.support.server_process import UNLIMITED
from tests.support.waiting import until

from .conftest import IS_LONG
from .devices import Device, Household, household

CHANGES = 10_000 if IS_LONG else 400
"""Of one user, by two processes at the same moment."""
STEP = 0.25
"""Seconds between the positions of two changes, by which each is recognized."""
REPORTING = 12.0 if IS_LONG else 4.0
"""Seconds in which absorbed reports are counted."""
COMPARISON_INTERVAL = 5.0
"""Seconds between two comparisons of all versions."""
COMMANDS = 20


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    return UNLIMITED


def comparisons(cluster: Cluster, seconds: float) -> int:
    """How often processes compare the versions within some seconds, at most."""
    return len(cluster.living) * (math.floor(seconds / COMPARISON_INTERVAL) + 1)


async def test_changes_of_two_processes_at_the_same_moment_have_one_order_without_gaps(
    cluster: Cluster,
) -> None:
    async with household(cluster) as home:
        await home.devices[2].ask("playTrack", trackId="song")
        before = cluster.version(home.user_id)
        async with asyncio.TaskGroup() as group, _published(cluster, home.user_id) as published:
            observing = [group.create_task(_events(device)) for device in home.devices]
            answers = [
                answer
                for first in range(0, CHANGES, 2)
                for answer in await asyncio.gather(
                    _change(home, 0, first), _change(home, 1, first + 1)
                )
            ]
            after = cluster.version(home.user_id)
            await until(lambda: published[-1].version >= after)
            await home.devices[0].peer.send("playTrack", trackId="song")
        assert {status for _, status, _ in answers} <= {200, 503}
        versions = [change.version for change in published]
        assert versions == list(range(before + 1, after + 1))
        history = {change.state.rev: _change_number(change.state.position) for change in published}
        assert len(history) == len(set(history.values())) == len(published)  # each once
        accepted = {state["rev"]: change for change, status, state in answers if status == 200}
        assert sorted(accepted.items() - history.items())[:4] == []
        for each in observing:  # a device may be told of several changes at once
            assert sorted(each.result().items() - history.items())[:4] == []
            assert max(each.result()) == max(history)


@asynccontextmanager
async def _published(cluster: Cluster, user_id: str) -> AsyncIterator[list[Change]]:
    """Collect the changes of a user that are published."""
    found: list[Change] = []

    def collect(publication: Publication) -> None:
        if publication.change is not None:
            found.append(publication.change)

    store = RedisStore(cluster.redis.url)
    await store.open()
    subscription = store.subscription()
    receiving = asyncio.create_task(subscription.run(collect, lambda: None))
    await subscription.add(user_id)
    try:
        yield found
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        await store.close()


async def _change(home: Household, number: int, change: int) -> tuple[int, int, dict[str, Any]]:
    position = change * STEP
    if number == 0:
        status, state = await home.post(number, "pause/song", currentTime=position)
    else:
        status, state = await home.post(
            number, "update-state/song", currentTime=position, isPlaying=False
        )
    return change, status, state


def _change_number(position: float) -> int:
    return round(position / STEP)


async def _events(device: Device) -> dict[int, int]:
    """Read until something plays again; return which change each ``rev`` was."""
    events: dict[int, int] = {}
    while (frame := await device.frame())["event"] != "trackPlaying" or not events:
        state = frame["data"]
        if not state["isPlaying"]:
            events[state["rev"]] = _change_number(state["currentTime"])
    return events


async def test_absorbed_reports_ask_nothing_of_redis(cluster: Cluster) -> None:
    async with household(cluster) as home:
        for device in home.devices:
            answer = await device.ask("playTrack", trackId="song", currentTime=5)
        for device in home.devices:
            await device.reaches(answer["data"]["rev"])
            await _report(device, 1.0)  # the first ones tell that it plays
        async with cluster.redis.monitor() as monitor:
            sent = await asyncio.gather(*(_report(device, REPORTING) for device in home.devices))
        asked = [command for command in monitor.commands if home.user_id in command]
        assert sum(sent) > 20 * REPORTING
        assert len(asked) <= comparisons(cluster, REPORTING), asked


async def _report(device: Device, seconds: float) -> int:
    """Report as a player does that plays in sync, 10 times a second; return how often."""
    count = round(seconds * 10)
    for _ in range(count):
        state = await device.state()
        where = {"trackId": state["trackId"], "currentTime": state["currentTime"]}
        await device.peer.send("updateStreaming", **where, isPlaying=True)
        await asyncio.sleep(seconds / count)
    return count


async def test_a_command_costs_at_most_two_round_trips(cluster: Cluster) -> None:
    async with household(cluster) as home:
        assert await _asked_for_a_command(home, 0) <= 1.0
        for device in home.devices[1:]:
            await device.peer.socket.close()
        await asyncio.sleep(1.0)
        assert await _asked_for_a_command(home, 1) <= 2.0  # where no device is connected


async def _asked_for_a_command(home: Household, number: int) -> float:
    """Return what all processes ask of Redis for a REST command to one of them, on average."""
    began = asyncio.get_running_loop().time()
    async with home.cluster.redis.monitor() as monitor:
        for position in range(COMMANDS):
            status, _ = await home.post(number, "play/song", currentTime=position)
            assert status == 200
    asked = [command for command in monitor.commands if home.user_id in command]
    seconds = asyncio.get_running_loop().time() - began
    return (len(asked) - comparisons(home.cluster, seconds)) / COMMANDS
