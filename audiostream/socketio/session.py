"""``SocketioSession``: one authenticated Socket.IO client, as ``DeviceSession`` is a native one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from aiohttp import web
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio.packet import EVENT

from ..auth.tickets import Identity
from ..errors import AudiostreamError, RateLimited, Unauthorized, Unavailable
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
from ..rooms.room_waits import RoomWaits
from ..services import SERVICES
from ..websocket.authentication import authenticated_data
from ..websocket.close_reasons import CloseReason
from ..websocket.connection_log import log_connected, log_disconnected
from ..websocket.rate_limit import REPORT_EVENT, DeviceRateLimiter
from ..websocket.token_expiry import TokenExpiryTimer
from ..websocket.twins import check_twins
from ..websocket.waiting_frames import WaitingFrames

if TYPE_CHECKING:
    from .endpoint import Endpoint

MAX_QUEUED = 512
"""Packets that may wait for a client: about the 256 KiB of a native device."""

_log = logging.getLogger(__name__)
Answer = dict[str, Any] | None
"""What an acknowledgement gets."""
Action = Callable[[Room], Answer]


class WaitingEvent(NamedTuple):
    """An event that its room cannot do at once."""

    act: Action
    is_report: bool
    answer: asyncio.Future[Answer]


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
        self._waiting = WaitingFrames(self._perform)
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

    async def handle(self, event: str, data: Any) -> Answer:
        """Do what an event asks for, and return what its acknowledgement gets.

        Does it before the first ``await``, unless it has to wait for the store, or is behind one
        that does: events are done as they were sent, although each has a task of its own.
        """
        if self._is_disconnected:
            return None
        try:
            self._rate_limiter.check(event, asyncio.get_running_loop().time())
            frame = Frame(event, event_data(data))
            if event == "auth":
                return self._renew(frame)
            if event == "watchLibrary":
                return self._library_subscriptions.subscribe(self.send_queue).to_json()
            return await self._act(self._action(frame), is_report=event == REPORT_EVENT)
        except AudiostreamError as error:
            return self._send_error(error, event)
        except Exception:
            _log.exception("a %s event failed", event[:64])
            return self._send_error(AudiostreamError("internal server error"), event)

    async def wait_done(self) -> None:
        """Return once what the client has sent is done: it still counts before it disconnects."""
        await asyncio.sleep(0)  # the tasks of its events begin
        if not self._is_disconnected:
            await self._waiting.wait_done()

    def _action(self, frame: Frame) -> Action:
        """Return what a frame does in the room; it returns what the acknowledgement gets."""
        if frame.event == "getDevices":
            watch = decode_get_devices(frame.data)
            return lambda room: room.send_device_list(self._device, watch)
        if frame.event in DEVICE_EVENTS:
            return lambda room: room.handle_device_frame(frame, self._device)
        return partial(self._apply, decode_command(frame.event, frame.data))

    async def _act(self, act: Action, *, is_report: bool) -> Answer:
        """Act in the room: at once, or once it can, behind what waits already.

        A report in whose place a later one waits is not done: it is answered with the state (R22).
        Raises what ``act`` raises, and ``StoreError``.
        """
        if not self._waiting:
            try:
                return act(self._room)
            except RoomWaits:
                pass
        if self._waiting.is_full:
            raise Unavailable("too many events wait for the store; try again")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        event = WaitingEvent(act, is_report, answer)
        replaced = self._waiting.add(event, is_report=is_report)
        if replaced is not None and not replaced.answer.done():
            replaced.answer.set_result(self._room.view().to_json())
        return await answer

    async def _perform(
        self, waiting: WaitingFrames[WaitingEvent], event: WaitingEvent, waited: float
    ) -> None:
        def act(room: Room) -> Answer:
            if self._is_disconnected:
                return None
            if event.is_report and waiting.has_report:
                return room.view().to_json()
            return event.act(room)

        answer = event.answer
        try:
            result = await self._loader.perform(self._identity.user_id, act, waited)
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():  # whoever waited for it was cancelled
                answer.set_result(result)

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
