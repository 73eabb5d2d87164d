"""Rows of devices that the store writes late: what an outage has held up arrives at its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from audiostream.storage.shared_store import DeviceChanges, DeviceRow
from tests.support.processes import FakeCluster, FakeDevice, phone_and_kiosk

SOON = 0.5


async def write_late(cluster: FakeCluster, phone: FakeDevice, changes: DeviceChanges) -> None:
    """Have the store do what the phone's process has sent before, and given up."""
    process_id = phone.process.cluster.process_id
    await cluster.processes[1].store.announce("ada", process_id, changes)
    await asyncio.sleep(SOON)


def row_of(cluster: FakeCluster, phone: FakeDevice) -> DeviceRow:
    return cluster.database.users["ada"].rows[phone.device.ref.key]


async def test_the_row_of_a_device_that_has_gone_is_removed_again() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        row = row_of(cluster, phone)
        phone.process.disconnect(phone)
        await asyncio.sleep(SOON)
        await write_late(cluster, phone, DeviceChanges(rows=(row,)))
        assert phone.device.ref.key not in cluster.database.users["ada"].rows
        assert list(kiosk.room.devices) == [kiosk.device.ref.key]


async def test_an_old_row_of_a_device_is_replaced_by_what_its_process_knows() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        row = row_of(cluster, phone)
        await phone.play()
        await phone.report(0.0)
        await asyncio.sleep(SOON)
        assert kiosk.room.devices[phone.device.ref.key].sync.reports_playing
        await write_late(cluster, phone, DeviceChanges(rows=(row,)))
        assert row_of(cluster, phone).reports_playing
        assert kiosk.room.devices[phone.device.ref.key].sync.reports_playing


async def test_a_device_whose_row_is_removed_late_is_announced_again() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        row = row_of(cluster, phone)
        await write_late(cluster, phone, DeviceChanges(removed=(row.ref.key,)))
        assert replace(row_of(cluster, phone), current=None) == replace(row, current=None)
        assert phone.device.ref.key in kiosk.room.devices
