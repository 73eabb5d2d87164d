"""Durations of FLAC files, from STREAMINFO and the frames (RFC 9639)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..bounded_file import BoundedFile
from . import durations_match, end_of_audio

_STREAM_INFO: Final = 42
"""Bytes of the signature, the block header and STREAMINFO (§8.1, §8.2)."""
_SYNC: Final = re.compile(rb"\xff[\xf8\xf9]")
_FRAME_HEADER: Final = 16
"""Bytes of the longest frame header."""
_BLOCK_SIZES: Final = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << power for power in range(8)))
"""Samples of a block by its code (§9.1.1); codes 6 and 7 stand for a number after the position."""
_CHECKED_PARTS: Final = (0.25, 0.45, 0.7)
"""Parts of the file before which a frame is read: in joined files their positions do not grow."""
_SEARCHED: Final = 64 * 1024
"""Bytes that are searched for a frame."""


def read_duration(file: BoundedFile, start: int) -> float | None:
    """Return the samples in STREAMINFO over the rate, if the last frame agrees with them."""
    info = file.read_at(start, _STREAM_INFO)
    if len(info) < _STREAM_INFO or info[4] & 0x7F:
        return None
    block = int.from_bytes(info[8:10], "big")
    rate = int.from_bytes(info[18:21], "big") >> 4
    samples = int.from_bytes(info[21:26], "big") & (1 << 36) - 1
    if not rate or not samples:
        return None
    end = end_of_audio(file)
    last = _last_position(file, end, block)
    if last is None or not durations_match(last, samples, slack=block):
        return None
    positions = [*_checked_positions(file, start, end, block), last]
    return samples / rate if positions == sorted(positions) else None


def _checked_positions(file: BoundedFile, start: int, end: int, block: int) -> Iterator[int]:
    """Yield the positions of frames in the middle; none for a part inside a large picture."""
    for part in _CHECKED_PARTS:
        position = _last_position(file, start + round((end - start) * part), block)
        if position is not None:
            yield position


def _last_position(file: BoundedFile, end: int, block: int) -> int | None:
    """Return the samples up to the end of the last frame that begins shortly before ``end``."""
    begin = max(end - _SEARCHED, 0)
    data = file.read_at(begin, end - begin)
    for match in reversed(list(_SYNC.finditer(data))):
        position = _frame_end(data[match.start() : match.start() + _FRAME_HEADER], block)
        if position is not None:
            return position
    return None


def _frame_end(head: bytes, block: int) -> int | None:
    """Return the samples up to the end of the frame with this header; None if it is not one."""
    if len(head) < 6 or head[3] & 0x01 or not head[2] >> 4:
        return None
    number = _coded_number(head)
    if number is None:
        return None
    value, at = number
    block_code, rate_code = head[2] >> 4, head[2] & 0x0F
    size = _BLOCK_SIZES[block_code]
    if block_code in {6, 7}:
        size = int.from_bytes(head[at : at + block_code - 5], "big") + 1
        at += block_code - 5
    at += 1 if rate_code == 12 else 2 if rate_code in {13, 14} else 0
    if at >= len(head) or _crc_8(head[:at]) != head[at]:
        return None
    return value + size if head[1] & 1 else value * block + size


def _coded_number(head: bytes) -> tuple[int, int] | None:
    """Return the number coded like UTF-8 in up to 7 bytes (§9.1.5), and the offset behind it."""
    first = head[4]
    if first < 0x80:
        return first, 5
    length = 8 - (first ^ 0xFF).bit_length()
    rest = head[5 : 4 + length]
    if not 2 <= length <= 7 or len(rest) < length - 1 or any(byte >> 6 != 2 for byte in rest):
        return None
    value = first & (0x7F >> length)
    for byte in rest:
        value = value << 6 | byte & 0x3F
    return value, 4 + length


def _crc_8(data: bytes) -> int:
    """Return the CRC of a frame header, polynomial x^8 + x^2 + x + 1 (§9.1.8)."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value
