"""The ``[socketio]`` extra: Socket.IO v4 clients at ``/socket.io/``, in the same rooms.

Here: what of Socket.IO differs from the native WebSocket: its handshake, packets, acknowledgements
and polling, which python-socketio speaks, and the limits that it does not have. Not here: what
events mean (``messages``), what they do (``playback``), whom they reach (``registry``), and the
rules shared with native devices (``gateway``).

``auth: {token, deviceId?, deviceName?}``, a Bearer header or ``?token=`` proves the user. There is
one namespace, ``/``. Clients of version 2 speak another protocol, and are told so. Events
and payloads are those of the native protocol. An acknowledgement gets the state after the event,
of ``getDevices`` the devices, of ``watchLibrary`` the library's version, of ``auth`` what
``authenticated`` says; where the event is refused ``{"error": {code, message, event}}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import Any

import socketio
from aiohttp import web
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio.packet import CONNECT, EVENT, Packet

from ..auth.credentials import bearer_token
from ..auth.tickets import Identity
from ..errors import (
    AudiostreamError,
    InvalidMessage,
    RateLimited,
    TrackNotFound,
    Unauthorized,
)
from ..ops.proxies import client_of
from ..protocol import messages
from ..protocol.messages import Command, Frame, Labels
from ..rooms.registry import Device, PositionNeeded, Room
from ..services import LIBRARY_WATCH, REGISTRY, ROOM_LOADER, SETTINGS, TOKENS, WALL_CLOCK
from ..websocket import gateway, sockets

MAX_QUEUED = 512
"""Packets that may wait for a device; one more, and it is cut."""
SWEEP_EVERY = 1.0
"""Seconds between two looks for those who have not authenticated in time."""
FINISH_LOOKS = 50
"""How often, within CLOSE_TIMEOUT, it is looked whether a client has closed: nothing tells."""
OLD_CLIENT_EVERY = 60.0
"""Seconds between two lines of the log about clients of another protocol version."""
_OLD_CLIENT = (
    "this server speaks Engine.IO 4 and the client Engine.IO %s: "
    "update socket.io-client to 3 or later, or python-socketio to 5 or later"
)
_RESERVED = frozenset({"connect", "disconnect", "connect_error", "*"})

_log = logging.getLogger(__name__)


class StrictJson:
    """JSON as native frames have it: no NaN or Infinity, no deeper than ``max_depth`` levels."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth

    def loads(self, text: str) -> Any:
        """Read any JSON value. Raises ``InvalidMessage``."""
        return messages.parse_value(text, self._max_depth)

    def dumps(self, content: Any, **_: Any) -> str:
        """Write one."""
        return messages.to_text(content)


def text_packets(max_depth: int) -> type[Packet]:
    """The packets that clients may send: text alone, and no names that mean something else."""

    class TextPacket(Packet):  # type: ignore[misc]
        uses_binary_events = False
        json = StrictJson(max_depth)

        def decode(self, encoded_packet: Any) -> int:
            """Raises ``ValueError`` for what no client sends."""
            if not isinstance(encoded_packet, str) or encoded_packet[:1] not in set("0123"):
                raise ValueError("not a packet of text")
            super().decode(encoded_packet)
            if self.packet_type == EVENT:
                is_event = isinstance(self.data, list) and self.data
                if not is_event or not isinstance(self.data[0], str) or self.data[0] in _RESERVED:
                    raise ValueError("not an event")
            elif self.packet_type == CONNECT and not isinstance(self.data, dict | None):
                raise ValueError("not a handshake")
            return 0

    return TextPacket


class SocketioOutbox:
    """The queue of one Socket.IO client, bounded."""

    def __init__(self, endpoint: Endpoint, engine_id: str) -> None:
        self._endpoint = endpoint
        self._engine_id = engine_id

    def offer(self, text: str) -> None:
        """Queue a native frame as an event. Never waits: who lets too many pile up is cut."""
        engine = self._endpoint.server.eio.sockets.get(self._engine_id)
        if engine is None or engine.closed or engine.closing:
            return
        if engine.queue.qsize() >= MAX_QUEUED:
            _log.info("cut a device that stopped reading")
            self._endpoint.cut(self._engine_id)
            return
        frame = json.loads(text)
        packet = f"{EVENT}{messages.to_text([frame['event'], frame['data']])}"
        engine.queue.put_nowait(EnginePacket(MESSAGE, packet))


