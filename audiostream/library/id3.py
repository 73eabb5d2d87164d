"""ID3: the tags at the beginning and the end of MP3 and AAC files, and of some WAV and FLAC.

Here: ID3v2.2 to 2.4 with unsynchronisation, compression and data lengths (id3.org), ID3v1, and the
character sets that are written into both against the standard. Not here: other tags, and what
becomes of the texts (``tags_worker``).
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from .bounded_file import BoundedFile

HEADER: Final = 10
"""Bytes of the header of a tag, and of a frame from ID3v2.3 on."""
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
V1_SIZE: Final = 128
_UNSYNCHRONISED: Final = 0x80
_FRAME_UNSYNCHRONISED: Final = 0x02
_MAX_FRAME: Final = 64 * 1024
"""Bytes of a text frame that are worth reading."""
_FRAME_ID: Final = re.compile(rb"[A-Z][A-Z0-9]{2,3} ?")
_SYNC: Final = re.compile(rb"\xff[\xe0-\xff]")
_NUMBER: Final = re.compile(r"\s*([0-9]{1,9})")
_V1_TEXTS: Final = (("title", 3), ("artist", 33), ("album", 63))
_V1_LENGTH: Final = 30

Fields: TypeAlias = dict[str, str | int]
_Read: TypeAlias = Callable[[int, int], bytes]


def tag_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with ``head``, its header included; 0 if none does."""
    if len(head) < HEADER or head[:3] != b"ID3" or max(head[6:10]) > 127 or head[3] == 255:
        return 0
    footer = HEADER if head[3] >= 4 and head[5] & 0x10 else 0
    return HEADER + _synchsafe(head[6:10]) + footer


def read_v2(file: BoundedFile, start: int) -> Fields:
    """The fields of the ID3v2 tag at ``start``; none where there is none that can be read."""
    head = file.at(start, HEADER)
    length = tag_length(head)
    if not length or head[3] not in {2, 3, 4} or (head[3] == 2 and head[5] & 0x40):
        return {}
    version, flags, end = head[3], head[5], length - HEADER

    def stored(offset: int, size: int) -> bytes:
        return file.at(start + HEADER + offset, size)

    read = stored
    # Up to 2.3 the tag as a whole is unsynchronised, from 2.4 on each frame by itself.
    if flags & _UNSYNCHRONISED and version < 4:
        body = _synchronised(stored(0, end))
        read, end = (lambda offset, size: body[offset : offset + size]), len(body)
    fields: Fields = {}
    offset = _after_extended_header(read, version, flags)
    for name, content in _frames(read, offset, end, version, flags):
        _set(fields, _FIELDS[name], _text_of(content))
    return fields


def read_v1(file: BoundedFile) -> Fields:
    """The fields of the ID3v1 tag at the end of a file; none where there is none."""
    tag = file.at(max(file.size - V1_SIZE, 0), V1_SIZE)
    if len(tag) < V1_SIZE or tag[:3] != b"TAG":
        return {}
    fields: Fields = {}
    for name, begin in _V1_TEXTS:
        _set(fields, name, _text_of_v1(tag[begin : begin + _V1_LENGTH].split(b"\0")[0]))
    if tag[125] == 0 and tag[126]:
        fields["track_number"] = tag[126]
    return fields


def repaired(text: bytes) -> str:
    """What bytes say that should be Latin-1: often they are UTF-8 or Windows-1252 instead.

    Text of more than ASCII that is valid UTF-8 by chance is rare: each such character would be
    an accented capital followed by a control character or a symbol.
    """
    for encoding in ("utf-8", "cp1252"):
        try:
            return text.decode(encoding)
        except UnicodeDecodeError:
            continue
    return text.decode("latin-1")


def _text_of_v1(text: bytes) -> str:
    """The same, of a field that may end in the middle of a character."""
    if len(text) == _V1_LENGTH:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            whole = decoder.decode(text)
        except UnicodeDecodeError:
            return repaired(text)
        # A last accented letter of Latin-1 looks alike, but then there is no UTF-8 before it.
        return whole if not whole.isascii() else repaired(text)
    return repaired(text)


def _set(fields: Fields, name: str, text: str) -> None:
    """Keep the first text that says something; of "3/12" the 3."""
    if name in fields or not text.strip():
        return
    if name not in {"disc", "track_number"}:
        fields[name] = text
    elif match := _NUMBER.match(text):
        fields[name] = int(match[1])


def _after_extended_header(read: _Read, version: int, flags: int) -> int:
    if version < 3 or not flags & 0x40:
        return 0
    head = read(0, 4)
    return _synchsafe(head) if version == 4 else 4 + int.from_bytes(head, "big")


def _frames(
    read: _Read, offset: int, end: int, version: int, tag_flags: int
) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the frames that are in ``_FIELDS``, as they were before storing."""
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
            content = _content_of(read(offset, size), frame_flags, version)
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


def _content_of(content: bytes, flags: int, version: int) -> bytes | None:
    """A frame's content from its stored form; None where it is encrypted or damaged."""
    is_2_4 = version == 4
    is_compressed, is_encrypted, is_grouped = (
        (flags & 0x08, flags & 0x04, flags & 0x40) if is_2_4 else _flags_of_2_3(flags)
    )
    if is_encrypted:
        return None
    if is_2_4 and flags & _FRAME_UNSYNCHRONISED:
        content = _synchronised(content)
    content = content[1 if is_grouped else 0 :]
    if (is_2_4 and flags & 0x01) or (is_compressed and not is_2_4):
        content = content[4:]  # the length before compression
    if is_compressed:
        try:
            content = zlib.decompressobj().decompress(content, _MAX_FRAME)
        except zlib.error:
            return None
    return content


def _flags_of_2_3(flags: int) -> tuple[int, int, int]:
    return flags & 0x80, flags & 0x40, flags & 0x20


def _text_of(content: bytes) -> str:
    """The first text of a frame; nothing where its bytes are not in the encoding it names."""
    encoding, text = content[0], content[1:]
    try:
        if encoding == 0:
            return repaired(text.split(b"\0")[0])
        if encoding == 3:
            return text.split(b"\0")[0].decode("utf-8-sig")
        if encoding in {1, 2}:
            return _utf_16(text, "utf-16-be" if encoding == 2 else "utf-16-le")
    except UnicodeDecodeError:
        pass
    return ""


def _utf_16(text: bytes, without_mark: str) -> str:
    if text.startswith(codecs.BOM_UTF16_LE):
        text, encoding = text[2:], "utf-16-le"
    elif text.startswith(codecs.BOM_UTF16_BE):
        text, encoding = text[2:], "utf-16-be"
    else:
        encoding = without_mark
    return text[: len(text) // 2 * 2].decode(encoding).split("\0")[0]


def _synchronised(data: bytes) -> bytes:
    """Undo unsynchronisation (ID3v2.4.0 structure, section 6.1), where it was done.

    Some programs set the flag and write the bytes as they are.
    """
    return data if _SYNC.search(data) else data.replace(b"\xff\0", b"\xff")


def _synchsafe(data: bytes) -> int:
    """A number of 7 bits a byte."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value
