"""``MessageHandler``: what a device's texts do once it is in its room.

::

    text ─► repeat cache ─► parsed, if it is another ─► rate limit ─► DelayedReports ─► Room
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from ..errors import AudiostreamError
from ..protocol import messages
from ..protocol.messages import Familiar, Frame, Report
from ..rooms.registry import Device, PositionNeeded, Room
from ..services import KEEPER, LIBRARY_WATCH, SETTINGS
from .authentication import NO_FRAME, send_error
from .close_reasons import CloseConnection
from .delayed_reports import GAP, DelayedReports
from .device_websocket import DeviceWebSocket
from .rate_limit import REPORT_EVENT, DeviceRateLimiter

COMMAND_EVENTS = frozenset({"playTrack", "pauseTrack"})
_REPORT_FRAME = Frame(REPORT_EVENT, {})

_log = logging.getLogger(__name__)


class MessageHandler:
    """Handles the texts of one device. ``renew`` handles its ``auth`` frames."""

    __slots__ = (
        "_delayed_reports",
        "_device",
        "_familiar",
        "_keeper",
        "_library_watch",
        "_loop",
        "_max_json_depth",
        "_rate_limiter",
        "_received_at",
        "_renew",
        "_room",
        "_socket",
    )

    def __init__(
        self,
        app: web.Application,
        socket: DeviceWebSocket,
        room: Room,
        device: Device,
        *,
        renew: Callable[[Frame], None],
        connected_at: float,
    ) -> None:
        self._socket = socket
        self._room = room
        self._device = device
        self._keeper = app[KEEPER]
        self._library_watch = app[LIBRARY_WATCH]
        limits = app[SETTINGS].limits
        self._max_json_depth = limits.max_json_depth
        self._renew = renew
        self._received_at = connected_at
        self._loop = asyncio.get_running_loop()
        self._rate_limiter = DeviceRateLimiter(limits, self._loop.time())
        self._familiar = Familiar()
        self._delayed_reports = DelayedReports(room, device, socket.send_ping)

    def handle(self, text: str) -> Awaitable[None] | None:
        """Do what a text asks for; return what to await before the next one is handled.

        Raises ``CloseConnection``. What else goes wrong is answered by an ``error`` event.
        """
        frame, now = NO_FRAME, self._loop.time()
        if now - self._received_at > GAP:
            self._delayed_reports.on_gap()
        self._received_at = self._socket.received_at = now
        try:
            report = self._familiar.report(text)
            frame = self._parse(text) if report is None else _REPORT_FRAME
            self._rate_limiter.check(frame.event, now)
            if report is None and frame.event == REPORT_EVENT and frame.id is None:
                report = messages.report(frame.data)
                self._familiar.learn_report(text, report)
            if self._delayed_reports.is_after_gap and frame.event == REPORT_EVENT:
                self._delayed_reports.hold(partial(self._apply_held, frame, report))
                return None
            if report is not None:
                self._room.hear(report, self._device)
            else:
                self._apply(frame)
            self._delayed_reports.mark_handled()
        except PositionNeeded as needed:
            return self._recall(needed.track_id, frame)
        except CloseConnection:
            raise
        except Exception as error:
            self._send_failure(error, frame)
        return None

    def _parse(self, text: str) -> Frame:
        """Return the frame; an event without data from the cache. Raises ``InvalidMessage``."""
        frame = self._familiar.question(text)
        if frame is None:
            frame = messages.parse(text, self._max_json_depth)
            if not frame.data:
                self._familiar.learn_question(text, frame)
        return frame

    def _apply(self, frame: Frame) -> None:
        if frame.event == "auth":
            self._renew(frame)
        elif frame.event == "watchLibrary":
            self._library_watch.add(self._socket.send_queue, frame.id)
        else:
            if frame.event in COMMAND_EVENTS:
                self._delayed_reports.discard()
            self._room.receive(frame, self._device)

    def _apply_held(self, frame: Frame, report: Report | None) -> None:
        """Apply a report that waited for a pong."""
        try:
            if report is not None:
                self._room.hear(report, self._device)
            else:
                self._room.receive(frame, self._device)
        except Exception as error:
            self._send_failure(error, frame)

    async def _recall(self, track_id: str, frame: Frame) -> None:
        """Load where ``track_id`` was left, then do what ``frame`` asks for."""
        try:
            await self._keeper.recall(self._room, track_id)
            if self._socket.is_connected and not self._socket.is_closing:
                self._room.receive(frame, self._device)
        except Exception as error:
            self._send_failure(error, frame)
        self._received_at = self._loop.time()

    def _send_failure(self, error: Exception, frame: Frame) -> None:
        """Send the device why its frame did nothing."""
        if not isinstance(error, AudiostreamError):
            _log.error("a %s frame failed", frame.event or "broken", exc_info=error)
            error = AudiostreamError("internal server error")
        send_error(self._socket.send_queue, error, frame)
