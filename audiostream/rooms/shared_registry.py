"""``SharedRegistry``: the rooms of one of several processes."""

from __future__ import annotations

from itertools import count
from typing import Any

from ..playback.model import DeviceRef
from .device import Device, SendQueue
from .held_frames import HeldSendQueue
from .process_context import ProcessContext
from .registry import Registry
from .shared_room import SharedRoom


class SharedRegistry(Registry):
    """A registry of ``SharedRoom``; the arguments are those of ``Registry``.

    ``key_prefix`` makes the keys of this process's devices differ from those of others.
    """

    def __init__(
        self, *args: Any, process: ProcessContext, key_prefix: int, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._process = process
        self._keys = count(key_prefix << 32)

    def room(self, user_id: str) -> SharedRoom:
        """Return the room of a user, created at the first call."""
        room: SharedRoom = super().room(user_id)  # type: ignore[assignment]  # see _make_room
        return room

    def connect(
        self, user_id: str, send_queue: SendQueue, device_id: str, name: str | None = None
    ) -> Device:
        """Add a new device to its user's room. It is sent nothing (R12)."""
        room = self.room(user_id)
        held = HeldSendQueue(send_queue, room.held)
        device = Device(DeviceRef(next(self._keys), device_id), name, held)
        room.add_device(device)
        return device

    def disconnect(self, user_id: str, device: Device) -> None:
        """Remove a device, if it is there. Its room stays until it has been idle for long."""
        self.room(user_id).remove_device(device)

    def _make_room(self, user_id: str) -> SharedRoom:
        return SharedRoom(user_id, self._context, self._process)
