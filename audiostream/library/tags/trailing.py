"""Where the tags at the end of an audio file begin: ID3v1, and APEv2 before it."""

from __future__ import annotations

from typing import Final

from ..bounded_file import BoundedFile
from .id3 import V1_SIZE

_APE_FOOTER: Final = 32
"""Bytes of an APEv2 footer; a header, where there is one, has as many."""
_APE_HAS_HEADER: Final = 0x80


def end_of_audio(file: BoundedFile) -> int:
    """Return the offset at which the audio ends and the tags after it begin."""
    end = file.size
    if end >= V1_SIZE and file.read_at(end - V1_SIZE, 3) == b"TAG":
        end -= V1_SIZE
    footer = file.read_at(max(end - _APE_FOOTER, 0), _APE_FOOTER)
    if footer.startswith(b"APETAGEX"):
        size = int.from_bytes(footer[12:16], "little")
        size += _APE_FOOTER if footer[23] & _APE_HAS_HEADER else 0
        end = max(end - size, 0)
    return end
