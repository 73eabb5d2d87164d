"""Where the store has lost changes that processes know."""

from __future__ import annotations

import asyncio
from copy import copy

import pytest

from tests.support.processes import phone_and_kiosk


async def test_what_the_store_has_lost_is_stored_again() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
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
    async with phone_and_kiosk() as (cluster, phone, kiosk):
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


@pytest.mark.parametrize("more", [1, 3])
async def test_of_two_processes_the_one_that_knows_more_stores_what_was_lost(more: int) -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
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
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
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
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
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
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
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
