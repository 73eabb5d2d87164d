"""Durations of audio files, one module for each container: right within 5 %, or unknown.

Each module has ``read_duration(file, start)``, which returns float seconds or None; ``start`` is
where the stream begins, after any ID3v2 tags.

A header is written once, and what happens to the file afterwards is not in it: files are cut
short, joined by ``cat``, and recorded by programs that crash before they write the length. So no
header is believed that the size of the file, or places far from the header, contradict. MP3 and
ADTS without a header of their own are read through.
"""

from __future__ import annotations

from typing import Final

TOLERANCE: Final = 0.02
"""Relative difference up to which two accounts of one duration agree; well below the 5 %."""


def durations_match(one: float, other: float, slack: float = 0.0) -> bool:
    """Return whether two lengths in one unit differ by at most ``TOLERANCE`` and ``slack``."""
    return abs(one - other) <= TOLERANCE * max(one, other) + slack
