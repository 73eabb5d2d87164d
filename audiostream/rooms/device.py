"""A connected device, and the queue of frames that are sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..playback.model import DeviceRef, DeviceSync


class SendQueue(Protocol):
    """The outgoing text frames of one connection."""

    def send_text(self, text: str) -> None:
        """Queue a frame. Never waits: a device that does not keep up is disconnected."""


class Connection(Protocol):
    """What a device is connected by, as far as rooms need it."""

    def check_alive(self) -> None:
        """Ask the client for an answer, and close the connection if none comes in time."""


_NO_HISTORY = DeviceSync()
"""Shared by all new devices: each is replaced at the first frame."""


@dataclass(eq=False, slots=True)
class Device:
    """One connected socket. Compared by identity, as labels may repeat.

    ``volume``, between 0 and 1, and ``muted``: None until the device reports them. ``connection``:
    None where it cannot be asked whether the client is alive.
    """

    ref: DeviceRef
    name: str | None
    send_queue: SendQueue
    sync: DeviceSync = _NO_HISTORY
    volume: float | None = None
    muted: bool | None = None
    connection: Connection | None = None

    def record_volume(self, volume: float | None, muted: bool | None) -> None:
        """Note the volume that the device reports; None leaves what is known."""
        if volume is not None:
            self.volume = volume
        if muted is not None:
            self.muted = muted
