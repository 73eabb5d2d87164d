"""``SharedClock``: set by the store's clock, but for what a round trip may account for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from audiostream.cluster.shared_clock import SharedClock
from tests.support.fakes import FakeClock


def reading(clock: FakeClock, time: float, round_trip: float) -> Callable[[], Awaitable[float]]:
    """Return what reads ``time`` from a store in the middle of a round trip."""

    async def read() -> float:
        clock.advance(round_trip)
        return time

    return read


async def test_the_clock_is_set_by_the_store_s_in_the_middle_of_the_round_trip() -> None:
    clock = FakeClock()
    shared = SharedClock(clock, lambda: 5.0)
    assert shared() == pytest.approx(5.0)
    await shared.adjust(reading(clock, 1000.0, 0.4))
    assert shared() == pytest.approx(1000.2)
    clock.advance(10.0)
    assert shared() == pytest.approx(1010.2)


@pytest.mark.parametrize(("difference", "is_set"), [(0.19, False), (0.21, True), (-0.21, True)])
async def test_a_difference_that_the_round_trip_may_account_for_is_left(
    difference: float, is_set: bool
) -> None:
    clock = FakeClock()
    shared = SharedClock(clock, lambda: 5.0)
    await shared.adjust(reading(clock, 1000.0, 0.4))
    before = shared()
    await shared.adjust(reading(clock, before + 0.2 + difference, 0.4))
    assert shared() == pytest.approx(before + 0.4 + difference * is_set)
