"""Simulated users over three processes: they agree, and no echo storms."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.support.cluster import Cluster, running_processes
from tests.support.fleet import Fleet, running_fleet
from tests.support.redis_server import RedisServer

from .conftest import IS_LONG

SEEDS = 100 if IS_LONG else 30
"""Users at the same time, each with a seed of its own."""
PLAYERS = 3
ACTING = 12.0 if IS_LONG else 6.0
"""Seconds in which users act."""
ACT_INTERVAL = 1.5
"""Seconds between two actions of a user, on average."""
JITTER = (0.0, 0.05)
"""Seconds that a message between a process and Redis takes."""
SETTLED_AFTER = 10.0
"""Seconds after the last action by which everyone has to agree."""
STORM = 3
"""Events to one device for each action of its user; fewer than one is usual."""
QUIET = 3.0
"""Seconds in which nothing more is sent once everyone agrees: longer than a player settles."""


async def test_users_of_three_processes_agree_10_s_after_their_last_action_and_no_event_echoes(
    redis: RedisServer, shared_media: Path
) -> None:
    async with running_processes(shared_media, redis, has_links=True) as cluster:
        for member in cluster.members:
            assert member.link is not None
            member.link.delays = JITTER
        async with running_fleet(cluster.urls, SEEDS, PLAYERS) as fleet:
            await fleet.play()
            await _act(fleet, cluster)


async def _act(fleet: Fleet, cluster: Cluster) -> None:
    acts = await fleet.act(ACTING, ACT_INTERVAL) + SEEDS
    ended = time.monotonic()
    assert await fleet.disagreements(SETTLED_AFTER) == []
    assert fleet.events <= STORM * acts * PLAYERS
    await asyncio.sleep(ended + SETTLED_AFTER - time.monotonic())
    before, versions = fleet.events, [cluster.version(user.name) for user in fleet.users]
    await asyncio.sleep(QUIET)
    assert fleet.events == before
    assert [cluster.version(user.name) for user in fleet.users] == versions
    assert await fleet.disagreements(0.0) == []
