"""Tags: what an audio file says of itself, in the form in which the library keeps it.

Here: the values, and what makes a text, a number or a duration one that can be kept. Not here:
reading a file (``tags_worker``), the process that does it (``tag_reader``), and what the library
makes of tags (``library``).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and the halves of names that are not Unicode."""
MAX_TEXT = 1024
MAX_NUMBER = 999_999
"""The largest disc or track number; a larger one is a mistake or a date."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says of itself. ``duration`` is in seconds; None is unknown."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None

    def is_sound(self) -> bool:
        """Whether every value is of its type and as this module cleans it."""
        texts = (self.title, self.artist, self.album, self.album_artist)
        numbers = (self.disc, self.track_number)
        return (
            all(text is None or (isinstance(text, str) and cleaned(text) == text) for text in texts)
            and all(
                number is None or (type(number) is int and counted(number) == number)
                for number in numbers
            )
            and (
                self.duration is None
                or (isinstance(self.duration, float) and seconds(self.duration) == self.duration)
            )
        )


def cleaned(text: str | None) -> str | None:
    """A text on one line, without control characters, at most ``MAX_TEXT`` characters."""
    return " ".join(CONTROLS.sub(" ", text or "").split())[:MAX_TEXT] or None


def seconds(number: float | None) -> float | None:
    """A duration in seconds to the millisecond; None for what can be none."""
    try:
        value = float(number or 0)
    except OverflowError:
        return None
    return (round(value, 3) or None) if math.isfinite(value) and value > 0 else None


def counted(number: int | None) -> int | None:
    """A disc or track number; None for what can be none."""
    return number if number is not None and 0 < number <= MAX_NUMBER else None
