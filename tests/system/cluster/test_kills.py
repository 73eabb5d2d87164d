"""``kill -9`` of one process after the other, while users act on all of them."""

from __future__ import annotations

import asyncio
import random

from tests.support.cluster import Cluster
from tests.support.fleet import Fleet, running_fleet

from .conftest import IS_LONG

USERS, DEVICES = (200, 3) if IS_LONG else (40, 3)
PHASES = 10 if IS_LONG else 1
"""Times that all have to agree."""
KILLS = 5
"""Before each of these times."""
UP_FOR = (0.5, 1.5)
"""Seconds from the start of a process to the next kill."""
ACT_INTERVAL = 2.0
"""Seconds between two actions of a user, on average."""
FOREVER = 3600.0
"""Seconds, longer than any test: until cancelled."""
REPORT_INTERVAL = 1.0
AGREED_AFTER = 10.0
"""Seconds after the last kill by which everyone has to agree."""


async def test_after_each_kill_devices_reconnect_elsewhere_and_no_acknowledged_change_is_lost(
    cluster: Cluster,
) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    async with running_fleet(cluster.urls, USERS, DEVICES, REPORT_INTERVAL) as fleet:
        await fleet.play()
        for _ in range(PHASES):
            await _kill_under_load(cluster, fleet, chance)
            assert await fleet.disagreements(AGREED_AFTER) == []
    assert fleet.heard["close 1006"] > 0


async def _kill_under_load(cluster: Cluster, fleet: Fleet, chance: random.Random) -> None:
    acting = asyncio.create_task(fleet.act(FOREVER, ACT_INTERVAL))
    for _ in range(KILLS):
        number = chance.randrange(len(cluster.members))
        await cluster.kill(number)
        await cluster.restart(number)
        await asyncio.sleep(chance.uniform(*UP_FOR))
    acting.cancel()
    await asyncio.gather(acting, return_exceptions=True)
