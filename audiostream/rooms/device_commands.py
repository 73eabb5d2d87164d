"""What devices ask of each other: to take over the playback (R26), a volume, a row in the list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import Conflict, DeviceNotFound
from ..playback import transfer as rule
from ..playback.commands import AnyCommand, PauseTrack, PlayTrack, Skip, TransferPlayback
from ..playback.model import CommandRefused, DeviceRef, Outcome, State
from ..protocol.decode_devices import (
    DeviceUpdate,
    SetVolume,
    decode_device_update,
    decode_set_volume,
    decode_transfer,
)
from ..protocol.envelope import Frame, FrameId, encode_frame
from .broadcast import Catalogue
from .device import Device
from .device_list import DeviceList

if TYPE_CHECKING:
    from .room import Room

DEVICE_EVENTS = frozenset({"transferPlayback", "setVolume", "deviceUpdate"})
"""The events that ``handle`` handles."""


def handle(
    room: Room, device_list: DeviceList, frame: Frame, device: Device, now: float
) -> dict[str, Any]:
    """Do what a frame of ``DEVICE_EVENTS`` asks for; return the data of its acknowledgement.

    ``room`` is advanced to ``now``. Raises ``InvalidMessage``, ``Conflict``, ``DeviceNotFound``
    and ``TrackNotFound``.
    """
    if frame.event == "transferPlayback":
        now = room.apply(decode_transfer(frame.data), device, frame.id)
        return room.view(now).to_json()
    if frame.event == "setVolume":
        return _set_volume(room, decode_set_volume(frame.data), device, frame.id, now)
    update = decode_device_update(frame.data)
    if _takes_effect(room, update, now):
        if update.renames:
            device.name = update.device_name
        device.record_volume(update.volume, update.muted)
    return device_list.answer(device, room.state, now, frame.id)


def find_device(devices: dict[int, Device], device_id: str) -> Device:
    """Return the connected device of that id; of several the one that connected last.

    Raises ``DeviceNotFound``.
    """
    device = _latest(devices, device_id)
    if device is not None:
        return device
    raise DeviceNotFound("no device of this id is connected; getDevices lists those that are")


def transfer(
    room: Room,
    catalogue: Catalogue,
    command: TransferPlayback,
    device: Device | None,
    now: float,
) -> Outcome:
    """Return what a transfer does (R26). Raises as ``handle`` does."""
    before, target = room.state, find_device(room.devices, command.device_id)
    sync = device.sync if device else None
    active = [each for each in room.devices.values() if each.ref == before.active_device]
    former = active[0].sync if active else None
    try:
        outcome = rule.transfer(
            before,
            target.ref,
            now,
            play=command.play,
            if_rev=command.if_rev,
            sync=sync,
            former=former,
        )
    except CommandRefused as refused:
        raise Conflict(str(refused), room.view(now).to_json()) from None
    if before.track_id is not None and outcome.state.is_playing and not before.is_playing:
        catalogue.duration(room.user_id, before.track_id)  # R9: an unlisted track does not start
    return outcome


def choose_active(
    devices: dict[int, Device],
    state: State,
    command: AnyCommand,
    sender: Device | None,
) -> State:
    """Return ``state`` with the active device that a command means (R25).

    That is the one that it names, if it is connected. REST has no device: where it plays and the
    active one has gone, there is none.
    """
    if isinstance(command, PlayTrack | PauseTrack | Skip) and command.device_id is not None:
        chosen = _latest(devices, command.device_id)
        if chosen is not None:
            return replace(state, active_device=chosen.ref)
    active = state.active_device
    plays_by_rest = sender is None and state.is_playing
    if plays_by_rest and active is not None and _latest(devices, active.device_id) is None:
        return replace(state, active_device=None)
    return state


def release_player(room: Room, before: State) -> None:
    """Note that the active device of ``before``, where another is now, may have stopped (R26)."""
    former = before.active_device
    for device in room.devices.values():
        if device.ref == former != room.state.active_device:
            device.sync = rule.release_player(device.sync)


def _set_volume(
    room: Room, command: SetVolume, sender: Device, frame_id: FrameId | None, now: float
) -> dict[str, Any]:
    """Send ``volume`` to the target, which decides and reports the volume that it has then.

    A sender whose frame has an id is answered.
    """
    if command.device_id is None:
        target = _find_active(room.devices, room.state.active_device)
    else:
        target = find_device(room.devices, command.device_id)
    wanted = {"volume": command.volume, "muted": command.muted}
    data = {name: value for name, value in wanted.items() if value is not None}
    if _takes_effect(room, command, now):
        target.send_queue.send_text(encode_frame("volume", data))
    answer = {"deviceId": target.ref.device_id, **data}
    if frame_id is not None:
        sender.send_queue.send_text(encode_frame("volume", answer, frame_id))
    return answer


def _latest(devices: dict[int, Device], device_id: str) -> Device | None:
    """Return the connected device of that id; of several the one that connected last."""
    same = (each for each in reversed(devices.values()) if each.ref.device_id == device_id)
    return next(same, None)


def _find_active(devices: dict[int, Device], active: DeviceRef | None) -> Device:
    for device in devices.values():
        if device.ref == active:
            return device
    raise DeviceNotFound('the active device is not connected; name one by "deviceId"')


def _takes_effect(room: Room, command: SetVolume | DeviceUpdate, now: float) -> bool:
    """Note a command's id, and return whether it is new. Raises ``Conflict`` (R8)."""
    if command.command_id in room.applied_commands:
        return False
    if command.if_rev is not None and command.if_rev != room.state.rev:
        message = f"the state has moved on to rev {room.state.rev}"
        raise Conflict(message, room.view(now).to_json())
    room.applied_commands.record(command.command_id)
    return True
