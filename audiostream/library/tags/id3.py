"""ID3 tags at the beginning and the end of MP3 and AAC files, and of some WAV and FLAC files.

ID3v2.2 to 2.4 with unsynchronisation, compression and data length indicators (id3.org), and
ID3v1.1.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from ..bounded_file import BoundedFile
from .id3_text import decode_frame, decode_v1

HEADER: Final = 10
"""Bytes of the header of an ID3v2 tag, and of a frame from ID3v2.3 on."""
V1_SIZE: Final = 128
"""Bytes of an ID3v1 tag."""
_FIELDS: Final[Mapping[bytes, str]] = {
    b"TIT2": "title",
    b"TT2": "title",
    b"TPE1": "artist",
    b"TP1": "artist",
    b"TALB": "album",
    b"TAL": "album",
    b"TPE2": "album_artist",
    b"TP2": "album_artist",
    b"TPOS": "disc",
    b"TPA": "disc",
    b"TRCK": "track_number",
    b"TRK": "track_number",
}
"""Field by frame id, of four letters from ID3v2.3 on and of three in ID3v2.2."""
# Flags of a tag's header and of a frame's (ID3v2.4 §3.1, §4.1.2).
_UNSYNCHRONISED: Final = 0x80
_EXTENDED_HEADER: Final = 0x40
_FRAME_UNSYNCHRONISED: Final = 0x02
_MAX_FRAME: Final = 64 * 1024
"""Bytes of a text frame; a longer one is skipped."""
_FRAME_ID: Final = re.compile(rb"[A-Z][A-Z0-9]{2,3} ?")
_SYNC: Final = re.compile(rb"\xff[\xe0-\xff]")
_NUMBER: Final = re.compile(r"\s*([0-9]{1,9})")
_V1_TEXTS: Final = (("title", 3), ("artist", 33), ("album", 63))
_V1_LENGTH: Final = 30
"""Bytes of each text of an ID3v1 tag; ``_V1_TEXTS`` has where they begin."""

Fields: TypeAlias = dict[str, str | int]
"""Values by the names of the fields of ``Tags``."""
_Read: TypeAlias = Callable[[int, int], bytes]


def tag_length(head: bytes) -> int:
    """Return the length of the ID3v2 tag that begins with ``head``, 0 if none does."""
    if len(head) < HEADER or head[:3] != b"ID3" or max(head[6:10]) > 127 or head[3] == 255:
        return 0
    footer = HEADER if head[3] >= 4 and head[5] & 0x10 else 0
    return HEADER + _synchsafe(head[6:10]) + footer


def read_v2(file: BoundedFile, start: int) -> Fields:
    """Return the fields of the ID3v2 tag at ``start``; none where it cannot be read."""
    head = file.read_at(start, HEADER)
    length = tag_length(head)
    version, flags, end = (head[3], head[5], length - HEADER) if length else (0, 0, 0)
    # ID3v2.2 §3.1: ignore a compressed tag, because no compression is specified.
    if version not in {2, 3, 4} or (version == 2 and flags & 0x40):
        return {}

    def stored(offset: int, size: int) -> bytes:
        return file.read_at(start + HEADER + offset, size)

    read = stored
    # Up to 2.3 the tag as a whole is unsynchronised, from 2.4 on each frame by itself.
    if flags & _UNSYNCHRONISED and version < 4:
        body = _undo_unsynchronisation(stored(0, end))
        read, end = (lambda offset, size: body[offset : offset + size]), len(body)
    fields: Fields = {}
    offset = _extended_header_length(read, version, flags)
    for name, content in _text_frames(read, offset, end, version, flags):
        _set_field(fields, _FIELDS[name], decode_frame(content))
    return fields


def read_v1(file: BoundedFile, start: int = 0) -> Fields:
    """Return the fields of the ID3v1 tag at the end of a file; none where there is none.

    ``start`` is that of every reader of ``formats.AudioFormat``; this tag does not depend on it.
    """
    tag = file.read_at(max(file.size - V1_SIZE, 0), V1_SIZE)
    if len(tag) < V1_SIZE or tag[:3] != b"TAG":
        return {}
    fields: Fields = {}
    for name, begin in _V1_TEXTS:
        _set_field(fields, name, decode_v1(tag[begin : begin + _V1_LENGTH], _V1_LENGTH))
    if tag[125] == 0 and tag[126]:
        fields["track_number"] = tag[126]
    return fields


def _set_field(fields: Fields, name: str, text: str) -> None:
    """Set a field to the first text that is not blank; of "3/12" to the 3."""
    if name in fields or not text.strip():
        return
    if name not in {"disc", "track_number"}:
        fields[name] = text
    elif match := _NUMBER.match(text):
        fields[name] = int(match[1])


def _extended_header_length(read: _Read, version: int, flags: int) -> int:
    if version < 3 or not flags & _EXTENDED_HEADER:
        return 0
    head = read(0, 4)
    return _synchsafe(head) if version == 4 else 4 + int.from_bytes(head, "big")


def _text_frames(
    read: _Read, offset: int, end: int, version: int, tag_flags: int
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the ids and the contents of the frames that are in ``_FIELDS``."""
    head_length = 6 if version == 2 else HEADER
    while offset + head_length <= end:
        head = read(offset, head_length)
        name = head[: 3 if version == 2 else 4]
        if not _FRAME_ID.fullmatch(name):
            return
        size = _frame_size(read, offset, head, version)
        offset += head_length
        if size > end - offset:
            return
        if name in _FIELDS and size <= _MAX_FRAME:
            frame_flags = head[9] if version > 2 else 0
            if version == 4 and tag_flags & _UNSYNCHRONISED:
                frame_flags |= _FRAME_UNSYNCHRONISED
            content = _decode_content(read(offset, size), frame_flags, version)
            if content:
                yield name, content
        offset += size


