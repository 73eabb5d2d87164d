"""``EndSchedule``: when a room comes to the end of a track that something follows (R24)."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from ..playback.model import State
from .room_context import RoomContext

if TYPE_CHECKING:
    from .room import Room

MAX_ENDS = 100
"""Tracks that may end at once where no device is connected and time has jumped: a bound on the work
of one call. The rest follows with the next."""


@dataclass(eq=False, slots=True)
class EndSchedule:
    """The entry of one room in ``RoomContext.ends``; ``due`` is the earliest that counts."""

    context: RoomContext
    due: float | None = None

    def expect(self, room: Room, state: State) -> None:
        """Have ``room.housekeep`` called at the end of its track, if something follows it.

        An end that has come already is looked at once a second.
        """
        if state.ended_at is not None:
            self.context.needs_housekeeping.add(room)
        elif state.is_playing and state.duration is not None and state.frozen_at is None:
            if not state.queue.track_ids and state.queue.repeat != "one":
                return
            due = state.anchored_at + (state.duration - state.position) / state.playback_rate
            if self.due is None or due < self.due:
                self.due = due
                heappush(self.context.ends, (due, id(room), room))


def call_due(context: RoomContext) -> None:
    """Call ``housekeep`` of the rooms whose end has come; it may have moved to later since.

    Each room is called once: one that waits for the store is at the same end afterwards.
    """
    rooms = []
    while context.ends and context.ends[0][0] <= context.clock():
        due, _, room = heappop(context.ends)
        if due == room.end_schedule.due:
            room.end_schedule.due = None
            rooms.append(room)
    for room in rooms:
        room.housekeep()
        room.expect_end()
