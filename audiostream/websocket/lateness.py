"""Reports that an outage held up: after a silence they wait until the device has answered a ping.

Here: which reports wait, and which of them counts in the end. Not here: pings (``sockets``), what a
report does (``playback``, rule 22).

After an outage TCP delivers all that was sent during it at once. Such a report says where a player
was, not where it is, and the device had not read then what it was told during the outage. What
arrives before a pong was sent before the device read the ping, and all that was sent before it::

    text ──── more than SILENCE ──── report ── report ── pong ── report
                                      │ ping      │       │        └─► applied at once
                                      └── waits ──┴───────┴─► the last one is applied
"""

from __future__ import annotations

from collections.abc import Callable

from ..rooms.device import Device
from ..rooms.room import Room

SILENCE = 2.0
"""Seconds without a text from a device after which its reports may have been held up."""


class LateReports:
    """The reports of one device that wait. ``ask`` calls what it is given once the device has read
    all that it was sent before.

    Call ``after_silence`` before a text is handled that came after one, ``handled`` behind each.
    """

    __slots__ = ("_ask", "_device", "_is_asking", "_is_late", "_last", "_room", "_told", "_unread")

    def __init__(
        self, room: Room, device: Device, ask: Callable[[Callable[[], None]], None]
    ) -> None:
        self._room = room
        self._device = device
        self._ask = ask
        self._told = self._unread = device.sync.last_sent
        self._is_late = self._is_asking = False
        self._last: Callable[[], None] | None = None

    def after_silence(self) -> None:
        """A text has come after more than ``SILENCE``."""
        if not self._is_late:
            self._is_late = True
            told = self._device.sync.last_sent
            self._unread = None if told is self._told else told

    def wait(self, apply: Callable[[], None]) -> bool:
        """Whether a report has to wait. If so, ``apply`` is called later, unless another comes."""
        if not self._is_late:
            return False
        self._last = apply
        if not self._is_asking:
            self._is_asking = True
            self._ask(self._answered)
        return True

    def overrule(self) -> None:
        """A command has come: the reports before it say nothing any more."""
        self._last = None

    def handled(self) -> None:
        """What the device was told until now, it was told before its next silence."""
        self._told = self._device.sync.last_sent

    def _answered(self) -> None:
        self._is_late = self._is_asking = False
        last, self._last = self._last, None
        listener = self._device.sync
        if self._unread is not None and self._unread is listener.last_sent and not listener.in_sync:
            self._room.mark_delivered(self._device)
        if last is not None:
            last()
        self.handled()
