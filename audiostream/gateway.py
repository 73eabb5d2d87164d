"""The native WebSocket: authentication, then one reader per device and direct writes.

Here: sockets, their time limits and close codes. Not here: what frames mean (``messages``), what
they do (``playback``), whom they reach (``registry``).

A socket's life::

    handshake ── Origin, Bearer or ?token= ──► 403, 401
        │
    first frame "auth" within AUTH_TIMEOUT, unless the handshake had a token ──► 4408, 4401
        │
    reader: frame → room.receive                 outbox → socket
        │
    1001 shutdown · 1003 binary · 1009 too long · 1013 no state file · 4401 expired or revoked
    4403 another user's token · 4429 too many devices

Frames for a device go straight to its socket, several of one turn of the event loop together, and
wait in a bounded buffer while that is full. A device that stops reading fills it and is cut;
nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from . import messages
from .allowance import Allowance
from .errors import (
    AudiostreamError,
    Forbidden,
    InvalidMessage,
    RateLimited,
    StoreError,
    Unauthorized,
)
from .keys import CLOCK, KEEPER, REGISTRY, SETTINGS, TOKENS, WAITING
from .messages import Authenticate, Frame, Labels
from .registry import Device, Room
from .settings import Limits
from .tokens import Identity, Tokens, bearer_token

MAX_UNSENT = 256 * 1024
"""Bytes that may wait for a device; where there are more, the next frame cuts it."""
AUTH_TIMEOUT = 10.0
"""Seconds a socket has to authenticate."""
EXPIRY_NOTICE = 60.0
"""Seconds between ``tokenExpiring`` and the token's end."""
CLOSE_TIMEOUT = 1.0
"""Seconds a closing handshake may take before the connection is cut."""
HEARTBEAT = 30.0
"""Seconds between pings; a device that does not answer within half of it is gone."""
FRAMES_PER_TURN = 32
"""Frames of one device handled in a row before the others get their turn."""
MAX_HELD = 16 * 1024
"""Bytes for one device from which on the end of the turn is not waited for."""

GOING_AWAY, UNSUPPORTED_DATA, TOO_LONG, TRY_LATER = 1001, 1003, 1009, 1013
TOKEN_REFUSED, OTHER_USER, AUTH_TOO_LATE, TOO_MANY = 4401, 4403, 4408, 4429

CONNECTIONS = web.AppKey("audiostream_connections", set["Closable"])

_log = logging.getLogger(__name__)


async def websocket(request: web.Request) -> web.StreamResponse:
    """Serve one device until it leaves. Before that, raises ``Forbidden`` for a foreign origin,
    ``Unauthorized`` for a refused token, ``RateLimited`` for too many that have not
    authenticated, ``StoreError``, and 426 where no upgrade is asked for.
    """
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise web.HTTPUpgradeRequired(headers={"Upgrade": "websocket"})
    check_origin(request)
    limits = request.app[SETTINGS].limits
    token = bearer_token(request.headers.get("Authorization")) or request.query.get("token")
    identity = None
    if token is not None:
        identity = request.app[TOKENS].verify(token, request.app[CLOCK]())
        # Loaded before the upgrade, so that a device that finds itself connected misses nothing.
        await request.app[KEEPER].room(identity.user_id)
    labels = Labels.read(request.query)
    waiting, address = request.app[WAITING], str(request.remote)
    if identity is None and waiting[address] >= limits.waiting_per_address:
        raise RateLimited("too many sockets of this address have not authenticated yet")
    ws = DeviceSocket(limits.max_frame)
    try:
        await ws.prepare(request)
    except ValueError:  # of the key: it is not checked to be ASCII before it is decoded
        raise InvalidMessage("the Sec-WebSocket-Key header is malformed") from None
    if request.transport is None:  # the client left during the handshake
        return ws
    connection = Connection(request.app, ws, request.transport, address)
    connections = request.app[CONNECTIONS]
    connections.add(connection)
    try:
        await connection.serve(identity, labels)
    finally:
        connections.discard(connection)
    return ws


def close_revoked(app: web.Application, user_ids: Collection[str]) -> None:
    """Close the sockets of users whose tokens are revoked. Does not wait for it."""
    connections = app[CONNECTIONS]
    for connection in tuple(connections):
        if connection.user_id in user_ids:
            connection.close_soon(TOKEN_REFUSED, "the token has been revoked")


