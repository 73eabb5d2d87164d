"""All rooms, by user id."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from secrets import randbits

from ..playback.lifecycle import NEVER_PLAYED
from ..playback.model import SYNC_TOLERANCE, DeviceRef
from .broadcast import Catalogue
from .device import Device, SendQueue
from .end_schedule import call_due
from .room import Room
from .room_context import RoomContext

MAX_QUEUE = 1000
"""Tracks of a queue: 16 hours of songs, and with each change 25 KiB to each device."""


def _new_seed() -> int:
    return randbits(32)


class Registry:
    """The rooms by user id, and the devices that connect to them.

    ``RoomContext`` describes the arguments, ``unsaved`` and ``maybe_idle``. Without a
    ``wall_clock``, ``clock`` returns epoch seconds.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Callable[[], float],
        tolerance: float = SYNC_TOLERANCE,
        wall_clock: Callable[[], float] | None = None,
        *,
        max_queue: int = MAX_QUEUE,
        new_seed: Callable[[], int] = _new_seed,
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self._context = RoomContext(
            catalogue=catalogue,
            clock=clock,
            wall_clock=wall_clock or clock,
            tolerance=tolerance,
            max_queue=max_queue,
            new_seed=new_seed,
        )
        self.unsaved = self._context.unsaved
        self.maybe_idle = self._context.maybe_idle
        self._keys = count(1)

    def wall_time(self) -> float:
        """Return the current time in epoch seconds."""
        return self._context.wall_clock()

    def room(self, user_id: str) -> Room:
        """Return the room of a user, created at the first call."""
        room = self.rooms.get(user_id)
        if room is None:
            room = self.rooms[user_id] = self._make_room(user_id)
            self.maybe_idle.add(room)
        return room

    def _make_room(self, user_id: str) -> Room:
        return Room(user_id, self._context)

    def connect(
        self, user_id: str, send_queue: SendQueue, device_id: str, name: str | None = None
    ) -> Device:
        """Add a new device to its user's room. It is sent nothing (R12)."""
        device = Device(DeviceRef(next(self._keys), device_id), name, send_queue)
        self.room(user_id).add_device(device)
        return device

    def disconnect(self, user_id: str, device: Device) -> None:
        """Remove a device, if it is there, and its room if nothing was ever played in it."""
        room = self.room(user_id)
        room.remove_device(device)
        if not room.devices and room.state == NEVER_PLAYED and not len(room.stop_points):
            self.remove_room(user_id)

    def remove_room(self, user_id: str) -> None:
        """Remove a room without devices."""
        room = self.rooms.pop(user_id)
        for rooms in (self._context.needs_housekeeping, self.unsaved, self.maybe_idle):
            rooms.discard(room)

    def housekeep(self) -> None:
        """Call about once a second. Visits only rooms in which a timeout is running."""
        call_due(self._context)
        for room in tuple(self._context.needs_housekeeping):
            room.housekeep()
