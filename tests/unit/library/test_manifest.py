"""The file ``tracks.json`` as a whole: its tracks, and how it is read and kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream.library.library import Library
from audiostream.library.manifest import Manifest, parse, read_entries
from audiostream.library.tracks import Track
from tests.support.audio_files import tagged
from tests.support.media_folder import (
    DIARY,
    owned_entry,
    paths,
    put,
    scan_report,
    scanned,
    titles,
    write_manifest,
)


def test_an_entry_gives_its_track_id_title_artist_album_duration_and_owner(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    entry = {"id": "one", "audioUrl": "a.wav", "title": "One", "artist": "X", "album": "Y"}
    write_manifest(folder, entry | {"duration": 5, "ownerId": "ada"})
    library = scanned(folder)
    assert library.find("one", "ada") == Track(
        "one", folder.resolve() / "a.wav", "One", "X", "Y", 5.0, "ada"
    )
    assert titles(library) == ["b"]


def test_fields_that_an_entry_lacks_come_from_the_tags(folder: Path) -> None:
    tagged(folder / "x.mp3", TIT2="Tagged")
    write_manifest(folder, {"id": "x", "audioUrl": "x.mp3"})
    assert titles(scanned(folder)) == ["Tagged"]


def test_an_entry_without_owner_leaves_a_file_in_a_users_folder_to_that_user(folder: Path) -> None:
    put(folder, "users/ada/a.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "users/ada/a.wav"})
    assert scanned(folder).find("a", "ada").owner_id == "ada"


def test_an_entry_may_name_a_link_to_a_file_in_the_media_folder(folder: Path) -> None:
    put(folder, "real.wav")
    (folder / "link.wav").symlink_to("real.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "link.wav"})
    assert scanned(folder).find("a", None).path == folder.resolve() / "real.wav"


def test_an_entry_makes_a_track_of_a_file_with_an_unsupported_suffix(folder: Path) -> None:
    (folder / "a.wma").write_bytes(b"x")
    (folder / "tracks.json").write_text('[{"id": "a", "audioUrl": "a.wma"}]')
    library = Library(folder)
    assert library.scan().left_out == ()
    assert library.find("a", None).title == "a"


def test_an_id_in_two_entries_belongs_to_the_first(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    write_manifest(folder, {"id": "x", "audioUrl": "a.wav"}, {"id": "x", "audioUrl": "b.wav"}, 5)
    library = Library(folder)
    assert library.scan().left_out == (
        "tracks.json, entry 2: its id is taken by an entry before it",
        "tracks.json, entry 3: it is no object",
    )
    assert titles(library) == ["a"]


def test_an_entry_takes_the_id_that_another_file_has_by_its_path(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    own = next(track.id for track in scanned(folder).tracks_for(None) if track.title == "b")
    write_manifest(folder, {"id": own, "audioUrl": "a.wav"})
    library = Library(folder)
    assert library.scan().left_out == ("b.wav: its id is taken by another track",)
    assert titles(library) == ["a"]


@pytest.mark.parametrize("text", ["", "{}", "[", '"x"', "[" * 100_000, "\ud800"])
def test_a_manifest_that_cannot_be_parsed_leaves_only_users_folders(
    folder: Path, text: str
) -> None:
    put(folder, "perhaps_private.wav", "users/ada/hers.wav")
    (folder / "tracks.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    library = Library(folder)
    [sentence] = library.scan().left_out
    assert "mend it and rescan" in sentence
    assert titles(library, "ada") == ["hers"]
    assert titles(library) == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing"])
def test_a_manifest_that_is_no_regular_file_leaves_nothing_shared(folder: Path, kind: str) -> None:
    put(folder, "perhaps_private.wav")
    path = folder / "tracks.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("gone.json")
    library = Library(folder)
    assert "mend it and rescan" in library.scan().left_out[0]
    assert titles(library) == []


@pytest.mark.parametrize("name", ["Tracks.json", "TRACKS.JSON", "tracks.json "])
def test_a_manifest_whose_name_is_spelled_otherwise_leaves_nothing_shared(
    music: Path, name: str
) -> None:
    write_manifest(music, owned_entry(DIARY))
    (music / "tracks.json").rename(music / name)
    library, report = scan_report(music)
    assert paths(library, "bob") == {"bob/his.wav"}
    assert "tracks.json cannot be understood" in report


def test_a_corrected_manifest_shares_files_again(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    (folder / "tracks.json").write_text("[")
    library = scanned(folder)
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
    assert library.scan().left_out == ()
    assert (titles(library, "ada"), titles(library)) == (["a", "b"], ["b"])


def test_the_last_good_manifest_is_checked_against_the_present_files(
    folder: Path, tmp_path: Path
) -> None:
    put(tmp_path, "outside.wav")
    put(folder, "a.wav", "b.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav"}, {"id": "b", "audioUrl": "b.wav"})
    library = scanned(folder)
    (folder / "tracks.json").write_text("[")
    (folder / "a.wav").unlink()
    (folder / "a.wav").symlink_to(tmp_path / "outside.wav")
    report = library.scan()
    assert any("points outside" in sentence for sentence in report.left_out)
    assert titles(library) == ["b"]


def test_a_manifest_that_is_damaged_later_keeps_its_last_good_state(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
    library = scanned(folder)
    (folder / "tracks.json").write_text("[")
    [sentence] = library.scan().left_out
    assert "its last good state stays" in sentence
    assert (titles(library, "ada"), titles(library)) == (["a", "b"], ["b"])


def test_a_manifest_that_is_removed_has_no_entries_any_more(folder: Path) -> None:
    put(folder, "a.wav")
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav", "title": "A"})
    library = scanned(folder)
    (folder / "tracks.json").unlink()
    library.scan()
    assert titles(library) == ["a"]


def test_a_file_that_an_entry_names_by_absolute_path_is_played_by_no_user(folder: Path) -> None:
    put(folder, "hers.wav")
    write_manifest(folder, {"id": "h", "audioUrl": str(folder / "hers.wav"), "ownerId": "ada"})
    library = Library(folder)
    [sentence] = library.scan().left_out
    assert "relative to the media folder" in sentence
    assert titles(library) == titles(library, "ada") == []


def test_a_file_named_by_two_entries_is_one_track(folder: Path) -> None:
    put(folder, "a.wav")
    write_manifest(folder, {"id": "one", "audioUrl": "a.wav"}, {"id": "two", "audioUrl": "./a.wav"})
    library = Library(folder)
    assert library.scan().left_out == (
        "tracks.json, entry 2: its file is named by an entry before it",
    )
    assert [track.id for track in library.tracks_for(None)] == ["one"]


@pytest.mark.parametrize("owners", [("ada", None), (None, "ada"), ("ada", "bob"), (7, None)])
def test_a_file_that_two_entries_give_to_different_owners_is_played_by_no_user(
    folder: Path, owners: tuple[Any, Any]
) -> None:
    put(folder, "a.wav")
    write_manifest(
        folder,
        *({"id": f"{owner}", "audioUrl": "a.wav", "ownerId": owner} for owner in owners),
    )
    library = Library(folder)
    assert "'a.wav': tracks.json names several owners of it" in library.scan().left_out
    for user_id in ("ada", "bob", None):
        assert titles(library, user_id) == []


def test_two_spellings_of_a_file_with_different_owners_are_played_by_no_user(
    music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.link(music / DIARY, music / "private/My Diary.wav")  # as such a disk shows it
    write_manifest(
        music, owned_entry(DIARY), {"id": "x", "audioUrl": "private/My Diary.wav", "ownerId": None}
    )
    library, report = scan_report(music)
    assert paths(library, "bob") == {"album/song.wav", "bob/his.wav"}
    assert "names several owners of it" in report


@pytest.mark.parametrize(("named", "there"), [("Ä.wav", "A\u0308.wav"), ("A.wav", "a.wav")])
def test_a_file_whose_name_an_entry_spells_otherwise_is_not_shared(
    folder: Path, named: str, there: str
) -> None:
    put(folder, there, f"users/bob/{there}")
    write_manifest(folder, {"id": "a", "audioUrl": named, "ownerId": "ada"})
    library = Library(folder)
    assert any("in another spelling" in line for line in library.scan().left_out)
    assert titles(library) == titles(library, "ada") == []
    assert len(titles(library, "bob")) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_any_entry_gives_to_a_user_is_never_shared(
    folder: Path, data: st.DataObject
) -> None:
    put(folder, "a.wav", "b.wav", "users/bob/c.wav")
    if not (folder / "link.wav").is_symlink():
        (folder / "link.wav").symlink_to("a.wav")
    spellings = {
        "a.wav": ["a.wav", "./a.wav", "link.wav", "../media/a.wav", str(folder / "a.wav")],
        "b.wav": ["b.wav", "users/../b.wav"],
        "users/bob/c.wav": ["users/bob/c.wav"],
    }
    files = st.sampled_from(sorted(spellings))
    entries, owned = [], {"users/bob/c.wav"}
    for name in data.draw(st.lists(files, max_size=5)):
        owner_id = data.draw(st.sampled_from([None, "ada", "bob", "", 7]))
        entries.append(
            {
                "id": data.draw(st.sampled_from(["x", "y", "z", "", 5])),
                "audioUrl": data.draw(st.sampled_from(spellings[name])),
                "title": data.draw(st.sampled_from(["T", 5])),
                "ownerId": owner_id,
            }
        )
        if owner_id is not None:
            owned.add(name)
    write_manifest(folder, *entries)
    library = scanned(folder)
    shared = [track.path.relative_to(folder.resolve()) for track in library.tracks_for(None)]
    assert not {path.as_posix() for path in shared} & owned
    assert len(shared) == len(set(shared))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.lists(st.sampled_from(["..", ".", "/", "a", "a.wav", "up"])).map("/".join))
def test_no_audio_url_leads_outside_the_media_folder(folder: Path, audio_url: str) -> None:
    (folder.parent / "a.wav").touch()
    (folder / "a.wav").touch()
    if not (folder / "up").is_symlink():
        (folder / "up").symlink_to("..")
    write_manifest(folder, {"id": "x", "audioUrl": audio_url})
    for track in scanned(folder).tracks_for(None):
        assert track.path.is_relative_to(folder.resolve())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "private/a.wav")
    return tmp_path.resolve()


def parsed(root: Path, *entries: Any, files: Iterable[str] = ()) -> Manifest:
    return parse(root, list(entries), lambda: files)


def test_a_folder_without_a_manifest_has_no_entries(root: Path) -> None:
    assert read_entries(root) == []


def test_a_duration_that_is_not_a_number_is_reported(root: Path) -> None:
    (root / "tracks.json").write_text('[{"id": "x", "audioUrl": "private/a.wav", "duration": NaN}]')
    manifest = parsed(root, *read_entries(root))
    assert '"duration" must be' in manifest.left_out[0]


def test_a_key_that_is_given_twice_with_the_same_value_has_that_value(root: Path) -> None:
    (root / "tracks.json").write_text('[{"id": "x", "id": "x", "audioUrl": "private/a.wav"}]')
    [entry] = parsed(root, *read_entries(root)).entries
    assert entry.id == "x"