async def close_all(app: web.Application) -> None:
    """At shutdown: say goodbye to all devices in parallel, and cut those that do not listen."""
    goodbyes = (each.close(GOING_AWAY, "the server is going away") for each in app[CONNECTIONS])
    await asyncio.gather(*goodbyes)


class Closable(Protocol):
    """A device's connection, of whatever kind. ``user_id`` is None before it has authenticated."""

    user_id: str | None

    async def close(self, code: int, reason: str) -> None: ...

    def close_soon(self, code: int, reason: str) -> None: ...


class Closing(Exception):
    """Raised inside a connection to end it with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class DeviceSocket(web.WebSocketResponse):
    """A WebSocket that closes, or answers a ping, behind all that was offered to its device."""

    __slots__ = ("outbox",)  # one more name in its dictionary would double that

    def __init__(self, max_frame: int) -> None:
        super().__init__(
            heartbeat=HEARTBEAT,
            compress=False,
            max_msg_size=max_frame + 1,
            timeout=CLOSE_TIMEOUT,
        )
        self.outbox: SocketOutbox | None = None

    async def pong(self, message: bytes = b"") -> None:
        self._flush()
        await super().pong(message)

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        self._flush()
        return await super().close(code=code, message=message, drain=drain)

    def _flush(self) -> None:
        if self.outbox is not None:
            self.outbox.flush()


class SocketOutbox:
    """What one device still has to take: the bytes that its transport keeps for it, bounded.

    The first frame of a turn of the event loop is written where it is offered, without a task in
    between; those that follow it within the turn are written together at its end. What the system
    does not take at once waits in the transport's own buffer.
    """

    __slots__ = ("_held", "_is_finished", "_transport", "_ws")

    def __init__(self, ws: DeviceSocket, transport: asyncio.WriteTransport) -> None:
        self._ws = ws
        self._transport = transport
        self._held: bytearray | None = None  # None until something is written in this turn
        self._is_finished = False
        ws.outbox = self

    def offer(self, text: str) -> None:
        """Send a frame. Never waits: a device that lets too much pile up is cut."""
        if self._is_finished or self._ws.closed or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + len(self._held or b"") > MAX_UNSENT:
            _log.info("cut a device that stopped reading")
            self._transport.abort()
            return
        frame = text_frame(text.encode())
        if self._held is None:
            self._held = bytearray()
            asyncio.get_running_loop().call_soon(self._end_turn)
            self._transport.write(frame)
            return
        self._held += frame
        if len(self._held) >= MAX_HELD:
            self.flush()

    def finish(self) -> None:
        """Take no more frames."""
        self._is_finished = True

    def flush(self) -> None:
        """Write what is held back until the end of the turn."""
        if self._held and not self._transport.is_closing():
            self._transport.write(self._held)
            self._held = bytearray()

    def _end_turn(self) -> None:
        self.flush()
        self._held = None


def text_frame(payload: bytes) -> bytes:
    """A whole text message of a server, unmasked (RFC 6455 §5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81" + length.to_bytes(1) + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2) + payload
    return b"\x81\x7f" + length.to_bytes(8) + payload


class Pace:
    """How many commands and reports one device may send."""

    __slots__ = ("_commands", "_reports")

    def __init__(self, limits: Limits, now: float) -> None:
        self._commands = Allowance(limits.commands_per_second, now)
        self._reports = Allowance(limits.reports_per_second, now)

    def check(self, event: str, now: float) -> None:
        """Count one. Raises ``RateLimited``."""
        allowance = self._reports if event == "updateStreaming" else self._commands
        if not allowance.take(now):
            raise RateLimited("too many frames at once; wait a moment")


class Expiry:
    """What happens on a socket as its token comes to its end: ``tokenExpiring``, then the end."""

    __slots__ = ("_clock", "_expire", "_offer", "_timers", "_tokens")

    def __init__(
        self,
        tokens: Tokens,
        clock: Callable[[], float],
        offer: Callable[[str], None],
        expire: Callable[[], None],
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._offer = offer
        self._expire = expire
        self._timers: tuple[asyncio.TimerHandle, ...] = ()

    def watch(self, identity: Identity) -> None:
        """From now on it is this identity's end that counts, if it has one."""
        self.stop()
        left = self._tokens.time_left(identity, self._clock())
        if left is None:
            return
        loop = asyncio.get_running_loop()
        notice = messages.encode("tokenExpiring", {"expiresAt": _milliseconds(identity.expires_at)})
        self._timers = (
            loop.call_later(max(0.0, left - EXPIRY_NOTICE), self._offer, notice),
            loop.call_later(left, self._expire),
        )

    def stop(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers = ()


class Connection:
    """One device's socket, from its handshake to its end."""

    __slots__ = (
        "_address",
        "_clock",
        "_closing",
        "_expiry",
        "_keeper",
        "_limits",
        "_loop",
        "_outbox",
        "_pace",
        "_registry",
        "_tokens",
        "_transport",
        "_waiting",
        "_ws",
        "user_id",
    )

    def __init__(
        self,
        app: web.Application,
        ws: DeviceSocket,
        transport: asyncio.WriteTransport,
        address: str,
    ) -> None:
        self.user_id: str | None = None
        self._ws = ws
        self._transport = transport
        self._address = address
        self._outbox = SocketOutbox(ws, transport)
        self._tokens = app[TOKENS]
        self._registry = app[REGISTRY]
        self._clock = app[CLOCK]
        self._keeper = app[KEEPER]
        self._limits = app[SETTINGS].limits
        self._waiting = app[WAITING]
        self._expiry = Expiry(app[TOKENS], app[CLOCK], self._outbox.offer, self._expire)
        self._closing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(self._limits, self._loop.time())

    async def serve(self, identity: Identity | None, labels: Labels) -> None:
        """Run the socket's life. ``identity`` is what the handshake proved, None if nothing."""
        code, reason = 1000, ""
        try:
            greeted = None
            if identity is None:
                greeted, hello = await self._first_frame()
                identity, labels = self._identify(greeted, hello.token), hello.labels
            device = await self._enter(identity, labels)
            try:
                if greeted is not None:
                    self._greet(identity, device, greeted)
                    del greeted, hello  # not to be held for as long as the socket lives
                self._expiry.watch(identity)
                await self._read(identity, device)
            finally:
                self._registry.disconnect(identity.user_id, device)
        except Closing as closing:
            code, reason = closing.code, str(closing)
        except StoreError as error:
            code, reason = TRY_LATER, str(error)
        finally:
            self._expiry.stop()
            await self.close(code, reason)

    async def close(self, code: int, reason: str) -> None:
        """Close with ``code``, behind all that was offered; after CLOSE_TIMEOUT cut. May come
        twice.
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                self._outbox.finish()
                await self._ws.close(code=code, message=reason.encode())
        except TimeoutError:
            _log.info("cut a device that did not close in time")
        finally:
            if not self._transport.is_closing() or self._transport.get_write_buffer_size():
                self._transport.abort()

    def close_soon(self, code: int, reason: str) -> None:
        """The same, for those who cannot wait."""
        self._closing = asyncio.create_task(self.close(code, reason))

    async def _first_frame(self) -> tuple[Frame, Authenticate]:
        self._waiting[self._address] += 1
        try:
            async with asyncio.timeout(AUTH_TIMEOUT):
                message = await self._ws.receive()
        except TimeoutError:
            raise Closing(AUTH_TOO_LATE, "no auth in time") from None
        finally:
            self._waiting[self._address] -= 1
            if not self._waiting[self._address]:
                del self._waiting[self._address]
        if message.type is WSMsgType.BINARY:
            raise Closing(UNSUPPORTED_DATA, "frames are JSON text")
        if message.type is not WSMsgType.TEXT:
            raise Closing(1000, "")
        if len(message.data.encode()) > self._limits.max_auth_frame:
            raise Closing(TOO_LONG, "too long for a first frame")
        frame = Frame("", {})
        try:
            frame = messages.parse(message.data, self._limits.max_json_depth)
            if frame.event != "auth":
                raise Unauthorized('the first frame must be "auth"')
            return frame, messages.authenticate(frame.data)
        except AudiostreamError as error:
            self._refuse(error, frame)
            raise Closing(TOKEN_REFUSED, str(error)) from None

    async def _enter(self, identity: Identity, labels: Labels) -> Device:
        self.user_id = identity.user_id
        room = await self._keeper.room(identity.user_id)
        if len(room.devices) >= self._limits.sockets_per_user:
            raise Closing(TOO_MANY, "too many devices of this user")
        device_id = labels.device_id or secrets.token_hex(8)
        return self._registry.connect(identity.user_id, self._outbox, device_id, labels.device_name)

    async def _read(self, identity: Identity, device: Device) -> None:
        handled = 0
        while True:  # ``async for`` would keep one more coroutine for every device
            message = await self._ws.receive()
            if message.type is WSMsgType.BINARY:
                raise Closing(UNSUPPORTED_DATA, "frames are JSON text")
            if message.type is not WSMsgType.TEXT:
                return
            self._handle(message.data, identity, device)
            del message  # or the last frame is held until the next one comes
            handled += 1
            if handled % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)

    def _handle(self, text: str, identity: Identity, device: Device) -> None:
        frame = Frame("", {})
        try:
            frame = messages.parse(text, self._limits.max_json_depth)
            self._pace.check(frame.event, self._loop.time())
            if frame.event == "auth":
                self._renew(frame, identity, device)
                return
            self._registry.room(identity.user_id).receive(frame, device)
        except AudiostreamError as error:
            self._refuse(error, frame)
        except Closing:
            raise
        except Exception:
            _log.exception("a %s frame failed", frame.event or "broken")
            self._refuse(AudiostreamError("this did not work; it is not your fault"), frame)

    def _identify(self, frame: Frame, token: str) -> Identity:
        """Whose token this is. Raises ``Closing``."""
        try:
            return self._tokens.verify(token, self._clock())
        except Unauthorized as error:
            self._refuse(error, frame)
            raise Closing(TOKEN_REFUSED, str(error)) from None

    def _renew(self, frame: Frame, identity: Identity, device: Device) -> None:
        renewed = self._identify(frame, messages.authenticate(frame.data).token)
        if renewed.user_id != identity.user_id:
            raise Closing(OTHER_USER, "the token is another user's")
        self._greet(renewed, device, frame)
        self._expiry.watch(renewed)

    def _greet(self, identity: Identity, device: Device, frame: Frame) -> None:
        data = greeting(identity, self._registry.room(identity.user_id), device)
        self._outbox.offer(messages.encode("authenticated", data, frame.id))

    def _refuse(self, error: AudiostreamError, frame: Frame) -> None:
        frame_id = error.frame_id if isinstance(error, InvalidMessage) else None
        if frame_id is None:
            frame_id = frame.id
        self._outbox.offer(messages.encode_error(error, frame.event or None, frame_id))

    def _expire(self) -> None:
        self.close_soon(TOKEN_REFUSED, "the token has expired")


def greeting(identity: Identity, room: Room, device: Device) -> dict[str, Any]:
    """What ``authenticated`` tells a device."""
    return {
        "userId": identity.user_id,
        "room": room.name,
        "deviceId": device.ref.device_id,
        "expiresAt": _milliseconds(identity.expires_at),
    }


def _milliseconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment * 1000)


def check_origin(request: web.Request) -> None:
    """Raises ``Forbidden`` for a page of a foreign origin.

    Browsers name the page's origin, and CORS does not guard WebSockets (RFC 6455 §10.2).
    """
    origin = request.headers.get("Origin")
    allowed = request.app[SETTINGS].cors_origins
    if origin is None or "*" in allowed or origin.lower() in allowed:
        return
    if not _is_own_host(origin, request.host):
        raise Forbidden(
            "this origin may not connect; the server's CORS_ORIGINS names those that may"
        )


def _is_own_host(origin: str, host: str) -> bool:
    try:
        parts, ours = urlsplit(origin), urlsplit(f"//{host}")
        default = {"http": 80, "https": 443}.get(parts.scheme)
        return (
            default is not None
            and parts.hostname is not None
            and parts.hostname == ours.hostname
            and (parts.port or default) == (ours.port or default)
        )
    except ValueError:
        return False
