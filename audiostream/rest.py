"""The JSON routes.

Here: tracks, commands by POST, the session cookie, health, and the one shape of every error. Not
here: audio (``streaming``), sockets (``gateway``), what a command does (``playback``).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from . import messages
from .errors import (
    AudiostreamError,
    Conflict,
    Forbidden,
    InvalidMessage,
    RateLimited,
    StoreError,
    TrackNotFound,
    Unauthorized,
)
from .keys import CLOCK, KEEPER, LIBRARY, SESSION_COOKIE, SETTINGS, TOKENS
from .library import Library, Track
from .messages import Command, GetCurrentState
from .tokens import Identity, Tokens, bearer_token

LONG_LIST = 500
"""Tracks from which on a list is written by a worker thread, so that nobody waits for it."""
DESCRIPTIONS = 1024
"""How many descriptions of tracks are kept."""

_STATUS: Mapping[type[AudiostreamError], int] = {
    InvalidMessage: 400,
    Unauthorized: 401,
    Forbidden: 403,
    TrackNotFound: 404,
    Conflict: 409,
    RateLimited: 429,
    StoreError: 503,
}
_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    426: "upgrade_required",
}
_REMEDIES: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
}
_KEPT_HEADERS = ("Allow", "Sec-WebSocket-Version", "Upgrade")

_NOSNIFF = {"X-Content-Type-Options": "nosniff"}

_log = logging.getLogger(__name__)


class TrackCatalogue:
    """The library as rooms and clients see it: with stream tickets, without the file's path."""

    def __init__(self, app: web.Application, library: Library, tokens: Tokens) -> None:
        self._app = app
        self._library = library
        self._tokens = tokens
        self._description = lru_cache(DESCRIPTIONS)(self._describe)

    @cached_property
    def _clock(self) -> Callable[[], float]:
        return self._app[CLOCK]

    @cached_property
    def _stream_path(self) -> str:
        """Known only once the application is mounted, perhaps under a prefix."""
        return self._app.router["stream"].url_for(id="-").raw_path.removesuffix("-")

    def duration(self, user_id: str, track_id: str) -> float | None:
        return self._library.find(track_id, user_id).duration

    def same_album(self, user_id: str, track_id: str, other_id: str) -> bool:
        try:
            track, other = (self._library.find(each, user_id) for each in (track_id, other_id))
        except TrackNotFound:
            return False
        return track.album is not None and track.album == other.album

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """The track with its ticket; the same object as long as nothing about it changes."""
        version = self._library.version  # before the track: an old one must not pass for new
        track = self._library.find(track_id, user_id)
        ticket_end = self._tokens.ticket_end(track.duration, self._clock())
        revoked_at = self._tokens.revoked.get(user_id)
        return self._description(user_id, track_id, ticket_end, (version, revoked_at))

    def describe_for_list(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """The same, not kept: a long list would drive out what rooms ask for again and again."""
        track = self._library.find(track_id, user_id)
        ticket = self._tokens.ticket(user_id, track.id, track.duration, self._clock())
        return self._written(track, ticket)

    def _describe(
        self, user_id: str, track_id: str, ticket_end: int, edition: tuple[int, float | None]
    ) -> Mapping[str, Any]:
        """``edition`` is not written: it tells a description from those before."""
        track = self._library.find(track_id, user_id)
        return self._written(track, self._tokens.ticket_until(ticket_end, user_id, track_id))

    def _written(self, track: Track, ticket: str) -> Mapping[str, Any]:
        optional = {
            "artist": track.artist,
            "album": track.album,
            "duration": track.duration,
            "ownerId": track.owner_id,
        }
        return {
            "id": track.id,
            "title": track.title,
            **{name: value for name, value in optional.items() if value is not None},
            "streamUrl": f"{self._stream_path}{quote(track.id, safe='')}?ticket={ticket}",
        }


CATALOGUE = web.AppKey("audiostream_catalogue", TrackCatalogue)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every refusal as ``{"error": {"code", "message"}}``; never an exception's text."""
    try:
        return await handler(request)
    except AudiostreamError as error:
        return _error_response(error)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        code = _CODES.get(refusal.status, "invalid_message")
        headers = {name: refusal.headers[name] for name in _KEPT_HEADERS if name in refusal.headers}
        return _error_json(refusal.status, code, refusal.reason, headers=headers)
    except ConnectionError:  # the client left: nobody reads this, and nobody needs to know
        return _error_json(400, "invalid_message", "the request did not arrive whole", headers={})
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return _error_json(500, "internal", "this did not work; it is not your fault", headers={})


async def list_tracks(request: web.Request) -> web.Response:
    """``GET /tracks``: what this user may play; ``?q=``, ``?limit=``, ``?offset=``, ETag."""
    identity = _identify(request)
    tracks = request.app[LIBRARY].tracks_for(identity.user_id, request.query.get("q", ""))
    offset = _count(request, "offset", 0)
    page = tracks[offset : offset + _count(request, "limit", len(tracks))]
    write = partial(_list_body, request.app[CATALOGUE], page, identity.user_id)
    body = write() if len(page) < LONG_LIST else await asyncio.to_thread(write)
    return _personal(request, body, {"X-Total-Count": str(len(tracks))})


async def get_track(request: web.Request) -> web.Response:
    """``GET /tracks/{id}``: one track."""
    user_id = _identify(request).user_id
    track = request.app[CATALOGUE].describe(user_id, request.match_info["id"])
    return _personal(request, _json_bytes(track))


async def play(request: web.Request) -> web.Response:
    """``POST /tracks/play/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(messages.command, "playTrack"))


async def pause(request: web.Request) -> web.Response:
    """``POST /tracks/pause/{id}`` with ``{currentTime?}``."""
    return await _perform(request, partial(messages.command, "pauseTrack"))


async def update_state(request: web.Request) -> web.Response:
    """``POST /tracks/update-state/{id}`` with ``{currentTime, isPlaying}``."""
    return await _perform(request, messages.set_state)


async def current_state(request: web.Request) -> web.Response:
    """``GET /tracks/current-state``."""
    room = await request.app[KEEPER].room(_identify(request).user_id)
    return _personal(request, _json_bytes(room.perform(GetCurrentState()).to_json()))


async def open_session(request: web.Request) -> web.Response:
    """``POST /session``: a cookie that opens the stream route to this browser's ``<audio>``."""
    value, life = request.app[TOKENS].session(_identify(request), request.app[CLOCK]())
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=life,
        path=_cookie_path(request),
        secure=_came_by_tls(request),
        httponly=True,
        samesite="Strict",
    )
    return response


