"""Connections with the same ``deviceId``: a reconnected device's former one, or a duplicated tab.

A connection whose network vanished is noticed by the heartbeat after up to 45 s. Until then the
device would be listed twice, and be taken to play where its former connection did.
"""

from __future__ import annotations

from typing import Final

from ..rooms.device import Device
from ..rooms.room import Room

ANSWER_TIMEOUT: Final = 5.0
"""Seconds that a client has to answer a ping: the worst of mobile networks take 2 s."""


def check_twins(room: Room, device: Device) -> None:
    """Ping all other connections with the ``deviceId`` of a new ``device``; close the dead ones."""
    for other in tuple(room.devices.values()):
        if other is device or other.ref.device_id != device.ref.device_id:
            continue
        if other.connection is not None:
            other.connection.check_alive()
