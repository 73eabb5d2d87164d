"""Durations of WAV files, from the size of their audio (RIFF)."""

from __future__ import annotations

from typing import Final

from ..bounded_file import BoundedFile
from ..tags.riff import chunks

_UNCOMPRESSED: Final = {0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE}
"""Format tags of PCM, floating point, A-law and mu-law, and WAVE_FORMAT_EXTENSIBLE."""


def read_duration(file: BoundedFile, start: int) -> float | None:
    """Return the bytes of audio in the file, divided by the rate that the format chunk names."""
    byte_rate = 0
    for chunk in chunks(file, start):
        if chunk.name == b"fmt ":
            byte_rate = _byte_rate(file.read_at(chunk.begin, 16))
        elif chunk.name == b"data" and byte_rate:
            return (min(chunk.end, file.size) - chunk.begin) / byte_rate
    return None


def _byte_rate(content: bytes) -> int:
    """Return bytes per second, 0 where they cannot be known."""
    if len(content) < 16:
        return 0
    # The average in the header is wrong in ADPCM files of some programs; these have no duration.
    if int.from_bytes(content[:2], "little") not in _UNCOMPRESSED:
        return 0
    return int.from_bytes(content[4:8], "little") * int.from_bytes(content[12:14], "little")
