"""``SocketioSession``: one authenticated Socket.IO client, as ``DeviceSession`` is a native one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp import web
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio.packet import EVENT

from ..auth.tickets import Identity
from ..errors import AudiostreamError, RateLimited, Unauthorized
from ..ops.counters import Transport
from ..playback.commands import ListChange
from ..protocol.decode import Command, decode_auth_token, decode_command, decode_get_devices
from ..protocol.decode_queue import GetQueue
from ..protocol.device_labels import DeviceLabels
from ..protocol.envelope import Frame, encode_error, encode_frame, event_data
from ..protocol.strict_json import encode_json
from ..rooms.device import Device
from ..rooms.device_commands import DEVICE_EVENTS
from ..rooms.room import Room
from ..services import SERVICES
from ..websocket.authentication import authenticated_data
from ..websocket.close_reasons import CloseReason
from ..websocket.connection_log import log_connected, log_disconnected
from ..websocket.rate_limit import DeviceRateLimiter
from ..websocket.token_expiry import TokenExpiryTimer
from ..websocket.twins import check_twins

if TYPE_CHECKING:
    from .endpoint import Endpoint

MAX_QUEUED = 512
"""Packets that may wait for a client: about the 256 KiB of a native device."""

_log = logging.getLogger(__name__)
Action = Callable[[Room], dict[str, Any] | None]


class SocketioSendQueue:
    """The bounded queue of one client. ``has_overflowed`` tells a slow reader from other ends."""

    def __init__(self, endpoint: Endpoint, engine_id: str) -> None:
        self._endpoint = endpoint
        self._engine_id = engine_id
        self.has_overflowed = False

    def send_text(self, text: str) -> None:
        """Queue a native frame as an event. Never awaits; aborts a client with a full queue."""
        engine = self._endpoint.server.eio.sockets.get(self._engine_id)
        if engine is None or engine.closed or engine.closing:
            return
        if engine.queue.qsize() >= MAX_QUEUED:
            self.has_overflowed = True
            self._endpoint.abort(self._engine_id)
            return
        frame = json.loads(text)
        packet = f"{EVENT}{encode_json([frame['event'], frame['data']])}"
        engine.queue.put_nowait(EnginePacket(MESSAGE, packet))


class SocketioSession:
    """A client in its user's room, from ``connect`` until it is disconnected."""

    transport: ClassVar[Transport] = "socketio"
    send_queue_type: ClassVar[type[SocketioSendQueue]] = SocketioSendQueue

    def __init__(
        self,
        endpoint: Endpoint,
        app: web.Application,
        sid: str,
        engine_id: str,
        identity: Identity,
        labels: DeviceLabels,
        address: str,
        connected_at: float,
    ) -> None:
        self.sid = sid
        self.engine_id = engine_id
        self.user_id: str | None = identity.user_id
        self.send_queue = self.send_queue_type(endpoint, engine_id)
        self._endpoint = endpoint
        self._services = app[SERVICES]
        self._registry = app[SERVICES].registry
        self._loader = app[SERVICES].storage.loader
        self._library_subscriptions = app[SERVICES].library_subscriptions
        self._tokens = app[SERVICES].tokens
        self._wall_clock = app[SERVICES].wall_clock
        self._rate_limiter = DeviceRateLimiter(
            app[SERVICES].settings.limits, asyncio.get_running_loop().time()
        )
        self._expiry = TokenExpiryTimer(
            self._tokens, self._wall_clock, self.send_queue.send_text, self._token_expired
        )
        self._expiry.watch(identity)
        self._identity = identity
        self._closing: asyncio.Task[None] | None = None
        self._is_disconnected = False
        device_id = labels.device_id or sid
        self._device: Device = self._registry.connect(
            identity.user_id, self.send_queue, device_id, labels.device_name
        )
        if labels.device_id is not None:
            check_twins(self._room, self._device)
        self._address = address
        self._connected_at = connected_at
        log_connected(identity.user_id, device_id, address, "socketio")

    @property
    def device(self) -> Device:
        """The device in its user's room."""
        return self._device

    @property
    def _room(self) -> Room:
        return self._registry.room(self._identity.user_id)

    @property
    def is_in_room(self) -> bool:
        """Whether the client has not been disconnected."""
        return not self._is_disconnected

    async def handle(self, event: str, data: Any) -> dict[str, Any] | None:
        """Do what an event asks for, and return what its acknowledgement gets."""
        if self._is_disconnected:
            return None
        try:
            self._rate_limiter.check(event, asyncio.get_running_loop().time())
            frame = Frame(event, event_data(data))
            if event == "auth":
                return self._renew(frame)
            if event == "watchLibrary":
                return self._library_subscriptions.subscribe(self.send_queue).to_json()
            action = self._while_connected(self._action(frame))
            return await self._loader.perform(self._identity.user_id, action)
        except AudiostreamError as error:
            return self._send_error(error, event)
        except Exception:
            _log.exception("a %s event failed", event[:64])
            return self._send_error(AudiostreamError("internal server error"), event)

    def _action(self, frame: Frame) -> Action:
        """Return what a frame does in the room; it returns what the acknowledgement gets.

        Events behind this one wait: python-socketio handles them one after the other.
        """
        if frame.event == "getDevices":
            watch = decode_get_devices(frame.data)
            return lambda room: room.send_device_list(self._device, watch)
        if frame.event in DEVICE_EVENTS:
            return lambda room: room.handle_device_frame(frame, self._device)
        return partial(self._apply, decode_command(frame.event, frame.data))

    def _while_connected(self, action: Action) -> Action:
        """Have an action do nothing once the client has left: it may wait for the store."""
        return lambda room: None if self._is_disconnected else action(room)

    def _apply(self, command: Command, room: Room) -> dict[str, Any]:
        now = room.apply(command, self._device)
        if isinstance(command, ListChange | GetQueue):
            return room.queue_data()
        return room.view(now).to_json()

    def disconnected(self, reason: CloseReason) -> None:
        """Leave the room and log the first reason. Does nothing when called again."""
        if self._is_disconnected:
            return
        self._is_disconnected = True
        self._expiry.stop()
        self._library_subscriptions.unsubscribe(self.send_queue)
        self._registry.disconnect(self._identity.user_id, self._device)
        seconds = asyncio.get_running_loop().time() - self._connected_at
        device_id = self._device.ref.device_id
        self._services.counters.disconnects[reason.word] += 1
        log_disconnected(self.user_id, device_id, self._address, reason, reason.code, seconds)

    async def close(self, reason: CloseReason, text: str) -> None:
        """Disconnect, and wait until the client has read all or CLOSE_TIMEOUT has passed.

        A client that is told to disconnect does not come back by itself, so at a shutdown only the
        connection ends.
        """
        self.disconnected(reason)
        if reason is not CloseReason.SHUTDOWN:
            is_excess = reason is CloseReason.TOO_MANY_DEVICES
            self._send_error(RateLimited(text) if is_excess else Unauthorized(text), None)
            await self._endpoint.server.disconnect(self.sid)
        await self._endpoint.close_when_sent(self.engine_id)

    def close_nowait(self, reason: CloseReason, text: str) -> None:
        """Disconnect without waiting: from now on the client receives and does nothing."""
        if self._closing is None:
            self.disconnected(reason)
            self._closing = asyncio.create_task(self.close(reason, text))

    def adjust_to_clock_step(self, step: float) -> None:
        """The wall clock was set, by which python-engineio measures how long a pong takes."""
        self._expiry.reschedule()
        self._endpoint.adjust_to_clock_step(self.engine_id, step)

    def _renew(self, frame: Frame) -> dict[str, Any]:
        identity = self._tokens.verify(decode_auth_token(frame.data), self._wall_clock())
        if identity.user_id != self.user_id:
            self.close_nowait(CloseReason.OTHER_USER, "the token is another user's")
            raise Unauthorized("the token is another user's")
        data = authenticated_data(self._services, identity, self._room, self._device)
        self.send_queue.send_text(encode_frame("authenticated", data))
        self._expiry.watch(identity)
        return data

    def _send_error(self, error: AudiostreamError, event: str | None) -> dict[str, Any]:
        text = encode_error(error, event)
        self.send_queue.send_text(text)
        return {"error": json.loads(text)["data"]}

    def _token_expired(self) -> None:
        self.close_nowait(CloseReason.TOKEN_EXPIRED, "the token has expired")
