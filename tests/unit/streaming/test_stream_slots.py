"""Stream slots: counting, making room, and disconnecting a user's streams."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any, cast

import pytest

from audiostream.streaming.stall_timeout import StallTimeout
from audiostream.streaming.stream_slots import STALLED_AFTER, StreamSlots, free_descriptors


class FakeTransport:
    """A connection whose stream ends as soon as it is aborted, if at all."""

    def __init__(self) -> None:
        self.stream: StallTimeout | None = None
        self.is_aborted = False

    def get_extra_info(self, name: str) -> None:
        return None

    def abort(self) -> None:
        self.is_aborted = True
        if self.stream is not None:
            self.stream.stop()


class Slots:
    """``StreamSlots`` whose streams have fake connections."""

    def __init__(self) -> None:
        self.counts: Counter[Hashable] = Counter()
        self.slots = StreamSlots(self.counts, timeout=60.0)

    def acquire(self, owner: str, *, ends: bool = True) -> FakeTransport:
        transport = FakeTransport()
        stream = self.slots.acquire(owner, cast(Any, transport))
        transport.stream = stream if ends else None
        return transport


@pytest.fixture
async def slots() -> Slots:
    return Slots()


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the monotonic clock go on by so many seconds at once."""
    monotonic, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + ahead[0])

    def go_on(seconds: float) -> None:
        ahead[0] += seconds

    return go_on


async def test_a_slot_is_counted_until_its_timeout_is_stopped(slots: Slots) -> None:
    streams = [slots.slots.acquire(owner, cast(Any, FakeTransport())) for owner in "aab"]
    assert slots.counts == {"a": 2, "b": 1}
    streams[0].stop()
    streams[0].stop()
    assert slots.counts == {"a": 1, "b": 1}
    streams[1].stop()
    streams[2].stop()
    assert not slots.counts
    assert list(slots.counts) == []


async def test_room_is_made_by_the_longest_stalled_stream_of_the_owner(
    slots: Slots, advance: Callable[[float], None]
) -> None:
    other = slots.acquire("b")
    advance(1.0)
    oldest = slots.acquire("a")
    advance(1.0)
    newest = slots.acquire("a")
    advance(STALLED_AFTER)
    assert await slots.slots.make_room("a")
    assert [each.is_aborted for each in (other, oldest, newest)] == [False, True, False]
    assert await slots.slots.make_room()
    assert [each.is_aborted for each in (other, newest)] == [True, False]


async def test_no_room_is_made_while_no_stream_is_stalled_for_long_enough(
    slots: Slots, advance: Callable[[float], None]
) -> None:
    stream = slots.acquire("a")
    advance(STALLED_AFTER / 2)
    assert not await slots.slots.make_room("a")
    assert stream.stream is not None
    stream.stream.pause()
    advance(STALLED_AFTER)
    assert not await slots.slots.make_room("a")
    assert not stream.is_aborted


async def test_no_room_is_made_by_a_stream_that_does_not_end_in_time(
    slots: Slots, advance: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiostream.streaming.stream_slots.DISCONNECT_TIMEOUT", 0.01)
    stream = slots.acquire("a", ends=False)
    advance(STALLED_AFTER)
    assert not await slots.slots.make_room("a")
    assert stream.is_aborted
    assert slots.counts == {"a": 1}


async def test_disconnecting_some_owners_ends_all_their_streams_and_no_others(slots: Slots) -> None:
    streams = [slots.acquire(owner) for owner in "abac"]
    slots.slots.disconnect_all_of({"a", "c"})
    assert [each.is_aborted for each in streams] == [True, False, True, True]
    assert slots.counts == {"b": 1}


def test_an_open_file_leaves_fewer_free_descriptors() -> None:
    free = free_descriptors()
    with open(os.devnull, "rb"):
        assert free_descriptors() < free
