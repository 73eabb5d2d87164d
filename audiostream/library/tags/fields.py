"""``Tags``, the fields that the library keeps of a file's tags, and how values are cleaned."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators, and surrogates, which stand for bytes that are not UTF-8."""
MAX_TEXT_LENGTH: Final = 1024
"""Characters of a title or a name; a longer one is cut, so that a list of tracks stays small."""
MAX_NUMBER: Final = 999_999
"""The largest disc or track number; a larger one is a mistake or a date."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a file. ``duration`` is in float seconds; None is unknown."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None

    def is_valid(self) -> bool:
        """Return whether every value is of its type and as the functions below return it.

        For values that come from another process or from the state file.
        """
        texts = (self.title, self.artist, self.album, self.album_artist)
        numbers = (self.disc, self.track_number)
        duration = self.duration
        return (
            all(
                text is None or (isinstance(text, str) and clean_text(text) == text)
                for text in texts
            )
            and all(n is None or (type(n) is int and clean_number(n) == n) for n in numbers)
            and (
                duration is None
                or (isinstance(duration, float) and clean_duration(duration) == duration)
            )
        )


def clean_text(text: str | None) -> str | None:
    """Return a text on one line, cut to ``MAX_TEXT_LENGTH``; None for a blank one."""
    return " ".join(CONTROL_CHARACTERS.sub(" ", text or "").split())[:MAX_TEXT_LENGTH] or None


def clean_duration(number: float | None) -> float | None:
    """Return a duration in seconds, rounded to milliseconds; None unless it is positive."""
    try:
        value = float(number or 0)
    except OverflowError:
        return None
    return (round(value, 3) or None) if math.isfinite(value) and value > 0 else None


def clean_number(number: int | None) -> int | None:
    """Return a disc or track number; None unless it is between 1 and ``MAX_NUMBER``."""
    return number if number is not None and 0 < number <= MAX_NUMBER else None
