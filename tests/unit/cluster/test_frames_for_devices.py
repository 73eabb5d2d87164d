"""Frames for single devices of other processes: volumes."""

from __future__ import annotations

from dataclasses import replace

from audiostream.rooms.device_rows import MAX_FRAMES
from tests.support.processes import phone_and_kiosk


async def test_a_volume_that_is_set_when_a_change_is_due_is_sent_once() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        await cluster.start_playing(phone)
        state = phone.room.state
        phone.room.state = replace(state, frozen_at=state.anchored_at - 60)  # as without a player
        await phone.send("setVolume", {"deviceId": "kiosk", "volume": 0.5})
        await cluster.settle()
        volumes = [data for event, data in kiosk.news() if event == "volume"]
        assert volumes == [{"volume": 0.5}]


async def test_of_volumes_that_are_set_while_the_store_is_away_the_last_ones_are_sent() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one = cluster.processes[0]
        one.store.is_cut = True
        for number in range(1, 201):
            await phone.send("setVolume", {"deviceId": "kiosk", "volume": number / 200})
        await cluster.settle()
        assert len(phone.room.rows.outbox.frames) == MAX_FRAMES
        one.store.is_cut = False
        await one.cluster.rooms.announce(phone.room)
        await cluster.settle()
        volumes = [data["volume"] for event, data in kiosk.news() if event == "volume"]
        assert volumes == [number / 200 for number in range(201 - MAX_FRAMES, 201)]
