"""A connected device, and the queue of frames that are sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..playback.model import DeviceRef, DeviceSync


class SendQueue(Protocol):
    """The outgoing text frames of one connection."""

    def send_text(self, text: str) -> None:
        """Queue a frame. Never waits: a device that does not keep up is disconnected."""


_NO_HISTORY = DeviceSync()
"""Shared by all new devices: each is replaced at the first frame."""


@dataclass(eq=False, slots=True)
class Device:
    """One connected socket. Compared by identity, as labels may repeat."""

    ref: DeviceRef
    name: str | None
    send_queue: SendQueue
    sync: DeviceSync = _NO_HISTORY
