"""The picture of a track: the one in its file, or one drawn from its names.

Here: the route, finding the picture in a file, telling what it is, drawing the default. Not here:
who may ask and opening a file (``streaming``), which file a track is (``library``).

A file is opened when its picture is asked for and at no other time. What it says of its picture is
not believed: the bytes decide the type, and whatever is wrong with them ends in the default.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
import os
from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from ..library.library import Track
from ..services import SERVICES
from ..streaming.response import listener_of, open_regular
from .delivery import attribute_to_user
from .responses import Body, respond

if TYPE_CHECKING:
    from tinytag import Images

LOG = logging.getLogger(__name__)

MAX_PICTURE: Final = 10_000_000
"""Bytes."""
MAX_READ: Final = 16_000_000
"""Bytes of a file that are read in search of its picture: in Ogg it is written in base64."""
MAX_AGE: Final = 3600
"""Seconds for which a browser need not ask again."""

_HEADERS: Final = {
    "Cache-Control": f"private, max-age={MAX_AGE}",
    # A browser that signs in as somebody else has to ask again.
    "Vary": "Origin, Authorization",
    "X-Content-Type-Options": "nosniff",
}
_POLICY: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}

# Degrees of OKLCH that stay clear, not muddy, when a gradient darkens them; cover.js has the same.
_HUES: Final = (10, 35, 60, 170, 190, 215, 240, 262, 288, 315, 345)
_BARS: Final = 15
_SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="512" height="512">
<style>:root{{--l:74%;--d:52%}}@media(prefers-color-scheme:dark){{:root{{--l:66%;--d:42%}}}}\
.a{{stop-color:oklch(var(--l) .095 {hue})}}.b{{stop-color:oklch(var(--d) .095 {end})}}</style>
<linearGradient id="g" x2=".6" y2="1"><stop class="a" stop-color="#5fb0b5"/>\
<stop class="b" offset="1" stop-color="#2a6d73"/></linearGradient>
<path fill="url(#g)" d="M0 0h100v100H0z"/>
<path fill="none" stroke="#fff" stroke-opacity=".88" stroke-width="2" stroke-linecap="round" \
d="{bars}"/>
</svg>
"""


async def cover(request: web.Request) -> web.Response:
    """``GET``, ``HEAD /tracks/cover/{id}``: the picture in the file, or the default.

    For those who may hear the track, by Bearer header or ticket: the session cookie opens streams
    alone, and a page that shows a picture has the ticket of its track. Raises ``Unauthorized``
    and, in the same words for unknown and for others' tracks, ``TrackNotFound``.
    """
    track_id = request.match_info["id"]
    user_id = listener_of(request, track_id, takes_cookie=False)
    services = request.app[SERVICES]
    track = services.library.find(track_id, user_id)
    attribute_to_user(request, user_id)
    loop = asyncio.get_running_loop()
    version = await loop.run_in_executor(services.file_executor, _version_of, track)
    key = (track.id, track.album, track.artist, track.title, version)
    found = await services.shared_bodies.get(request, "cover", key, partial(picture_of, track))
    listener_of(request, track_id, takes_cookie=False)  # it may be revoked by now
    return respond(request, found, _HEADERS)


def _version_of(track: Track) -> Hashable:
    """What tells one version of a track's file from another, None where it cannot be read."""
    try:
        file, status = open_regular(os.fspath(track.path))
    except OSError:
        return None
    file.close()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def picture_of(track: Track) -> Body:
    """The picture in a track's file, or the default. Blocks; never raises."""
    found = embedded_picture(os.fspath(track.path))
    return found or default_picture(track.id, track.album or track.artist or track.title)


def embedded_picture(path: str) -> Body | None:
    """The first picture in an audio file that can be shown, the front cover before others. Blocks.

    None where there is none, without the ``[tags]`` extra, and for a file that cannot be read or
    understood. A picture above ``MAX_PICTURE`` bytes, or of another type, is passed over.
    """
    try:
        from tinytag import TinyTag
    except ImportError:
        return None
    try:
        with BoundedReader(open_regular(path)[0]) as file:
            images = TinyTag.get(path, file, duration=False, image=True).images
    except Exception as error:  # whatever is wrong with a file, there is the default
        LOG.debug("no picture in %a: %r", os.path.basename(path), error)
        return None
    for data in _candidates(images):
        media_type = media_type_of(data)
        if media_type is not None and len(data) <= MAX_PICTURE:
            return Body.of(data, media_type)
    return None


def _candidates(images: Images) -> list[bytes]:
    """The bytes of all pictures, the front cover's first, then in the order of the file."""
    by_kind = images.as_dict()
    fronts = by_kind.pop("front_cover", [])
    return [each.data for each in fronts + [each for kind in by_kind.values() for each in kind]]


class BoundedReader(io.BufferedReader):
    """A file of which ``MAX_READ`` bytes can be read, all reads together; then ``ValueError``."""

    def __init__(self, file: io.FileIO) -> None:
        super().__init__(file)
        self._left = MAX_READ

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self._left
        # Asked before it is read: a length that a file claims must not become memory.
        if size > self._left:
            raise ValueError("too much to read for a picture")
        data = super().read(size)
        self._left -= len(data)
        return data


def media_type_of(data: bytes) -> str | None:
    """What the first bytes say that this is: JPEG, PNG, GIF or WebP, None for all else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def default_picture(track_id: str, name: str) -> Body:
    """An SVG: a hue for ``name``, which the tracks of an album share, a pattern for the id.

    Both are only counted, so nothing that a person wrote stands in it.
    """
    hue = _HUES[_hash(name) % len(_HUES)]
    bars = "".join(_bar(track_id, index) for index in range(_BARS))
    return Body.of(_SVG.format(hue=hue, end=hue - 32, bars=bars).encode(), "image/svg+xml", _POLICY)


def _bar(track_id: str, index: int) -> str:
    """One line of the pattern, longer towards the middle."""
    swell = math.sin((index + 1) / (_BARS + 1) * math.pi)
    chance = _hash(f"{track_id}/{index}") % 1000 / 1000
    length = 50 * (0.08 + swell * (0.15 + 0.77 * chance))
    return f"M{22 + index * 4} {50 - length / 2:.2f}v{length:.2f}"


def _hash(text: str) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in text.encode("utf-8", "replace"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
