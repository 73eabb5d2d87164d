"""``GET /tracks`` and ``GET /tracks/{id}``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from aiohttp import web

from ..errors import TrackNotFound
from ..services import SERVICES, Services
from .content_coding import GzipPreference, compress, compressed_etag
from .requests import authenticate, read_count
from .responses import Body, encode_json, respond_personally

LONG_LIST: Final = 200
"""Tracks in the library from which on lists, about 60 KB, are made by a worker thread, and shared
by all requests for the same."""
ENCODED_AT_ONCE: Final = 200
"""Tracks that the worker encodes without releasing the GIL: about a millisecond."""
SHARED_FOR: Final = 60
"""Seconds within which all requests for a long list get the same tickets, and so the same body."""


async def list_tracks(request: web.Request) -> web.Response:
    """``GET /tracks``: what the user may play; ``?q=``, ``?limit=``, ``?offset=``, ETag, gzip."""
    services = request.app[SERVICES]
    # Read first: an old list is never labelled as new.
    library_state = services.library_subscriptions.status
    query, now = TrackListQuery.of(request), services.wall_clock()
    if services.library.size < LONG_LIST:
        body = query.make_body(services, now)
    else:
        # Signed as of the end of the period, so that no ticket is valid for less than promised.
        now = (now // SHARED_FOR + 1) * SHARED_FOR
        key = (query, now, services.descriptions.list_version(query.user_id))
        make = partial(query.make_body, services, now)
        body = await services.shared_bodies.get(request, "list", key, make)
        authenticate(request)  # the user may have been revoked meanwhile
    headers = {
        "X-Library-Version": library_state.version,
        "X-Library-Scanning": "true" if library_state.is_scanning else "false",
        "Vary": "Authorization, Origin, Accept-Encoding",
    }
    return respond_personally(request, body, headers)


async def get_track(request: web.Request) -> web.Response:
    """``GET /tracks/{id}``: one track."""
    user_id = authenticate(request).user_id
    track = request.app[SERVICES].descriptions.describe(user_id, request.match_info["id"])
    return respond_personally(request, Body.json(encode_json(track)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackListQuery:
    """The part of a user's tracks that a request asks for, and in which coding."""

    user_id: str
    search: str
    offset: int
    limit: int | None
    gzip: GzipPreference

    @classmethod
    def of(cls, request: web.Request) -> TrackListQuery:
        """Parse a request. Raises ``Unauthorized`` and ``InvalidMessage``."""
        return cls(
            user_id=authenticate(request).user_id,
            search=request.query.get("q", ""),
            offset=read_count(request, "offset") or 0,
            limit=read_count(request, "limit"),
            gzip=GzipPreference.of(",".join(request.headers.getall("Accept-Encoding", ()))),
        )

    def make_body(self, services: Services, now: float) -> Body:
        """Return the list as JSON, with tickets as of ``now`` and the total in its headers.

        Compressed where the client prefers that; with the entity tags of both codings.
        """
        tracks = services.library.tracks_for(self.user_id, self.search)
        headers = {"X-Total-Count": str(len(tracks))}
        end = len(tracks) if self.limit is None else min(self.offset + self.limit, len(tracks))
        parts = []
        for start in range(self.offset, end, ENCODED_AT_ONCE):
            described = []
            for track in tracks[start : min(start + ENCODED_AT_ONCE, end)]:
                with suppress(TrackNotFound):  # a rescan may remove it meanwhile
                    described.append(
                        services.descriptions.describe_for_list(self.user_id, track.id, now)
                    )
            parts.append(encode_json(described)[1:-1])
        body = Body.json(b'{"tracks":[%s]}' % b",".join(filter(None, parts)), headers)
        etag = compressed_etag(body.etag)
        if not self.gzip.applies_to(len(body.data)):
            return replace(body, other_etags=(etag,))
        data = compress(body.data)
        return replace(body, data=data, etag=etag, coding="gzip", other_etags=(body.etag,))
