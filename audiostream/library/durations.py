"""Durations of audio files, read from the files themselves: right within 5 %, or unknown.

Here: for each container, where its duration stands and whether the rest of the file agrees with
it. Not here: tags (``id3``, ``tags_worker``), and the bounds of reading (``bounded_file``).

A header is written once, and what becomes of the file afterwards is not in it: files are cut short,
joined by ``cat``, and recorded by programs that never came back to write how long it took. So no
header is believed that the size, or places far from it, contradict; MP3 and ADTS without a header
of their own are read through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from . import id3
from .bounded_file import BoundedFile

TOLERANCE: Final = 0.02
"""The part by which two accounts of one duration may differ."""


def of_mpeg(file: BoundedFile, start: int) -> float | None:
    """Of MP3, also of MPEG Layer I and II, and of AAC in ADTS, from ``start`` on."""
    end = _end_of_audio(file)
    first = _first_frame(file, start, end)
    if first is None:
        return None
    if first.frame.is_adts:
        return _counted(file, first.offset, end)
    return (
        _by_header(file, first, end)
        or _by_constant_bitrate(file, first, end)
        or _counted(file, first.offset, end)
    )


# MPEG audio frames (ISO 11172-3 section 2.4.1, ISO 13818-3; ADTS: ISO 14496-3 section 1.A.2)


@dataclass(frozen=True, slots=True)
class _Frame:
    """``kind`` is the same in all frames of one stream; ``bitrate`` is in kbit/s, 0 in ADTS."""

    length: int
    samples: int
    rate: int
    kind: int
    bitrate: int = 0

    @property
    def is_adts(self) -> bool:
        return not self.bitrate


@dataclass(frozen=True, slots=True)
class _Found:
    offset: int
    frame: _Frame


_FRAME_HEADER: Final = 7
"""Bytes; that of MPEG audio has 4."""
_RATES: Final = ((11025, 12000, 8000), None, (22050, 24000, 16000), (44100, 48000, 32000))
"""By version: 2.5, none, 2, 1."""
_BITRATES_1: Final = (
    None,
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
)
"""By layer: none, III, II, I."""
_BITRATES_2: Final = (
    None,
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
)
_ADTS_RATES: Final = (
    *(96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050),
    *(16000, 12000, 11025, 8000, 7350),
)
_SEARCHED: Final = 1024 * 1024
"""Bytes in which the first frame must lie."""
_RUN: Final = 3
"""Frames that must follow each other before bytes that look like one are believed to be one."""
_PLACES: Final = 8
"""Places at which a constant bitrate is verified, and the end."""
_APE_FOOTER: Final = 32


def _frame(head: bytes) -> _Frame | None:
    """The frame of MPEG audio or ADTS that begins with these bytes."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return _adts_frame(head)
    # Neither protection nor the private bit, nor anything in the last byte, is about lengths.
    return _mpeg_frame(head[1] & 0xFE, head[2] & 0xFE)


def _adts_frame(head: bytes) -> _Frame | None:
    rate_index = head[2] >> 2 & 0x0F
    if len(head) < _FRAME_HEADER or rate_index >= len(_ADTS_RATES):
        return None
    length = (head[3] & 0x03) << 11 | head[4] << 3 | head[5] >> 5
    if length < _FRAME_HEADER:
        return None
    samples = 1024 * ((head[6] & 0x03) + 1)
    return _Frame(length, samples, _ADTS_RATES[rate_index], head[1] & 0xFE | rate_index << 8)


