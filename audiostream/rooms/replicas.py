"""Replicas: the devices of other processes, as a room knows them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..playback.model import State
from ..playback.sync import record_sent
from ..storage.shared_store import DeviceRow
from .device import Device
from .device_rows import Outbox
from .held_frames import HeldFrames, HeldSendQueue


@dataclass(eq=False, slots=True)
class RemoteDevice:
    """The way to a device of another process: frames for it alone, and whether it is alive."""

    key: int
    process_id: str
    connected_at: float
    outbox: Outbox

    def send_text(self, text: str) -> None:
        """Have the other process send a frame."""
        self.outbox.add_frame(self.key, text)

    def check_alive(self) -> None:
        """Have the other process ask the client for an answer."""
        self.outbox.checked.add(self.key)


def make_replica(row: DeviceRow, outbox: Outbox, held: HeldFrames) -> Device:
    """Return a device of another process; ``held`` are the frames of its room."""
    remote = RemoteDevice(row.ref.key, row.process_id, row.connected_at, outbox)
    device = Device(row.ref, row.name, HeldSendQueue(remote, held), connection=remote)
    update_replica(device, row)
    return device


def update_replica(device: Device, row: DeviceRow) -> None:
    """Note what another process has announced of its device.

    It is never taken to be in sync: its report may be minutes old.
    """
    device.name, device.volume, device.muted = row.name, row.volume, row.muted
    device.sync = replace(
        device.sync,
        last_report=row.current,
        reports_playing=row.reports_playing,
    )


def record_sent_to_replica(device: Device, state: State, now: float) -> None:
    """Note that another process has sent its device the state."""
    device.sync = record_sent(device.sync, None, state.snapshot(now))
