"""What a process knows of the devices of another one."""

from __future__ import annotations

import asyncio

from tests.support.processes import cluster_of, phone_and_kiosk
from tests.support.waiting import until


async def test_a_device_of_another_process_is_listed_with_the_track_that_its_room_was_sent() -> (
    None
):
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        await phone.play("song", 5.0)
        await cluster.settle()
        for device in (phone, kiosk):
            device.news()
            await device.send("getDevices", {})
            [(event, data)] = device.news()
            assert event == "devices"
            tracks = {row["deviceId"]: row["trackId"] for row in data["devices"]}
            assert tracks == {"phone": "song", "kiosk": "song"}


async def test_devices_whose_first_commands_come_at_once_know_each_other() -> None:
    async with cluster_of(2, delay=lambda: 0.01) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await asyncio.gather(phone.play("song"), kiosk.play("other"))
        await until(lambda: {each.room.state.rev for each in (phone, kiosk)} == {2})
        await cluster.settle()
        for device in (phone, kiosk):
            names = sorted(each.ref.device_id for each in device.room.devices.values())
            assert names == ["kiosk", "phone"]
