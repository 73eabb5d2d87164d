"""Stream slots of a user in one of several processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest

from audiostream.cluster.store_health import StoreHealth
from audiostream.cluster.user_limits import UserLimits
from audiostream.settings import Limits
from audiostream.streaming.shared_slots import SharedStreamSlots
from tests.support.memory_store import MemoryDatabase, MemoryStore
from tests.unit.streaming.test_stream_slots import FakeTransport

LIMIT = 3


class Slots:
    """A process, and another one in the same store."""

    def __init__(self) -> None:
        self.database = MemoryDatabase(lambda: 0.0)
        self.store = MemoryStore(self.database)
        limits = Limits(streams_per_user=LIMIT)
        self.shared = UserLimits(StoreHealth(self.store, lambda: 0.0), "here", limits, lambda: 0.0)
        self.slots = SharedStreamSlots(self.shared, timeout=60.0)

    async def open_elsewhere(self, owner: str, count: int) -> None:
        await MemoryStore(self.database).exchange("elsewhere", {owner: count}, {})

    def acquire(self, owner: object) -> DiscardingTransport:
        transport = DiscardingTransport()
        transport.stream = self.slots.acquire(owner, cast(Any, transport))
        return transport


class DiscardingTransport(FakeTransport):
    """A connection that can be told to discard what is not sent."""

    def is_closing(self) -> bool:
        return self.is_aborted


@pytest.fixture
async def slots() -> AsyncIterator[Slots]:
    slots = Slots()
    running = asyncio.create_task(slots.shared.run())
    yield slots
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_room_is_found_once_it_is_known_what_the_owner_has_elsewhere(slots: Slots) -> None:
    await slots.open_elsewhere("ada", LIMIT - 1)
    assert not slots.slots.has_room("ada")
    assert await slots.slots.make_room("ada")
    assert slots.slots.has_room("ada")
    slots.acquire("ada")
    assert not slots.slots.has_room("ada")
    assert not await slots.slots.make_room("ada")  # nothing stalls
    assert slots.store.operations == ["exchange"]


async def test_an_owner_with_the_limit_here_is_refused_without_asking(slots: Slots) -> None:
    for _ in range(LIMIT):
        slots.acquire("ada")
    assert not slots.slots.has_room("ada")
    assert not await slots.slots.make_room("ada")
    assert slots.store.operations == []


async def test_the_streams_that_began_last_end_where_there_are_too_many(slots: Slots) -> None:
    await slots.open_elsewhere("ada", 2)
    streams = [slots.acquire(owner) for owner in ("ada", "bob", "ada", "bob", "ada")]
    await slots.shared.note_changes()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [each.is_aborted for each in streams] == [False, False, True, False, True]


async def test_the_owner_of_a_public_stream_has_room_here_at_once(slots: Slots) -> None:
    address = ("address", "192.0.2.7")
    assert slots.slots.has_room(address)
    for _ in range(LIMIT):
        slots.acquire(address)
    assert not slots.slots.has_room(address)
    assert slots.store.operations == []
