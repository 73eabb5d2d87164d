"""Whether the shared store answers, as the log and ``/healthz`` tell it."""

from __future__ import annotations

import pytest

from audiostream.cluster.store_health import StoreHealth
from audiostream.errors import Unavailable
from audiostream.storage.throttled_warning import WARN_EVERY
from tests.support.fakes import FakeClock
from tests.support.memory_store import MemoryDatabase, MemoryStore


async def test_a_store_of_which_a_part_answers_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    store = MemoryStore(MemoryDatabase(clock))
    health = StoreHealth(store, clock)
    for _ in range(10):
        store.is_cut = True
        with pytest.raises(Unavailable):
            await health.ask(store.time())
        assert health.is_degraded
        store.is_cut = False
        await health.ask(store.time())
        assert not health.is_degraded
        clock.advance(WARN_EVERY / 4)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(";")[0] for line in lines] == [
        "the shared store does not answer",
        "the shared store answers again",
    ] * 3
