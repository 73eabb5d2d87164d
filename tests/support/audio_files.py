"""Audio files and tags, built byte by byte."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

MPEG_RATE = 44_100
"""Of the frames of ``mpeg_frames``, of 1152 samples each."""


def write_wav(path: Path, seconds: float) -> None:
    """Write a silent file of the given duration, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(round(16000 * seconds)))


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def text_frame(name: str, text: str, encoding: int = 3) -> bytes:
    """The content of a text frame of ID3v2."""
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    return bytes([encoding]) + text.encode(codec)


def frame(name: str, content: bytes, version: int = 3, flags: int = 0) -> bytes:
    """A frame of ID3v2.3 or 2.4, its content as it is stored."""
    size = synchsafe(len(content)) if version == 4 else struct.pack(">I", len(content))
    return name.encode() + size + struct.pack(">H", flags) + content


def id3(frames: bytes, version: int = 3, flags: int = 0) -> bytes:
    """A tag of ID3v2 with these frames."""
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(frames)) + frames


def id3_of(version: int = 3, encoding: int = 1, **texts: str) -> bytes:
    """A tag with the given text frames: ``id3_of(TIT2="Title")``."""
    return id3(
        b"".join(
            frame(name, text_frame(name, text, encoding), version) for name, text in texts.items()
        ),
        version,
    )


def id3v1(title: bytes = b"", artist: bytes = b"", album: bytes = b"", number: int = 0) -> bytes:
    """A tag of ID3v1.1."""
    texts = b"".join(text.ljust(30, b"\0") for text in (title, artist, album))
    return b"TAG" + texts + b"2001" + bytes(28) + bytes([0, number, 255])


def mpeg_frames(count: int, bitrate_index: int = 9) -> bytes:
    """Silent frames of MPEG 1 Layer III, of 128 kbit/s by default, padded as encoders pad them."""
    bitrate = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[bitrate_index]
    data, due = bytearray(), 0.0
    for _ in range(count):
        due += 144 * bitrate * 1000 / MPEG_RATE
        padding = round(due) - len(data) - 144 * bitrate * 1000 // MPEG_RATE
        length = 144 * bitrate * 1000 // MPEG_RATE + padding
        data += bytes([0xFF, 0xFB, bitrate_index << 4 | padding << 1, 0xC4]) + bytes(length - 4)
    return bytes(data)


def adts_frames(count: int, length: int = 200) -> bytes:
    """Frames of AAC in ADTS, of 1024 samples each."""
    head = bytes(
        [0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC]
    )
    return (head + bytes(length - 7)) * count


def tagged(path: Path, **texts: str) -> None:
    """An MP3 of two seconds with the given frames of ID3v2.3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(id3_of(3, 1, **texts) + mpeg_frames(77))
