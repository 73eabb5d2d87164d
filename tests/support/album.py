"""Media folders: an album of short tracks, and tracks with titles of the test's choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.audio_files import write_wav

ALBUM = [f"t{number:02}" for number in range(1, 13)]
TITLES = [f"Track {name[1:]}" for name in ALBUM]
SHORT, LONG = 2.0, 60.0
"""Seconds of a track of the album, and of ``song`` and ``other``."""


def write_album(folder: Path) -> Path:
    """Write an album of twelve tracks of two seconds, ``t01`` to ``t12``, ``song`` and ``other``.

    And ``noise``, which is no audio.
    """
    entries: list[dict[str, Any]] = []
    for name, title in zip(ALBUM, TITLES, strict=True):
        write_wav(folder / f"{name}.wav", SHORT)
        entries.append({"id": name, "audioUrl": f"{name}.wav", "title": title, "duration": SHORT})
    for name in ("song", "other"):
        write_wav(folder / f"{name}.wav", LONG)
        entries.append({"id": name, "audioUrl": f"{name}.wav", "title": name, "duration": LONG})
    (folder / "noise.mp3").write_bytes(b"no audio at all " * 500)
    entries.append({"id": "noise", "audioUrl": "noise.mp3", "title": "Noise", "duration": LONG})
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder


def write_titles(folder: Path, *titles: str, **tags: str) -> Path:
    """Write tracks of five minutes with these titles, all with the same artist and album."""
    entries = []
    for number, title in enumerate(titles):
        write_wav(folder / f"{number}.wav", 300.0)
        entry = {"id": f"t{number}", "audioUrl": f"{number}.wav", "title": title, "duration": 300}
        entries.append(entry | {"artist": "Artist", "album": "Album"} | tags)
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder
