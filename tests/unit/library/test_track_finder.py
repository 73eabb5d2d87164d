"""Which files become tracks, under which ids, and whose they are by their place."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from audiostream.library.library import Library
from tests.conftest import write_wav
from tests.support.media_folder import paths, put, scan_report, scanned, titles


def test_a_file_name_that_is_not_text_is_left_out_and_reported_in_ascii(folder: Path) -> None:
    put(folder, "fine.wav")
    os.link(folder / "fine.wav", os.fsencode(folder) + b"/bad\xff.wav")
    library = Library(folder)
    [sentence] = library.scan().left_out
    assert "rename it" in sentence
    assert sentence.isascii()
    assert titles(library) == ["fine"]


@pytest.mark.parametrize("name", ["日本\u3000語", "a\u00a0b", "👩\u200d🚀"])
def test_a_file_name_with_wide_spaces_or_joined_characters_is_a_track(
    folder: Path, name: str
) -> None:
    put(folder, f"{name}.wav")
    library = Library(folder)
    assert library.scan().left_out == ()
    assert titles(library) == [" ".join(name.split())]


def test_of_two_files_whose_names_differ_in_unicode_form_alone_one_is_a_track(folder: Path) -> None:
    put(folder, "Ä.wav", "A\u0308.wav")
    library = Library(folder)
    assert library.scan().left_out == ("Ä.wav: its id is taken by another track",)
    assert len(titles(library)) == 1


def test_a_track_id_depends_on_the_path_alone_and_not_on_its_unicode_form(folder: Path) -> None:
    put(folder, "a/Ähre.wav")
    [track] = scanned(folder).tracks_for(None)
    assert track.id == "63219b15-3ad6-5ae3-b716-3e70dd08bb24"
    (folder / "a/Ähre.wav").rename(folder / "a/A\u0308hre.wav")
    assert [again.id for again in scanned(folder).tracks_for(None)] == [track.id]


def test_files_in_a_users_folder_are_listed_for_that_user_alone(folder: Path) -> None:
    put(folder, "shared.wav", "users/ada/hers.wav", "users/ada/deep/too.wav")
    library = scanned(folder)
    assert titles(library, "ada") == ["hers", "shared", "too"]
    assert titles(library, "bob") == titles(library, None) == ["shared"]


def test_a_file_directly_under_users_is_left_out_and_reported(folder: Path) -> None:
    put(folder, "users/stray.wav")
    library = Library(folder)
    assert library.scan().left_out == (
        "users/stray.wav: it lies in users/ but in no user's folder",
    )
    assert titles(library) == []


def test_audio_of_unsupported_formats_is_reported_once_for_each_file(
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


@pytest.mark.parametrize(
    "place",
    [
        "#recycle",
        "#Recycle",
        "@Recycle",
        "$RECYCLE.BIN",
        ".Trash-1000",
        ".Trashes",
        "lost+found",
        "@eaDir",
        "@tmp",
        "#snapshot",
        ".snapshot",
        "@Recently-Snapshot",
        "System Volume Information",
        ".AppleDouble",
        "__MACOSX",
        "@GMT-2024.01.01-00.00.00",
    ],
)
def test_files_in_recycle_bins_and_snapshots_are_no_tracks(music: Path, place: str) -> None:
    for name in (f"{place}/a.wav", f"{place}/users/alice/b.wav", f"deep/{place}/x/c.wav"):
        write_wav(music / name, 0.1)
    library, report = scan_report(music)
    for user_id in ("alice", "bob", None):
        assert not {"a.wav", "b.wav", "c.wav"} & {
            track.path.name for track in library.tracks_for(user_id)
        }
    assert place.startswith(".") or f"{place}': it is " in report


def test_sixty_excluded_folders_of_one_kind_are_one_line_of_the_report(music: Path) -> None:
    for number in range(60):
        write_wav(music / f"albums/{number:02}/@eaDir/a.wav", 0.1)
    _, report = scan_report(music)
    assert len(report.splitlines()) == 1
    assert "and 59 more such folders" in report


def test_rows_of_an_earlier_version_in_an_excluded_folder_are_not_restored(music: Path) -> None:
    before, _ = scan_report(music)
    library = Library(music)
    library.restore([("#recycle/x/old.wav", *row[1:]) for row in before.rows()[:1]])
    assert library.tracks_for("bob") == library.tracks_for(None) == []


@pytest.mark.parametrize(
    "place", ["Users/alice", "USERS/alice", "backup/users/alice", "a/b/Users /alice/x"]
)
def test_a_users_folder_belongs_to_the_user_at_any_depth_and_in_any_case(
    music: Path, place: str
) -> None:
    write_wav(music / f"{place}/secret.wav", 0.1)
    library, _ = scan_report(music)
    names = {track.path.name: track.owner_id for track in library.tracks_for("alice")}
    assert names["secret.wav"] == "alice"
    for user_id in ("bob", "Alice", None):
        assert "secret.wav" not in {each.path.name for each in library.tracks_for(user_id)}


def test_a_file_below_the_folders_of_two_users_belongs_to_neither(music: Path) -> None:
    write_wav(music / "users/bob/users/alice/a.wav", 0.1)
    write_wav(music / "users/bob/Users/bob/b.wav", 0.1)
    library, report = scan_report(music)
    assert "users/alice/a.wav: it lies in the folders of several users" in report
    for user_id, expected in (("alice", set()), ("bob", {"b.wav"}), (None, set())):
        found = {track.path.name for track in library.tracks_for(user_id)}
        assert found & {"a.wav", "b.wav"} == expected


def test_users_whose_ids_differ_in_case_have_different_folders(music: Path) -> None:
    write_wav(music / "users/Alice/capital.wav", 0.1)
    library, _ = scan_report(music)
    assert "alice/hers.wav" not in paths(library, "Alice")
    assert "Alice/capital.wav" not in paths(library, "alice")


def test_a_file_below_users_that_is_in_no_users_folder_is_not_shared(music: Path) -> None:
    write_wav(music / "backup/Users/stray.wav", 0.1)
    library, report = scan_report(music)
    assert "backup/Users/stray.wav: it lies in users/ but in no user's folder" in report
    assert "Users/stray.wav" not in paths(library)


@pytest.mark.parametrize("name", ["...And Justice for All/One.wav", "..hidden.wav", "....a.wav"])
def test_names_that_begin_with_two_dots_are_listed_also_after_a_restart(
    music: Path, name: str
) -> None:
    write_wav(music / name, 0.1)
    library, _ = scan_report(music)
    assert Path(name).name in {track.path.name for track in library.tracks_for(None)}
    again = Library(music)
    again.restore(library.rows())
    assert again.tracks_for(None) == library.tracks_for(None)


@pytest.mark.parametrize("name", [".hidden.wav", ".music/a.wav", "._a.wav", "x/.y/a.wav"])
def test_names_that_begin_with_one_dot_are_hidden(music: Path, name: str) -> None:
    write_wav(music / name, 0.1)
    library, _ = scan_report(music)
    assert Path(name).name not in {track.path.name for track in library.tracks_for(None)}
