"""Durations of MPEG audio (MP3 and Layers I and II) and of AAC in ADTS.

In this order: a Xing, Info or VBRI header, a constant bitrate, and counting all frames.
"""

from __future__ import annotations

from typing import Final

from ..bounded_file import BoundedFile
from ..tags import id3
from . import TOLERANCE, durations_match, end_of_audio
from .mpeg_frame import FRAME_HEADER, FRAME_RUN, Frame, find_frame, parse_frame

_SEARCHED: Final = 1024 * 1024
"""Bytes in which the first frame must begin."""
_CHECKED_PLACES: Final = 8
"""Places at which a constant bitrate is verified; the last is the end of the file."""
_MAX_DISPLACEMENT: Final = 4.5
"""Bytes between a frame and its place by the bitrate: padding is a slot, up to 4 bytes."""


def read_duration(file: BoundedFile, start: int) -> float | None:
    """Return the duration of the frames from ``start`` on; None where there are none."""
    end = end_of_audio(file)
    first, frame = find_frame(file, start, end, min(start + _SEARCHED, end))
    if frame is None:
        return None
    if frame.is_adts:
        return _by_counting(file, first, end)
    return (
        _by_header(file, first, frame, end)
        or _by_constant_bitrate(file, first, frame, end)
        or _by_counting(file, first, end)
    )


def _by_header(file: BoundedFile, first: int, frame: Frame, end: int) -> float | None:
    """Return the duration by a Xing, Info or VBRI header that counts as many bytes as there are."""
    content = file.read_at(first, min(frame.length, 192))
    frames, size = _parse_xing(content) or _parse_vbri(content) or (0, 0)
    if not frames or not durations_match(size, end - first, slack=2 * frame.length):
        return None
    return frames * frame.samples / frame.sample_rate


def _parse_xing(content: bytes) -> tuple[int, int] | None:
    """Return the frames and the bytes that a Xing or Info header counts."""
    begin = max(content.find(b"Xing", 4, 64), content.find(b"Info", 4, 64))
    if begin < 0 or len(content) < begin + 16 or content[begin + 7] & 3 != 3:
        return None
    frames, size = content[begin + 8 : begin + 12], content[begin + 12 : begin + 16]
    return int.from_bytes(frames, "big"), int.from_bytes(size, "big")


def _parse_vbri(content: bytes) -> tuple[int, int] | None:
    """Return the frames and the bytes that a VBRI header counts."""
    if content[36:40] != b"VBRI" or len(content) < 54:
        return None
    return int.from_bytes(content[50:54], "big"), int.from_bytes(content[46:50], "big")


def _by_constant_bitrate(file: BoundedFile, first: int, frame: Frame, end: int) -> float | None:
    """Return the size over the bitrate, if all checked frames have it and lie where they should.

    Whatever lies between frames, such as the tag of a file that was appended, moves those after
    it away from the multiples of a frame's exact length.
    """
    size = end - first
    exact = frame.samples / 8 * frame.bitrate * 1000 / frame.sample_rate
    if size < _CHECKED_PLACES * FRAME_RUN * exact:
        return None
    for place in range(1, _CHECKED_PLACES + 1):
        near = first + size * place // _CHECKED_PLACES
        if place == _CHECKED_PLACES:
            near -= round(6 * exact)
        offset, found = find_frame(file, near, end, min(near + round(2 * exact) + 2, end))
        if found is None or found.kind != frame.kind or found.bitrate != frame.bitrate:
            return None
        displacement = (offset - first) % exact
        if min(displacement, exact - displacement) > _MAX_DISPLACEMENT:
            return None
    return size * 8 / (frame.bitrate * 1000)


def _by_counting(file: BoundedFile, first: int, end: int) -> float | None:
    """Return the duration of all frames; None where much of the file is not audio."""
    seconds, skipped, kind = 0.0, 0, -1
    offset = first
    while offset < end:
        frame = parse_frame(file.read_at(offset, FRAME_HEADER))
        if frame is None or frame.kind != kind:
            found, frame, tags = _resume(file, offset, end)
            if frame is None:
                skipped += end - offset - tags
                break
            skipped += found - offset - tags
            offset, kind = found, frame.kind
        offset += frame.length
        if offset <= end:
            seconds += frame.samples / frame.sample_rate
    return seconds if skipped < TOLERANCE * max(end - first, 1) else None


def _resume(file: BoundedFile, offset: int, end: int) -> tuple[int, Frame | None, int]:
    """Return the offset of the next frame, the frame, and the bytes of the tags before it."""
    begin = offset
    while offset < end and (length := _tag_length(file, offset)):
        offset = min(offset + length, end)
    return *find_frame(file, offset, end, end), offset - begin


def _tag_length(file: BoundedFile, offset: int) -> int:
    """Return the length of the ID3 tag at ``offset``, 0 without one."""
    if file.read_at(offset, 3) == b"TAG":
        return id3.V1_SIZE
    return id3.tag_length(file.read_at(offset, id3.HEADER))
