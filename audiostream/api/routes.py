"""The JSON routes.

Here: tracks, commands by POST, the session cookie, health, and the one shape of every error. Not
here: audio (``streaming``), sockets (``gateway``), what a command does (``playback``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from ..auth.access_tokens import Identity, Tokens, bearer_token
from ..errors import (
    AudiostreamError,
    Conflict,
    Forbidden,
    InvalidMessage,
    RateLimited,
    StoreError,
    TrackNotFound,
    Unauthorized,
)
from ..library.library import Library
from ..library.tracks import Track
from ..ops.proxies import client_of
from ..protocol import messages
from ..protocol.messages import Command, GetCurrentState, StateView
from ..rate_limit import Allowances
from ..rooms.registry import PositionNeeded
from ..services import (
    LIBRARY,
    LIBRARY_WATCH,
    ROOM_LOADER,
    SESSION_COOKIE,
    SETTINGS,
    STATE_SAVER,
    TOKENS,
    WALL_CLOCK,
)
from .content_coding import Wish, compressed, compressed_etag
from .responses import ANSWERS, Body, answer, count_for

LONG_LIST = 200
"""Tracks in the library from which on lists are made by a worker thread, so that nobody waits for
them, and one copy is sent to all who ask for the same: about 60 KB."""
WRITTEN_AT_ONCE = 200
"""Tracks of a long list that are written before others have their turn: about a millisecond."""
SHARED_FOR = 60
"""Seconds within which a long list is the same for all who ask for it."""
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

_D = TypeVar("_D", int, None)

_log = logging.getLogger(__name__)


class TrackCatalogue:
    """The library as rooms and clients see it: with stream tickets, without the file's path."""

    def __init__(self, app: web.Application, library: Library, tokens: Tokens) -> None:
        self._app = app
        self._library = library
        self._tokens = tokens
        self._description = lru_cache(DESCRIPTIONS)(self._describe)

    @cached_property
    def _wall_clock(self) -> Callable[[], float]:
        return self._app[WALL_CLOCK]

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
        albums = [(each.album, each.album_artist) for each in (track, other)]
        return track.album is not None and albums[0] == albums[1]

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """The track with its ticket; the same object as long as nothing about it changes."""
        version = self._library.version  # before the track: an old one must not pass for new
        track = self._library.find(track_id, user_id)
        ticket_end = self._tokens.ticket_end(track.duration, self._wall_clock())
        revoked_at = self._tokens.revoked.get(user_id)
        return self._description(user_id, track_id, ticket_end, (version, revoked_at))

    def edition(self, user_id: str) -> Hashable:
        """What tells one list of a user's tracks from the next, but for the age of its tickets."""
        return self._library.version, self._tokens.revoked.get(user_id)

    def describe_for_list(self, user_id: str, track_id: str, now: float) -> Mapping[str, Any]:
        """The same, not kept: a long list would drive out what rooms ask for again and again.

        The ticket is as of ``now``, in epoch seconds.
        """
        track = self._library.find(track_id, user_id)
        ticket = self._tokens.ticket(user_id, track.id, track.duration, now)
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
            "albumArtist": track.album_artist,
            "disc": track.disc,
            "trackNumber": track.track_number,
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
COMMANDS = web.AppKey("audiostream_commands", Allowances)
"""How often each user may send a command or ask for the state."""


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


@dataclass(frozen=True, slots=True)
class AskedList:
    """The part of a user's tracks that a request asks for."""

    user_id: str
    query: str
    offset: int
    limit: int | None
    wish: Wish

    @classmethod
    def of(cls, request: web.Request) -> AskedList:
        """Raises ``Unauthorized`` and ``InvalidMessage``."""
        user_id, query = _identify(request).user_id, request.query
        offset, limit = _count(request, "offset"), _count(request, "limit")
        wish = Wish.of(",".join(request.headers.getall("Accept-Encoding", ())))
        return cls(user_id, query.get("q", ""), offset or 0, limit, wish)

    def body(self, app: web.Application, now: float) -> Body:
        """The list in JSON, with tickets as of ``now``; the total in its headers.

        Compressed where that is wished for. Either way it has the entity tags of both ways.
        """
        tracks = app[LIBRARY].tracks_for(self.user_id, self.query)
        headers = {"X-Total-Count": str(len(tracks))}
        end = len(tracks) if self.limit is None else self.offset + self.limit
        parts = []
        for start in range(self.offset, min(end, len(tracks)), WRITTEN_AT_ONCE):
            described = []
            for track in tracks[start : min(start + WRITTEN_AT_ONCE, end)]:
                with suppress(TrackNotFound):  # a rescan may take it off the shelf meanwhile
                    described.append(app[CATALOGUE].describe_for_list(self.user_id, track.id, now))
            parts.append(_json_bytes(described)[1:-1])
        body = _json_body(b'{"tracks":[%s]}' % b",".join(filter(None, parts)), headers)
        etag = compressed_etag(body.etag)
        if not self.wish.is_gzip(len(body.data)):
            return replace(body, other_etags=(etag,))
        data = compressed(body.data)
        return replace(body, data=data, etag=etag, coding="gzip", other_etags=(body.etag,))