def _frame_size(read: _Read, offset: int, head: bytes, version: int) -> int:
    if version == 2:
        return int.from_bytes(head[3:6], "big")
    plain = int.from_bytes(head[4:8], "big")
    if version == 3:
        return plain
    size = _synchsafe(head[4:8])
    # Some programs, iTunes among them, wrote sizes into 2.4 as they are in 2.3.
    if plain != size and not _begins_frame(read(offset + HEADER + size, 4)):
        return plain if _begins_frame(read(offset + HEADER + plain, 4)) else size
    return size


def _begins_frame(head: bytes) -> bool:
    return not head.strip(b"\0") or _FRAME_ID.fullmatch(head) is not None


def _decode_content(content: bytes, flags: int, version: int) -> bytes | None:
    """Return a frame's content from its stored form; None where it is encrypted or damaged."""
    is_2_4 = version == 4
    compressed, encrypted, grouped = (0x08, 0x04, 0x40) if is_2_4 else (0x80, 0x40, 0x20)
    if flags & encrypted:
        return None
    if is_2_4 and flags & _FRAME_UNSYNCHRONISED:
        content = _undo_unsynchronisation(content)
    content = content[1 if flags & grouped else 0 :]
    if flags & (0x01 if is_2_4 else compressed):
        content = content[4:]  # the length before compression
    if flags & compressed:
        try:
            content = zlib.decompressobj().decompress(content, _MAX_FRAME)
        except zlib.error:
            return None
    return content


def _undo_unsynchronisation(data: bytes) -> bytes:
    """Undo unsynchronisation (ID3v2.4.0 structure, §6.1), where it was done.

    Some programs set the flag and write the bytes as they are.
    """
    return data if _SYNC.search(data) else data.replace(b"\xff\0", b"\xff")


def _synchsafe(data: bytes) -> int:
    """Return a number stored with 7 bits in a byte (ID3v2.4.0 structure, §6.2)."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value
