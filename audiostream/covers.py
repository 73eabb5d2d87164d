"""The picture of a track: the one in its file, or one drawn from its names.

Here: the route, finding the picture in a file, telling what it is, drawing the default. Not here:
who may ask and opening a file (``streaming``), which file a track is (``library``).

A file is opened when its picture is asked for and at no other time. What it says of its picture is
not believed: the bytes decide the type, and whatever is wrong with them ends in the default.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import math
import os
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from .keys import FILES, LIBRARY, WALL_CLOCK
from .library import Track
from .streaming import NotModified, Validators, decide, listener_of, open_regular

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
    "Vary": "Origin, Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
}
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"

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


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture and their media type."""

    data: bytes
    media_type: str


async def cover(request: web.Request) -> web.Response:
    """``GET``, ``HEAD /tracks/cover/{id}``: the picture in the file, or the default.

    For those who may hear the track. Raises ``Unauthorized`` and, in the same words for unknown
    and for others' tracks, ``TrackNotFound``.
    """
    track_id = request.match_info["id"]
    track = request.app[LIBRARY].find(track_id, listener_of(request, track_id))
    found, etag = await asyncio.get_running_loop().run_in_executor(
        request.app[FILES], _picture_of, track
    )
    headers = {**_HEADERS, "ETag": etag}
    # The picture has no date of its own: only its entity tag is compared.
    known = ", ".join(request.headers.getall("If-None-Match", ()))
    fields = {"If-None-Match": known} if known else {}
    now = request.app[WALL_CLOCK]()
    decision = decide("HEAD", fields, Validators(etag, 0), len(found.data), now)
    if isinstance(decision, NotModified):
        return web.Response(status=decision.status, headers=headers)
    if found.media_type == "image/svg+xml":
        headers["Content-Security-Policy"] = _POLICY
    return web.Response(body=found.data, content_type=found.media_type, headers=headers)


def _picture_of(track: Track) -> tuple[Picture, str]:
    """A track's picture and its strong entity tag. Blocks; never raises."""
    found = embedded_picture(os.fspath(track.path))
    if found is None:
        found = default_picture(track.id, track.album or track.artist or track.title)
    return found, f'"{hashlib.sha256(found.data).hexdigest()[:32]}"'


def embedded_picture(path: str) -> Picture | None:
    """The picture in an audio file; None where there is none that can be shown. Blocks.

    None also without the ``[tags]`` extra, for a picture above ``MAX_PICTURE`` bytes, and for a
    file that cannot be read or understood.
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
    data = b"" if images.any is None else images.any.data
    media_type = media_type_of(data)
    if media_type is None or len(data) > MAX_PICTURE:
        return None
    return Picture(data, media_type)


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


def default_picture(track_id: str, name: str) -> Picture:
    """An SVG: a hue for ``name``, which the tracks of an album share, a pattern for the id.

    Both are only counted, so nothing that a person wrote stands in it.
    """
    hue = _HUES[_hash(name) % len(_HUES)]
    bars = "".join(_bar(track_id, index) for index in range(_BARS))
    return Picture(_SVG.format(hue=hue, end=hue - 32, bars=bars).encode(), "image/svg+xml")


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
