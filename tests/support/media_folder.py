"""A media folder for tests of the library, and reading its tags without a worker process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from audiostream.library.library import Library
from audiostream.library.tags.fields import Tags
from audiostream.library.tags.worker import read_tags
from tests.support.audio_files import write_wav


def put(folder: Path, *names: str) -> None:
    """Write a WAV file of 0.1 s under each name."""
    for name in names:
        write_wav(folder / name, 0.1)


def write_manifest(folder: Path, *entries: Any) -> None:
    """Write ``tracks.json`` with these entries."""
    (folder / "tracks.json").write_text(json.dumps(entries))


def write_four_tracks(folder: Path, listed: int = 60) -> Path:
    """Two shared tracks of 60 s and one each of Ada's and Bob's, under readable ids.

    ``listed``: the duration in seconds that the manifest gives them.
    """
    for name in ("song", "other", "users/ada/hers", "users/bob/his"):
        write_wav(folder / f"{name}.wav", 60.0)
    song = {"id": "song", "audioUrl": "song.wav", "title": "Song", "artist": "Somebody"}
    write_manifest(
        folder,
        {**song, "duration": listed},
        {"id": "other", "audioUrl": "other.wav", "title": "Other", "duration": listed},
        {"id": "hers", "audioUrl": "users/ada/hers.wav", "title": "Hers", "duration": listed},
        {"id": "his", "audioUrl": "users/bob/his.wav", "title": "His", "duration": listed},
    )
    return folder


def scanned(folder: Path) -> Library:
    """A library of the folder, scanned once."""
    library = Library(folder)
    library.scan()
    return library


def titles(library: Library, user_id: str | None = None, query: str = "") -> list[str]:
    """The titles that a user may play, in the order of the list."""
    return [track.title for track in library.tracks_for(user_id, query)]


def scan_report(folder: Path) -> tuple[Library, str]:
    """A library of the folder, scanned once, and the lines of what the scan left out."""
    library = Library(folder)
    return library, "\n".join(library.scan().left_out)


def paths(library: Library, user_id: str | None = None) -> set[str]:
    """What a user may play, each by its folder and its name."""
    return {"/".join(track.path.parts[-2:]) for track in library.tracks_for(user_id)}


DIARY = "private/my diary.wav"
"""A file of Alice's in a folder that is not hers by its name."""


def owned_entry(audio_url: Any, **more: Any) -> dict[str, Any]:
    """An entry that gives a file to Alice."""
    return {"id": "diary", "audioUrl": audio_url, "ownerId": "alice"} | more


class InProcessTagReader:
    """Reads tags in this process, in the place of ``TagReader``."""

    def __init__(self, stop: threading.Event, on_wait: Callable[[], None]) -> None:
        self._stop = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
        for path in paths:
            if self._stop.is_set():
                return
            try:
                yield path, read_tags(str(path))
            except OSError:
                yield path, None


def record_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose tags are read from here on, in order."""
    names: list[str] = []
    original = InProcessTagReader.read

    def read(
        reader: InProcessTagReader, paths: Sequence[Path]
    ) -> Iterator[tuple[Path, Tags | None]]:
        names.extend(path.name for path in paths)
        return original(reader, paths)

    monkeypatch.setattr(InProcessTagReader, "read", read)
    return names
