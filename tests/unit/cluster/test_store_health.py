"""Whether the shared store answers, as the log and ``/healthz`` tell it."""

from __future__ import annotations

import asyncio

import pytest

from audiostream.cluster.store_health import GIVEN_UP_AFTER, StoreHealth
from audiostream.errors import Unavailable
from audiostream.storage.shared_store import ANSWER_TIMEOUT
from audiostream.storage.throttled_warning import WARN_EVERY
from tests.support.fakes import FakeClock
from tests.support.memory_store import MemoryDatabase, MemoryStore
from tests.support.processes import cluster_of


async def test_a_store_of_which_a_part_answers_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    store = MemoryStore(MemoryDatabase(clock))
    health = StoreHealth(store, clock)
    for _ in range(10):
        store.is_cut = True
        with pytest.raises(Unavailable):
            await health.ask(store.revoked())
        assert health.is_degraded
        store.is_cut = False
        await health.ask(store.revoked())
        assert health.is_degraded
        await health.ask(store.renew("own"), writes=True)
        assert not health.is_degraded
        clock.advance(WARN_EVERY / 4)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(";")[0] for line in lines] == [
        "the shared store does not answer",
        "the shared store answers again",
    ] * 3


@pytest.mark.parametrize(
    ("seconds", "is_degraded"), [(GIVEN_UP_AFTER / 2, False), (GIVEN_UP_AFTER, True)]
)
async def test_a_store_that_had_time_to_answer_a_cancelled_operation_is_degraded(
    seconds: float, is_degraded: bool
) -> None:
    clock = FakeClock()
    health = StoreHealth(MemoryStore(MemoryDatabase(clock)), clock)
    asking = asyncio.create_task(health.ask(asyncio.Event().wait()))
    await asyncio.sleep(0)
    clock.advance(seconds)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert health.is_degraded == is_degraded


async def test_commands_that_wait_for_each_other_do_not_tell_of_the_store() -> None:
    async with cluster_of(1, delay=lambda: ANSWER_TIMEOUT / 8) as cluster:
        [one] = cluster.processes
        phone = await one.connect("ada", "phone")
        await asyncio.sleep(ANSWER_TIMEOUT)
        commands = (phone.play("song", float(step)) for step in range(10))
        done = await asyncio.gather(*commands, return_exceptions=True)
        assert {type(each) for each in done} == {type(None), Unavailable}
        assert not one.cluster.is_degraded
