"""The ``devices`` event: what each device of a room plays, for devices that ask and that watch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..playback.model import State
from ..protocol.envelope import FrameId, encode_frame
from .device import Device


@dataclass(eq=False, slots=True)
class DeviceList:
    """The devices of one room, and which of them are sent every change of the list.

    ``last_sent`` is what those were sent last, but for positions.
    """

    devices: dict[int, Device]
    watchers: tuple[Device, ...] = ()
    last_sent: tuple[object, ...] = ()

    def send(
        self, device: Device, watch: bool, state: State, now: float, frame_id: FrameId | None
    ) -> dict[str, Any]:
        """Send the list to ``device``, and every change if it wants to ``watch``; return it."""
        self.unwatch(device)
        if watch:
            self.watchers += (device,)
        self.last_sent = self._summary(state)
        data = self._encode(state, now)
        device.send_queue.send_text(encode_frame("devices", data, frame_id))
        return data

    def answer(
        self, device: Device, state: State, now: float, frame_id: FrameId | None
    ) -> dict[str, Any]:
        """Send the changed list to those that watch, and to ``device`` if its frame has an id."""
        data = self._encode(state, now)
        if frame_id is not None:
            device.send_queue.send_text(encode_frame("devices", data, frame_id))
        self.notify_watchers(state, now, answered=device if frame_id is not None else None)
        return data

    def unwatch(self, device: Device) -> None:
        """Send a device no further changes, if it watches."""
        self.watchers = tuple(each for each in self.watchers if each is not device)

    def notify_watchers(self, state: State, now: float, answered: Device | None = None) -> None:
        """Send the list to those that watch, if more than positions has changed in it.

        Not to the one that was ``answered`` with it already.
        """
        if not self.watchers or (summary := self._summary(state)) == self.last_sent:
            return
        self.last_sent = summary
        text = encode_frame("devices", self._encode(state, now))
        for device in self.watchers:
            if device is not answered:
                device.send_queue.send_text(text)

    def _summary(self, state: State) -> tuple[object, ...]:
        """Return what watchers are sent but for positions, which change all the time."""
        return (
            state.active_device,
            *(
                (
                    device.ref,
                    device.name,
                    device.volume,
                    device.muted,
                    current and (current.track_id, current.is_playing),
                )
                for device in self.devices.values()
                for current in [device.sync.current]
            ),
        )

    def _encode(self, state: State, now: float) -> dict[str, Any]:
        return {"devices": [_describe(each, state, now) for each in self.devices.values()]}


def _describe(device: Device, state: State, now: float) -> dict[str, Any]:
    current, position = device.sync.current, None
    last_report = device.sync.last_report
    if current is not None:
        position = current.position_at(now)
        if current.track_id == state.track_id:
            position = state.clamp(position)
    return {
        "deviceId": device.ref.device_id,
        "deviceName": device.name,
        "isActive": device.ref == state.active_device,
        "trackId": current and current.track_id,
        "currentTime": None if position is None else round(position, 3),
        "isPlaying": current is not None and current.is_playing,
        "volume": device.volume,
        "muted": device.muted,
        "reportAge": None if last_report is None else round(now - last_report.at, 3),
    }
