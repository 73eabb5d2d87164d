"""Finding and listing tracks, versions, and the rows of an earlier process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from audiostream.errors import LibraryError, TrackNotFound
from audiostream.library import scanner
from audiostream.library.library import Library
from tests.support.audio_files import tagged, write_wav
from tests.support.media_folder import put, record_reads, scanned, titles, write_manifest


def test_a_media_folder_that_does_not_exist_or_is_a_file_is_refused(folder: Path) -> None:
    put(folder, "file.wav")
    for path in (folder / "nowhere", folder / "file.wav", folder / ("x" * 300)):
        with pytest.raises(LibraryError, match="cannot be read"):
            Library(path)


def test_an_unknown_track_and_another_users_are_refused_in_the_same_words(folder: Path) -> None:
    put(folder, "users/ada/hers.wav")
    library = scanned(folder)
    [track] = library.tracks_for("ada")
    assert library.find(track.id, "ada") is track
    refusals = set()
    for track_id, user_id in ((track.id, "bob"), (track.id, None), ("none", "ada")):
        with pytest.raises(TrackNotFound) as refused:
            library.find(track_id, user_id)
        refusals.add(str(refused.value))
    assert len(refusals) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("nocturne", True),
        ("mil", True),
        ("\uff2e\uff2f\uff23\uff34", True),
        ("NÖCTURNE chopín", True),
        ("ctur", True),
        ("nocturne bach", False),
    ],
)
def test_a_search_matches_words_without_case_and_accents(
    folder: Path, query: str, found: bool
) -> None:
    tagged(folder / "x.mp3", TIT2="Nocturne", TPE1="Frédéric Chopin", TALB="Op. 9 ㏕")
    assert bool(scanned(folder).tracks_for(None, query)) is found


def test_the_version_grows_with_every_change_and_with_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 60.0)
    put(folder, "a.wav")
    library = scanned(folder)
    version = library.version
    library.scan()
    assert library.version == version
    (folder / "a.wav").unlink()
    put(folder, "b.wav", "c.wav")
    report = library.scan()
    assert (report.tracks, report.added, report.removed) == (2, 2, 1)
    assert library.version == version + 1


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_reads(monkeypatch)


def restarted(folder: Path, before: Library) -> Library:
    """A library that begins with what another has found."""
    library = Library(folder)
    library.restore(before.rows())
    return library


def test_restored_lists_are_complete_before_any_tags_are_read(
    folder: Path, read: list[str]
) -> None:
    put(folder, *(f"album/{number}.wav" for number in range(20)), "users/ada/hers.wav")
    write_manifest(folder, {"id": "named", "audioUrl": "album/3.wav", "title": "Three"})
    before = scanned(folder)
    read.clear()
    library = restarted(folder, before)
    assert library.tracks_for("ada") == before.tracks_for("ada")
    assert library.tracks_for(None) == before.tracks_for(None)
    assert library.find("named", None).duration == 0.1
    changed_at = (folder / "album/3.wav").stat().st_ctime_ns // 1_000_000
    assert library.find("named", None).added_at == before.find("named", None).added_at == changed_at
    assert read == []


def test_a_scan_after_a_restart_reads_the_tags_of_changed_files_alone(
    folder: Path, read: list[str]
) -> None:
    put(folder, "same.wav", "longer.wav", "touched.wav", "gone.wav")
    library = restarted(folder, scanned(folder))
    write_wav(folder / "longer.wav", 0.2)
    os.utime(folder / "touched.wav", (1, 1))
    (folder / "gone.wav").unlink()
    put(folder, "new.wav")
    read.clear()
    report = library.scan()
    assert sorted(read) == ["longer.wav", "new.wav", "touched.wav"]
    assert (report.tracks, report.added, report.removed) == (4, 1, 1)
    assert titles(library) == ["longer", "new", "same", "touched"]


def test_a_file_without_tags_is_not_read_again_until_it_changes(
    folder: Path, read: list[str]
) -> None:
    (folder / "broken.mp3").write_bytes(b"no audio")
    before = scanned(folder)
    assert read == ["broken.mp3"]
    before.scan()
    library = restarted(folder, before)
    assert titles(library) == ["broken"]
    library.scan()
    assert read == ["broken.mp3"]
    tagged(folder / "broken.mp3", TIT2="Mended")
    library.scan()
    assert read == ["broken.mp3", "broken.mp3"]
    assert titles(library) == ["Mended"]


def test_a_restored_list_stays_complete_during_the_next_scan(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
    put(folder, *(f"{number}.wav" for number in range(5)))
    library = restarted(folder, scanned(folder))
    seen = set()
    library.scan(lambda _: seen.add(len(titles(library))))
    assert seen == {5}


def test_owners_of_restored_tracks_are_those_of_the_present_manifest(folder: Path) -> None:
    put(folder, "a.wav", "b.wav")
    before = scanned(folder)
    write_manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
    library = restarted(folder, before)
    assert titles(library, "bob") == ["b"]
    assert titles(library, "ada") == ["a", "b"]
    (folder / "tracks.json").write_text("{")
    assert titles(restarted(folder, before), "ada") == []


@pytest.mark.parametrize(
    "row",
    [
        ("../out.wav", "1", None, None, None, 1.0, None, None, None),
        ("/etc/passwd", "1", None, None, None, 1.0, None, None, None),
        ("a/./b.wav", "1", None, None, None, 1.0, None, None, None),
        ("a\n.wav", "1", None, None, None, 1.0, None, None, None),
        (b"a.wav", "1", None, None, None, 1.0, None, None, None),
        ("a.wav", 1, None, None, None, 1.0, None, None, None),
        ("a.wav", None, None, None, None, 1.0, None, None, None),
        ("a.wav", "1", 5, None, None, 1.0, None, None, None),
        ("a.wav", "1", "a\nb", None, None, 1.0, None, None, None),
        ("a.wav", "1", None, None, None, -1.0, None, None, None),
        ("a.wav", "1", None, None, None, "1", None, None, None),
        ("a.wav", "1", None, None, None, 1.0, 7, None, None),
        ("a.wav", "1", None, None, None, 1.0, None, "1", None),
        ("a.wav", "1", None, None, None, 1.0, None, None, 10**9),
        ("a.wav",),
    ],
)
def test_rows_that_no_scan_has_made_are_refused_as_a_whole(folder: Path, row: Any) -> None:
    put(folder, "fine.wav")
    good = scanned(folder).rows()
    library = Library(folder)
    with pytest.raises(ValueError, match=r"."):
        library.restore([*good, row])
    assert titles(library) == []
    library.scan()
    assert titles(library) == ["fine"]


def test_rows_are_not_restored_over_tracks_that_are_known(folder: Path) -> None:
    put(folder, "a.wav")
    library = scanned(folder)
    library.restore([("b.wav", "1", None, None, None, 1.0, None, None, None)])
    assert titles(library) == ["a"]
    empty = Library(folder)
    empty.restore([])
    assert not empty.ready
