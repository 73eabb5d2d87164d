"""The stream route: authentication, the user's stream slots, and the response."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..auth.access_tokens import Tokens, bearer_token
from ..errors import RateLimited, Unauthorized
from ..ops.proxies import client_of
from ..services import FILES, LIBRARY, SESSION_COOKIE, SETTINGS, STREAMS, TOKENS, WALL_CLOCK
from .response import AudioFileResponse
from .stream_slots import STREAM_SLOTS


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """The owner of an anonymous stream; equal to no user id."""

    address: str


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer ``GET`` and ``HEAD /tracks/stream/{id}`` with the audio of a track.

    Raises ``Unauthorized``, ``TrackNotFound``, for unknown and for others' tracks alike, and
    ``RateLimited``.
    """
    app, track_id = request.app, request.match_info["id"]
    open_streams, slots = app[STREAMS], app[STREAM_SLOTS]
    while True:
        user_id = authenticate_stream_request(request, track_id)
        path = app[LIBRARY].find(track_id, user_id).path
        owner = ClientAddress(client_of(request).address) if user_id is None else user_id
        if open_streams[owner] < app[SETTINGS].limits.streams_per_user:
            break
        if not await slots.make_room(owner):
            raise RateLimited("too many streams at once; close one first")
        # Meanwhile the user may have been revoked, or another stream have taken the slot.

    return AudioFileResponse(
        path,
        executor=app[FILES],
        slots=slots,
        owner=owner,
        headers={"Vary": "Origin"},
    )


def authenticate_stream_request(
    request: web.Request, track_id: str, *, accepts_cookie: bool = True
) -> str | None:
    """Return the user id that a request's credentials are of; None for public streams.

    Raises ``Unauthorized``.
    """
    app = request.app
    return authenticate_stream(
        app[TOKENS],
        track_id,
        app[WALL_CLOCK](),
        authorization=request.headers.get("Authorization"),
        ticket=request.query.get("ticket"),
        cookie=app[SESSION_COOKIE].read(request) if accepts_cookie else None,
        is_public=app[SETTINGS].public_streams,
    )


def authenticate_stream(
    tokens: Tokens,
    track_id: str,
    now: float,
    *,
    authorization: str | None,
    ticket: str | None,
    cookie: str | None,
    is_public: bool,
) -> str | None:
    """Return the user id, by Authorization header, ticket or session cookie, in this order.

    One valid credential is enough: a browser may send an expired cookie beside a fresh ticket.
    Without any, None where streams are public. ``now`` is in epoch seconds. Raises
    ``Unauthorized``.
    """
    refusal: Unauthorized | None = None
    if authorization is not None:
        try:
            return tokens.verify(bearer_token(authorization) or "", now).user_id
        except Unauthorized as error:
            refusal = error
    if ticket is not None:
        try:
            return tokens.verify_ticket(ticket, track_id, now).user_id
        except Unauthorized as error:
            refusal = error
    if cookie is not None:
        try:
            return tokens.verify_session(cookie, now).user_id
        except Unauthorized as error:
            refusal = error
    if is_public:
        return None
    raise refusal or Unauthorized("a stream needs a Bearer token, a ticket or a session cookie")
