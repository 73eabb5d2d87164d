"""The stream route: authentication, the user's stream slots, and the response."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..auth.access_tokens import Identity, bearer_token
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
    """Return the user id, by Bearer header, ticket or session cookie; None for public streams.

    One valid credential is enough: a browser may send an expired cookie beside a fresh ticket.
    Raises ``Unauthorized``.
    """
    tokens, now = request.app[TOKENS], request.app[WALL_CLOCK]()

    def by_header() -> Identity | None:
        header = request.headers.get("Authorization")
        return None if header is None else tokens.verify(bearer_token(header) or "", now)

    def by_ticket() -> Identity | None:
        ticket = request.query.get("ticket")
        return None if ticket is None else tokens.verify_ticket(ticket, track_id, now)

    def by_cookie() -> Identity | None:
        value = request.app[SESSION_COOKIE].read(request)
        return None if value is None else tokens.verify_session(value, now)

    refusal = Unauthorized("a stream needs a Bearer token, a ticket or a session cookie")
    for verify in (by_header, by_ticket, *([by_cookie] if accepts_cookie else [])):
        try:
            identity = verify()
        except Unauthorized as error:
            refusal = error
        else:
            if identity is not None:
                return identity.user_id
    if request.app[SETTINGS].public_streams:
        return None
    raise refusal
