"""The stream route: authentication, the user's stream slots, and the response."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from ..auth.credentials import authenticate_stream
from ..errors import RateLimited
from ..ops.proxies import client_of
from ..services import SERVICES
from .response import AudioFileResponse
from .x_accel import redirect_target


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
    slots = app[SERVICES].stream_slots
    while True:
        user_id = authenticate_stream_request(request, track_id)
        path = app[SERVICES].library.find(track_id, user_id).path
        owner = ClientAddress(client_of(request).address) if user_id is None else user_id
        if slots.has_room(owner):
            break
        if not await slots.make_room(owner):
            raise RateLimited("too many streams at once; close one first")
        # Meanwhile the user may have been revoked, or another stream have taken the slot.

    return AudioFileResponse(
        path,
        executor=app[SERVICES].file_executor,
        slots=slots,
        owner=owner,
        headers={"Vary": "Origin"},
        redirect=redirect_target(request, path),
    )


def authenticate_stream_request(
    request: web.Request, track_id: str, *, accepts_cookie: bool = True
) -> str | None:
    """Return the user id that a request's credentials are of; None for public streams.

    Raises ``Unauthorized``.
    """
    app = request.app
    return authenticate_stream(
        app[SERVICES].tokens,
        track_id,
        app[SERVICES].wall_clock(),
        authorization=request.headers.get("Authorization"),
        ticket=request.query.get("ticket"),
        cookie=app[SERVICES].session_cookie.read(request) if accepts_cookie else None,
        is_public=app[SERVICES].settings.public_streams,
    )
