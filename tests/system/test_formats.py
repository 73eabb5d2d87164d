"""One table says which files are tracks, and how they are sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from audiostream.library.formats import AUDIO_TYPES, UNSUPPORTED_SUFFIXES, media_type, suffix_of
from audiostream.library.library import Library
from tests.conftest import Serve

Token = Callable[..., str]


def test_a_suffix_is_served_or_is_not() -> None:
    assert not AUDIO_TYPES.keys() & UNSUPPORTED_SUFFIXES
    assert all(
        suffix == suffix_of(f"x{suffix}") for suffix in (*AUDIO_TYPES, *UNSUPPORTED_SUFFIXES)
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Book.m4b", "audio/mp4"),
        ("RING.M4R", "audio/mp4"),
        ("a.mpga", "audio/mpeg"),
        ("a.wave", "audio/wav"),
        ("a.weba", "audio/webm"),
        ("a.adts", "audio/aac"),
        ("a.opus", "audio/ogg; codecs=opus"),
        ("/folder/....mp3", "audio/mpeg"),
        ("/folder.mp3/a", "application/octet-stream"),
        ("a.html", "application/octet-stream"),
    ],
)
def test_a_media_type_goes_by_the_suffix(name: str, expected: str) -> None:
    assert media_type(name) == expected


async def test_every_suffix_of_the_table_is_listed_and_sent_as_the_table_says(
    serve: Serve, media: Path, token: Token
) -> None:
    for suffix in AUDIO_TYPES:
        (media / f"file{suffix}").write_bytes(b"content")
    client = await serve()
    headers = {"Authorization": f"Bearer {token()}"}
    async with client.get("/tracks", headers=headers) as answer:
        tracks = (await answer.json())["tracks"]
    listed = [track for track in tracks if track["title"] == "file"]
    sent = []
    for track in listed:
        async with client.get(track["streamUrl"]) as answer:
            assert answer.status == 200
            sent.append(answer.headers["Content-Type"])
    assert sorted(sent) == sorted(AUDIO_TYPES.values())


def test_audio_that_is_not_served_gets_a_line_each_in_the_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for name in ("Old/Song.WMA", "cover.jpg", "notes.txt", "a.mp3", "tune.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    library = Library(tmp_path)
    assert library.scan().left_out == (
        "'tune.mid': .mid files are not served; convert it",
        "'Old/Song.WMA': .wma files are not served; convert it",
    )
    assert [track.title for track in library.tracks_for(None)] == ["a"]
    assert caplog.text.count("Song.WMA") == 1


def test_an_entry_may_make_a_track_of_a_file_of_another_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.wma").write_bytes(b"x")
    (tmp_path / "tracks.json").write_text('[{"id": "a", "audioUrl": "a.wma"}]')
    library = Library(tmp_path)
    assert library.scan().left_out == ()
    assert library.find("a", None).title == "a"
