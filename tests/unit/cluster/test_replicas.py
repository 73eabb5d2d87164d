"""What a process knows of the devices of another one."""

from __future__ import annotations

from tests.support.processes import phone_and_kiosk


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