async def list_tracks(request: web.Request) -> web.Response:
    """``GET /tracks``: what this user may play; ``?q=``, ``?limit=``, ``?offset=``, ETag,
    gzip.
    """
    app = request.app
    state = app[LIBRARY_WATCH].state
    asked, now = AskedList.of(request), app[WALL_CLOCK]()
    if app[LIBRARY].size < LONG_LIST:
        body = asked.body(app, now)
    else:
        # As of the end of that time: tickets are good for as long as is promised.
        now = (now // SHARED_FOR + 1) * SHARED_FOR
        key = (asked, now, app[CATALOGUE].edition(asked.user_id))
        make = partial(asked.body, app, now)
        body = await app[ANSWERS].shared(request, "list", key, make)
        _identify(request)  # no tickets for who was revoked meanwhile
    headers = {
        "X-Library-Version": state.version,
        "X-Library-Scanning": "true" if state.is_scanning else "false",
        "Vary": "Authorization, Origin, Accept-Encoding",
    }
    return _personal(request, body, headers)


async def get_track(request: web.Request) -> web.Response:
    """``GET /tracks/{id}``: one track."""
    user_id = _identify(request).user_id
    track = request.app[CATALOGUE].describe(user_id, request.match_info["id"])
    return _personal(request, _json_body(_json_bytes(track)))


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
    view = await _view_after(request, _commander(request), GetCurrentState())
    return _personal(request, _json_body(_json_bytes(view.to_json())))


async def open_session(request: web.Request) -> web.Response:
    """``POST /session``: a cookie that opens the stream route to this browser's ``<audio>``."""
    value, life = request.app[TOKENS].session(_identify(request), request.app[WALL_CLOCK]())
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    cookie = request.app[SESSION_COOKIE]
    response.set_cookie(
        cookie.name_for(request),
        value,
        max_age=life,
        path=cookie.path,
        secure=client_of(request).is_tls,
        httponly=True,
        samesite="Strict",
    )
    return response


async def close_session(request: web.Request) -> web.Response:
    """``DELETE /session``: the cookie is forgotten. Needs no proof: it gives nothing away."""
    response = web.Response(status=204, headers={"Cache-Control": "no-store"})
    cookie = request.app[SESSION_COOKIE]
    response.del_cookie(
        cookie.name_for(request),
        path=cookie.path,
        secure=client_of(request).is_tls,
        httponly=True,
        samesite="Strict",
    )
    return response


async def health(request: web.Request) -> web.Response:
    """``GET /healthz``: the event loop turns; ``degraded`` where the state file fails."""
    status = "degraded" if request.app[STATE_SAVER].is_degraded else "ok"
    return web.json_response({"status": status}, headers={"Cache-Control": "no-store", **_NOSNIFF})


def _identify(request: web.Request) -> Identity:
    token = bearer_token(request.headers.get("Authorization"))
    if token is None:
        raise Unauthorized("send the token as: Authorization: Bearer TOKEN")
    identity = request.app[TOKENS].verify(token, request.app[WALL_CLOCK]())
    count_for(request, identity.user_id)
    return identity


def _commander(request: web.Request) -> str:
    """The user whose command this is; it counts. Raises ``Unauthorized`` and ``RateLimited``."""
    user_id = _identify(request).user_id
    if not request.app[COMMANDS].take(user_id, asyncio.get_running_loop().time()):
        raise RateLimited("too many commands at once; wait a moment")
    return user_id


async def _perform(
    request: web.Request, to_command: Callable[[Mapping[str, Any]], Command]
) -> web.Response:
    user_id = _commander(request)
    command = to_command(await _body(request) | {"trackId": request.match_info["id"]})
    view = await _view_after(request, user_id, command)
    return _personal(request, _json_body(_json_bytes(view.to_json())))


async def _view_after(request: web.Request, user_id: str, command: Command) -> StateView:
    """The state after a command, for which the room is loaded as far as it must be.

    Body, room and position take time, in which the token may be revoked: it is verified again.
    """
    loader = request.app[ROOM_LOADER]
    while True:
        room = await loader.room(user_id)  # also again: meanwhile it may have been forgotten
        _identify(request)
        try:
            return room.perform(command)
        except PositionNeeded as needed:
            await loader.load_stop_point(room, needed.track_id)


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


def _count(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidMessage(f'"{name}" must be a whole number, 0 or more')
    return int(text)


def _json_bytes(content: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _json_body(data: bytes, headers: Mapping[str, str] | None = None) -> Body:
    return Body.of(data, "application/json; charset=utf-8", headers)


def _personal(
    request: web.Request, body: Body, extra: Mapping[str, str] | None = None
) -> web.Response:
    """One user's answer: caches may keep it for that user, and must ask again (RFC 9111 §5.2.2)."""
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Origin", **_NOSNIFF}
    headers |= extra or {}
    if request.method in {"GET", "HEAD"}:
        return answer(request, body, headers)
    return web.Response(body=body.data, headers={"Content-Type": body.media_type, **headers})


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
