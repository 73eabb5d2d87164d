"""Durations of Ogg files, from the positions in their pages (RFC 3533)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..bounded_file import BoundedFile
from . import TOLERANCE

_PAGE_HEADER: Final = 27
"""Bytes of a page's header before its segment table, which has up to 255 (RFC 3533 §6)."""
_FIRST_PAGE: Final = 0x02
"""Flag of a logical stream's first page."""
_NO_POSITION: Final = 2**64 - 1
"""Granule position of a page on which no packet ends."""
_MAX_FIRST_POSITION: Final = 10.0
"""Seconds; a stream whose first page of audio ends later was cut at its beginning."""


@dataclass(slots=True)
class _Stream:
    """One logical stream; positions are in samples, of which the first ``skipped`` are silent."""

    rate: int
    skipped: int
    first: int | None = None
    last: int = 0

    @property
    def duration(self) -> float:
        return max(self.last - self.skipped, 0) / self.rate

    def advance(self, position: int) -> bool:
        """Note the position of a page; return False for a stream that lacks its beginning."""
        if self.first is None:
            self.first = position
            if (position - self.skipped) / self.rate > _MAX_FIRST_POSITION:
                return False
        self.last = position
        return True


def read_duration(file: BoundedFile, start: int) -> float | None:
    """Return the sum of the chained streams' durations, by the positions of their last pages."""
    audio: dict[bytes, _Stream] = {}
    total, is_beginning, reached = 0.0, True, 0
    for head, content, end in _pages(file, start):
        reached = end
        if end > file.size:
            break  # truncated, and the position of this page is that of its end
        serial, position = head[14:18], int.from_bytes(head[6:14], "little")
        if head[5] & _FIRST_PAGE:
            if not is_beginning:  # another file follows, joined or chained
                total += _longest(audio)
                audio, is_beginning = {}, True
            stream = _parse_stream(file.read_at(content, 64))
            if stream is not None:
                audio[serial] = stream
            continue
        is_beginning = False
        known = audio.get(serial)
        if known and position not in {0, _NO_POSITION} and not known.advance(position):
            return None
    return total + _longest(audio) if reached >= file.size * (1 - TOLERANCE) else None


def _longest(audio: Mapping[bytes, _Stream]) -> float:
    return max((stream.duration for stream in audio.values()), default=0.0)


def _pages(file: BoundedFile, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the header of each page, and where its content begins and ends."""
    while True:
        head = file.read_at(offset, _PAGE_HEADER + 255)
        if len(head) < _PAGE_HEADER or not head.startswith(b"OggS\0"):
            return
        content = offset + _PAGE_HEADER + head[26]
        offset = content + sum(head[_PAGE_HEADER : _PAGE_HEADER + head[26]])
        yield head, content, offset


def _parse_stream(packet: bytes) -> _Stream | None:
    """Parse the first packet of a stream; None for a stream that is not audio."""
    rate, skipped = 0, 0
    if packet.startswith(b"\x01vorbis"):
        rate = int.from_bytes(packet[12:16], "little")
    elif packet.startswith(b"OpusHead"):  # RFC 7845 §5.1: always 48 kHz, with a pre-skip
        rate, skipped = 48_000, int.from_bytes(packet[10:12], "little")
    elif packet.startswith(b"\x7fFLAC"):
        rate = int.from_bytes(packet[27:30], "big") >> 4
    elif packet.startswith(b"Speex   "):
        rate = int.from_bytes(packet[36:40], "little")
    return _Stream(rate, skipped) if rate else None
