"""Frame headers of MPEG audio and ADTS.

ISO 11172-3 §2.4.1 and ISO 13818-3 for MPEG audio, ISO 14496-3 §1.A.2 for ADTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..bounded_file import BoundedFile

FRAME_HEADER: Final = 7
"""Bytes of the header of an ADTS frame; that of MPEG audio has 4."""
FRAME_RUN: Final = 3
"""Frames that must follow each other before bytes that look like a frame are taken for one."""
_SAMPLE_RATES: Final = ((11025, 12000, 8000), None, (22050, 24000, 16000), (44100, 48000, 32000))
"""Hz, by version: 2.5, none, 2, 1."""
_BITRATES_1: Final = (
    None,
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
)
"""kbit/s of MPEG 1, by layer: none, III, II, I."""
_BITRATES_2: Final = (
    None,
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
)
"""kbit/s of MPEG 2 and 2.5, by layer."""
_ADTS_SAMPLE_RATES: Final = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050),
    *(16000, 12000, 11025, 8000, 7350),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: ``length`` in bytes, ``samples``, ``sample_rate`` in Hz.

    ``kind`` is the same in all frames of one stream; ``bitrate`` is in kbit/s, 0 in ADTS.
    """

    length: int
    samples: int
    sample_rate: int
    kind: int
    bitrate: int = 0

    @property
    def is_adts(self) -> bool:
        return not self.bitrate


def parse_frame(head: bytes) -> Frame | None:
    """Parse the frame of MPEG audio or ADTS that begins with ``head``; None if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _parse_adts(head)
    # Neither protection nor the private bit, nor anything in the last byte, changes the length.
    return _parse_mpeg(head[1] & 0xFE, head[2] & 0xFE)


def _parse_adts(head: bytes) -> Frame | None:
    rate_index = head[2] >> 2 & 0x0F
    if len(head) < FRAME_HEADER or rate_index >= len(_ADTS_SAMPLE_RATES):
        return None
    length = (head[3] & 0x03) << 11 | head[4] << 3 | head[5] >> 5
    if length < FRAME_HEADER:
        return None
    samples = 1024 * ((head[6] & 0x03) + 1)
    kind = head[1] & 0xFE | rate_index << 8
    return Frame(length, samples, _ADTS_SAMPLE_RATES[rate_index], kind)


@lru_cache(maxsize=4096)
def _parse_mpeg(second: int, third: int) -> Frame | None:
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate_index, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    rates, bitrates = _SAMPLE_RATES[version], (_BITRATES_1 if version == 3 else _BITRATES_2)[layer]
    if rates is None or bitrates is None or rate_index == 3 or bitrate_index in {0, 15}:
        return None
    rate, bitrate = rates[rate_index], bitrates[bitrate_index - 1]
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    slot = 4 if layer == 3 else 1
    length = (samples // 8 * bitrate * 1000 // rate // slot + padding) * slot
    return Frame(length, samples, rate, second | rate_index << 8, bitrate)


def find_frame(file: BoundedFile, offset: int, end: int, limit: int) -> tuple[int, Frame | None]:
    """Return the next frame that others follow, and its offset, or -1 and None.

    The frame begins at ``offset`` or later and before ``limit``; the audio ends at ``end``.
    """
    while (offset := file.find(b"\xff", offset, limit)) >= 0:
        frame = parse_frame(file.read_at(offset, FRAME_HEADER))
        if frame is not None and _is_followed(file, offset, frame, end):
            return offset, frame
        offset += 1
    return -1, None


def _is_followed(file: BoundedFile, offset: int, frame: Frame, end: int) -> bool:
    """Return whether frames of the same kind follow, or the audio ends where one of them does."""
    kind = frame.kind
    for _ in range(FRAME_RUN - 1):
        offset += frame.length
        if offset == end:
            return True
        following = parse_frame(file.read_at(offset, FRAME_HEADER))
        if following is None or following.kind != kind or offset > end:
            return False
        frame = following
    return True
