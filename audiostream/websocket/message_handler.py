"""``MessageHandler``: what a device's texts do once it is in its room.

::

    text ─► repeat cache ─► parsed, if it is another ─► DelayedReports ─► rate limit ─► Room
                                                     WaitingFrames ◄─ RoomWaits ◄────────┘
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from aiohttp import web

from ..errors import AudiostreamError
from ..playback.commands import Report
from ..protocol.decode import decode_report
from ..protocol.envelope import Frame, parse_frame
from ..protocol.repeat_cache import RepeatedMessageParser
from ..rooms.device import Device
from ..rooms.room import Room
from ..rooms.room_waits import RoomWaits
from ..services import SERVICES
from .authentication import NO_FRAME, send_error
from .close_reasons import CloseConnection
from .delayed_reports import GAP, DelayedReports
from .device_websocket import DeviceWebSocket
from .rate_limit import REPORT_EVENT, DeviceRateLimiter
from .waiting_frames import WaitingFrames

COMMAND_EVENTS = frozenset(
    {"playTrack", "pauseTrack", "nextTrack", "previousTrack", "transferPlayback"}
)
"""Commands that replace what the device reports of before (R22)."""
CONNECTION_EVENTS = frozenset({"auth", "watchLibrary"})
"""Events that are no matter of the room."""
_REPORT_FRAME = Frame(REPORT_EVENT, {})

_log = logging.getLogger(__name__)


class ReceivedFrame(NamedTuple):
    """``report``: None for all that is answered, also for a report with an id."""

    frame: Frame
    report: Report | None


class MessageHandler:
    """Handles the texts of one device. ``renew`` handles its ``auth`` frames."""

    __slots__ = (
        "_delayed_reports",
        "_device",
        "_library_subscriptions",
        "_loader",
        "_loop",
        "_max_json_depth",
        "_rate_limiter",
        "_received_at",
        "_renew",
        "_repeated",
        "_room",
        "_socket",
        "_waiting",
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
        self._loader = app[SERVICES].storage.loader
        self._library_subscriptions = app[SERVICES].library_subscriptions
        limits = app[SERVICES].settings.limits
        self._max_json_depth = limits.max_json_depth
        self._renew = renew
        self._received_at = connected_at
        self._loop = asyncio.get_running_loop()
        self._rate_limiter = DeviceRateLimiter(limits, self._loop.time())
        self._repeated = RepeatedMessageParser()
        self._delayed_reports = DelayedReports(room, device, socket.send_ping)
        self._waiting: WaitingFrames[ReceivedFrame] | None = None

    def handle(self, text: str) -> Awaitable[None] | None:
        """Do what a text asks for, at once or behind what has to wait for the store.

        Return what to await before the next one is handled, where too many wait. Raises
        ``CloseConnection``. What else goes wrong is answered by an ``error`` event.
        """
        frame, report, now = NO_FRAME, None, self._loop.time()
        if now - self._received_at > GAP:
            self._delayed_reports.on_gap()
        self._received_at = self._socket.received_at = now
        try:
            report = self._repeated.parse_report(text)
            frame = self._parse(text) if report is None else _REPORT_FRAME
            if self._delayed_reports.is_after_gap and frame.event == REPORT_EVENT:
                report = self._decode(text, frame) if report is None else report
                self._delayed_reports.hold(partial(self._apply_held, frame, report))
                return None
            self._rate_limiter.check(frame.event, now)
            if report is None and frame.event == REPORT_EVENT:
                report = self._decode(text, frame)
            if self._waiting and frame.event not in CONNECTION_EVENTS:
                raise RoomWaits
            if report is not None:
                self._room.apply(report, self._device)
            else:
                self._apply(frame)
            self._delayed_reports.mark_handled()
        except RoomWaits:
            return self._wait(frame, report).has_room()
        except CloseConnection:
            raise
        except Exception as error:
            self._send_failure(error, frame)
        return None

    async def wait_done(self) -> None:
        """Return once what the device has sent is done: it still counts before a close frame."""
        if self._waiting is not None:
            await self._waiting.wait_done()

    def _decode(self, text: str, frame: Frame) -> Report | None:
        """Return the report of a frame; None of one with an id, which is answered."""
        if frame.id is not None:
            return None
        report = decode_report(frame.data)
        self._repeated.cache_report(text, report)
        return report

    def _parse(self, text: str) -> Frame:
        """Return the frame; an event without data from the cache. Raises ``InvalidMessage``."""
        frame = self._repeated.parse_query(text)
        if frame is None:
            frame = parse_frame(text, self._max_json_depth)
            if not frame.data:
                self._repeated.cache_query(text, frame)
        return frame

    def _apply(self, frame: Frame) -> None:
        if frame.event == "auth":
            self._renew(frame)
        elif frame.event == "watchLibrary":
            self._library_subscriptions.subscribe(self._socket.send_queue, frame.id)
        else:
            if frame.event in COMMAND_EVENTS:
                self._delayed_reports.discard()
            self._room.handle_frame(frame, self._device)

    def _apply_to_room(self, frame: Frame, report: Report | None) -> None:
        if report is not None:
            self._room.apply(report, self._device)
        else:
            self._room.handle_frame(frame, self._device)

    def _apply_held(self, frame: Frame, report: Report | None) -> None:
        """Apply a report that waited for a pong."""
        try:
            if self._waiting:
                raise RoomWaits
            self._apply_to_room(frame, report)
        except RoomWaits:
            self._wait(frame, report)
        except Exception as error:
            self._send_failure(error, frame)

    def _wait(self, frame: Frame, report: Report | None) -> WaitingFrames[ReceivedFrame]:
        """Do a frame once its room can, behind those that wait already; return them."""
        if frame.event in COMMAND_EVENTS:
            self._delayed_reports.discard()
        if self._waiting is None:
            self._waiting = WaitingFrames(self._perform)
        self._waiting.add(ReceivedFrame(frame, report), is_report=report is not None)
        return self._waiting

    async def _perform(
        self, waiting: WaitingFrames[ReceivedFrame], received: ReceivedFrame, waited: float
    ) -> None:
        """Do what a frame asks for, once the room can: something has to be loaded or stored."""
        frame, report = received

        def act(_: Room) -> None:
            is_old = report is not None and waiting.has_report
            if self._socket.is_connected and not self._socket.is_closing and not is_old:
                self._apply_to_room(frame, report)

        try:
            await self._loader.perform(self._room.user_id, act, waited)
        except Exception as error:
            self._send_failure(error, frame)
        self._delayed_reports.mark_handled()

    def _send_failure(self, error: Exception, frame: Frame) -> None:
        """Send the device why its frame did nothing."""
        if not isinstance(error, AudiostreamError):
            _log.error("a %s frame failed", frame.event or "broken", exc_info=error)
            error = AudiostreamError("internal server error")
        send_error(self._socket.send_queue, error, frame)
