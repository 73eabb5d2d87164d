"""Durations of MP4 files, from the movie header (ISO 14496-12)."""

from __future__ import annotations

from collections.abc import Iterator

from ..bounded_file import BoundedFile


def read_duration(file: BoundedFile, start: int) -> float | None:
    """Return the duration in the movie header; None for a truncated or fragmented file."""
    duration = None
    for name, begin, end in _boxes(file, start, file.size):
        if end > file.size or name == b"moof":
            return None
        if name == b"moov" and duration is None:
            duration = _movie_duration(file, begin, end)
    return duration


def _boxes(file: BoundedFile, offset: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each box, and where its content begins and ends."""
    while offset + 8 <= end:
        head = file.read_at(offset, 16)
        size, begin = int.from_bytes(head[:4], "big"), offset + 8
        if size == 1:  # the size is in the 8 bytes that follow
            size, begin = int.from_bytes(head[8:16], "big"), offset + 16
        elif size == 0:  # the box ends with the file
            size = end - offset
        if offset + size < begin:
            return
        yield head[4:8], begin, offset + size
        offset += size


def _movie_duration(file: BoundedFile, offset: int, end: int) -> float | None:
    for name, begin, _ in _boxes(file, offset, end):
        if name == b"mvhd":
            content = file.read_at(begin, 32)
            width, at = (8, 20) if content[:1] == b"\1" else (4, 12)
            scale = int.from_bytes(content[at : at + 4], "big")
            units = content[at + 4 : at + 4 + width]
            is_unknown = units == b"\xff" * width
            return None if is_unknown or not scale else int.from_bytes(units, "big") / scale
    return None