class Client:
    """One authenticated Socket.IO client: what a ``gateway.Connection`` is to native ones."""

    def __init__(
        self, endpoint: Endpoint, app: web.Application, sid: str, engine_id: str, identity: Identity
    ) -> None:
        self.sid = sid
        self.engine_id = engine_id
        self.user_id: str | None = identity.user_id
        self.outbox = SocketioOutbox(endpoint, engine_id)
        self._endpoint = endpoint
        self._registry = app[REGISTRY]
        self._loader = app[ROOM_LOADER]
        self._library_watch = app[LIBRARY_WATCH]
        self._pace = gateway.Pace(app[SETTINGS].limits, asyncio.get_running_loop().time())
        self._tokens = app[TOKENS]
        self._wall_clock = app[WALL_CLOCK]
        self._expiry = gateway.Expiry(
            app[TOKENS], self._wall_clock, self.outbox.offer, self._expire
        )
        self._expiry.watch(identity)
        self._identity = identity
        self._closing: asyncio.Task[None] | None = None
        self.device: Device

    @property
    def room(self) -> Room:
        return self._registry.room(self._identity.user_id)

    def enter(self, labels: Labels) -> None:
        """Let the device into its room."""
        self.device = self._registry.connect(
            self._identity.user_id, self.outbox, labels.device_id or self.sid, labels.device_name
        )

    def leave(self) -> None:
        """Leave the room, once or more often."""
        self._expiry.stop()
        self._library_watch.remove(self.outbox)
        self._registry.disconnect(self._identity.user_id, self.device)

    async def handle(self, event: str, data: Any) -> dict[str, Any] | None:
        """Do what an event asks for, and answer what its acknowledgement gets."""
        if self._closing is not None:
            return None
        try:
            self._pace.check(event, asyncio.get_running_loop().time())
            frame = Frame(event, messages.frame_data(data))
            if event == "auth":
                return self._renew(frame)
            if event == "watchLibrary":
                return self._library_watch.add(self.outbox).to_json()
            if event == "getDevices":
                return self.room.list_devices(messages.get_devices(frame.data), self.device)
            return await self._perform(messages.command(event, frame.data))
        except AudiostreamError as error:
            return self._refuse(error, event)
        except Exception:
            _log.exception("a %s event failed", event[:64])
            return self._refuse(AudiostreamError("this did not work; it is not your fault"), event)

    async def _perform(self, command: Command) -> dict[str, Any] | None:
        """Events behind this one wait: python-socketio handles them one after the other."""
        room = self.room
        try:
            return room.perform(command, self.device).to_json()
        except PositionNeeded as needed:
            await self._loader.load_stop_point(room, needed.track_id)
        if self.device.ref.key not in room.devices:  # it has left
            return None
        return room.perform(command, self.device).to_json()

    async def close(self, code: int, reason: str) -> None:
        """Say why, and close. A client does not come back by itself unless the server goes."""
        if code != gateway.GOING_AWAY:
            self._refuse(Unauthorized(reason), None)
            await self._endpoint.server.disconnect(self.sid)
        await self._endpoint.finish(self.engine_id)

    def close_soon(self, code: int, reason: str) -> None:
        """The same, for those who cannot wait: from now on it hears and does nothing."""
        if self._closing is None:
            self.leave()
            self._closing = asyncio.create_task(self.close(code, reason))

    def adjust_to_clock_step(self, step: float) -> None:
        """The wall clock was set, by which the library measures how long a pong takes."""
        self._expiry.set_again()
        self._endpoint.adjust_to_clock_step(self.engine_id, step)

    def _renew(self, frame: Frame) -> dict[str, Any]:
        identity = self._tokens.verify(messages.token(frame.data), self._wall_clock())
        if identity.user_id != self.user_id:
            self.close_soon(gateway.OTHER_USER, "the token is another user's")
            raise Unauthorized("the token is another user's")
        greeting = gateway.greeting(identity, self.room, self.device)
        self.outbox.offer(messages.encode("authenticated", greeting))
        self._expiry.watch(identity)
        return greeting

    def _refuse(self, error: AudiostreamError, event: str | None) -> dict[str, Any]:
        text = messages.encode_error(error, event)
        self.outbox.offer(text)
        return {"error": json.loads(text)["data"]}

    def _expire(self) -> None:
        self.close_soon(gateway.TOKEN_REFUSED, "the token has expired")


