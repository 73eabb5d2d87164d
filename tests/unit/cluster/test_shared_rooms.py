"""Rooms of one user in several processes, by way of a store in memory."""

from __future__ import annotations

import asyncio

import pytest

from audiostream.errors import Conflict, TrackNotFound, Unavailable
from audiostream.playback.commands import PlayTrack, Report
from audiostream.protocol.decode import GetCurrentState
from audiostream.storage.shared_store import ANSWER_TIMEOUT
from tests.support.processes import FakeDevice, cluster_of, phone_and_kiosk
from tests.support.waiting import until


async def test_a_command_reaches_the_devices_of_other_processes() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        await phone.play("song", 5.0)
        await cluster.settle()
        for device in (phone, kiosk):
            [(event, data)] = device.news()
            assert (event, data["trackId"], data["rev"]) == ("trackPlaying", "song", 1)
            assert data["currentTime"] == pytest.approx(5.0, abs=0.5)
            assert data["deviceId"] == "phone"


async def test_a_report_that_agrees_asks_nothing_of_the_store() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
        await phone.play("song", 5.0)
        await cluster.settle()
        await phone.report(5.0)
        await kiosk.report(5.0)
        await cluster.settle()  # each is announced as playing, once
        before = len(one.store.operations), len(two.store.operations)
        for _ in range(20):
            await phone.report(5.1)
            await kiosk.report(5.0)
        await cluster.settle()
        assert (len(one.store.operations), len(two.store.operations)) == before


async def test_a_command_is_one_operation() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, _ = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await cluster.settle()
        before = len(one.store.operations)
        await phone.play("song", 5.0)
        assert one.store.operations[before:] == ["commit"]


async def test_of_two_commands_at_once_both_take_effect_in_one_order() -> None:
    async with cluster_of(2, delay=lambda: 0.01) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await asyncio.gather(phone.play("song"), kiosk.play("other"))
        await until(lambda: {each.room.state.rev for each in (phone, kiosk)} == {2})
        assert [each.version for each in cluster.database.changes] == [1, 2]
        assert [each.state.rev for each in cluster.database.changes] == [1, 2]
        last = cluster.database.changes[-1].state.track_id
        for device in (phone, kiosk):
            news = device.news()
            assert [data["rev"] for _, data in news if "rev" in data][-1] == 2
            assert news[-1][1]["trackId"] == last


async def test_every_change_of_three_processes_is_in_the_versions_once_or_is_refused() -> None:
    async with cluster_of(3, delay=lambda: 0.001) as cluster:
        devices = [await each.connect("ada", f"d{i}") for i, each in enumerate(cluster.processes)]

        async def act(device: FakeDevice) -> int:
            refused = 0
            for step in range(20):
                try:
                    await device.play("song", float(step))
                except Unavailable:
                    refused += 1
            return refused

        refused = sum(await asyncio.gather(*map(act, devices)))
        await until(lambda: len({each.room.state.rev for each in devices}) == 1)
        versions = [each.version for each in cluster.database.changes]
        assert versions == list(range(1, 61 - refused))
        assert {each.room.state.rev for each in devices} == {60 - refused}


async def test_devices_of_other_processes_are_listed_and_can_take_over() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        await phone.play()
        await cluster.settle()
        phone.news()
        await phone.send("getDevices", {})
        [(event, data)] = phone.news()
        assert event == "devices"
        assert [each["deviceId"] for each in data["devices"]] == ["phone", "kiosk"]
        await phone.send("transferPlayback", {"deviceId": "kiosk"})
        await cluster.settle()
        assert kiosk.news()[-1][1]["deviceId"] == "kiosk"
        await phone.send("setVolume", {"volume": 0.5})
        await cluster.settle()
        assert ("volume", {"volume": 0.5}) in kiosk.news()


async def test_a_device_that_watches_the_list_is_sent_it_after_a_change_by_another() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, tablet = await one.connect("ada", "phone"), await one.connect("ada", "tablet")
        kiosk = await two.connect("ada", "kiosk")
        await cluster.settle()
        for device in (tablet, kiosk):
            await device.send("getDevices", {"watch": True})
            device.news()
        await phone.play("song")
        await cluster.settle()
        for device in (tablet, kiosk):
            lists = [data["devices"] for event, data in device.news() if event == "devices"]
            assert [each["isActive"] for each in lists[-1]] == [True, False, False]


async def test_a_refused_command_tells_why_and_changes_nothing() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        await phone.play()
        await cluster.settle()
        with pytest.raises(TrackNotFound):
            await kiosk.play("nothing")
        with pytest.raises(Conflict):
            await kiosk.send("playTrack", {"trackId": "other", "ifRev": 7})
        assert len(cluster.database.changes) == 1


