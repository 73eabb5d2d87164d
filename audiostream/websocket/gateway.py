"""The native WebSocket: who may connect, as whom, and for how long.

Here: the handshake, authentication, limits and close codes. Not here: frames on the wire
(``frames``), reading and writing (``arrivals``, ``sockets``), what texts mean (``messages``), what
they do (``playback``), whom they reach (``registry``).

A socket's life::

    handshake ── Origin, Bearer ──► 403, 401
        │   └─── ?token= ──► 4401, as a browser sees no status of a handshake
    first frame "auth" within AUTH_TIMEOUT, unless the handshake had a token ──► 4408, 4401
        │       ▲ again, where only a label of the device was refused
        │
    the room is loaded, and the token is good still ──► 4401
        │
    text → room.receive, until
        │
    1001 shutdown · 1003 binary · 1009 too long · 1013 no state file · 4401 expired or revoked
    4403 another user's token · 4429 too many devices
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import secrets
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from ..auth.access_tokens import Tokens
from ..auth.credentials import bearer_token
from ..auth.tickets import Identity
from ..errors import (
    AudiostreamError,
    Forbidden,
    InvalidMessage,
    RateLimited,
    StoreError,
    Unauthorized,
)
from ..ops.proxies import client_of
from ..protocol import messages
from ..protocol.messages import Familiar, Frame, Labels, Report
from ..rate_limit import Allowance
from ..rooms.registry import Device, PositionNeeded, Room
from ..services import LIBRARY_WATCH, REGISTRY, ROOM_LOADER, SETTINGS, TOKENS, WAITING, WALL_CLOCK
from ..settings import Limits
from .arrivals import Arrivals
from .frames import TOO_LONG, Closing
from .lateness import SILENCE, LateReports
from .sockets import DeviceSocket, Turn

AUTH_TIMEOUT = 10.0
"""Seconds a socket has to authenticate."""
AUTH_ATTEMPTS = 5
"""First frames of one socket, as long as only their labels are refused."""
PONG_TIMEOUT = 2.0
"""Seconds that a report waits for a pong; some clients do not answer pings."""
EXPIRY_NOTICE = 60.0
"""Seconds between ``tokenExpiring`` and the token's end."""

GOING_AWAY, TRY_LATER = 1001, 1013
TOKEN_REFUSED, OTHER_USER, AUTH_TOO_LATE, TOO_MANY = 4401, 4403, 4408, 4429

CONNECTIONS = web.AppKey("audiostream_connections", set["Closable"])
ARRIVALS = web.AppKey("audiostream_arrivals", Arrivals)
TURN = web.AppKey("audiostream_turn", Turn)

REPORT = "updateStreaming"
COMMANDS = frozenset({"playTrack", "pauseTrack"})

_UNREAD, _REPORT = Frame("", {}), Frame(REPORT, {})
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

_log = logging.getLogger(__name__)


async def websocket(request: web.Request) -> web.StreamResponse:
    """Serve one device until it leaves. Before that, raises ``Forbidden`` for a foreign origin,
    ``Unauthorized`` for a refused token in a header, ``RateLimited`` for too many that have not
    authenticated, ``StoreError``, and 426 where no upgrade is asked for.

    A refused token in the query is refused again behind the handshake, by close code 4401: a
    browser can send no header, and takes any status but 101 for a line that was lost, and would
    try again for ever. Such a socket is closed at once, and does not count as one that waits.
    """
    accepted = accept(request)
    check_origin(request)
    limits = request.app[SETTINGS].limits
    by_header = bearer_token(request.headers.get("Authorization"))
    token, labels = by_header or request.query.get("token"), Labels()
    try:
        if token is not None:
            await _load_room(request.app, token)
        labels = Labels.read(request.query)
    except Unauthorized:
        if by_header is not None:
            raise
    waiting, address = request.app[WAITING], client_of(request).address
    if token is None and waiting[address] >= limits.waiting_per_address:
        raise RateLimited("too many sockets of this address have not authenticated yet")
    await accepted.prepare(request)
    if request.transport is None:  # the client left during the handshake
        return accepted
    socket = DeviceSocket(request.transport, limits.max_frame, request.app[TURN])
    connection = Connection(request.app, socket, address)
    connections = request.app[CONNECTIONS]
    connections.add(connection)
    try:
        request.protocol.keep_alive(False)
        request.protocol.set_parser(cast(Any, socket))  # for what has come already, and the end
        socket.take_over(request.app[ARRIVALS])
        await connection.serve(token, labels)
    finally:
        connections.discard(connection)
    return accepted


