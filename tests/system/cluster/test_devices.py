"""Devices of a user on several processes know each other, and so do the limits and revocations."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import WSServerHandshakeError

from tests.support.cluster import Cluster
from tests.support.long_tests import IS_LONG
from tests.support.waiting import PATIENCE
from tests.support.ws_client import connect

from .conftest import LISTED
from .devices import Device, Household, access_token, bearer, household, revoke

REVOKED_AFTER = 4.0
"""Seconds in which every process refuses: 1 to 2 s, and what a busy machine needs."""
GONE_AFTER = 25.0
"""Seconds after which devices of a killed process are gone."""
PAUSED_AFTER = 45.0
"""Seconds after which a playback without a player is paused: 30 s after a renewal, and the time
until the process is found dead."""
SETTLED = 2.5
"""Seconds in which events that were under way have come."""


async def test_get_devices_lists_the_devices_of_all_processes(cluster: Cluster) -> None:
    async with household(cluster) as home:
        for number in range(3):
            await home.lists(number, "device0", "device1", "device2")
        await home.devices[2].ask("deviceUpdate", deviceName="Kitchen", volume=0.5)
        async with asyncio.timeout(PATIENCE):
            while (await _row(home, 0, "device2"))["deviceName"] != "Kitchen":
                await asyncio.sleep(0.05)
        assert (await _row(home, 0, "device2"))["volume"] == 0.5
        await home.devices[1].peer.socket.close()
        await home.lists(0, "device0", "device2")


async def _row(home: Household, number: int, device_id: str) -> dict[str, object]:
    answer = await home.devices[number].ask("getDevices")
    [row] = [row for row in answer["data"]["devices"] if row["deviceId"] == device_id]
    return dict(row)


async def test_a_transfer_makes_a_device_of_another_process_the_active_one(
    cluster: Cluster,
) -> None:
    async with household(cluster) as home:
        await home.devices[0].ask("playTrack", trackId="song", currentTime=10)
        answer = await home.devices[1].ask("transferPlayback", deviceId="device2")
        assert answer["event"] == "trackUpdated", answer
        for device in home.devices:
            state = answer["data"] if device is home.devices[1] else await device.reaches(2)
            assert (state["rev"], state["deviceId"], state["isPlaying"]) == (2, "device2", True)
        assert (await _row(home, 0, "device2"))["isActive"]


async def test_a_volume_reaches_a_device_of_another_process_alone(cluster: Cluster) -> None:
    async with household(cluster) as home:
        answer = await home.devices[0].ask("setVolume", deviceId="device2", volume=0.25)
        assert answer["data"] == {"deviceId": "device2", "volume": 0.25}
        assert await home.devices[2].peer.receives("volume") == {"volume": 0.25}
        await home.devices[1].peer.receives_nothing()
        answer = await home.devices[0].ask("setVolume", deviceId="nobody", volume=0.25)
        assert answer["data"]["code"] == "device_not_found"


async def test_a_command_that_is_sent_again_to_another_process_takes_effect_once(
    cluster: Cluster,
) -> None:
    async with household(cluster) as home:
        play = {"trackId": "song", "currentTime": 10, "commandId": "once"}
        first = await home.devices[0].ask("playTrack", **play)
        await home.devices[1].reaches(1)
        again = await home.devices[1].ask("playTrack", **play)
        assert (first["data"]["rev"], again["data"]["rev"]) == (1, 1)
        assert (await home.devices[2].state())["rev"] == 1


async def test_the_end_of_a_track_starts_the_next_one_once(cluster: Cluster) -> None:
    async with household(cluster) as home:
        queue = ["song", "other"]
        await home.devices[0].ask(
            "playTrack", trackId="song", currentTime=LISTED - 0.5, queue=queue
        )
        for device in home.devices:
            state = await device.reaches(2)
            assert (state["rev"], state["trackId"], state["isPlaying"]) == (2, "other", True)
        await asyncio.sleep(SETTLED)
        for device in home.devices:
            assert (await device.state())["rev"] == 2


async def test_the_limit_of_sockets_holds_over_all_processes(cluster: Cluster) -> None:
    async with household(cluster) as home, AsyncExitStack() as stack:
        token = access_token(home.user_id)

        async def another(number: int) -> Device:
            url = f"{cluster.url}/ws?deviceId=more{number}"
            peer = await stack.enter_async_context(connect(home.session, url, token))
            return Device(f"more{number}", peer)

        more = [await another(number) for number in range(7)]
        for device in more:
            await device.state()
        await asyncio.sleep(1.0)  # the limit may be exceeded for a second
        for number in range(3):
            assert await (await another(7 + number)).peer.closed() == 4429
        await more[0].peer.socket.close()
        await asyncio.sleep(1.0)
        await (await another(10)).state()


async def test_a_revoked_user_is_refused_by_every_process(cluster: Cluster) -> None:
    async with household(cluster) as home:
        # Who reads a close frame late finds the connection aborted.
        reading = [asyncio.create_task(device.peer.closed()) for device in home.devices]
        await revoke(cluster, home.user_id)
        async with asyncio.timeout(REVOKED_AFTER):
            assert await asyncio.gather(*reading) == [4401, 4401, 4401]
        old = access_token(home.user_id, age=60.0)
        for member in cluster.members:
            url, headers = f"{member.url}/api/tracks", {"Authorization": f"Bearer {old}"}
            async with home.session.get(url, headers=headers) as answer:
                assert answer.status == 401
            with pytest.raises(WSServerHandshakeError) as refused:
                async with connect(home.session, f"{member.url}/ws", old):
                    pass
            assert refused.value.status == 401


async def test_devices_of_a_killed_process_go_and_its_playback_freezes(cluster: Cluster) -> None:
    async with household(cluster) as home:
        player = home.devices[1]
        answer = await player.ask("playTrack", trackId="song", currentTime=10)
        assert answer["event"] == "trackPlaying"
        await asyncio.sleep(SETTLED)
        position = (await player.state())["currentTime"]
        where = {"trackId": "song", "currentTime": position, "isPlaying": True}
        await player.ask("updateStreaming", **where)
        await asyncio.sleep(0.5)  # others know that it plays
        await cluster.kill(1)
        async with asyncio.timeout(GONE_AFTER):
            while await home.listed(0) != ["device0", "device2"]:
                await asyncio.sleep(0.25)
        states = [await home.devices[number].state() for number in (0, 2, 0)]
        assert len({state["currentTime"] for state in states}) == 1
        assert states[0]["currentTime"] == pytest.approx(position, abs=6.0)  # a renewal, and more
        if IS_LONG:
            async with asyncio.timeout(PAUSED_AFTER):
                state = await _paused(home.devices[0])
            assert (state["rev"], state["currentTime"]) == (2, states[0]["currentTime"])
        async with home.session.get(
            f"{cluster.url}/api/tracks/current-state", headers=bearer(home.user_id)
        ) as response:
            assert (await response.json())["currentTime"] == states[0]["currentTime"]
    await cluster.restart(1)


async def _paused(device: Device) -> dict[str, object]:
    """Ask until the playback is paused."""
    while (state := await device.state())["isPlaying"]:
        await asyncio.sleep(0.5)
    return state
