"""Pictures, and audio files with pictures in them."""

from __future__ import annotations

import base64
import struct

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40) + b"\xff\xd9"
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L" + bytes(14)
GIF = b"GIF89a\1\0\1\0\0\0\0;"
SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
MPEG_FRAME = b"\xff\xfb\x90\x00" + bytes(413)


def mp3(picture: bytes, claimed: bytes = b"image/png", size: int | None = None) -> bytes:
    """ID3v2.3 with one APIC frame, which may claim another size than it has."""
    content = b"\0" + claimed + b"\0\x03\0" + picture
    frame = b"APIC" + struct.pack(">IH", size or len(content), 0) + content
    total = size or len(frame)
    syncsafe = bytes(total >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + syncsafe + frame + MPEG_FRAME * 20


def flac(picture: bytes) -> bytes:
    """STREAMINFO and one PICTURE block."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes.fromhex("0ac442f000000000") + bytes(16)
    kind = b"image/png"
    block = struct.pack(">II", 3, len(kind)) + kind + bytes(20)
    block += struct.pack(">I", len(picture)) + picture
    return (
        b"fLaC"
        + b"\0"
        + len(info).to_bytes(3, "big")
        + info
        + b"\x86"
        + len(block).to_bytes(3, "big")
        + block
    )


def atom(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + name + body


def m4a(picture: bytes) -> bytes:
    """The atoms down to one ``covr``."""
    data = atom(b"data", struct.pack(">II", 14, 0), picture)
    items = atom(b"ilst", atom(b"covr", data))
    meta = atom(b"meta", bytes(4), atom(b"hdlr", bytes(25)), items)
    kind = atom(b"ftyp", b"M4A ", bytes(4))
    return kind + atom(b"moov", atom(b"udta", meta))


def mp3_with(*pictures: bytes) -> bytes:
    """Like ``mp3``, with several APIC frames: the front cover in each."""
    frames = b""
    for picture in pictures:
        content = b"\0image/png\0\x03\0" + picture
        frames += b"APIC" + struct.pack(">IH", len(content), 0) + content
    syncsafe = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + syncsafe + frames + MPEG_FRAME * 20


def flac_with(*pictures: bytes) -> bytes:
    """Like ``flac``, with several PICTURE blocks of different kinds."""
    whole = flac(b"")
    info, kind = whole[: len(whole) - len(whole[42:])], b"image/png"
    blocks = []
    for number, picture in enumerate(pictures):
        block = struct.pack(">II", number, len(kind)) + kind + bytes(20)
        block += struct.pack(">I", len(picture)) + picture
        last = 0x80 if number == len(pictures) - 1 else 0
        blocks.append(bytes([last | 6]) + len(block).to_bytes(3, "big") + block)
    return info + b"".join(blocks)


def m4a_with(*pictures: bytes) -> bytes:
    """Like ``m4a``, with several pictures in one ``covr``."""
    data = [atom(b"data", struct.pack(">II", 14, 0), picture) for picture in pictures]
    items = atom(b"ilst", atom(b"covr", *data))
    meta = atom(b"meta", bytes(4), atom(b"hdlr", bytes(25)), items)
    return atom(b"ftyp", b"M4A ", bytes(4)) + atom(b"moov", atom(b"udta", meta))
