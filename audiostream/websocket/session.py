"""``DeviceSession``: one device from its handshake to its disconnect.

::

    run ─► first message "auth", unless the handshake had a token     4408, 4401, 1009
           the room is loaded, and the token is still good            1013, 4401, 4429
           each text ─► rate limit ─► room                            4403 for another user's token
           close_nowait, or the connection ends ─► the device leaves its room, one log line
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable
from functools import partial
from typing import Final

from aiohttp import WSMsgType, web

from ..auth.access_tokens import Identity
from ..errors import AudiostreamError, StoreError, Unauthorized
from ..protocol import messages
from ..protocol.messages import Familiar, Frame, Labels, Report
from ..rooms.registry import Device, PositionNeeded, Room
from ..services import KEEPER, LIBRARY_WATCH, REGISTRY, SETTINGS, TOKENS, WAITING, WALL_CLOCK
from .authentication import NO_FRAME, authenticated_data, counted, receive_auth, send_error
from .close_reasons import CloseConnection, CloseReason
from .connection_log import ConnectionLog
from .delayed_reports import GAP, DelayedReports
from .device_websocket import DeviceWebSocket
from .rate_limit import REPORT_EVENT, DeviceRateLimiter
from .send_queue import WriteBatcher
from .token_expiry import TokenExpiryTimer

MESSAGES_PER_ITERATION: Final = 32
"""Messages of one device handled in a row before the event loop runs the others."""
COMMAND_EVENTS = frozenset({"playTrack", "pauseTrack"})
_REPORT_FRAME = Frame(REPORT_EVENT, {})

_log = logging.getLogger(__name__)


class DeviceSession:
    """One connection to the native WebSocket. ``user_id`` is None until it has authenticated."""

    __slots__ = (
        "_address",
        "_batcher",
        "_connection_log",
        "_delayed_reports",
        "_device",
        "_expiry",
        "_familiar",
        "_identity",
        "_is_disconnected",
        "_is_in_room",
        "_keeper",
        "_library_watch",
        "_limits",
        "_loop",
        "_rate_limiter",
        "_received_at",
        "_registry",
        "_room",
        "_socket",
        "_tokens",
        "_unauthenticated",
        "_wall_clock",
        "user_id",
    )

    def __init__(
        self, app: web.Application, socket: DeviceWebSocket, batcher: WriteBatcher, address: str
    ) -> None:
        self.user_id: str | None = None
        self._socket = socket
        self._batcher = batcher
        self._address = address
        self._connection_log = ConnectionLog(address, "websocket")
        self._tokens = app[TOKENS]
        self._registry = app[REGISTRY]
        self._wall_clock = app[WALL_CLOCK]
        self._keeper = app[KEEPER]
        self._library_watch = app[LIBRARY_WATCH]
        self._limits = app[SETTINGS].limits
        self._unauthenticated = app[WAITING]
        self._expiry = TokenExpiryTimer(
            self._tokens, self._wall_clock, socket.send_queue.send_text, self._token_expired
        )
        self._loop = asyncio.get_running_loop()
        self._received_at = self._loop.time()
        self._rate_limiter = DeviceRateLimiter(self._limits, self._received_at)
        self._familiar = Familiar()
        self._identity: Identity
        self._room: Room
        self._device: Device
        self._is_in_room = False
        self._delayed_reports: DelayedReports
        self._is_disconnected = False

    async def run(self, token: str | None, labels: Labels) -> None:
        """Serve the device until the connection has ended.

        ``token`` and ``labels`` are those of the handshake; None if it had no token.
        """
        try:
            await self._enter(token, labels)
            await self._receive_messages()
        except CloseConnection as closing:
            self._disconnect(closing.reason, str(closing), closing.code)
        except StoreError as error:
            self._disconnect(CloseReason.STATE_UNAVAILABLE, str(error))
        except Exception:
            _log.exception("a connection failed; it is aborted")
            self._disconnect(CloseReason.INTERNAL_ERROR)
        finally:
            if not self._is_disconnected:  # cancelled
                is_connected, lost = self._socket.is_connected, self._socket.lost_reason
                self._disconnect(CloseReason.SHUTDOWN if is_connected else lost)
            await self._socket.wait_closed()
            await self._socket.close()

    async def close(self, reason: CloseReason, text: str) -> None:
        """Disconnect, and wait for the end of the connection: at most CLOSE_TIMEOUT."""
        self.close_nowait(reason, text)
        await self._socket.wait_closed()

    def close_nowait(self, reason: CloseReason, text: str) -> None:
        """Disconnect the device; its close frame comes behind all that was sent before."""
        self._disconnect(reason, text)

    def adjust_to_clock_step(self, step: float) -> None:
        """Let the token end by the wall clock, which was set by ``step`` seconds."""
        self._expiry.reschedule()

    def _disconnect(self, reason: CloseReason, text: str = "", code: int | None = None) -> None:
        """Leave the room, close the connection, log the first reason. The others come too late."""
        if self._is_disconnected:
            return
        self._is_disconnected = True
        self._expiry.stop()
        if self._is_in_room:
            self._library_watch.remove(self._socket.send_queue)
            self._registry.disconnect(self._identity.user_id, self._device)
        code = reason.code if code is None else code
        if code == CloseReason.CONNECTION_LOST.code:
            self._socket.abort()
        else:
            self._socket.close_nowait(code, text)
        self._connection_log.disconnected(reason, code)

    async def _enter(self, token: str | None, labels: Labels) -> None:
        """Authenticate, and let the device into its room. Raises ``CloseConnection``."""
        auth_frame = None
        if token is None:
            with counted(self._unauthenticated, self._address):
                auth_frame, token, labels = await receive_auth(
                    self._socket, self._limits, self._verify
                )
        frame = auth_frame or NO_FRAME
        self.user_id = self._verify(token, frame).user_id
        room = await self._keeper.room(self.user_id)
        self._identity = self._verify(token, frame)  # it may have been revoked meanwhile
        if len(room.devices) >= self._limits.sockets_per_user:
            raise CloseConnection(CloseReason.TOO_MANY_DEVICES, "too many devices of this user")
        if self._is_disconnected:
            raise CloseConnection(CloseReason.CONNECTION_LOST)
        self._connect(room, labels)
        if auth_frame is not None:
            self._send_authenticated(auth_frame)
        self._expiry.watch(self._identity)

    def _connect(self, room: Room, labels: Labels) -> None:
        device_id = labels.device_id or secrets.token_hex(8)
        self._room = room
        self._device = self._registry.connect(
            self._identity.user_id, self._socket.send_queue, device_id, labels.device_name
        )
        self._is_in_room = True
        self._delayed_reports = DelayedReports(room, self._device, self._socket.send_ping)
        self._connection_log.connected(self._identity.user_id, device_id)

    async def _receive_messages(self) -> None:
        """Handle texts until the connection ends. Raises ``CloseConnection`` then.

        ``receive`` does not suspend as long as messages have arrived already.
        """
        socket, receive, batcher, text_type = (
            self._socket,
            self._socket.receive,
            self._batcher,
            WSMsgType.TEXT,
        )
        count = 0
        while True:
            message = await receive()
            if not batcher.is_open:
                batcher.open()
            message_type, data, _ = message
            if message_type is not text_type:
                socket.received_at = self._loop.time()
                socket.handle_control(message)
            elif not self._is_disconnected:  # or the device has not read the close frame yet
                pending = self._handle_text(data)
                if pending is not None:
                    await pending
            count += 1
            if count == MESSAGES_PER_ITERATION:
                count = 0
                await asyncio.sleep(0)

    def _handle_text(self, text: str) -> Awaitable[None] | None:
        """Do what a text asks for; return what to await before the next one is handled."""
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
                self._handle_frame(frame, self._device)
            self._delayed_reports.mark_handled()
        except PositionNeeded as needed:
            return self._recall(needed.track_id, frame)
        except CloseConnection:
            raise
        except Exception as error:
            self._send_failure(error, frame)
        return None

    def _handle_frame(self, frame: Frame, device: Device) -> None:
        if frame.event == "auth":
            self._renew(frame)
        elif frame.event == "watchLibrary":
            self._library_watch.add(self._socket.send_queue, frame.id)
        else:
            if frame.event in COMMAND_EVENTS:
                self._delayed_reports.discard()
            self._room.receive(frame, device)

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
            if self._socket.is_connected and not self._is_disconnected:
                self._room.receive(frame, self._device)
        except Exception as error:
            self._send_failure(error, frame)
        self._received_at = self._loop.time()

    def _parse(self, text: str) -> Frame:
        """Return the frame; an event without data from the cache. Raises ``InvalidMessage``."""
        frame = self._familiar.question(text)
        if frame is None:
            frame = messages.parse(text, self._limits.max_json_depth)
            if not frame.data:
                self._familiar.learn_question(text, frame)
        return frame

    def _verify(self, token: str, frame: Frame) -> Identity:
        """Return whose token it is. Raises ``CloseConnection`` and sends an error for ``frame``."""
        try:
            return self._tokens.verify(token, self._wall_clock())
        except Unauthorized as error:
            send_error(self._socket.send_queue, error, frame)
            raise CloseConnection(CloseReason.TOKEN_REFUSED, str(error)) from None

    def _renew(self, frame: Frame) -> None:
        identity = self._verify(messages.token(frame.data), frame)
        if identity.user_id != self._identity.user_id:
            raise CloseConnection(CloseReason.OTHER_USER, "the token is another user's")
        self._identity = identity
        self._send_authenticated(frame)
        self._expiry.watch(identity)

    def _send_authenticated(self, frame: Frame) -> None:
        data = authenticated_data(self._identity, self._room, self._device)
        self._socket.send_queue.send_text(messages.encode("authenticated", data, frame.id))

    def _send_failure(self, error: Exception, frame: Frame) -> None:
        """Send the device why its frame did nothing."""
        if not isinstance(error, AudiostreamError):
            _log.error("a %s frame failed", frame.event or "broken", exc_info=error)
            error = AudiostreamError("internal server error")
        send_error(self._socket.send_queue, error, frame)

    def _token_expired(self) -> None:
        self._disconnect(CloseReason.TOKEN_EXPIRED, "the token has expired")
