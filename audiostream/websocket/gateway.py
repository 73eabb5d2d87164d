"""The WebSocket route: who may connect, and what concerns all sessions at once.

::

    handshake ── version, Origin, Bearer ──► 426, 400, 403, 401, 429, 503
        │   └─── ?token= ──► 4401, as a browser sees no status of a handshake
        ▼
    DeviceSession.run
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import ClassVar, Protocol

from aiohttp import HttpVersion11, web

from ..auth.credentials import bearer_token
from ..errors import InvalidMessage, RateLimited, Unauthorized
from ..ops.counters import Transport
from ..ops.proxies import client_of
from ..protocol.device_labels import DeviceLabels
from ..rooms.device import Device
from ..services import SERVICES
from .close_reasons import CloseReason
from .device_websocket import DeviceWebSocket
from .origin import check_origin
from .session import DeviceSession

# aiohttp warns of every client that offers a subprotocol, and quotes it: some put a token there.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class Session(Protocol):
    """A device's connection, native or of Socket.IO. ``user_id`` is None until authenticated."""

    transport: ClassVar[Transport]
    user_id: str | None

    @property
    def is_in_room(self) -> bool:
        """Whether the device is in its user's room."""

    @property
    def device(self) -> Device | None:
        """The device in its user's room, None before that."""

    async def close(self, reason: CloseReason, text: str) -> None:
        """Disconnect, and wait for the end of the connection, for about a second at most."""

    def close_nowait(self, reason: CloseReason, text: str) -> None:
        """Disconnect. From now on the device receives and does nothing."""

    def adjust_to_clock_step(self, step: float) -> None:
        """The wall clock was set by ``step`` seconds."""


async def websocket(request: web.Request) -> web.StreamResponse:
    """Serve one device until it disconnects. Before that, raises ``Forbidden`` for a foreign
    origin, ``Unauthorized`` for a refused token in a header, ``RateLimited`` for too many that have
    not authenticated, ``InvalidMessage``, ``StoreError``, and 426 where no upgrade is asked for.

    A refused token in the query is refused again behind the handshake, by close code 4401: a
    browser can send no header, takes any status but 101 for a lost connection, and would try again
    for ever. Such a connection is closed at once, and does not count as unauthenticated.
    """
    app, services = request.app, request.app[SERVICES]
    limits = services.settings.limits
    socket = DeviceWebSocket(limits.max_frame, services.heartbeat_monitor)
    _check_handshake(request, socket)
    check_origin(request)
    by_header = bearer_token(request.headers.get("Authorization"))
    token, labels = by_header or request.query.get("token"), DeviceLabels()
    try:
        if token is not None:
            await _load_room(app, token)
        labels = DeviceLabels.decode(request.query)
    except Unauthorized:
        if by_header is not None:
            raise
    address = client_of(request).address
    if token is None and services.unauthenticated[address] >= limits.waiting_per_address:
        raise RateLimited("too many sockets of this address have not authenticated yet")
    if not await socket.open(request, services.write_batcher):
        return socket
    session = DeviceSession(app, socket, services.write_batcher, address)
    services.sessions.add(session)
    serving = session.run(token, labels)
    del token, by_header, labels
    try:
        await serving
    finally:
        services.sessions.discard(session)
    return socket


def _check_handshake(request: web.Request, socket: DeviceWebSocket) -> None:
    """Raise 426 where no upgrade to version 13 is asked for, and ``InvalidMessage`` for any other
    handshake that is not one of RFC 6455 §4.2.1.
    """
    is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    if not is_upgrade or request.headers.get("Sec-WebSocket-Version") != "13":
        raise web.HTTPUpgradeRequired(
            headers={"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        )
    try:
        is_valid = request.version >= HttpVersion11 and socket.can_prepare(request)
    except ValueError:  # a key that is not ASCII
        is_valid = False
    if not is_valid:
        raise InvalidMessage(
            "a WebSocket begins with HTTP/1.1, Connection: Upgrade and a Sec-WebSocket-Key of 16 "
            "bytes in base64"
        )


async def _load_room(app: web.Application, token: str) -> None:
    """Load the room before the upgrade: a device that is connected misses no event.

    Raises ``Unauthorized``, also where the token is revoked meanwhile, and ``StoreError``.
    """
    services = app[SERVICES]
    identity = services.tokens.verify(token, services.wall_clock())
    await services.storage.loader.room(identity.user_id)
    services.tokens.verify(token, services.wall_clock())


def close_revoked(app: web.Application, user_ids: Collection[str]) -> None:
    """Disconnect the devices of users whose tokens are revoked, without waiting."""
    sessions = app[SERVICES].sessions
    for session in tuple(sessions):
        if session.user_id in user_ids:
            session.close_nowait(CloseReason.TOKEN_REVOKED, "the token has been revoked")


def close_excess(app: web.Application, devices: Collection[Device]) -> None:
    """Disconnect devices that are more than their users may have, without waiting."""
    for session in tuple(app[SERVICES].sessions):
        if session.device in devices:
            session.close_nowait(CloseReason.TOO_MANY_DEVICES, "too many devices of this user")


def adjust_to_clock_step(app: web.Application, step: float) -> None:
    """Let all devices' tokens end by the wall clock, which was set by ``step`` seconds."""
    sessions = app[SERVICES].sessions
    for session in tuple(sessions):
        session.adjust_to_clock_step(step)


async def close_all(app: web.Application) -> None:
    """At shutdown: disconnect all devices in parallel."""
    text = "the server is going away"
    await asyncio.gather(
        *(each.close(CloseReason.SHUTDOWN, text) for each in app[SERVICES].sessions)
    )
