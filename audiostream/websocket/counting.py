"""Counting of what native devices send and are sent, in subclasses: where metrics are exposed, they
stand in for their bases.

A repeated report takes 2 µs in the base classes, of which a count would be a noticeable share.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

from aiohttp import web

from ..ops.counters import Counters, ReportOutcome, Transport
from ..playback.commands import Report
from ..protocol.decode_queue import QUEUE_EVENTS
from ..protocol.envelope import Frame
from ..rooms.device_commands import DEVICE_EVENTS
from ..services import SERVICES
from .message_handler import MessageHandler, ReceivedFrame
from .rate_limit import REPORT_EVENT
from .send_queue import WriteBatcher
from .waiting_frames import WaitingFrames

EVENTS: Final = (
    QUEUE_EVENTS
    | DEVICE_EVENTS
    | {*("playTrack", "pauseTrack", "getCurrentState", "getDevices", "watchLibrary", "auth")}
)
"""All events of clients but reports."""
OTHER: Final = "other"
"""Stands for events that there are not: their names are the clients' choice."""


def count_command(counters: Counters, transport: Transport, event: str) -> None:
    """Count an event that is no report."""
    counters.commands[transport, event if event in EVENTS else OTHER] += 1


class CountedWriteBatcher(WriteBatcher):
    """Counts texts: each is encoded once for each device that it is sent to."""

    __slots__ = ("_counters",)

    def __init__(self, counters: Counters) -> None:
        super().__init__()
        self._counters = counters

    def encode(self, text: str) -> bytes:
        self._counters.frames_sent["websocket"] += 1
        return super().encode(text)


class CountedMessageHandler(MessageHandler):
    """Counts the commands and reports of one device, also those that are refused."""

    __slots__ = ("_counters", "_is_refused", "_is_report", "_is_waiting")

    def __init__(self, app: web.Application, *arguments: Any, **options: Any) -> None:
        super().__init__(app, *arguments, **options)
        self._counters = app[SERVICES].counters
        self._is_report = self._is_refused = self._is_waiting = False

    def handle(self, text: str) -> Awaitable[None] | None:
        self._is_report, self._is_refused = True, False  # a repeated report is not parsed
        self._is_waiting = False
        before, sent = self._room.state, self._device.sync.last_sent
        pending = super().handle(text)
        is_held = self._delayed_reports.is_after_gap and not self._is_refused
        if self._is_report and not is_held:
            self._count_report(before, sent)
        return pending

    def _parse(self, text: str) -> Frame:
        self._is_report = False
        frame = super()._parse(text)
        if frame.event == REPORT_EVENT:
            self._is_report = True
        else:
            count_command(self._counters, "websocket", frame.event)
        return frame

    def _apply_held(self, frame: Frame, report: Report | None) -> None:
        self._is_refused = self._is_waiting = False
        before, sent = self._room.state, self._device.sync.last_sent
        super()._apply_held(frame, report)
        self._count_report(before, sent)

    def _wait(self, frame: Frame, report: Report | None) -> WaitingFrames[ReceivedFrame]:
        self._is_waiting = True
        return super()._wait(frame, report)

    def _send_failure(self, error: Exception, frame: Frame) -> None:
        self._is_refused = True
        super()._send_failure(error, frame)

    def _count_report(self, before: object, sent: object) -> None:
        """Count a report by what the room has done; ``before`` and ``sent`` were there before."""
        outcome: ReportOutcome = "absorbed"
        if self._is_refused:
            outcome = "refused"
        elif self._is_waiting or self._room.state is not before:
            outcome = "applied"
        elif self._device.sync.last_sent is not sent:
            outcome = "corrected"
        self._counters.reports[outcome] += 1