class Endpoint:
    """Where Socket.IO clients come in."""

    def __init__(self, app: web.Application) -> None:
        limits, origins = app[SETTINGS].limits, app[SETTINGS].cors_origins
        self.server = socketio.AsyncServer(
            async_mode="aiohttp",
            namespaces="*",  # all but one are refused, which says why
            async_handlers=False,  # one event after the other, as they were sent
            serializer=text_packets(limits.max_json_depth),
            cors_allowed_origins=lambda _: True,  # checked before it gets here
            cors_credentials="*" not in origins,
            http_compression=False,
            max_http_buffer_size=limits.max_frame,
            ping_interval=int(sockets.HEARTBEAT),
            ping_timeout=int(sockets.HEARTBEAT / 2),
            logger=_library_log("socketio"),
            engineio_logger=_library_log("engineio"),
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on("*", self._event)
        self.server.on("connect", self._refuse_namespace, namespace="*")
        self._app = app
        self._limits = limits
        self._clients: dict[str, Client] = {}
        self._lines: dict[str, asyncio.Transport] = {}
        self._waiting_since: dict[str, float] = {}
        self._old_client_at = -math.inf
        self._sweeping = asyncio.create_task(self._sweep())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request of a client. Raises ``Forbidden`` for a foreign origin,
        ``InvalidMessage`` for another version of the protocol, and ``RateLimited`` where too many
        of an address have not authenticated yet.
        """
        gateway.check_origin(request)
        engine_id = request.query.get("sid")
        if (request.content_length or 0) > self._limits.max_frame:
            raise web.HTTPRequestEntityTooLarge(self._limits.max_frame, request.content_length or 0)
        if engine_id is None:
            self._check_version(request)
            self._admit(client_of(request).address)
        elif request.headers.get("Upgrade") and request.transport is not None:
            self._lines[engine_id] = request.transport
        limit = self._limits.body_timeout if request.method == "POST" else None
        try:
            async with asyncio.timeout(limit):
                response: web.StreamResponse = await self.server.handle_request(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (OSError, ValueError):  # an upgrade that is not possible; a packet that is none
            self._cut_line(request.transport)
            raise web.HTTPBadRequest from None
        if not response.prepared:
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def stop(self) -> None:
        """At shutdown: cut those who never authenticated. The others have been told."""
        self._sweeping.cancel()
        for engine_id in tuple(self.server.environ):
            self.cut(engine_id)
        await self.server.shutdown()

    async def _sweep(self) -> None:
        """Cut those who do not authenticate in time, as long as the server runs."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._look_at_the_waiting(asyncio.get_running_loop().time())

    def cut(self, engine_id: str) -> None:
        """End a client's connection at once, whatever it still has to read."""
        line = self._lines.get(engine_id) or _line_of(self.server.environ.get(engine_id))
        if line is not None:
            line.abort()
        engine = self.server.eio.sockets.get(engine_id)
        if engine is not None:
            self.server.start_background_task(engine.close, wait=False, abort=True)

    async def finish(self, engine_id: str) -> None:
        """End a client's connection once it has read what there is, or after CLOSE_TIMEOUT."""
        engine = self.server.eio.sockets.get(engine_id)
        if engine is None:
            return
        engine.queue.put_nowait(None)  # whoever writes or polls stops there
        for _ in range(FINISH_LOOKS):
            if engine.closed or not engine.upgraded:
                break
            await asyncio.sleep(sockets.CLOSE_TIMEOUT / FINISH_LOOKS)
        self.cut(engine_id)

    def adjust_to_clock_step(self, engine_id: str, step: float) -> None:
        """Give a client as long for its pong as it would have had."""
        engine = self.server.eio.sockets.get(engine_id)
        if engine is not None and engine.last_ping is not None:
            engine.last_ping += step

    def _check_version(self, request: web.Request) -> None:
        """See that a client speaks our protocol, or say what to do. Raises ``InvalidMessage``."""
        version = request.query.get("EIO")
        if version == "4":
            return
        advice = _OLD_CLIENT % (version if version in {"1", "2", "3"} else "?")
        now = asyncio.get_running_loop().time()
        if now - self._old_client_at >= OLD_CLIENT_EVERY:
            self._old_client_at = now
            address = client_of(request).address
            _log.warning("refused a Socket.IO client at %s: %s", address, advice)
        raise InvalidMessage(advice)

    def _cut_line(self, line: asyncio.Transport | None) -> None:
        for engine_id, environ in tuple(self.server.environ.items()):
            if line in {self._lines.get(engine_id, _line_of(environ))}:
                self.cut(engine_id)

    def _admit(self, address: str) -> None:
        waiting = [
            engine_id
            for engine_id, environ in self.server.environ.items()
            if engine_id not in self._clients
            and client_of(environ["aiohttp.request"]).address == address
        ]
        if len(waiting) >= self._limits.waiting_per_address:
            raise RateLimited("too many sockets of this address have not authenticated yet")

    def _look_at_the_waiting(self, now: float) -> None:
        present = self.server.environ
        for gone in (self._lines.keys() | self._waiting_since.keys()) - present.keys():
            self._lines.pop(gone, None)
            self._waiting_since.pop(gone, None)
        for engine_id in tuple(present):
            if engine_id in self._clients:
                self._waiting_since.pop(engine_id, None)
            elif now - self._waiting_since.setdefault(engine_id, now) > gateway.AUTH_TIMEOUT:
                self.cut(engine_id)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        if engine_id in self._clients:
            raise _refusal(AudiostreamError("this socket is connected already"))
        request: web.Request = environ["aiohttp.request"]
        try:
            given = messages.frame_data(auth)
            token = _token(given, request)
            identity = self._app[TOKENS].verify(token, self._app[WALL_CLOCK]())
            labels = Labels.read(given if auth else request.query)
            room = await self._app[ROOM_LOADER].room(identity.user_id)
            # Loading takes time, in which the token may be revoked.
            identity = self._app[TOKENS].verify(token, self._app[WALL_CLOCK]())
            if len(room.devices) >= self._limits.sockets_per_user:
                raise RateLimited("too many devices of this user")
        except AudiostreamError as error:
            raise _refusal(error) from None
        if engine_id not in self.server.environ:  # it left while its room was loaded
            raise _refusal(TrackNotFound("gone"))
        client = Client(self, self._app, sid, engine_id, identity)
        self._clients[engine_id] = client
        self._app[gateway.CONNECTIONS].add(client)
        client.enter(labels)

    async def _refuse_namespace(self, namespace: str, *_: Any) -> None:
        raise _refusal(InvalidMessage(f'there is no namespace {namespace[:64]!r}; connect to "/"'))

    async def _disconnect(self, sid: str, _: str) -> None:
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        client = self._clients.get(engine_id)
        if client is not None and client.sid == sid:
            del self._clients[engine_id]
            self._app[gateway.CONNECTIONS].discard(client)
            client.leave()
            engine = self.server.eio.sockets.get(engine_id)
            if engine is not None:  # or a poll that is under way waits for the next ping
                engine.queue.put_nowait(None)

    async def _event(self, event: str, sid: str, data: Any = None, *_: Any) -> Any:
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        client = self._clients.get(engine_id)
        return None if client is None else await client.handle(event, data)


def _token(given: messages.JsonObject, request: web.Request) -> str:
    token = given.get("token")
    if isinstance(token, str) and token:
        return token
    token = bearer_token(request.headers.get("Authorization")) or request.query.get("token")
    if not token:
        raise Unauthorized('connect with auth: {token}, a Bearer header or "?token="')
    return token


def _refusal(error: AudiostreamError) -> Exception:
    """What makes the client hear ``connect_error``."""
    refusal: Exception = socketio.exceptions.ConnectionRefusedError(
        str(error), {"code": error.code}
    )
    return refusal


def _line_of(environ: dict[str, Any] | None) -> asyncio.Transport | None:
    """The connection that a client shook hands on, if it is a WebSocket's."""
    if environ is None or "HTTP_UPGRADE" not in environ:
        return None
    line: asyncio.Transport | None = environ["aiohttp.request"].transport
    return line


def _library_log(name: str) -> logging.Logger:
    """Silent: the library logs clients' mistakes as errors, with a traceback and their bytes."""
    logger = logging.getLogger(f"{__name__}.{name}")
    logger.setLevel(logging.CRITICAL)
    return logger
