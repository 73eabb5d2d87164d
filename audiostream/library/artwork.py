"""Pictures of tracks: the one in the file, or one drawn from the track's names.

The metadata of an embedded picture is not trusted: its first bytes decide the media type, and a
picture that cannot be shown is replaced by the default.
"""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from .bounded_file import BoundedFile, FileView
from .tracks import Track

if TYPE_CHECKING:
    from tinytag import Images

MAX_PICTURE: Final = 10_000_000
"""Bytes of a picture; a larger one is passed over."""
MAX_SEARCHED: Final = 16_000_000
"""Bytes of a file that are read in search of its picture: in Ogg it is written in base64."""

# Degrees of OKLCH that stay clear, not muddy, when a gradient darkens them; the page has the same.
_HUES: Final = (10, 35, 60, 170, 190, 215, 240, 262, 288, 315, 345)
_BARS: Final = 15
"""Lines of a picture that is drawn, 4 of its 100 units apart."""
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a picture, and their media type."""

    data: bytes
    media_type: str


def picture_of(track: Track) -> Picture:
    """Return the picture in a track's file, or the default. Blocks; never raises."""
    embedded = embedded_picture(os.fspath(track.path))
    return embedded or default_picture(track.id, track.album or track.artist or track.title)


def embedded_picture(path: str) -> Picture | None:
    """Return the first picture in an audio file that can be shown, the front cover first. Blocks.

    None where there is none, without the ``[tags]`` extra, and for a file that cannot be read or
    parsed. A picture above ``MAX_PICTURE`` bytes, or of another type than browsers show, is passed
    over.
    """
    try:
        from tinytag import TinyTag
    except ImportError:
        return None
    try:
        if os.path.realpath(path) != path:
            raise OSError("a symbolic link leads to it")
        # The clock of this thread: others of the server's process compute at the same time.
        with BoundedFile(path, clock=time.thread_time) as file:
            view = cast(BinaryIO, FileView(file, max_bytes=MAX_SEARCHED))
            images = TinyTag.get(path, view, duration=False, image=True).images
    except Exception as error:  # whatever is wrong with a file, the default is shown
        _log.debug("no picture in %a: %r", os.path.basename(path), error)
        return None
    for data in _candidates(images):
        media_type = image_type(data)
        if media_type is not None and len(data) <= MAX_PICTURE:
            return Picture(data, media_type)
    return None


def _candidates(images: Images) -> list[bytes]:
    """Return the bytes of all pictures, the front cover's first, then in the order of the file."""
    by_kind = images.as_dict()
    fronts = by_kind.pop("front_cover", [])
    return [each.data for each in fronts + [each for kind in by_kind.values() for each in kind]]


def image_type(data: bytes) -> str | None:
    """Return the media type of a JPEG, PNG, GIF or WebP by its first bytes, None for all else."""
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
    """Return an SVG with a hue for ``name``, as of the album, and a pattern for the track's id.

    Both are only hashed, so no text that a person wrote is in it.
    """
    hue = _HUES[_hash(name) % len(_HUES)]
    bars = "".join(_bar(track_id, index) for index in range(_BARS))
    return Picture(_SVG.format(hue=hue, end=hue - 32, bars=bars).encode(), "image/svg+xml")


def _bar(track_id: str, index: int) -> str:
    """Return the path of one line of the pattern, longer towards the middle."""
    swell = math.sin((index + 1) / (_BARS + 1) * math.pi)
    chance = _hash(f"{track_id}/{index}") % 1000 / 1000
    length = 50 * (0.08 + swell * (0.15 + 0.77 * chance))
    return f"M{22 + index * 4} {50 - length / 2:.2f}v{length:.2f}"


def _hash(text: str) -> int:
    """Return the 32-bit FNV-1a hash, which the page computes too."""
    value = 0x811C9DC5
    for byte in text.encode("utf-8", "replace"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
