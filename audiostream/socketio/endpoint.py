"""The ``[socketio]`` extra: Socket.IO v4 clients at ``/socket.io/``, in the same rooms.

python-socketio speaks the protocol (handshake, packets, acknowledgements, polling). Here are the
limits that it does not have: bodies, unauthenticated clients, timeouts.

``auth: {token, deviceId?, deviceName?}``, a Bearer header or ``?token=`` authenticates. There is
one namespace, ``/``. Clients of version 2 speak another protocol, and are refused. Events
and payloads are those of the native protocol. An acknowledgement gets the state after the event,
of ``getDevices`` the devices, of ``watchLibrary`` the library's version, of ``auth`` the data of
``authenticated``; where the event is refused ``{"error": {code, message, event}}``.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any

import socketio
from aiohttp import web

from ..auth.credentials import bearer_token
from ..errors import (
    AudiostreamError,
    InvalidMessage,
    RateLimited,
    TrackNotFound,
    Unauthorized,
)
from ..ops.proxies import client_of
from ..protocol.device_labels import DeviceLabels
from ..protocol.envelope import event_data
from ..protocol.strict_json import JsonObject
from ..services import SERVICES
from ..websocket import authentication, device_websocket, heartbeat
from ..websocket.close_reasons import CloseReason
from ..websocket.connection_log import log_disconnected
from ..websocket.origin import check_origin
from .counting import CountedSession
from .packets import text_packets
from .session import SocketioSession

SWEEP_EVERY = 1.0
"""Seconds between two looks for clients that have not authenticated in time."""
CLOSE_POLLS = 50
"""How often to look, within CLOSE_TIMEOUT, whether a client has closed: there is no event."""
OLD_CLIENT_EVERY = 60.0
"""Seconds between two warnings about clients of another protocol version."""
OVERDUE = 0.9
"""Share of the ping timeout after which a missing pong is why a connection ended: two timers of
python-engineio run at about the same time, and only one of them names it."""

_OLD_CLIENT = (
    "this server speaks Engine.IO 4 and the client Engine.IO %s: "
    "update socket.io-client to 3 or later, or python-socketio to 5 or later"
)
_REASONS = {
    socketio.AsyncServer.reason.CLIENT_DISCONNECT: CloseReason.CLIENT_CLOSED,
    socketio.AsyncServer.reason.PING_TIMEOUT: CloseReason.HEARTBEAT_TIMEOUT,
    # Where the server did not ask for it, it is python-engineio's answer to a broken packet.
    socketio.AsyncServer.reason.SERVER_DISCONNECT: CloseReason.PROTOCOL_ERROR,
}

_log = logging.getLogger(__name__)


class Endpoint:
    """Serves Socket.IO requests, and ends the connections that python-socketio would keep."""

    def __init__(self, app: web.Application) -> None:
        limits, origins = app[SERVICES].settings.limits, app[SERVICES].settings.cors_origins
        self.server = socketio.AsyncServer(
            async_mode="aiohttp",
            namespaces="*",  # all but one are refused, with a message
            async_handlers=True,  # a client is read on while an event waits for the store
            serializer=text_packets(limits.max_json_depth),
            cors_allowed_origins=lambda _: True,  # check_origin runs before
            cors_credentials="*" not in origins,
            http_compression=False,
            max_http_buffer_size=limits.max_frame,
            ping_interval=int(heartbeat.HEARTBEAT),
            ping_timeout=int(heartbeat.HEARTBEAT / 2),
            logger=_silent_logger("socketio"),
            engineio_logger=_silent_logger("engineio"),
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on("*", self._event)
        self.server.on("connect", self._refuse_namespace, namespace="*")
        self.counters = app[SERVICES].counters
        self._session_type = CountedSession if self.counters.counts_frames else SocketioSession
        self._app = app
        self._limits = limits
        self._sessions: dict[str, SocketioSession] = {}
        self._transports: dict[str, asyncio.Transport] = {}
        self._unauthenticated_since: dict[str, float] = {}
        self._old_client_at = -math.inf
        self._sweeping = asyncio.create_task(self._sweep())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request of a client. Raises ``Forbidden`` for a foreign origin,
        ``InvalidMessage`` for another version of the protocol, and ``RateLimited`` where too many
        of an address have not authenticated yet.
        """
        check_origin(request)
        engine_id = request.query.get("sid")
        if (request.content_length or 0) > self._limits.max_frame:
            raise web.HTTPRequestEntityTooLarge(self._limits.max_frame, request.content_length or 0)
        if engine_id is None:
            self._check_version(request)
            self._check_unauthenticated(client_of(request).address)
        elif request.headers.get("Upgrade") and request.transport is not None:
            self._transports[engine_id] = request.transport
        limit = self._limits.body_timeout if request.method == "POST" else None
        try:
            async with asyncio.timeout(limit):
                response: web.StreamResponse = await self.server.handle_request(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (OSError, ValueError):  # an upgrade that is not possible; a packet that is none
            self._abort_transport(request.transport)
            raise web.HTTPBadRequest from None
        if not response.prepared:
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def stop(self) -> None:
        """Abort those who never authenticated. At shutdown, after the sessions are closed."""
        self._sweeping.cancel()
        for engine_id in tuple(self.server.environ):
            self.abort(engine_id)
        await self.server.shutdown()

    def abort(self, engine_id: str, reason: CloseReason | None = None) -> None:
        """End a client's connection at once, whatever is unsent; ``reason`` is for the log."""
        session = self._sessions.get(engine_id)
        if session is not None and reason is not None:
            session.disconnected(reason)
        transport = self._transport_of(engine_id)
        if transport is not None:
            transport.abort()
        engine = self.server.eio.sockets.get(engine_id)
        if engine is not None:
            self.server.start_background_task(engine.close, wait=False, abort=True)

    async def close_when_sent(self, engine_id: str) -> None:
        """End a client's connection once it has read what there is, or after CLOSE_TIMEOUT."""
        engine = self.server.eio.sockets.get(engine_id)
        if engine is None:
            return
        engine.queue.put_nowait(None)  # whoever writes or polls stops there
        for _ in range(CLOSE_POLLS):
            if engine.closed or not engine.upgraded:
                break
            await asyncio.sleep(device_websocket.CLOSE_TIMEOUT / CLOSE_POLLS)
        self.abort(engine_id)

    def adjust_to_clock_step(self, engine_id: str, step: float) -> None:
        """Give a client as long for its pong as it would have had."""
        engine = self.server.eio.sockets.get(engine_id)
        if engine is not None and engine.last_ping is not None:
            engine.last_ping += step

    def _check_version(self, request: web.Request) -> None:
        """Raise ``InvalidMessage`` for a client of another protocol; its text says what to do."""
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

    def _check_unauthenticated(self, address: str) -> None:
        """Raise ``RateLimited`` where too many clients of an address have not authenticated."""
        unauthenticated = [
            engine_id
            for engine_id, environ in self.server.environ.items()
            if engine_id not in self._sessions and _address_of(environ) == address
        ]
        if len(unauthenticated) >= self._limits.waiting_per_address:
            raise RateLimited("too many sockets of this address have not authenticated yet")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            self._abort_unauthenticated(asyncio.get_running_loop().time())

    def _abort_unauthenticated(self, now: float) -> None:
        """Abort clients that have not authenticated within AUTH_TIMEOUT; forget those gone."""
        present = self.server.environ
        for gone in (self._transports.keys() | self._unauthenticated_since.keys()) - present.keys():
            self._transports.pop(gone, None)
            self._unauthenticated_since.pop(gone, None)
        for engine_id, environ in tuple(present.items()):
            if engine_id in self._sessions:
                self._unauthenticated_since.pop(engine_id, None)
                continue
            waited = now - self._unauthenticated_since.setdefault(engine_id, now)
            if waited > authentication.AUTH_TIMEOUT:
                reason, address = CloseReason.AUTH_TIMEOUT, _address_of(environ)
                self.counters.disconnects[reason.word] += 1
                log_disconnected(None, None, address, reason, reason.code, waited)
                self.abort(engine_id)

    def _abort_transport(self, transport: asyncio.Transport | None) -> None:
        for engine_id in tuple(self.server.environ):
            if transport is self._transport_of(engine_id):
                self.abort(engine_id, CloseReason.PROTOCOL_ERROR)

    def _transport_of(self, engine_id: str) -> asyncio.Transport | None:
        """Return the connection of a client's WebSocket, None while it polls."""
        if engine_id in self._transports:
            return self._transports[engine_id]
        environ = self.server.environ.get(engine_id)
        if environ is None or "HTTP_UPGRADE" not in environ:
            return None
        transport: asyncio.Transport | None = environ["aiohttp.request"].transport
        return transport

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Let a client into its user's room, or refuse it with ``connect_error``."""
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        if engine_id in self._sessions:
            raise _refusal(AudiostreamError("this socket is connected already"))
        request: web.Request = environ["aiohttp.request"]
        tokens, wall_clock = self._app[SERVICES].tokens, self._app[SERVICES].wall_clock
        try:
            given = event_data(auth)
            token = _token(given, request)
            identity = tokens.verify(token, wall_clock())
            labels = DeviceLabels.decode(given if auth else request.query)
            room = await self._app[SERVICES].storage.loader.room(identity.user_id)
            identity = tokens.verify(token, wall_clock())  # it may have been revoked meanwhile
            if room.count_devices(labels.device_id) >= self._limits.sockets_per_user:
                raise RateLimited("too many devices of this user")
        except AudiostreamError as error:
            raise _refusal(error) from None
        if engine_id not in self.server.environ:  # it left while its room was loaded
            raise _refusal(TrackNotFound("gone"))
        now = asyncio.get_running_loop().time()
        session = self._session_type(
            self,
            self._app,
            sid,
            engine_id,
            identity,
            labels,
            address=client_of(request).address,
            connected_at=self._unauthenticated_since.get(engine_id, now),
        )
        self._sessions[engine_id] = session
        self._app[SERVICES].sessions.add(session)

    async def _refuse_namespace(self, namespace: str, *_: Any) -> None:
        raise _refusal(InvalidMessage(f'there is no namespace {namespace[:64]!r}; connect to "/"'))

    async def _disconnect(self, sid: str, library_reason: str) -> None:
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        session = self._sessions.get(engine_id)
        if session is None or session.sid != sid:
            return
        await session.wait_done()
        del self._sessions[engine_id]
        self._app[SERVICES].sessions.discard(session)
        engine = self.server.eio.sockets.get(engine_id)
        session.disconnected(self._reason(session, engine, library_reason))
        if engine is not None:  # or a poll that is under way waits for the next ping
            engine.queue.put_nowait(None)

    def _reason(self, session: SocketioSession, engine: Any, library_reason: str) -> CloseReason:
        if session.send_queue.has_overflowed:
            return CloseReason.SLOW_READER
        pinged_at = None if engine is None else engine.last_ping
        overdue = OVERDUE * heartbeat.HEARTBEAT / 2
        if pinged_at is not None and time.time() - pinged_at > overdue:
            return CloseReason.HEARTBEAT_TIMEOUT
        return _REASONS.get(library_reason, CloseReason.CONNECTION_LOST)

    async def _event(self, event: str, sid: str, data: Any = None, *_: Any) -> Any:
        engine_id = self.server.manager.eio_sid_from_sid(sid, "/")
        session = self._sessions.get(engine_id)
        return None if session is None else await session.handle(event, data)


def _token(given: JsonObject, request: web.Request) -> str:
    token = given.get("token")
    if isinstance(token, str) and token:
        return token
    token = bearer_token(request.headers.get("Authorization")) or request.query.get("token")
    if not token:
        raise Unauthorized('connect with auth: {token}, a Bearer header or "?token="')
    return token


def _address_of(environ: dict[str, Any]) -> str:
    return client_of(environ["aiohttp.request"]).address


def _refusal(error: AudiostreamError) -> Exception:
    """Return what makes the client receive ``connect_error``."""
    refusal: Exception = socketio.exceptions.ConnectionRefusedError(
        str(error), {"code": error.code}
    )
    return refusal


def _silent_logger(name: str) -> logging.Logger:
    """The library logs clients' mistakes as errors, with a traceback and their bytes."""
    logger = logging.getLogger(f"{__name__}.{name}")
    logger.setLevel(logging.CRITICAL)
    return logger
