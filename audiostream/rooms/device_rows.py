"""``DeviceRows``: the devices of this process, as a room announces them to other processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..storage.shared_store import DeviceChanges, DeviceRow
from .device import Device

MAX_FRAMES: Final = 64
"""Frames for single devices that wait to be announced: volumes, of which the last one counts. While
the store is away, the oldest are dropped."""


@dataclass(eq=False, slots=True)
class Outbox:
    """What a room has to announce of devices. ``rows`` are keys of its own devices."""

    rows: set[int] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    frames: list[tuple[int, str]] = field(default_factory=list)
    checked: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.rows or self.removed or self.frames or self.checked)

    def add_frame(self, key: int, text: str) -> None:
        """Add a frame for a device of another process."""
        self.frames = [*self.frames, (key, text)][-MAX_FRAMES:]

    def take(self, rows: tuple[DeviceRow, ...]) -> DeviceChanges:
        """Return everything, with ``rows``, and be empty."""
        changes = DeviceChanges(
            rows=rows,
            removed=tuple(self.removed),
            frames=tuple(self.frames),
            checked=tuple(self.checked),
        )
        self.rows.clear()
        self.removed.clear()
        self.frames.clear()
        self.checked.clear()
        return changes

    def put_back(self, changes: DeviceChanges) -> None:
        """Keep what could not be announced."""
        self.rows.update(row.ref.key for row in changes.rows)
        self.removed.update(changes.removed)
        self.frames = [*changes.frames, *self.frames][-MAX_FRAMES:]
        self.checked.update(changes.checked)


class DeviceRows:
    """The rows of one room's devices that are connected to this process.

    A row is announced where a device begins or ends to play, or has another name or volume; its
    position and track are those of that moment.
    """

    __slots__ = ("_announced", "_connected_at", "_process_id", "devices", "outbox")

    def __init__(self, process_id: str) -> None:
        self.devices: dict[int, Device] = {}
        self.outbox = Outbox()
        self._process_id = process_id
        self._announced: dict[int, tuple[object, ...]] = {}
        self._connected_at: dict[int, float] = {}

    def add(self, device: Device, now: float) -> None:
        """Add a device that has connected at ``now``."""
        self.devices[device.ref.key] = device
        self._connected_at[device.ref.key] = now
        self.collect()

    def remove(self, key: int) -> bool:
        """Remove a device that has disconnected; return whether it was here."""
        if self.devices.pop(key, None) is None:
            return False
        self._announced.pop(key, None)
        self._connected_at.pop(key, None)
        self.outbox.rows.discard(key)
        self.outbox.removed.add(key)
        return True

    def connected_at(self, key: int) -> float:
        """Return when a device that is here has connected."""
        return self._connected_at[key]

    def is_outdated(self, row: DeviceRow) -> bool:
        """Whether a row of a device that is here is not what was announced last."""
        values = row.reports_playing, row.name, row.volume, row.muted
        return self._announced.get(row.ref.key, values) != values

    def collect(self) -> bool:
        """Put rows that have changed into the outbox; return whether anything is in it."""
        for key, device in self.devices.items():
            values = device.sync.reports_playing, device.name, device.volume, device.muted
            if self._announced.get(key) != values:
                self._announced[key] = values
                self.outbox.rows.add(key)
        return bool(self.outbox)

    def take(self) -> DeviceChanges:
        """Return what is to be announced, and empty the outbox."""
        self.collect()
        rows = tuple(self._row(self.devices[key]) for key in self.outbox.rows)
        return self.outbox.take(rows)

    def put_back(self, changes: DeviceChanges) -> None:
        """Keep what could not be announced, but for rows of devices that have gone meanwhile."""
        self.outbox.put_back(changes)
        self.outbox.rows.intersection_update(self.devices)

    def _row(self, device: Device) -> DeviceRow:
        sync = device.sync
        return DeviceRow(
            ref=device.ref,
            process_id=self._process_id,
            name=device.name,
            connected_at=self._connected_at[device.ref.key],
            reports_playing=sync.reports_playing,
            current=sync.current,
            volume=device.volume,
            muted=device.muted,
        )