async def test_over_rest_a_command_is_two_operations_and_leaves_no_room_behind() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone = await one.connect("ada", "phone")
        before = len(two.store.operations)
        await two.cluster.rooms.perform(
            "ada", lambda room: room.apply(PlayTrack(track_id="song", position=3.0))
        )
        assert two.store.operations[before:] == ["load", "commit"]
        assert "ada" not in two.cluster.registry.rooms
        await cluster.settle()
        assert phone.events() == ["trackPlaying"]


async def test_a_room_without_devices_here_is_not_kept_until_its_track_ends() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        two = cluster.processes[1]
        two.disconnect(kiosk)
        await cluster.settle()
        await two.cluster.rooms.release("ada")
        data = {"trackId": "short", "queue": ["short", "other"]}
        await phone.send("playTrack", data)
        ends = two.cluster.registry._context.ends
        for _ in range(3):
            await two.cluster.rooms.perform("ada", lambda room: room.apply(GetCurrentState()))
        assert ends == []
        kiosk = await two.connect("ada", "kiosk")
        assert [room for _, _, room in ends] == [kiosk.room]


async def test_a_store_that_is_gone_refuses_commands_and_absorbs_reports() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one = cluster.processes[0]
        await phone.play("song", 5.0)
        await cluster.settle()
        await phone.report(5.0)
        await cluster.settle()
        one.store.is_cut = True
        phone.news()
        with pytest.raises(Unavailable):
            await phone.pause()
        assert one.cluster.is_degraded
        await phone.report(7.1)
        assert phone.news() == []
        await kiosk.pause()
        one.store.is_cut = False
        await until(lambda: not phone.room.state.is_playing)
        await cluster.settle()
        assert not phone.room.state.is_playing
        assert not one.cluster.is_degraded


async def test_without_the_store_reports_and_questions_are_answered_by_any_transport() -> None:
    async with cluster_of(1) as cluster:
        [one] = cluster.processes
        phone = await one.connect("ada", "phone")
        await cluster.start_playing(phone)
        one.store.is_cut = True
        with pytest.raises(Unavailable):
            await phone.pause()
        phone.news()
        report = Report("song", 5.0 + ANSWER_TIMEOUT, is_playing=True)
        rooms = one.cluster.rooms
        async with asyncio.timeout(0.5):
            await rooms.perform("ada", lambda room: room.apply(report, phone.device))
            await rooms.perform("ada", lambda room: room.apply(GetCurrentState(), phone.device))
        assert phone.events() == ["trackState"]
        with pytest.raises(Unavailable):
            await rooms.perform("ada", lambda room: room.apply(PlayTrack("other")))
        one.store.is_cut = False


async def test_the_devices_of_a_dead_process_are_removed_and_the_playback_freezes() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
        await cluster.start_playing(phone)
        one.store.is_cut = True
        since = cluster.database.renewed_at[one.cluster.process_id] - 20
        cluster.database.renewed_at[one.cluster.process_id] = since
        await two.cluster._renew()
        await cluster.settle()
        assert [each.ref.device_id for each in kiosk.room.devices.values()] == ["kiosk"]
        assert kiosk.room.state.frozen_at == pytest.approx(since, abs=0.1)


@pytest.mark.parametrize("dies", ["device", "process"])
async def test_a_device_of_another_process_that_is_gone_before_it_plays_freezes_the_playback(
    dies: str,
) -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
        await phone.play("song", 5.0)
        await phone.pause("song")
        await phone.report(5.0, playing=False)
        await cluster.settle()
        await kiosk.send("playTrack", {"trackId": "song", "deviceId": "phone"})
        await cluster.settle()
        await phone.send("deviceUpdate", {"volume": 0.5})
        await cluster.settle()
        if dies == "device":
            one.disconnect(phone)
        else:
            one.store.is_cut = True
            cluster.database.renewed_at[one.cluster.process_id] -= 20
            await two.cluster._renew()
        await cluster.settle()
        assert kiosk.room.state.frozen_at is not None


async def test_over_rest_alone_the_playback_of_a_dead_process_is_not_going_on() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone = await one.connect("ada", "phone")
        await cluster.start_playing(phone)
        one.store.is_cut = True
        since = cluster.database.renewed_at[one.cluster.process_id] - 60
        cluster.database.renewed_at[one.cluster.process_id] = since
        await two.cluster._renew()
        is_playing = await two.cluster.rooms.perform(
            "ada", lambda room: room.view(room.apply(GetCurrentState())).is_playing
        )
        assert not is_playing
        await cluster.settle()
        assert cluster.database.users["ada"].rows == {}
