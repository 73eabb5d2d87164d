"""The audio formats: one table, on which all else depends that differs between formats.

To add a format, add a row to ``FORMATS``, and a module to ``durations`` if its duration is to be
known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .bounded_file import BoundedFile
from .durations import flac, mp4, mpeg, ogg, wav
from .tags import id3, riff


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """A container format.

    ``media_types`` has the media type of each suffix, in lower case, that makes a file a track.
    ``signature`` has the bytes at which a file is recognised, by their offsets: what is in a file
    counts, not its suffix. ``read_duration`` returns float seconds or None, and ``read_tags`` the
    fields that it finds; both get the file and the offset behind the ID3v2 tags that it begins
    with. ``uses_tinytag`` is whether tinytag is asked for further fields.
    """

    media_types: Mapping[str, str]
    signature: Mapping[int, bytes]
    read_duration: Callable[[BoundedFile, int], float | None] | None = None
    read_tags: Callable[[BoundedFile, int], id3.Fields] | None = None
    uses_tinytag: bool = False

    def matches(self, head: bytes) -> bool:
        """Return whether a file that begins with ``head`` is of this format."""
        return all(head.startswith(part, offset) for offset, part in self.signature.items())


FORMATS: Final = (
    AudioFormat(
        media_types={".flac": "audio/flac"},
        signature={0: b"fLaC"},
        read_duration=flac.read_duration,
        uses_tinytag=True,
    ),
    AudioFormat(
        media_types={
            ".oga": "audio/ogg",
            ".ogg": "audio/ogg",
            ".opus": "audio/ogg; codecs=opus",
        },
        signature={0: b"OggS"},
        read_duration=ogg.read_duration,
        uses_tinytag=True,
    ),
    AudioFormat(
        media_types=dict.fromkeys((".m4a", ".m4b", ".m4r", ".f4a", ".f4b"), "audio/mp4"),
        signature={4: b"ftyp"},
        read_duration=mp4.read_duration,
        uses_tinytag=True,
    ),
    AudioFormat(
        media_types=dict.fromkeys((".wav", ".wave", ".bwf"), "audio/wav"),
        signature={0: b"RIFF", 8: b"WAVE"},
        read_duration=wav.read_duration,
        read_tags=riff.read_id3,
        uses_tinytag=True,
    ),
    AudioFormat(
        media_types=dict.fromkeys((".weba", ".webm"), "audio/webm"),
        signature={0: b"\x1aE\xdf\xa3"},
        read_tags=id3.read_v1,
    ),
    AudioFormat(
        media_types={
            ".aac": "audio/aac",
            ".adts": "audio/aac",
            ".mp3": "audio/mpeg",
            ".mpga": "audio/mpeg",
        },
        signature={},  # frames may begin anywhere, so this row is the last and matches every file
        read_duration=mpeg.read_duration,
        read_tags=id3.read_v1,
    ),
)
"""Formats that browsers play, in the order in which their signatures are compared."""

AUDIO_TYPES: Final[Mapping[str, str]] = {
    suffix: media_type for row in FORMATS for suffix, media_type in row.media_types.items()
}
"""Media type by lower-case suffix. Files with one of these suffixes are tracks."""

UNSUPPORTED_SUFFIXES: Final = frozenset(
    (
        *(".3ga", ".aa", ".aax", ".aaxc", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".amr"),
        *(".ape", ".au", ".awb", ".caf", ".dff", ".dsf", ".dts", ".eac3", ".gsm", ".m4p"),
        *(".mid", ".midi", ".mka", ".mp1", ".mp2", ".mpa", ".mpc", ".ofr", ".ra", ".rf64"),
        *(".shn", ".snd", ".spx", ".tak", ".tta", ".voc", ".w64", ".wma", ".wv"),
    )
)
"""Suffixes of audio that browsers do not play, or that is encrypted: reported, never tracks."""


def detect_format(head: bytes) -> AudioFormat:
    """Return the format of a file by its first 12 bytes after any ID3v2 tags."""
    return next(row for row in FORMATS if row.matches(head))


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case; "" for ``.mp3``, which has none."""
    base, _, suffix = os.path.basename(name).rpartition(".")
    return f".{suffix.lower()}" if base else ""  # "...And Justice.mp3" has one


@lru_cache(maxsize=1024)
def media_type(path: str) -> str:
    """Return the media type of a file by its suffix."""
    return AUDIO_TYPES.get(suffix_of(path), "application/octet-stream")
