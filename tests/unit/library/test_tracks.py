"""Who may play a track, and what its file's tags add to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiostream.library.tags.fields import Tags
from audiostream.library.tracks import Track
from tests.support.audio_files import tagged
from tests.support.media_folder import put, scanned, titles, write_manifest


def test_a_shared_track_is_playable_by_everybody_and_an_owned_one_by_its_owner() -> None:
    shared = Track(id="a", path=Path("/a"), title="A")
    owned = Track(id="b", path=Path("/b"), title="B", owner_id="ada")
    assert all(shared.playable_by(user_id) for user_id in ("ada", "bob", None))
    assert [owned.playable_by(user_id) for user_id in ("ada", "bob", None)] == [True, False, False]


def test_tags_fill_in_the_fields_that_are_empty_and_replace_none() -> None:
    tags = Tags("Tagged", "Artist", "Album", 2.0, "All", 1, 7)
    bare = Track(id="a", path=Path("/x_y.mp3"), title="")
    assert bare.with_tags(tags) == Track(
        "a", Path("/x_y.mp3"), "Tagged", "Artist", "Album", 2.0, None, "All", 1, 7
    )
    assert bare.with_tags(Tags()).title == "x y"
    named = Track(id="a", path=Path("/a.mp3"), title="Named", duration=5.0, owner_id="ada")
    completed = named.with_tags(tags)
    assert (completed.title, completed.duration, completed.owner_id) == ("Named", 5.0, "ada")
    assert completed.artist == "Artist"


def test_a_track_has_the_title_artist_and_album_of_its_tags(folder: Path) -> None:
    tagged(folder / "x.mp3", TIT2="Ночь", TPE1="Ada", TALB="Dreams")
    [track] = scanned(folder).tracks_for(None)
    assert (track.title, track.artist, track.album) == ("Ночь", "Ada", "Dreams")


def test_a_track_without_tags_is_titled_by_its_file_name(folder: Path) -> None:
    put(folder, "a_long_way.wav")
    [track] = scanned(folder).tracks_for(None)
    assert (track.title, track.artist, track.album) == ("a long way", None, None)
    assert track.duration == pytest.approx(0.1)


def test_control_characters_and_blank_texts_of_tags_are_removed(folder: Path) -> None:
    tagged(folder / "x.mp3", TIT2="a\nb\x07", TPE1="  ")
    [track] = scanned(folder).tracks_for(None)
    assert (track.title, track.artist) == ("a b", None)


def test_two_files_with_the_same_tags_are_two_tracks(folder: Path) -> None:
    for name in ("x.mp3", "y.mp3"):
        tagged(folder / name, TIT2="Same", TPE1="Ada")
    assert titles(scanned(folder)) == ["Same", "Same"]


def test_a_damaged_file_is_a_track_titled_by_its_file_name(folder: Path) -> None:
    (folder / "broken.flac").write_bytes(b"fLaC" + b"\xff" * 50)
    (folder / "empty.mp3").write_bytes(b"")
    assert titles(scanned(folder)) == ["broken", "empty"]


def test_a_file_name_without_a_title_in_it_is_shown_in_ascii(folder: Path) -> None:
    put(folder, "_.wav", "a\nb.wav")
    write_manifest(folder, {"id": "x", "audioUrl": "_.wav"}, {"id": "y", "audioUrl": "a\nb.wav"})
    assert titles(scanned(folder)) == ["'_.wav'", "a b"]
