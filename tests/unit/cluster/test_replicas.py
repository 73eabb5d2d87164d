"""What a process knows of the devices of another one."""

from __future__ import annotations

import asyncio

from tests.support.processes import cluster_of, phone_and_kiosk


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


async def test_a_device_that_has_gone_is_announced_though_a_command_was_tried_in_between() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        tablet = await two.connect("ada", "tablet")
        await cluster.settle()
        assert len(phone.room.devices) == 3
        command = asyncio.create_task(kiosk.play("song"))
        two.disconnect(tablet)
        await command
        await cluster.settle()
        names = sorted(each.ref.device_id for each in phone.room.devices.values())
        assert names == ["kiosk", "phone"]
