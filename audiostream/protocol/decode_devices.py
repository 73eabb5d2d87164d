"""Decoding of what clients send about devices: transfer, volume, names.

A volume is a float between 0 and 1. All functions raise ``InvalidMessage``.
"""

from __future__ import annotations

from ..errors import InvalidMessage
from ..playback.commands import TransferPlayback, fast_dataclass
from .device_labels import DeviceLabels
from .fields import command_id, if_rev, optional_flag, text, volume_level
from .strict_json import JsonObject


@fast_dataclass
class SetVolume:
    """Ask ``device_id`` for a volume; None: the active device. What shall stay is None."""

    device_id: str | None = None
    volume: float | None = None
    muted: bool | None = None
    if_rev: int | None = None
    command_id: str | None = None


@fast_dataclass
class DeviceUpdate:
    """What a device says of itself; what it does not mention is None.

    ``renames``: ``device_name`` is its new name, None for none.
    """

    renames: bool = False
    device_name: str | None = None
    volume: float | None = None
    muted: bool | None = None
    if_rev: int | None = None
    command_id: str | None = None


def decode_transfer(data: JsonObject) -> TransferPlayback:
    """Decode the data of a ``transferPlayback`` frame."""
    play = optional_flag(data, "play")
    return TransferPlayback(text(data, "deviceId"), play, if_rev(data), command_id(data))


def decode_set_volume(data: JsonObject) -> SetVolume:
    """Decode the data of a ``setVolume`` frame."""
    device_id = None if data.get("deviceId") is None else text(data, "deviceId")
    volume, muted = volume_level(data), optional_flag(data, "muted")
    if volume is None and muted is None:
        raise InvalidMessage('"volume", "muted" or both are needed')
    return SetVolume(device_id, volume, muted, if_rev(data), command_id(data))


def decode_device_update(data: JsonObject) -> DeviceUpdate:
    """Decode the data of a ``deviceUpdate`` frame. A name is cleaned as in ``auth``."""
    renames = data.get("deviceName") is not None
    name = DeviceLabels.decode({"deviceName": data["deviceName"]}).device_name if renames else None
    volume, muted = volume_level(data), optional_flag(data, "muted")
    if not renames and volume is None and muted is None:
        raise InvalidMessage('at least one of "deviceName", "volume" and "muted" is needed')
    return DeviceUpdate(renames, name, volume, muted, if_rev(data), command_id(data))