async def _load_room(app: web.Application, token: str) -> None:
    """Load the room before the upgrade: a device that finds itself connected misses nothing.

    Raises ``Unauthorized``, also where the token is revoked meanwhile, and ``StoreError``.
    """
    identity = app[TOKENS].verify(token, app[WALL_CLOCK]())
    await app[ROOM_LOADER].room(identity.user_id)
    app[TOKENS].verify(token, app[WALL_CLOCK]())


class Accepted(web.StreamResponse):
    """The answer to a handshake; what follows is not HTTP."""

    _length_check = False

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the connection has ended otherwise."""


def accept(request: web.Request) -> Accepted:
    """The answer to a well-formed handshake (RFC 6455 §4.2).

    Raises 426 where no upgrade to our version is asked for, and ``InvalidMessage``.
    """
    headers = request.headers
    is_wanted = headers.get("Upgrade", "").lower() == "websocket"
    if not is_wanted or headers.get("Sec-WebSocket-Version") != "13":
        raise web.HTTPUpgradeRequired(
            headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        )
    wishes = {wish.strip() for wish in headers.get("Connection", "").lower().split(",")}
    if "upgrade" not in wishes or request.version < HttpVersion11:
        raise InvalidMessage("a WebSocket begins with HTTP/1.1 and Connection: Upgrade")
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        is_key = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        is_key = False
    if not is_key:
        raise InvalidMessage("the Sec-WebSocket-Key header must be 16 bytes in base64")
    proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest())
    return Accepted(
        status=101,
        headers={
            "Upgrade": "websocket",
            "Connection": "upgrade",
            "Sec-WebSocket-Accept": proof.decode(),
        },
    )


def close_revoked(app: web.Application, user_ids: Collection[str]) -> None:
    """Close the sockets of users whose tokens are revoked. Does not wait for it."""
    connections = app[CONNECTIONS]
    for connection in tuple(connections):
        if connection.user_id in user_ids:
            connection.close_soon(TOKEN_REFUSED, "the token has been revoked")


def adjust_to_clock_step(app: web.Application, step: float) -> None:
    """Let all devices' tokens end by the wall clock, which was set by ``step`` seconds."""
    connections = app[CONNECTIONS]
    for connection in tuple(connections):
        connection.adjust_to_clock_step(step)


async def close_all(app: web.Application) -> None:
    """At shutdown: say goodbye to all devices in parallel, and cut those that do not listen."""
    goodbyes = (each.close(GOING_AWAY, "the server is going away") for each in app[CONNECTIONS])
    await asyncio.gather(*goodbyes)


async def stop_reading(app: web.Application) -> None:
    """At the very end, when all connections have been ended."""
    app[ARRIVALS].close()


class Closable(Protocol):
    """A device's connection, of whatever kind. ``user_id`` is None before it has authenticated."""

    user_id: str | None

    async def close(self, code: int, reason: str) -> None: ...

    def close_soon(self, code: int, reason: str) -> None: ...

    def adjust_to_clock_step(self, step: float) -> None: ...


class Pace:
    """How many commands and reports one device may send."""

    __slots__ = ("_commands", "_reports")

    def __init__(self, limits: Limits, now: float) -> None:
        self._commands = Allowance(limits.commands_per_second, now)
        self._reports = Allowance(limits.reports_per_second, now)

    def check(self, event: str, now: float) -> None:
        """Count one. Raises ``RateLimited``."""
        allowance = self._reports if event == REPORT else self._commands
        if not allowance.take(now):
            raise RateLimited("too many frames at once; wait a moment")


