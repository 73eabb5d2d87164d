"""Which processes are taken to be dead."""

from __future__ import annotations

import asyncio

import pytest

from audiostream.cluster.processes import RENEWED_EVERY, Processes
from audiostream.storage.shared_store import ProcessTimes
from tests.support.processes import cluster_of, phone_and_kiosk
from tests.support.virtual_time import current_time

START = 1_000.0


def test_a_process_that_is_not_renewed_for_15_seconds_is_dead() -> None:
    processes = Processes("own")
    for now in (START, START + 5, START + 10):
        processes.update(ProcessTimes(now=now, renewed_at={"own": now, "other": START}))
    assert processes.is_silent("other")
    assert not processes.is_lost("other")
    now = START + 15.5
    processes.update(ProcessTimes(now=now, renewed_at={"own": now, "other": START}))
    assert processes.is_lost("other")
    assert not processes.is_lost("own")
    assert processes.last_sign("other") == START


def test_a_process_that_was_dead_before_this_one_began_is_dead_at_once() -> None:
    processes = Processes("own")
    renewed_at = {"own": START, "other": START - 20}
    processes.update(ProcessTimes(now=START, renewed_at=renewed_at))
    assert processes.is_lost("other")


def test_after_the_store_was_away_nobody_is_dead_that_could_not_be_renewed() -> None:
    processes = Processes("own")
    processes.update(ProcessTimes(now=START, renewed_at={"own": START, "other": START}))
    for now in (START + 60, START + 65, START + 70):
        processes.update(ProcessTimes(now=now, renewed_at={"own": now, "other": START}))
        assert not processes.is_lost("other")
    now = START + 75.5
    processes.update(ProcessTimes(now=now, renewed_at={"own": now, "other": START}))
    assert processes.is_lost("other")
    assert processes.last_sign("other") == START


async def test_playing_goes_on_where_the_store_was_away_for_a_minute() -> None:
    async with phone_and_kiosk() as (cluster, phone, kiosk):
        one, two = cluster.processes
        await cluster.start_playing(phone)
        for process_id in cluster.database.renewed_at:
            cluster.database.renewed_at[process_id] -= 60
        two.cluster.processes._now -= 60
        await two.cluster._renew()  # before the other one
        await one.cluster._renew()
        await cluster.settle()
        assert len(kiosk.room.devices) == 2
        assert kiosk.room.state.is_playing
        assert kiosk.room.state.frozen_at is None


async def test_processes_follow_the_clock_of_another_store_that_takes_over_within_5_s() -> None:
    async with cluster_of(2) as cluster:
        cluster.database.clock = lambda: current_time() - 3.0
        await asyncio.sleep(RENEWED_EVERY + 0.5)
        for process in cluster.processes:
            assert process.cluster.clock() == pytest.approx(current_time() - 3.0, abs=0.01)
