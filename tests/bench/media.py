"""What the servers serve here: one long tone, and folders of many small tagged files."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

from .servers import Server, fetch, until

AUDIO = "tone.wav"
AUDIO_BYTES = 5 << 20
_MPEG_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
"""26 ms of silence: MPEG-1 layer III, 128 kbit/s, 44.1 kHz."""
PER_FOLDER = 100


def one_track(folder: Path) -> Path:
    """A media folder with one quiet file of 5 MiB and five and a half minutes."""
    media = folder / "one"
    if not media.exists():
        media.mkdir()
        with wave.open(str(media / AUDIO), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(bytes(AUDIO_BYTES - 44))
    return media


def many_tracks(folder: Path, count: int) -> Path:
    """A media folder with ``count`` tagged MP3 files of 10 frames each, a hundred a folder."""
    media = folder / f"many-{count}"
    if not media.exists():
        for number in range(count):
            album = media / f"album {number // PER_FOLDER:03}"
            if number % PER_FOLDER == 0:
                album.mkdir(parents=True)
            tags = {
                b"TIT2": f"Track {number}",
                b"TPE1": f"Artist {number // 1000}",
                b"TALB": album.name,
            }
            (album / f"{number:05}.mp3").write_bytes(_tagged(tags))
    return media


def first_track(server: Server) -> dict[str, Any]:
    """The first track of the list, once the scan has found one."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found.extend(json.loads(fetch(server, "/api/tracks?limit=1")[1])["tracks"])
        return bool(found)

    until(look, "a track")
    return found[0]


def _tagged(tags: dict[bytes, str]) -> bytes:
    """An ID3v2.3 tag and ten frames (id3.org, ID3v2.3.0 §3)."""
    body = b"".join(
        name + (len(text) + 1).to_bytes(4) + b"\0\0\0" + text.encode("latin-1")
        for name, text in tags.items()
    )
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + body + _MPEG_FRAME * 10
