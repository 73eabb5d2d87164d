"""What is done for the store without anybody who waits for it."""

from __future__ import annotations

import asyncio
from functools import partial

from audiostream.cluster import later
from audiostream.errors import Unavailable
from tests.support.processes import cluster_of


async def test_what_is_called_for_during_a_task_is_done_once_behind_it() -> None:
    tasks = later.LaterTasks()
    done: list[str] = []

    async def work(name: str) -> None:
        done.append(name)
        await asyncio.sleep(0)

    tasks.run("ada", "announce", partial(work, "first"))
    await asyncio.sleep(0)
    for name in ("second", "third"):
        tasks.run("ada", "announce", partial(work, name))
    await tasks.drain(1.0)
    assert done == ["first", "third"]
    assert tasks.user_ids == set()


async def test_what_the_store_did_not_answer_is_done_once_for_all_that_called_meanwhile() -> None:
    tasks, attempts = later.LaterTasks(), 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            tasks.run("ada", "update", work)
            raise Unavailable("the store does not answer")

    tasks.run("ada", "update", work)
    await tasks.drain(10.0)
    assert attempts == 3


async def test_a_volume_that_is_set_while_another_is_announced_reaches_its_device() -> None:
    async with cluster_of(2, delay=lambda: 0.01) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await asyncio.sleep(0.1)
        for volume in (0.1, 0.2, 0.3):
            await phone.send("setVolume", {"deviceId": "kiosk", "volume": volume})
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        volumes = [data["volume"] for event, data in kiosk.news() if event == "volume"]
        assert volumes == [0.1, 0.2, 0.3]
