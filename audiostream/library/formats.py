"""File formats: which suffixes make a file a track, and the media type it is sent with.

Here: the one table of suffixes. Not here: sending a file (``streaming``), finding files
(``library``), what is inside a file (``tags_worker``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

AUDIO_TYPES: Final[Mapping[str, str]] = {
    ".aac": "audio/aac",
    ".adts": "audio/aac",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".m4r": "audio/mp4",
    ".f4a": "audio/mp4",
    ".f4b": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".mpga": "audio/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg; codecs=opus",
    ".wav": "audio/wav",
    ".wave": "audio/wav",
    ".bwf": "audio/wav",
    ".weba": "audio/webm",
    ".webm": "audio/webm",
}
"""Media type by lower-case file suffix. Files with one of these suffixes are tracks."""

OTHER_AUDIO: Final = frozenset(
    {
        ".3ga",
        ".aa",
        ".aax",
        ".aaxc",
        ".ac3",
        ".aif",
        ".aifc",
        ".aiff",
        ".alac",
        ".amr",
        ".ape",
        ".au",
        ".awb",
        ".caf",
        ".dff",
        ".dsf",
        ".dts",
        ".eac3",
        ".gsm",
        ".m4p",
        ".mid",
        ".midi",
        ".mka",
        ".mp1",
        ".mp2",
        ".mpa",
        ".mpc",
        ".ofr",
        ".ra",
        ".rf64",
        ".shn",
        ".snd",
        ".spx",
        ".tak",
        ".tta",
        ".voc",
        ".w64",
        ".wma",
        ".wv",
    }
)
"""Suffixes of audio that browsers do not play, or that is encrypted: reported, never tracks."""


def suffix_of(name: str) -> str:
    """The suffix of a file name as the tables above spell it."""
    base, _, suffix = os.path.basename(name).rpartition(".")
    return f".{suffix.lower()}" if base else ""  # "...And Justice.mp3" has one, ".mp3" has none


@lru_cache(maxsize=1024)
def media_type(path: str) -> str:
    """The media type of a file, by its suffix."""
    return AUDIO_TYPES.get(suffix_of(path), "application/octet-stream")