class Expiry:
    """What happens on a socket as its token comes to its end: ``tokenExpiring``, then the end.

    Timers run by a monotonic clock: where the wall clock is set they have to be set again.
    """

    __slots__ = ("_expire", "_identity", "_offer", "_timers", "_tokens", "_wall_clock")

    def __init__(
        self,
        tokens: Tokens,
        wall_clock: Callable[[], float],
        offer: Callable[[str], None],
        expire: Callable[[], None],
    ) -> None:
        self._tokens = tokens
        self._wall_clock = wall_clock
        self._offer = offer
        self._expire = expire
        self._identity: Identity | None = None
        self._timers: tuple[asyncio.TimerHandle, ...] = ()

    def watch(self, identity: Identity) -> None:
        """From now on it is this identity's end that counts, if it has one."""
        self.stop()
        left = self._tokens.time_left(identity, self._wall_clock())
        if left is None:
            return
        self._identity = identity
        loop = asyncio.get_running_loop()
        notice = messages.encode("tokenExpiring", {"expiresAt": _milliseconds(identity.expires_at)})
        self._timers = (
            loop.call_later(max(0.0, left - EXPIRY_NOTICE), self._offer, notice),
            loop.call_later(left, self._expire),
        )

    def set_again(self) -> None:
        """The wall clock was set."""
        if self._identity is not None:
            self.watch(self._identity)

    def stop(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers = ()
        self._identity = None


class Connection:
    """One device's socket, from its handshake to its end."""

    __slots__ = (
        "_address",
        "_device",
        "_expiry",
        "_familiar",
        "_heard_at",
        "_identity",
        "_late",
        "_library_watch",
        "_limits",
        "_loader",
        "_loop",
        "_pace",
        "_recalling",
        "_registry",
        "_room",
        "_socket",
        "_tokens",
        "_waiting",
        "_wall_clock",
        "user_id",
    )

    def __init__(self, app: web.Application, socket: DeviceSocket, address: str) -> None:
        self.user_id: str | None = None
        self._socket = socket
        self._address = address
        self._tokens = app[TOKENS]
        self._registry = app[REGISTRY]
        self._wall_clock = app[WALL_CLOCK]
        self._loader = app[ROOM_LOADER]
        self._library_watch = app[LIBRARY_WATCH]
        self._limits = app[SETTINGS].limits
        self._waiting = app[WAITING]
        self._expiry = Expiry(app[TOKENS], self._wall_clock, socket.outbox.offer, self._expire)
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(self._limits, self._loop.time())
        self._familiar = Familiar()
        self._recalling: asyncio.Task[None] | None = None
        self._identity: Identity
        self._room: Room
        self._device: Device
        self._late: LateReports
        self._heard_at = self._loop.time()

    async def serve(self, token: str | None, labels: Labels) -> None:
        """Let the device in, and wait for its end. ``token`` is what the handshake had, None if
        nothing.
        """
        try:
            await self._let_in(token, labels)
        except Closing as closing:
            self.close_soon(closing.code, str(closing))
        except StoreError as error:
            self.close_soon(TRY_LATER, str(error))
        await self._socket.gone()

    async def close(self, code: int, reason: str) -> None:
        """Close with ``code``, behind all that was offered; after CLOSE_TIMEOUT cut. May come
        twice.
        """
        self.close_soon(code, reason)
        await self._socket.gone()

    def close_soon(self, code: int, reason: str) -> None:
        """The same, for those who cannot wait."""
        self._socket.close(code, reason)

    def adjust_to_clock_step(self, step: float) -> None:
        """The wall clock was set."""
        self._expiry.set_again()

    async def _let_in(self, token: str | None, labels: Labels) -> None:
        greeted = None
        if token is None:
            greeted, token, labels = await self._authenticate()
        await self._enter(greeted or _UNREAD, token, labels)
        if greeted is not None:
            self._greet(greeted)
        self._expiry.watch(self._identity)
        self._socket.listen(self._handle, self._leave)

    def _leave(self) -> None:
        self._expiry.stop()
        self._library_watch.remove(self._socket.outbox)
        self._registry.disconnect(self._identity.user_id, self._device)

    async def _authenticate(self) -> tuple[Frame, str, Labels]:
        """The first frame, its token, which is good, and its labels. Raises ``Closing``."""
        self._waiting[self._address] += 1
        try:
            async with asyncio.timeout(AUTH_TIMEOUT):
                for _ in range(AUTH_ATTEMPTS):
                    frame, token = self._read_first(await self._socket.first_text())
                    self._identify(frame, token)
                    try:
                        return frame, token, Labels.read(frame.data)
                    except InvalidMessage as error:  # the device may come with another label
                        self._refuse(error, frame)
        except TimeoutError:
            raise Closing(AUTH_TOO_LATE, "no auth in time") from None
        finally:
            self._waiting[self._address] -= 1
            if not self._waiting[self._address]:
                del self._waiting[self._address]
        raise Closing(AUTH_TOO_LATE, "no auth with labels that can be shown")

    def _read_first(self, text: str) -> tuple[Frame, str]:
        """A first frame and its token. Raises ``Closing``."""
        if len(text.encode()) > self._limits.max_auth_frame:
            raise Closing(TOO_LONG, "too long for a first frame")
        frame = _UNREAD
        try:
            frame = messages.parse(text, self._limits.max_json_depth)
            if frame.event != "auth":
                raise Unauthorized('the first frame must be "auth"')
            return frame, messages.token(frame.data)
        except AudiostreamError as error:
            self._refuse(error, frame)
            raise Closing(TOKEN_REFUSED, str(error)) from None

    async def _enter(self, frame: Frame, token: str, labels: Labels) -> None:
        """Let the device into its room, with a ``token`` that was good. Raises ``Closing``.

        While the room is loaded a revocation may come, which finds no device in it.
        """
        self.user_id = self._identify(frame, token).user_id
        room = await self._loader.room(self.user_id)
        identity = self._identify(frame, token)
        if len(room.devices) >= self._limits.sockets_per_user:
            raise Closing(TOO_MANY, "too many devices of this user")
        self._identity, self._room = identity, room
        self._device = self._registry.connect(
            identity.user_id,
            self._socket.outbox,
            labels.device_id or secrets.token_hex(8),
            labels.device_name,
        )
        self._late = LateReports(room, self._device, self._ask)

    def _ask(self, answered: Callable[[], None]) -> None:
        self._socket.ask(answered, PONG_TIMEOUT)

    def _handle(self, text: str) -> None:
        frame, now = _UNREAD, self._socket.heard_at
        if now - self._heard_at > SILENCE:
            self._late.after_silence()
        self._heard_at = now
        try:
            report = self._familiar.report(text)
            frame = self._read(text) if report is None else _REPORT
            self._pace.check(frame.event, now)
            if report is None and frame.event == REPORT and frame.id is None:
                report = messages.report(frame.data)
                self._familiar.learn_report(text, report)
            if frame.event == REPORT and self._late.wait(partial(self._hear_late, frame, report)):
                return
            if report is not None:
                self._room.hear(report, self._device)
            elif frame.event == "auth":
                self._renew(frame)
            elif frame.event == "watchLibrary":
                self._library_watch.add(self._socket.outbox, frame.id)
            else:
                if frame.event in COMMANDS:
                    self._late.overrule()
                self._room.receive(frame, self._device)
            self._late.handled()
        except PositionNeeded as needed:
            self._socket.hold()
            self._recalling = asyncio.create_task(self._recall(needed.track_id, frame))
        except Closing:
            raise
        except Exception as error:
            self._fail(error, frame)

    def _hear_late(self, frame: Frame, report: Report | None) -> None:
        """Apply a report that has waited."""
        try:
            if report is not None:
                self._room.hear(report, self._device)
            else:
                self._room.receive(frame, self._device)
        except Exception as error:
            self._fail(error, frame)

    async def _recall(self, track_id: str, frame: Frame) -> None:
        """Do what a frame asks for once its room knows where a track was left.

        What the device has sent behind it waits, so that its frames keep their order.
        """
        try:
            await self._loader.load_stop_point(self._room, track_id)
            if self._is_present():
                self._room.receive(frame, self._device)
        except Exception as error:
            self._fail(error, frame)
        if self._is_present():
            self._socket.listen(self._handle, self._leave)

    def _is_present(self) -> bool:
        return self._device.ref.key in self._room.devices

    def _fail(self, error: Exception, frame: Frame) -> None:
        """Tell the device why its frame did nothing."""
        if not isinstance(error, AudiostreamError):
            _log.error("a %s frame failed", frame.event or "broken", exc_info=error)
            error = AudiostreamError("this did not work; it is not your fault")
        self._refuse(error, frame)

    def _read(self, text: str) -> Frame:
        """Raises ``InvalidMessage``."""
        frame = self._familiar.question(text)
        if frame is None:
            frame = messages.parse(text, self._limits.max_json_depth)
            if not frame.data:
                self._familiar.learn_question(text, frame)
        return frame

    def _identify(self, frame: Frame, token: str) -> Identity:
        """Whose token this is. Raises ``Closing``."""
        try:
            return self._tokens.verify(token, self._wall_clock())
        except Unauthorized as error:
            self._refuse(error, frame)
            raise Closing(TOKEN_REFUSED, str(error)) from None

    def _renew(self, frame: Frame) -> None:
        renewed = self._identify(frame, messages.token(frame.data))
        if renewed.user_id != self._identity.user_id:
            raise Closing(OTHER_USER, "the token is another user's")
        self._identity = renewed
        self._greet(frame)
        self._expiry.watch(renewed)

    def _greet(self, frame: Frame) -> None:
        data = greeting(self._identity, self._room, self._device)
        self._socket.outbox.offer(messages.encode("authenticated", data, frame.id))

    def _refuse(self, error: AudiostreamError, frame: Frame) -> None:
        frame_id = error.frame_id if isinstance(error, InvalidMessage) else None
        if frame_id is None:
            frame_id = frame.id
        self._socket.outbox.offer(messages.encode_error(error, frame.event or None, frame_id))

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
    if not _is_own_host(origin, client_of(request).host):
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
