"""Reports that an outage delayed: after a gap they wait for a pong (R22).

After an outage TCP delivers at once all that was sent during it. Such a report has the position
where a player was, and its device had not received what was sent to it meanwhile. A pong tells the
two apart: what arrives before it was sent before the device had read the ping::

    text ──── more than GAP ──── report ── report ── pong ── report
                                  │ ping      │       │        └─► applied at once
                                  └── held ───┴───────┴─► the last one is applied
"""

from __future__ import annotations

from collections.abc import Callable

from ..playback.model import Snapshot
from ..rooms.device import Device
from ..rooms.room import Room

GAP = 2.0
"""Seconds without a text after which a device's reports may be delayed ones. Players report four
times a second, and browsers throttle timers of hidden pages to one a second."""


class DelayedReports:
    """Holds the reports of one device after a gap. ``send_ping`` calls its argument at the pong.

    Call ``on_gap`` before a text is handled that came after a gap, ``mark_handled`` after each.
    As long as ``is_after_gap`` reports go to ``hold``.
    """

    __slots__ = (
        "_device",
        "_is_waiting",
        "_last",
        "_last_sent",
        "_room",
        "_send_ping",
        "_unread",
        "is_after_gap",
    )

    def __init__(
        self, room: Room, device: Device, send_ping: Callable[[Callable[[], None]], None]
    ) -> None:
        self._room = room
        self._device = device
        self._send_ping = send_ping
        self._last_sent: Snapshot | None = None  # a device connects with nothing sent
        self._unread: Snapshot | None = None
        self.is_after_gap = self._is_waiting = False
        self._last: Callable[[], None] | None = None

    def on_gap(self) -> None:
        """Hold reports from now on: a text has come after more than GAP."""
        if not self.is_after_gap:
            self.is_after_gap = True
            sent = self._device.sync.last_sent
            self._unread = None if sent is self._last_sent else sent

    def hold(self, apply: Callable[[], None]) -> None:
        """Run ``apply`` at the pong, unless another report or a command comes before it."""
        self._last = apply
        if not self._is_waiting:
            self._is_waiting = True
            self._send_ping(self._on_pong)

    def discard(self) -> None:
        """Drop the held report: a command has come, which is newer."""
        self._last = None

    def mark_handled(self) -> None:
        """Note what was sent to the device until now: it was sent before the next gap."""
        self._last_sent = self._device.sync.last_sent

    def _on_pong(self) -> None:
        self.is_after_gap = self._is_waiting = False
        last, self._last = self._last, None
        sync = self._device.sync
        if self._unread is not None and self._unread is sync.last_sent and not sync.in_sync:
            self._room.mark_delivered(self._device)
        if last is not None:
            last()
        self.mark_handled()
