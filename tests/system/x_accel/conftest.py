"""Fixtures: a site for each module of tests, and the file of its track ``song``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.x_accel_site import CONTENT, Site, make_media, put, running_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(make_media(tmp_path_factory.mktemp("accel"))) as site:
        yield site


@pytest.fixture
def song(site: Site) -> Iterator[Path]:
    """The file of the track ``song``; whatever a test does to it is undone."""
    path = site.media / "song.webm"
    yield path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    put(path, CONTENT)
