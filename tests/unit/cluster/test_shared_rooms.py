"""Rooms of one user in several processes, by way of a store in memory."""

from __future__ import annotations

import asyncio
from copy import copy

import pytest

from audiostream.cluster import access
from audiostream.errors import Conflict, TrackNotFound, Unavailable
from audiostream.playback.commands import PlayTrack, Report
from audiostream.protocol.decode import GetCurrentState
from tests.support.processes import FakeDevice, cluster_of
from tests.support.waiting import until


async def test_a_command_reaches_the_devices_of_other_processes() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await cluster.settle()
        await phone.play("song", 5.0)
        await cluster.settle()
        for device in (phone, kiosk):
            [(event, data)] = device.news()
            assert (event, data["trackId"], data["rev"]) == ("trackPlaying", "song", 1)
            assert data["currentTime"] == pytest.approx(5.0, abs=0.5)
            assert data["deviceId"] == "phone"


async def test_a_report_that_agrees_asks_nothing_of_the_store() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
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
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await cluster.settle()
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
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
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
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
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
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
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


async def test_without_the_store_reports_and_questions_are_answered_by_any_transport(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "ANSWER_TIMEOUT", 0.1)
    async with cluster_of(1) as cluster:
        [one] = cluster.processes
        phone = await one.connect("ada", "phone")
        await phone.play("song", 5.0)
        await phone.report(5.0)
        await cluster.settle()
        one.store.is_cut = True
        with pytest.raises(Unavailable):
            await phone.pause()
        phone.news()
        report = Report("song", 5.1, is_playing=True)
        rooms = one.cluster.rooms
        async with asyncio.timeout(0.5):
            await rooms.perform("ada", lambda room: room.apply(report, phone.device))
            await rooms.perform("ada", lambda room: room.apply(GetCurrentState(), phone.device))
        assert phone.events() == ["trackState"]
        with pytest.raises(Unavailable):
            await rooms.perform("ada", lambda room: room.apply(PlayTrack("other")))
        one.store.is_cut = False


async def test_what_the_store_has_lost_is_stored_again() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await phone.pause()
        await cluster.settle()
        cluster.database.users.clear()
        cluster.database.renewed_at.clear()
        await asyncio.gather(one.cluster._compare(), two.cluster._compare())
        await cluster.settle()
        stored = cluster.database.users["ada"].room
        assert (stored.state.track_id, stored.state.rev) == ("song", 2)
        assert phone.room.version == kiosk.room.version == stored.version > 2
        assert {row.ref.device_id for row in cluster.database.users["ada"].rows.values()} == {
            "phone",
            "kiosk",
        }
        await kiosk.play("other")
        await cluster.settle()
        assert phone.news()[-1][1]["rev"] == 3


async def test_a_command_after_the_store_has_lost_all_stores_the_devices_again() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await cluster.settle()
        cluster.database.users.clear()
        await kiosk.pause()
        await cluster.settle()
        assert not phone.room.state.is_playing
        stored = {row.ref.device_id for row in cluster.database.users["ada"].rows.values()}
        assert stored == {"phone", "kiosk"}
        for room in (phone.room, kiosk.room):
            assert {each.ref.device_id for each in room.devices.values()} == stored


async def test_the_devices_of_a_dead_process_are_removed_and_the_playback_freezes() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await phone.report(5.0)
        await cluster.settle()
        one.store.is_cut = True
        since = cluster.database.renewed_at[one.cluster.process_id] - 20
        cluster.database.renewed_at[one.cluster.process_id] = since
        await two.cluster._renew()
        await cluster.settle()
        assert [each.ref.device_id for each in kiosk.room.devices.values()] == ["kiosk"]
        assert kiosk.room.state.frozen_at == pytest.approx(since, abs=0.1)


@pytest.mark.parametrize("more", [1, 3])
async def test_of_two_processes_the_one_that_knows_more_stores_what_was_lost(more: int) -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await cluster.settle()
        one.store.is_cut = True
        for step in range(more):
            await kiosk.play("other", float(step))
        cluster.database.users.clear()
        one.store.is_cut = False
        await one.cluster._compare()  # the first to store has not heard of the last change
        await cluster.settle()
        assert cluster.database.users["ada"].room.state.track_id == "song"
        await two.cluster._compare()
        await cluster.settle()
        for device in (phone, kiosk):
            state = device.room.state
            assert (state.track_id, state.rev) == ("other", 1 + more)
            revs = [data["rev"] for _, data in device.news() if "rev" in data]
            assert revs == sorted(revs)


async def test_where_the_store_forgot_and_moved_on_no_device_is_sent_a_lower_rev() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await cluster.settle()
        one.store.is_cut = True
        for _ in range(3):
            await kiosk.play("other")
        cluster.database.users.clear()
        one.store.is_cut, two.store.is_cut = False, True
        for step in range(6):
            await phone.play("song", float(step))
        two.store.is_cut = False
        await two.cluster._compare()
        await cluster.settle()
        assert phone.room.state == kiosk.room.state
        for device in (phone, kiosk):
            revs = [data["rev"] for _, data in device.news() if "rev" in data]
            assert revs == sorted(revs)


@pytest.mark.parametrize("lost", [1, 3])
async def test_who_acts_on_what_the_store_has_kept_has_the_last_word_under_a_new_rev(
    lost: int,
) -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await cluster.settle()
        kept = copy(cluster.database.users["ada"])
        two.store.is_cut = True
        for step in range(1, lost):
            await phone.play("song", float(step))
        await phone.pause()
        cluster.database.users["ada"] = kept  # as after a crash of Redis
        two.store.is_cut = False
        await kiosk.play("other")
        await one.cluster._compare()
        await cluster.settle()
        for device in (phone, kiosk):
            state = device.room.state
            assert (state.track_id, state.is_playing, state.rev) == ("other", True, lost + 2)
            sent = {data["rev"]: data["trackId"] for _, data in device.news()}
            assert sent[lost + 2] == "other"


async def test_no_question_is_answered_under_a_rev_whose_state_the_store_has_lost() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone, kiosk = await one.connect("ada", "phone"), await two.connect("ada", "kiosk")
        await phone.play("song", 5.0)
        await cluster.settle()
        kept = copy(cluster.database.users["ada"])
        two.store.is_cut = True
        await phone.pause()
        cluster.database.users["ada"] = kept  # as after a crash of Redis
        two.store.is_cut = False
        await kiosk.play("other")
        phone.news()
        await one.cluster.rooms.refresh("ada")
        await phone.send("getCurrentState", {})
        await cluster.settle()
        sent = {(data["rev"], data["trackId"]) for _, data in phone.news()}
        assert sent == {(3, "other")}


async def test_over_rest_alone_the_playback_of_a_dead_process_is_not_going_on() -> None:
    async with cluster_of(2) as cluster:
        one, two = cluster.processes
        phone = await one.connect("ada", "phone")
        await phone.play("song", 5.0)
        await phone.report(5.0)
        await cluster.settle()
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
