"""Commands on several processes: one order, without gaps, and few round trips to Redis."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.server_process import UNLIMITED

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
        version = cluster.version(home.user_id)
        async with asyncio.TaskGroup() as group:
            observing = [group.create_task(_events(device)) for device in home.devices]
            answers = [
                answer
                for first in range(0, CHANGES, 2)
                for answer in await asyncio.gather(
                    _change(home, 0, first), _change(home, 1, first + 1)
                )
            ]
            stored = cluster.version(home.user_id) - version
            await home.devices[0].peer.send("playTrack", trackId="song")
        accepted = {state["rev"]: change for change, status, state in answers if status == 200}
        statuses = Counter(status for _, status, _ in answers)
        assert statuses.keys() <= {200, 503}
        revs = range(2, statuses[200] + 2)
        assert sorted(accepted.keys() ^ set(revs))[:4] == []  # each once
        assert stored == statuses[200]
        for each in observing:
            assert sorted(each.result().items() ^ accepted.items())[:4] == []


async def _change(home: Household, number: int, change: int) -> tuple[int, int, dict[str, Any]]:
    position = change * STEP
    if number == 0:
        status, state = await home.post(number, "pause/song", currentTime=position)
    else:
        status, state = await home.post(
            number, "update-state/song", currentTime=position, isPlaying=False
        )
    return change, status, state


async def _events(device: Device) -> dict[int, int]:
    """Read until something plays again; return which change each ``rev`` was."""
    events: dict[int, int] = {}
    while (frame := await device.frame())["event"] != "trackPlaying" or not events:
        state = frame["data"]
        assert state["rev"] not in events
        if not state["isPlaying"]:
            events[state["rev"]] = round(state["currentTime"] / STEP)
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