async def close_session(request: web.Request) -> web.Response:
    """``DELETE /session``: the cookie is forgotten. Needs no proof: it gives nothing away."""
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    response.del_cookie(
        SESSION_COOKIE,
        path=_cookie_path(request),
        secure=_came_by_tls(request),
        httponly=True,
        samesite="Strict",
    )
    return response


async def health(request: web.Request) -> web.Response:
    """``GET /healthz``: the event loop turns; ``degraded`` where the state file fails."""
    status = "degraded" if request.app[KEEPER].is_degraded else "ok"
    return web.json_response({"status": status}, headers={"Cache-Control": "no-store", **_NOSNIFF})


def _identify(request: web.Request) -> Identity:
    token = bearer_token(request.headers.get("Authorization"))
    if token is None:
        raise Unauthorized("send the token as: Authorization: Bearer TOKEN")
    return request.app[TOKENS].verify(token, request.app[CLOCK]())


async def _perform(
    request: web.Request, to_command: Callable[[Mapping[str, Any]], Command]
) -> web.Response:
    user_id = _identify(request).user_id
    data = await _body(request) | {"trackId": request.match_info["id"]}
    room = await request.app[KEEPER].room(user_id)
    view = room.perform(to_command(data))
    return _personal(request, _json_bytes(view.to_json()))


async def _body(request: web.Request) -> dict[str, Any]:
    limits = request.app[SETTINGS].limits
    try:
        async with asyncio.timeout(limits.body_timeout):
            text = (await request.read()).decode()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError:
        raise InvalidMessage("the body is not encoded as its headers say") from None
    except UnicodeDecodeError:
        raise InvalidMessage("the body must be JSON in UTF-8") from None
    return messages.parse_object(text, limits.max_json_depth) if text.strip() else {}


def _count(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidMessage(f'"{name}" must be a whole number, 0 or more')
    return int(text)


def _list_body(catalogue: TrackCatalogue, tracks: Sequence[Track], user_id: str) -> bytes:
    described = []
    for track in tracks:
        with suppress(TrackNotFound):  # a rescan may take it off the shelf meanwhile
            described.append(catalogue.describe_for_list(user_id, track.id))
    return _json_bytes({"tracks": described})


def _json_bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _personal(
    request: web.Request, body: bytes, headers: Mapping[str, str] | None = None
) -> web.Response:
    """One user's answer: caches may keep it for that user, and must ask again (RFC 9111 §5.2.2)."""
    response = web.Response(
        body=body,
        content_type="application/json",
        charset="utf-8",
        headers={
            "Cache-Control": "private, no-cache",
            "Vary": "Authorization, Origin",
            **_NOSNIFF,
            **(headers or {}),
        },
    )
    if request.method in {"GET", "HEAD"}:
        etag = hashlib.blake2b(body, digest_size=16).hexdigest()
        response.etag = etag
        known = request.if_none_match or ()
        if any(tag.value in {etag, "*"} for tag in known):
            response.body = None
            response.set_status(304)
    return response


def _cookie_path(request: web.Request) -> str:
    return request.app.router["index"].url_for().raw_path


def _came_by_tls(request: web.Request) -> bool:
    """Whether the browser may keep the cookie to TLS; a false header harms only who sends it."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _error_response(error: AudiostreamError) -> web.Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    headers = _REMEDIES.get(status, {})
    extra = {"state": error.state} if isinstance(error, Conflict) else {}
    return _error_json(status, error.code, str(error), headers=headers, **extra)


def _error_json(
    status: int, code: str, message: str, *, headers: Mapping[str, str], **extra: Any
) -> web.Response:
    body = _json_bytes({"error": {"code": code, "message": message, **extra}})
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        charset="utf-8",
        headers={"Cache-Control": "no-store", "Vary": "Origin", **_NOSNIFF, **headers},
    )
