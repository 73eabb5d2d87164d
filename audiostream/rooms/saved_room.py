"""``SavedRoom``: what an action may change in a room, so that it can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..playback.history import PlayedTrack
from ..playback.model import DeviceSync, State
from .device import Device
from .device_list import DeviceList

if TYPE_CHECKING:
    from .room import Room


@dataclass(frozen=True, slots=True)
class SavedDevice:
    """A device and its values."""

    device: Device
    sync: DeviceSync
    name: str | None
    volume: float | None
    muted: bool | None

    def restore(self) -> None:
        device = self.device
        device.sync, device.name = self.sync, self.name
        device.volume, device.muted = self.volume, self.muted


@dataclass(frozen=True, slots=True)
class SavedRoom:
    """The values of a room before an action. Stop points need none: they are read anew."""

    state: State
    applied_ids: tuple[str, ...]
    played: tuple[PlayedTrack, ...]
    devices: tuple[SavedDevice, ...]
    device_list: DeviceList
    list_sent: tuple[object, ...]

    @classmethod
    def of(cls, room: Room, device_list: DeviceList) -> SavedRoom:
        devices = tuple(
            SavedDevice(each, each.sync, each.name, each.volume, each.muted)
            for each in room.devices.values()
        )
        return cls(
            room.state,
            room.applied_commands.ids,
            room.play_history.unsaved,
            devices,
            device_list,
            device_list.last_sent,
        )

    def restore(self, room: Room) -> None:
        """Undo what has changed since; devices that came or left meanwhile are left alone."""
        room.state = self.state
        room.applied_commands.ids = self.applied_ids
        room.play_history.unsaved = self.played
        self.device_list.last_sent = self.list_sent
        for each in self.devices:
            each.restore()
