"""When the rooms of a process are loaded, read anew and released."""

from __future__ import annotations

import asyncio

import pytest

from audiostream.cluster import later
from audiostream.errors import Unavailable
from audiostream.storage.shared_store import ANSWER_TIMEOUT, StoredRoom
from tests.support.processes import cluster_of


async def test_a_device_that_connects_while_its_room_is_released_is_in_one_that_is_kept() -> None:
    async with cluster_of(2, delay=lambda: 0.01) as cluster:
        one, two = cluster.processes
        phone = await one.connect("ada", "phone")
        one.disconnect(phone)
        await asyncio.sleep(0.2)
        connecting = asyncio.create_task(one.connect("ada", "phone"))
        await asyncio.sleep(0.005)
        await one.cluster.rooms.release("ada")
        phone = await connecting
        assert one.cluster.registry.rooms["ada"] is phone.room
        await (await two.connect("ada", "kiosk")).play("song")
        await asyncio.sleep(0.05)
        assert phone.events() == ["trackPlaying"]


async def test_a_device_that_leaves_while_its_room_is_read_does_not_come_back() -> None:
    delays = [0.0]
    async with cluster_of(2, delay=lambda: delays[0]) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await cluster.settle()
        delays[0] = 0.05
        reading = asyncio.create_task(one.cluster.rooms.refresh("ada"))
        await asyncio.sleep(0.07)  # the answer is on its way
        delays[0] = 0.0
        two.disconnect(kiosk)
        tablet = await two.connect("ada", "tablet")
        await tablet.send("setVolume", {"deviceId": "phone", "volume": 0.5})
        await reading
        await cluster.settle()
        listed = [each.ref.device_id for each in phone.room.devices.values()]
        assert listed == ["phone", "tablet"]
        assert phone.events() == ["volume"]


async def test_a_user_whose_room_cannot_be_read_is_not_subscribed_to() -> None:
    async with cluster_of(1) as cluster:
        [one] = cluster.processes

        async def load(user_id: str) -> StoredRoom:
            raise Unavailable("what is stored of this user cannot be read")

        one.store.load = load  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await one.connect("ada", "phone")
        await cluster.settle()
        assert cluster.database.subscriptions[0].users == set()


async def test_a_room_whose_loss_of_a_device_is_not_stored_yet_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with cluster_of(1) as cluster:
        [one] = cluster.processes
        phone = await one.connect("ada", "phone")
        await cluster.start_playing(phone)

        def fail() -> float:
            raise Unavailable("the store cannot be reached")

        monkeypatch.setattr(one.store, "delay", fail)
        one.disconnect(phone)
        await asyncio.sleep(ANSWER_TIMEOUT + 0.5)  # it was tried, and waits for the next try
        one.cluster._idle["ada"] = float("-inf")
        one.cluster._release_idle()
        await cluster.settle()
        monkeypatch.setattr(one.store, "delay", lambda: 0.0)
        await asyncio.sleep(2 * later.RETRY_PAUSE)
        assert cluster.database.users["ada"].room.state.frozen_at is not None


async def test_devices_that_come_and_leave_without_the_store_leave_nothing_to_be_done() -> None:
    async with cluster_of(1) as cluster:
        [one] = cluster.processes
        phone = await one.connect("ada", "phone")
        await cluster.start_playing(phone)
        one.store.is_cut = True
        await asyncio.gather(one.cluster._renew(), return_exceptions=True)
        for number in range(100):
            one.disconnect(await one.connect("ada", f"tablet{number}"))
        assert len(one.cluster._later._tasks) <= 2
        one.store.is_cut = False
        await asyncio.sleep(0)
