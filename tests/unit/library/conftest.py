"""Fixtures of the library's unit tests: a media folder, and tags that are read in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiostream.library import scanner
from tests.support.media_folder import DIARY, InProcessTagReader, put


@pytest.fixture(autouse=True)
def read_tags_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker process is started."""
    monkeypatch.setattr(scanner, "TagReader", InProcessTagReader)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty media folder."""
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """A media folder with Alice's diary, a shared song and a file in each of two users' folders."""
    music = tmp_path / "music"
    put(music, DIARY, "album/song.wav", "users/bob/his.wav", "users/alice/hers.wav")
    return music
