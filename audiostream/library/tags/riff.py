"""The chunks of RIFF files, WAV among them, and the ID3v2 tag in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..bounded_file import BoundedFile
from . import id3


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk. ``end`` is where its content would end if the file were whole."""

    name: bytes
    begin: int
    end: int


def chunks(file: BoundedFile, start: int) -> Iterator[Chunk]:
    """Yield the chunks of the RIFF file that begins at ``start``."""
    offset = start + 12
    while len(head := file.read_at(offset, 8)) == 8:
        size = int.from_bytes(head[4:], "little")
        yield Chunk(head[:4], offset + 8, offset + 8 + size)
        offset += 8 + size + size % 2


def read_id3(file: BoundedFile, start: int) -> id3.Fields:
    """Return the fields of the ID3v2 tag in the chunk ``id3 ``; none without such a chunk."""
    for chunk in chunks(file, start):
        if chunk.name.lower() == b"id3 ":
            return id3.read_v2(file, chunk.begin)
    return {}