@lru_cache(maxsize=4096)
def _mpeg_frame(second: int, third: int) -> _Frame | None:
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate_index, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    rates, bitrates = _RATES[version], (_BITRATES_1 if version == 3 else _BITRATES_2)[layer]
    if rates is None or bitrates is None or rate_index == 3 or bitrate_index in {0, 15}:
        return None
    rate, bitrate = rates[rate_index], bitrates[bitrate_index - 1]
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    slot = 4 if layer == 3 else 1
    length = (samples // 8 * bitrate * 1000 // rate // slot + padding) * slot
    return _Frame(length, samples, rate, second | rate_index << 8, bitrate)


def _end_of_audio(file: BoundedFile) -> int:
    """Where the tags at the end of a file begin: ID3v1, and APEv2 before it."""
    end = file.size
    if end >= id3.V1_SIZE and file.at(end - id3.V1_SIZE, 3) == b"TAG":
        end -= id3.V1_SIZE
    footer = file.at(max(end - _APE_FOOTER, 0), _APE_FOOTER)
    if footer.startswith(b"APETAGEX"):
        size = int.from_bytes(footer[12:16], "little") + (_APE_FOOTER if footer[23] & 0x80 else 0)
        end = max(end - size, 0)
    return end


def _first_frame(file: BoundedFile, start: int, end: int) -> _Found | None:
    return _next_frame(file, start, end, min(start + _SEARCHED, end))


def _next_frame(file: BoundedFile, offset: int, end: int, limit: int) -> _Found | None:
    """The next frame that others follow, from ``offset`` on and before ``limit``."""
    while (offset := file.find(b"\xff", offset, limit)) >= 0:
        frame = _frame(file.at(offset, _FRAME_HEADER))
        if frame is not None and _is_followed(file, offset, frame, end):
            return _Found(offset, frame)
        offset += 1
    return None


def _is_followed(file: BoundedFile, offset: int, frame: _Frame, end: int) -> bool:
    """Whether frames of the same kind follow, or the audio ends where one of them does."""
    kind = frame.kind
    for _ in range(_RUN - 1):
        offset += frame.length
        if offset == end:
            return True
        following = _frame(file.at(offset, _FRAME_HEADER))
        if following is None or following.kind != kind or offset > end:
            return False
        frame = following
    return True


def _by_header(file: BoundedFile, first: _Found, end: int) -> float | None:
    """What a Xing, Info or VBRI header says, if it counts as many bytes as there are."""
    frame = first.frame
    content = file.at(first.offset, min(frame.length, 192))
    frames, size = _xing(content) or _vbri(content) or (0, 0)
    there = end - first.offset
    if not frames or not _agree(size, there, slack=2 * frame.length):
        return None
    return frames * frame.samples / frame.rate


def _xing(content: bytes) -> tuple[int, int] | None:
    begin = max(content.find(b"Xing", 4, 64), content.find(b"Info", 4, 64))
    if begin < 0 or len(content) < begin + 16 or content[begin + 7] & 3 != 3:
        return None
    return int.from_bytes(content[begin + 8 : begin + 12], "big"), int.from_bytes(
        content[begin + 12 : begin + 16], "big"
    )


def _vbri(content: bytes) -> tuple[int, int] | None:
    if content[36:40] != b"VBRI" or len(content) < 54:
        return None
    return int.from_bytes(content[50:54], "big"), int.from_bytes(content[46:50], "big")


def _by_constant_bitrate(file: BoundedFile, first: _Found, end: int) -> float | None:
    """The size over the bitrate, if all frames looked at have it and lie where they should.

    Whatever lies between frames, such as the tag of a file that was appended, moves those after
    it away from the places that multiples of a frame's exact length lead to.
    """
    frame, size = first.frame, end - first.offset
    exact = frame.samples / 8 * frame.bitrate * 1000 / frame.rate
    if size < _PLACES * _RUN * exact:
        return None
    for place in range(1, _PLACES + 1):
        near = (
            first.offset + size * place // _PLACES - (round(6 * exact) if place == _PLACES else 0)
        )
        found = _next_frame(file, near, end, min(near + round(2 * exact) + 2, end))
        if found is None or found.frame.kind != frame.kind or found.frame.bitrate != frame.bitrate:
            return None
        beside = (found.offset - first.offset) % exact
        if min(beside, exact - beside) > 4.5:
            return None
    return size * 8 / (frame.bitrate * 1000)


def _counted(file: BoundedFile, offset: int, end: int) -> float | None:
    """All frames read through; None where much of the file is something else."""
    seconds, skipped, kind = 0.0, 0, -1
    begin = offset
    while offset < end:
        frame = _frame(file.at(offset, _FRAME_HEADER))
        if frame is None or frame.kind != kind:
            found, tags = _resumed(file, offset, end)
            if found is None:
                skipped += end - offset - tags
                break
            skipped += found.offset - offset - tags
            offset, frame, kind = found.offset, found.frame, found.frame.kind
        offset += frame.length
        if offset <= end:
            seconds += frame.samples / frame.rate
    return seconds if skipped < TOLERANCE * max(end - begin, 1) else None


def _resumed(file: BoundedFile, offset: int, end: int) -> tuple[_Found | None, int]:
    """The next frame, and the bytes of the tags before it."""
    tags = 0
    while True:
        length = id3.tag_length(file.at(offset, id3.HEADER))
        if not length and file.at(offset, 3) == b"TAG":
            length = id3.V1_SIZE
        if not length:
            return _next_frame(file, offset, end, end), tags
        length = min(length, end - offset)
        offset, tags = offset + length, tags + length


def _agree(one: float, other: float, slack: float = 0.0) -> bool:
    return abs(one - other) <= TOLERANCE * max(one, other) + slack


# MP4 (ISO 14496-12)


def of_mp4(file: BoundedFile) -> float | None:
    """Of the movie header, where all of the file is there and it is not in fragments."""
    duration = None
    for name, begin, end in _boxes(file, 0, file.size):
        if end > file.size or name == b"moof":
            return None
        if name == b"moov" and duration is None:
            duration = _of_movie(file, begin, end)
    return duration


def _boxes(file: BoundedFile, offset: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The name of each box, and where its content begins and ends."""
    while offset + 8 <= end:
        head = file.at(offset, 16)
        size, begin = int.from_bytes(head[:4], "big"), offset + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), offset + 16
        elif size == 0:
            size = end - offset
        if offset + size < begin:
            return
        yield head[4:8], begin, offset + size
        offset += size


def _of_movie(file: BoundedFile, offset: int, end: int) -> float | None:
    for name, begin, _ in _boxes(file, offset, end):
        if name == b"mvhd":
            content = file.at(begin, 32)
            width, at = (8, 20) if content[:1] == b"\1" else (4, 12)
            scale = int.from_bytes(content[at : at + 4], "big")
            units = content[at + 4 : at + 4 + width]
            is_unknown = units == b"\xff" * width
            return None if is_unknown or not scale else int.from_bytes(units, "big") / scale
    return None


# Ogg (RFC 3533)

_PAGE: Final = 27
"""Bytes of a page's header before its table of segments."""
_NO_POSITION: Final = 2**64 - 1
_LATE: Final = 10.0
"""Seconds; a stream whose first page ends later did not begin at its beginning."""


@dataclass(slots=True)
class _OggStream:
    rate: int
    skipped: int
    first: int | None = None
    last: int = 0

    @property
    def seconds(self) -> float:
        return max(self.last - self.skipped, 0) / self.rate


def of_ogg(file: BoundedFile) -> float | None:
    """The positions of the last pages of each chained stream, together."""
    audio: dict[bytes, _OggStream] = {}
    total, is_beginning, reached = 0.0, True, 0
    for head, content, end in _pages(file):
        reached = end
        if end > file.size:
            break  # cut short, and its position is that of its end
        serial, position = head[14:18], int.from_bytes(head[6:14], "little")
        if head[5] & 0x02:
            if not is_beginning:  # another file follows, joined or chained
                total += _longest(audio)
                audio, is_beginning = {}, True
            stream = _ogg_stream(file.at(content, 64))
            if stream is not None:
                audio[serial] = stream
            continue
        is_beginning = False
        stream = audio.get(serial)
        if stream is None or position in {0, _NO_POSITION}:
            continue
        if stream.first is None:
            stream.first = position
            if (position - stream.skipped) / stream.rate > _LATE:
                return None
        stream.last = position
    return total + _longest(audio) if reached >= file.size * (1 - TOLERANCE) else None


def _longest(audio: Mapping[bytes, _OggStream]) -> float:
    return max((stream.seconds for stream in audio.values()), default=0.0)


def _pages(file: BoundedFile) -> Iterator[tuple[bytes, int, int]]:
    """The header of each page, and where its content begins and ends."""
    offset = 0
    while len(head := file.at(offset, _PAGE + 255)) >= _PAGE and head.startswith(b"OggS\0"):
        content = offset + _PAGE + head[26]
        offset = content + sum(head[_PAGE : _PAGE + head[26]])
        yield head, content, offset


def _ogg_stream(packet: bytes) -> _OggStream | None:
    """What a stream's first packet says of its positions; None of what is no audio."""
    rate, skipped = 0, 0
    if packet.startswith(b"\x01vorbis"):
        rate = int.from_bytes(packet[12:16], "little")
    elif packet.startswith(b"OpusHead"):
        rate, skipped = 48_000, int.from_bytes(packet[10:12], "little")
    elif packet.startswith(b"\x7fFLAC"):
        rate = int.from_bytes(packet[27:30], "big") >> 4
    elif packet.startswith(b"Speex   "):
        rate = int.from_bytes(packet[36:40], "little")
    return _OggStream(rate, skipped) if rate else None


# WAV (RIFF)

_UNCOMPRESSED: Final = {0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE}
"""PCM, floating point, A-law and mu-law, and any of these under its longer name."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """``end`` is where the content would end if the file were whole."""

    name: bytes
    begin: int
    end: int


def chunks(file: BoundedFile) -> Iterator[Chunk]:
    """The chunks of a RIFF file."""
    offset = 12
    while len(head := file.at(offset, 8)) == 8:
        size = int.from_bytes(head[4:], "little")
        yield Chunk(head[:4], offset + 8, offset + 8 + size)
        offset += 8 + size + size % 2


def of_wav(file: BoundedFile) -> float | None:
    """The audio that is there at the rate that the format chunk names."""
    bytes_a_second = 0
    for chunk in chunks(file):
        if chunk.name == b"fmt ":
            bytes_a_second = _bytes_a_second(file.at(chunk.begin, 16))
        elif chunk.name == b"data" and bytes_a_second:
            return (min(chunk.end, file.size) - chunk.begin) / bytes_a_second
    return None


def _bytes_a_second(content: bytes) -> int:
    if len(content) < 16:
        return 0
    # The average in the header is wrong in ADPCM files of some programs; these have no duration.
    if int.from_bytes(content[:2], "little") not in _UNCOMPRESSED:
        return 0
    return int.from_bytes(content[4:8], "little") * int.from_bytes(content[12:14], "little")


# FLAC (RFC 9639)

_FLAC_SYNC: Final = re.compile(rb"\xff[\xf8\xf9]")
_FLAC_HEADER: Final = 16
"""Bytes of the longest header of a frame."""
_BLOCKS: Final = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << power for power in range(8)))
"""Samples of a block by its code; two of the codes stand for a number after the position."""
_FLAC_PLACES: Final = (0.25, 0.45, 0.7)
"""Parts of a file before which a frame is looked at: their positions grow, or files were joined."""
_FLAC_SEARCHED: Final = 64 * 1024


def of_flac(file: BoundedFile, start: int) -> float | None:
    """The number of samples in the header, if the last frame of the file agrees."""
    info = file.at(start, 42)
    if len(info) < 42 or info[4] & 0x7F:
        return None
    block = int.from_bytes(info[8:10], "big")
    rate = int.from_bytes(info[18:21], "big") >> 4
    samples = int.from_bytes(info[21:26], "big") & (1 << 36) - 1
    if not rate or not samples:
        return None
    end = _end_of_audio(file)
    before = 0
    for part in (*_FLAC_PLACES, 1.0):
        position = _flac_position(file, start + round((end - start) * part), block)
        if position is None:
            if part == 1.0:
                return None
            continue  # inside a large picture
        if position < before:
            return None
        before = position
    return samples / rate if _agree(before, samples, slack=block) else None


def _flac_position(file: BoundedFile, end: int, block: int) -> int | None:
    """Samples up to the end of the last frame that begins shortly before ``end``."""
    begin = max(end - _FLAC_SEARCHED, 0)
    data = file.at(begin, end - begin)
    for match in reversed(list(_FLAC_SYNC.finditer(data))):
        position = _flac_frame_end(data[match.start() : match.start() + _FLAC_HEADER], block)
        if position is not None:
            return position
    return None


def _flac_frame_end(head: bytes, block: int) -> int | None:
    """Samples up to the end of the frame with this header; None if it is not one (section 9.1)."""
    if len(head) < 6 or head[3] & 0x01 or not head[2] >> 4:
        return None
    number = _coded_number(head)
    if number is None:
        return None
    value, at = number
    block_code, rate_code = head[2] >> 4, head[2] & 0x0F
    size = _BLOCKS[block_code]
    if block_code in {6, 7}:
        size = int.from_bytes(head[at : at + block_code - 5], "big") + 1
        at += block_code - 5
    at += 1 if rate_code == 12 else 2 if rate_code in {13, 14} else 0
    if at >= len(head) or _crc_8(head[:at]) != head[at]:
        return None
    return value + size if head[1] & 1 else value * block + size


def _coded_number(head: bytes) -> tuple[int, int] | None:
    """The number coded like a character of UTF-8, of up to 7 bytes, and what follows it."""
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
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value
