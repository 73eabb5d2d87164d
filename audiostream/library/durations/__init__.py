"""Durations of audio files, one module for each container: right within 5 %, or unknown.

Each module has ``read_duration(file, start)``, which returns float seconds or None; ``start`` is
where the stream begins, after any ID3v2 tags.

A header is written once, and what happens to the file afterwards is not in it: files are cut
short, joined by ``cat``, and recorded by programs that crash before they write the length. So no
header is used that the size of the file, or places far from the header, contradict. MP3 and
ADTS without a header of their own are read through.
"""

from __future__ import annotations

from typing import Final

from ..bounded_file import BoundedFile
from ..tags.id3 import V1_SIZE

TOLERANCE: Final = 0.02
"""Relative difference up to which two accounts of one duration agree; well below the 5 %."""
_APE_FOOTER: Final = 32
"""Bytes of an APEv2 footer; a header, where there is one, has as many."""
_APE_HAS_HEADER: Final = 0x80
"""In the last byte of the flags of an APEv2 footer."""


def durations_match(one: float, other: float, slack: float = 0.0) -> bool:
    """Return whether two lengths in one unit differ by at most ``TOLERANCE`` and ``slack``."""
    return abs(one - other) <= TOLERANCE * max(one, other) + slack


def end_of_audio(file: BoundedFile) -> int:
    """Return the offset behind the audio, where an APEv2 and an ID3v1 tag may follow."""
    end = file.size
    if end >= V1_SIZE and file.read_at(end - V1_SIZE, 3) == b"TAG":
        end -= V1_SIZE
    footer = file.read_at(max(end - _APE_FOOTER, 0), _APE_FOOTER)
    if footer.startswith(b"APETAGEX"):
        size = int.from_bytes(footer[12:16], "little")
        size += _APE_FOOTER if footer[23] & _APE_HAS_HEADER else 0
        end = max(end - size, 0)
    return end
