"""``DeviceSession``: one device from its handshake to its disconnect.

::

    run ─► first message "auth", unless the handshake had a token     4408, 4401, 1009
           the room is loaded, and the token is still good            1013, 4401, 4429
           each text ─► MessageHandler                                4403 for another user's token
           close_nowait, or the connection ends ─► the device leaves its room, one log line
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import ClassVar, Final

from aiohttp import WSMsgType, web

from ..auth.tickets import Identity
from ..errors import StoreError, Unauthorized
from ..ops.counters import Transport
from ..protocol.decode import decode_auth_token
from ..protocol.device_labels import DeviceLabels
from ..protocol.envelope import Frame, encode_frame
from ..rooms.device import Device
from ..rooms.room import Room
from ..services import SERVICES
from .authentication import NO_FRAME, authenticated_data, counted, receive_auth, send_error
from .close_reasons import CloseConnection, CloseReason
from .connection_log import log_connected, log_disconnected
from .counting import CountedMessageHandler
from .device_websocket import DeviceWebSocket
from .message_handler import MessageHandler
from .send_queue import WriteBatcher
from .token_expiry import TokenExpiryTimer
from .twins import ANSWER_TIMEOUT, check_twins

MESSAGES_PER_ITERATION: Final = 32
"""Messages of one device handled in a row before the event loop runs the others."""
PINGS: Final = frozenset({WSMsgType.PING, WSMsgType.PONG})
"""Messages that do not end the connection. Any other does, once what came before it is done."""

_log = logging.getLogger(__name__)


class DeviceSession:
    """One connection to the native WebSocket. ``user_id`` is None until it has authenticated."""

    transport: ClassVar[Transport] = "websocket"
    __slots__ = (
        "_address",
        "_app",
        "_batcher",
        "_device",
        "_expiry",
        "_identity",
        "_is_disconnected",
        "_is_in_room",
        "_room",
        "_socket",
        "_started_at",
        "user_id",
    )

    def __init__(
        self, app: web.Application, socket: DeviceWebSocket, batcher: WriteBatcher, address: str
    ) -> None:
        self.user_id: str | None = None
        self._app = app
        self._socket = socket
        self._batcher = batcher
        self._address = address
        self._started_at = asyncio.get_running_loop().time()
        self._expiry: TokenExpiryTimer | None = None
        self._identity: Identity
        self._room: Room
        self._device: Device
        self._is_in_room = False
        self._is_disconnected = False

    @property
    def is_in_room(self) -> bool:
        """Whether the device is in its user's room."""
        return self._is_in_room and not self._is_disconnected

    @property
    def device(self) -> Device | None:
        """The device in its user's room, None before that."""
        return self._device if self._is_in_room else None

    async def run(self, token: str | None, labels: DeviceLabels) -> None:
        """Serve the device until the connection has ended.

        ``token`` and ``labels`` are those of the handshake; None if it had no token.
        """
        try:
            await self._enter(token, labels)
            del token, labels  # with what follows, 500 bytes for each idle device
            await self._receive_messages()
        except CloseConnection as closing:
            self.close_nowait(closing.reason, str(closing), closing.code)
        except StoreError as error:
            self.close_nowait(CloseReason.STATE_UNAVAILABLE, str(error))
        except Exception:
            _log.exception("a connection failed; it is aborted")
            self.close_nowait(CloseReason.INTERNAL_ERROR)
        finally:
            if not self._is_disconnected:  # cancelled
                is_connected, lost = self._socket.is_connected, self._socket.lost_reason
                self.close_nowait(CloseReason.SHUTDOWN if is_connected else lost)
            await self._socket.wait_closed()
            await self._socket.close()

    async def close(self, reason: CloseReason, text: str) -> None:
        """Disconnect, and wait for the end of the connection: at most CLOSE_TIMEOUT."""
        self.close_nowait(reason, text)
        await self._socket.wait_closed()

    def close_nowait(self, reason: CloseReason, text: str = "", code: int | None = None) -> None:
        """Leave the room, send the close frame behind all that was sent, log the reason.

        The first reason counts. Aborts the connection where the code is one that is never sent.
        """
        if self._is_disconnected:
            return
        self._is_disconnected = True
        if self._expiry is not None:
            self._expiry.stop()
        if self._is_in_room:
            self._app[SERVICES].library_subscriptions.unsubscribe(self._socket.send_queue)
            self._app[SERVICES].registry.disconnect(self._identity.user_id, self._device)
            self._device.connection = None
        code = reason.code if code is None else code
        if code == CloseReason.CONNECTION_LOST.code:
            self._socket.abort()
        else:
            self._socket.close_nowait(code, text)
        device_id = self._device.ref.device_id if self._is_in_room else None
        self._app[SERVICES].counters.disconnects[reason.word] += 1
        seconds = asyncio.get_running_loop().time() - self._started_at
        log_disconnected(self.user_id, device_id, self._address, reason, code, seconds)

    def check_alive(self) -> None:
        """Close as ``replaced`` unless something of the client arrives within ANSWER_TIMEOUT."""
        loop = asyncio.get_running_loop()
        self._socket.send_heartbeat()
        loop.call_later(ANSWER_TIMEOUT, self._close_if_silent, loop.time())

    def _close_if_silent(self, since: float) -> None:
        if self._socket.received_at < since:
            text = "another connection of this device has replaced this one"
            self.close_nowait(CloseReason.REPLACED, text)

    def adjust_to_clock_step(self, step: float) -> None:
        """Let the token end by the wall clock, which was set by ``step`` seconds."""
        if self._expiry is not None:
            self._expiry.reschedule()

    async def _enter(self, token: str | None, labels: DeviceLabels) -> None:
        """Authenticate, and let the device into its room. Raises ``CloseConnection``."""
        auth_frame = None
        if token is None:
            with counted(self._app[SERVICES].unauthenticated, self._address):
                auth_frame, token, labels = await receive_auth(
                    self._socket, self._app[SERVICES].settings.limits, self._verify
                )
        frame = auth_frame or NO_FRAME
        self.user_id = self._verify(token, frame).user_id
        room = await self._app[SERVICES].storage.loader.room(self.user_id)
        self._identity = self._verify(token, frame)  # it may have been revoked meanwhile
        limit = self._app[SERVICES].settings.limits.sockets_per_user
        if room.count_devices(labels.device_id) >= limit:
            raise CloseConnection(CloseReason.TOO_MANY_DEVICES, "too many devices of this user")
        if self._is_disconnected:
            raise CloseConnection(CloseReason.CONNECTION_LOST)
        self._connect(room, labels)
        if auth_frame is not None:
            self._send_authenticated(auth_frame)
        self._watch_expiry()

    def _connect(self, room: Room, labels: DeviceLabels) -> None:
        device_id = labels.device_id or secrets.token_hex(8)
        self._room = room
        self._device = self._app[SERVICES].registry.connect(
            self._identity.user_id, self._socket.send_queue, device_id, labels.device_name
        )
        self._device.connection = self
        self._is_in_room = True
        if labels.device_id is not None:
            check_twins(room, self._device)
        log_connected(self._identity.user_id, device_id, self._address, "websocket")

    async def _receive_messages(self) -> None:
        """Handle texts until the connection ends. Raises ``CloseConnection`` then.

        ``receive`` does not suspend as long as messages have arrived already.
        """
        socket, text_type = self._socket, WSMsgType.TEXT
        loop, batcher = asyncio.get_running_loop(), self._batcher
        handler: MessageHandler | None = None
        count = 0
        while True:
            message = await socket.receive()
            if not batcher.is_open:
                batcher.open()
            message_type, data, _ = message
            if message_type is not text_type:
                socket.received_at = loop.time()
                if handler is not None and message_type not in PINGS and socket.is_connected:
                    await handler.wait_done()
                socket.handle_control(message)
            elif not self._is_disconnected:  # or the device has not read the close frame yet
                if handler is None:  # most devices are idle: a handler takes 600 bytes
                    handler = self._message_handler()
                pending = handler.handle(data)
                if pending is not None:
                    await pending
            count += 1
            if count == MESSAGES_PER_ITERATION:
                count = 0
                await asyncio.sleep(0)

    def _message_handler(self) -> MessageHandler:
        is_counted = self._app[SERVICES].counters.counts_frames
        handler_type = CountedMessageHandler if is_counted else MessageHandler
        return handler_type(
            self._app,
            self._socket,
            self._room,
            self._device,
            renew=self._renew,
            connected_at=self._started_at,
        )

    def _verify(self, token: str, frame: Frame) -> Identity:
        """Return whose token it is. Raises ``CloseConnection`` and sends an error for ``frame``."""
        try:
            return self._app[SERVICES].tokens.verify(token, self._app[SERVICES].wall_clock())
        except Unauthorized as error:
            send_error(self._socket.send_queue, error, frame)
            raise CloseConnection(CloseReason.TOKEN_REFUSED, str(error)) from None

    def _renew(self, frame: Frame) -> None:
        """Replace the token. Raises ``CloseConnection``, and ``InvalidMessage`` without one."""
        identity = self._verify(decode_auth_token(frame.data), frame)
        if identity.user_id != self._identity.user_id:
            raise CloseConnection(CloseReason.OTHER_USER, "the token is another user's")
        self._identity = identity
        self._send_authenticated(frame)
        self._watch_expiry()

    def _send_authenticated(self, frame: Frame) -> None:
        data = authenticated_data(self._app[SERVICES], self._identity, self._room, self._device)
        self._socket.send_queue.send_text(encode_frame("authenticated", data, frame.id))

    def _watch_expiry(self) -> None:
        if self._expiry is None:
            if self._identity.expires_at is None:
                return
            self._expiry = TokenExpiryTimer(
                self._app[SERVICES].tokens,
                self._app[SERVICES].wall_clock,
                self._socket.send_queue.send_text,
                self._token_expired,
            )
        self._expiry.watch(self._identity)

    def _token_expired(self) -> None:
        self.close_nowait(CloseReason.TOKEN_EXPIRED, "the token has expired")
