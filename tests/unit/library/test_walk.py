"""Which files and folders of a media folder a scan looks at."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from audiostream.library.library import Library
from tests.support.media_folder import put, scanned, titles


def test_every_audio_file_below_the_media_folder_is_a_track(folder: Path) -> None:
    suffixes = (".mp3", ".ogg", ".oga", ".opus", ".flac", ".wav", ".m4a", ".aac", ".webm")
    put(folder, *(f"deep/down/sound{suffix}" for suffix in suffixes), "LOUD.WAV")
    put(folder, "cover.jpg", "film.mp4", "song.mp3.gz", "wav")
    assert len(titles(scanned(folder))) == len(suffixes) + 1


def test_hidden_files_and_files_in_hidden_folders_are_no_tracks(folder: Path) -> None:
    put(folder, ".hidden.wav", ".hidden/a.wav", "shown.wav")
    assert titles(scanned(folder)) == ["shown"]


def test_links_pipes_and_folders_with_audio_suffixes_are_left_out_and_reported(
    folder: Path, tmp_path: Path
) -> None:
    put(tmp_path, "outside/a.wav")
    put(folder, "real.wav")
    (folder / "link.wav").symlink_to(tmp_path / "outside/a.wav")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    (folder / "directory.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    library = Library(folder)
    report = library.scan()
    assert titles(library) == ["real"]
    assert sorted(report.left_out) == [
        "'link.wav': it is a symbolic link",
        "'linked': it is a symbolic link",
        "'loop.wav': it is a symbolic link",
        "'pipe.wav': it is no regular file",
    ]


def test_a_media_folder_that_is_a_symbolic_link_is_scanned_at_its_target(
    folder: Path, tmp_path: Path
) -> None:
    put(folder, "a.wav")
    (tmp_path / "link").symlink_to(folder)
    [track] = scanned(tmp_path / "link").tracks_for(None)
    assert track.path == folder.resolve() / "a.wav"


def test_a_folder_that_cannot_be_read_is_reported_and_the_others_are_scanned(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.wav", "closed/b.wav")
    scandir = os.scandir

    def guarded(path: Path) -> Any:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    library = Library(folder)
    assert library.scan().left_out == ("'closed': the folder cannot be read (Permission denied)",)
    assert titles(library) == ["a"]


def test_a_stopped_scan_lists_no_further_folders(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.wav", *(f"pictures/{number}/x.jpg" for number in range(9)))
    library, stop, looked_into = Library(folder), threading.Event(), []
    scandir = os.scandir

    def recorded(path: Path) -> Any:
        looked_into.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    library.scan(lambda progress: stop.set(), stop)
    assert looked_into == [folder.resolve()]
