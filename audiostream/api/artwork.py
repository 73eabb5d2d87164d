"""The route of a track's picture. The pictures themselves are in ``library.artwork``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web

from ..library.artwork import picture_of
from ..library.tracks import Track
from ..services import SERVICES
from ..streaming.route import authenticate_stream_request
from .response_delivery import attribute_to_user
from .responses import Body, respond

MAX_AGE: Final = 3600
"""Seconds for which a browser need not revalidate: a cover changes with its file, seldom."""

_HEADERS: Final = {
    "Cache-Control": f"private, max-age={MAX_AGE}",
    # A browser must not reuse the answer for another user.
    "Vary": "Origin, Authorization",
    "X-Content-Type-Options": "nosniff",
}
_SVG_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


async def cover(request: web.Request) -> web.Response:
    """``GET``, ``HEAD /tracks/cover/{id}``: the picture in the file, or the default.

    It needs a Bearer token or the track's ticket: the session cookie is for streams alone, and a
    page that shows a picture has the ticket of its track. Raises ``Unauthorized``, and
    ``TrackNotFound`` alike for an unknown track and for another user's.
    """
    track_id = request.match_info["id"]
    user_id = authenticate_stream_request(request, track_id, accepts_cookie=False)
    services = request.app[SERVICES]
    track = services.library.find(track_id, user_id)
    attribute_to_user(request, user_id)
    loop = asyncio.get_running_loop()
    version = await loop.run_in_executor(services.file_executor, _file_version, track.path)
    key = (track.id, track.album, track.artist, track.title, version)
    body = await services.shared_bodies.get(request, "cover", key, partial(_body_of, track))
    authenticate_stream_request(request, track_id, accepts_cookie=False)  # it may be revoked by now
    return respond(request, body, _HEADERS)


def _file_version(path: Path) -> Hashable:
    """Return the identity of a file's present content, None without a file. Blocks."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _body_of(track: Track) -> Body:
    picture = picture_of(track)
    is_svg = picture.media_type == "image/svg+xml"
    return Body.of(picture.data, picture.media_type, _SVG_HEADERS if is_svg else None)
