"""Frames of one device that wait for its room."""

from __future__ import annotations

import asyncio

from audiostream.websocket.waiting_frames import MAX_WAITING, WaitingFrames


class SlowRoom:
    """Does one frame in ``SECONDS``, and notes which, and how long it had waited before."""

    SECONDS = 0.05

    def __init__(self) -> None:
        self.waiting = WaitingFrames(self.perform)
        self.done: list[str] = []
        self.waited: list[float] = []

    def add(self, frame: str) -> str | None:
        return self.waiting.add(frame, is_report=frame.startswith("report"))

    async def perform(self, waiting: WaitingFrames[str], frame: str, waited: float) -> None:
        self.waited.append(waited)
        await asyncio.sleep(self.SECONDS)
        if not frame.startswith("report") or not waiting.has_report:
            self.done.append(frame)

    async def rest(self) -> None:
        await self.waiting.wait_done()
        assert not self.waiting


async def test_frames_are_done_in_their_order_and_wait_from_their_arrival_on() -> None:
    room = SlowRoom()
    for event in ("playTrack", "setQueue", "pauseTrack"):
        room.add(event)
    await room.rest()
    assert room.done == ["playTrack", "setQueue", "pauseTrack"]
    first, second, third = room.waited
    assert third - second > room.SECONDS / 2 < second - first


async def test_a_report_takes_the_place_of_reports_that_wait_and_is_behind_other_frames() -> None:
    room = SlowRoom()
    assert room.add("playTrack") is None
    assert room.add("report 0") is None
    for number in range(1, 500):
        assert room.add(f"report {number}") == f"report {number - 1}"
    assert room.add("pauseTrack") is None
    assert room.add("report 500") == "report 499"
    await room.rest()
    assert room.done == ["playTrack", "pauseTrack", "report 500"]


async def test_a_report_that_is_being_done_is_old_once_a_later_one_waits() -> None:
    room = SlowRoom()
    room.add("report 1")
    await asyncio.sleep(room.SECONDS / 2)
    assert room.add("report 2") is None
    await room.rest()
    assert room.done == ["report 2"]


async def test_what_comes_after_all_is_done_waits_anew() -> None:
    room = SlowRoom()
    room.add("playTrack")
    await room.rest()
    room.add("pauseTrack")
    await room.rest()
    assert room.done == ["playTrack", "pauseTrack"]


async def test_a_device_is_not_read_on_while_too_many_frames_wait() -> None:
    room = SlowRoom()
    for number in range(MAX_WAITING):
        assert room.waiting.has_room() is None
        room.add(f"setVolume {number}")
    room.add("report")
    pending = room.waiting.has_room()
    assert pending is not None
    await pending
    assert len(room.done) <= 2
    await room.rest()
    assert len(room.done) == MAX_WAITING + 1
