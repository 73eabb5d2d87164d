"""The picture in a file, and the one that is drawn where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream.library.artwork import (
    MAX_PICTURE,
    default_picture,
    embedded_picture,
    image_type,
    picture_of,
)
from audiostream.library.tracks import Track
from tests.support.pictures import (
    GIF,
    JPEG,
    PNG,
    SCRIPT,
    WEBP,
    flac,
    flac_with,
    m4a,
    m4a_with,
    mp3,
    mp3_with,
)


@pytest.mark.parametrize(
    ("picture", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (GIF, "image/gif"),
        (SCRIPT, None),
        (b"<html>", None),
        (b"BM" + bytes(60), None),
        (b"", None),
    ],
)
def test_the_type_of_a_picture_is_decided_by_its_bytes(
    picture: bytes, media_type: str | None
) -> None:
    assert image_type(picture) == media_type


@pytest.mark.parametrize("write", [mp3_with, flac_with, m4a_with])
@pytest.mark.parametrize("count", [1, 2])
def test_a_picture_of_almost_the_largest_size_is_found(
    tmp_path: Path, write: Callable[..., bytes], count: int
) -> None:
    picture = JPEG + bytes(MAX_PICTURE // count - 1000)
    (tmp_path / "a").write_bytes(write(*[picture] * count))
    found = embedded_picture(str(tmp_path / "a"))
    assert found is not None
    assert found.data == picture


def test_the_picture_behind_a_symbolic_link_is_not_read(media: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.mp3").write_bytes(mp3(PNG))
    (media / "link.mp3").symlink_to(tmp_path / "outside.mp3")
    assert embedded_picture(str(media / "link.mp3")) is None


def test_the_picture_in_a_folder_that_became_a_symbolic_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a.mp3").write_bytes(mp3(PNG))
    (tmp_path / "album").symlink_to(tmp_path / "outside")
    assert embedded_picture(str(tmp_path / "outside/a.mp3")) is not None
    assert embedded_picture(str(tmp_path / "album/a.mp3")) is None


def test_without_the_tags_extra_no_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tinytag", None)
    (tmp_path / "a.mp3").write_bytes(mp3(PNG))
    assert embedded_picture(str(tmp_path / "a.mp3")) is None


def test_the_tracks_of_an_album_have_default_pictures_of_one_hue_and_different_patterns() -> None:
    one, other = (default_picture(id_, "Album").data.decode() for id_ in ("1", "2"))
    assert one == default_picture("1", "Album").data.decode()
    assert one != other
    assert one.partition("<path")[0] == other.partition("<path")[0]


@pytest.mark.parametrize("name", ["", "</style><script>", "\ud800", "☃" * 5000])
def test_no_text_of_a_name_is_in_a_default_picture(name: str) -> None:
    picture = default_picture(name, name).data
    ElementTree.fromstring(picture)  # noqa: S314
    assert b"script" not in picture
    assert len(picture) < 2000


@given(content=st.binary(max_size=300), start=st.sampled_from([mp3(PNG), flac(PNG), m4a(PNG)]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_file_has_a_picture_that_browsers_show(
    tmp_path: Path, content: bytes, start: bytes
) -> None:
    (tmp_path / "a.mp3").write_bytes(start[: len(content)] + content)
    picture = picture_of(Track(id="a", path=tmp_path / "a.mp3", title="A"))
    assert picture.media_type in {image_type(picture.data), "image/svg+xml"}
