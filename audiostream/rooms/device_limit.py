"""Which devices count towards a user's limit, and which are too many.

Two processes may each let a device in before they know of the other's. All processes find the same
one to be too many then, and each disconnects its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .device import Device
from .replicas import RemoteDevice

if TYPE_CHECKING:
    from .shared_room import SharedRoom

FORMER_FOR: Final = 50.0
"""Seconds for which a device that connects again elsewhere does not count twice. By then its former
connection is known to be alive or dead: after 5 s a native one, after 45 s one of Socket.IO."""


def counted_devices(room: SharedRoom, now: float) -> list[Device]:
    """Return the devices that count, the one that connected first at the front.

    Left out are those of processes that may be dead, and for FORMER_FOR the former connection of
    each device that has connected again to another process.
    """
    counted: list[Device] = []
    newest: dict[str, Device] = {}
    has_former: set[str] = set()
    devices = (each for each in room.devices.values() if not _may_be_dead(room, each))
    for device in sorted(devices, key=lambda each: _order(room, each), reverse=True):
        device_id = device.ref.device_id
        twin = newest.setdefault(device_id, device)
        if twin is not device and device_id not in has_former:
            has_former.add(device_id)
            is_elsewhere = room.owner_of(twin) != room.owner_of(device)
            if is_elsewhere and now - _connected_at(room, twin) < FORMER_FOR:
                continue
        counted.append(device)
    return counted[::-1]


def count_with(room: SharedRoom, device_id: str | None, now: float) -> int:
    """Return how many devices count beside a new one, which replaces those of its id elsewhere."""
    local = room.local_devices
    counted = counted_devices(room, now)
    return sum(each.ref.key in local or each.ref.device_id != device_id for each in counted)


def excess_devices(room: SharedRoom, limit: int, now: float) -> list[Device]:
    """Return the devices of this process that are too many: those that connected last."""
    beyond = counted_devices(room, now)[limit:]
    return [each for each in beyond if each.ref.key in room.local_devices]


def _may_be_dead(room: SharedRoom, device: Device) -> bool:
    remote = device.connection
    return isinstance(remote, RemoteDevice) and room.process.is_silent(remote.process_id)


def _order(room: SharedRoom, device: Device) -> tuple[float, int]:
    return _connected_at(room, device), device.ref.key


def _connected_at(room: SharedRoom, device: Device) -> float:
    remote = device.connection
    if isinstance(remote, RemoteDevice):
        return remote.connected_at
    return room.rows.connected_at(device.ref.key)
