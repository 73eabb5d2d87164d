"""The media folder: what becomes a track, whose it is, and what never becomes readable."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostream.errors import LibraryError, TrackNotFound
from audiostream.library import scanner
from audiostream.library.library import Library
from audiostream.library.scanner import ScanProgress
from audiostream.library.tags.fields import Tags
from audiostream.library.tags.reader import TagReader
from audiostream.library.tracks import Track
from tests.conftest import write_wav


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def put(folder: Path, *names: str) -> None:
    for name in names:
        write_wav(folder / name, 0.1)


def manifest(folder: Path, *entries: Any) -> None:
    (folder / "tracks.json").write_text(json.dumps(entries))


def scanned(folder: Path) -> Library:
    library = Library(folder)
    library.scan()
    return library


def titles(library: Library, user_id: str | None = None, query: str = "") -> list[str]:
    return [track.title for track in library.tracks_for(user_id, query)]


def tagged(path: Path, **tags: str) -> None:
    """An MP3 of nothing but an ID3v2.3 header with the given text frames."""
    frames = b""
    for name, text in tags.items():
        body = b"\x01" + text.encode("utf-16")
        frames += name.encode() + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = bytes((len(frames) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + frames)


def noted_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose tags are read from here on, in order."""
    names: list[str] = []
    reading = TagReader.read

    def noted(reader: TagReader, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
        names.extend(path.name for path in paths)
        return reading(reader, paths)

    monkeypatch.setattr(TagReader, "read", noted)
    return names


class TestWhatBecomesATrack:
    def test_every_audio_file_under_the_folder(self, folder: Path) -> None:
        suffixes = (".mp3", ".ogg", ".oga", ".opus", ".flac", ".wav", ".m4a", ".aac", ".webm")
        put(folder, *(f"deep/down/sound{suffix}" for suffix in suffixes), "LOUD.WAV")
        put(folder, "cover.jpg", "film.mp4", "song.mp3.gz", "wav")
        assert len(titles(scanned(folder))) == len(suffixes) + 1

    def test_hidden_files_and_folders_are_not(self, folder: Path) -> None:
        put(folder, ".hidden.wav", ".hidden/a.wav", "shown.wav")
        assert titles(scanned(folder)) == ["shown"]

    def test_nor_is_anything_behind_a_link_or_no_regular_file(
        self, folder: Path, tmp_path: Path
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

    def test_the_folder_itself_may_be_a_link(self, folder: Path, tmp_path: Path) -> None:
        put(folder, "a.wav")
        (tmp_path / "link").symlink_to(folder)
        [track] = scanned(tmp_path / "link").tracks_for(None)
        assert track.path == folder.resolve() / "a.wav"

    def test_a_name_that_cannot_be_shown_is_reported(self, folder: Path) -> None:
        put(folder, "fine.wav")
        os.link(folder / "fine.wav", os.fsencode(folder) + b"/bad\xff.wav")
        library = Library(folder)
        [sentence] = library.scan().left_out
        assert "rename it" in sentence
        assert sentence.isascii()
        assert titles(library) == ["fine"]

    @pytest.mark.parametrize("name", ["日本\u3000語", "a\u00a0b", "👩\u200d🚀"])
    def test_wide_spaces_and_joined_signs_are_names_like_any_other(
        self, folder: Path, name: str
    ) -> None:
        put(folder, f"{name}.wav")
        library = Library(folder)
        assert library.scan().left_out == ()
        assert titles(library) == [" ".join(name.split())]

    def test_two_spellings_of_one_name_are_one_track_and_a_report(self, folder: Path) -> None:
        put(folder, "Ä.wav", "A\u0308.wav")
        library = Library(folder)
        assert library.scan().left_out == ("Ä.wav: its id is taken by another track",)
        assert len(titles(library)) == 1

    def test_the_id_is_the_paths_and_stays_over_time_and_normalize_name(self, folder: Path) -> None:
        put(folder, "a/Ähre.wav")
        [track] = scanned(folder).tracks_for(None)
        assert track.id == "63219b15-3ad6-5ae3-b716-3e70dd08bb24"
        (folder / "a/Ähre.wav").rename(folder / "a/A\u0308hre.wav")
        assert [again.id for again in scanned(folder).tracks_for(None)] == [track.id]

    def test_an_unreadable_folder_is_reported(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(folder, "a.wav", "closed/b.wav")
        scandir = os.scandir

        def guarded(path: Path) -> Any:
            if path.name == "closed":
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", guarded)
        library = Library(folder)
        assert library.scan().left_out == (
            "'closed': the folder cannot be read (Permission denied)",
        )
        assert titles(library) == ["a"]

    def test_a_media_folder_that_is_none(self, folder: Path) -> None:
        put(folder, "file.wav")
        for path in (folder / "nowhere", folder / "file.wav", folder / ("x" * 300)):
            with pytest.raises(LibraryError, match="cannot be read"):
                Library(path)


class TestTags:
    def test_they_name_the_track(self, folder: Path) -> None:
        tagged(folder / "x.mp3", TIT2="Ночь", TPE1="Ada", TALB="Dreams")
        [track] = scanned(folder).tracks_for(None)
        assert (track.title, track.artist, track.album) == ("Ночь", "Ada", "Dreams")

    def test_without_them_the_files_name_does(self, folder: Path) -> None:
        put(folder, "a_long_way.wav")
        [track] = scanned(folder).tracks_for(None)
        assert (track.title, track.artist, track.album) == ("a long way", None, None)
        assert track.duration == pytest.approx(0.1)

    def test_they_are_clean_text(self, folder: Path) -> None:
        tagged(folder / "x.mp3", TIT2="a\nb\x07", TPE1="  ")
        [track] = scanned(folder).tracks_for(None)
        assert (track.title, track.artist) == ("a b", None)

    def test_two_files_may_say_the_same(self, folder: Path) -> None:
        for name in ("x.mp3", "y.mp3"):
            tagged(folder / name, TIT2="Same", TPE1="Ada")
        assert titles(scanned(folder)) == ["Same", "Same"]

    def test_a_broken_file_is_still_a_track(self, folder: Path) -> None:
        (folder / "broken.flac").write_bytes(b"fLaC" + b"\xff" * 50)
        (folder / "empty.mp3").write_bytes(b"")
        assert titles(scanned(folder)) == ["broken", "empty"]

    def test_without_the_extra_there_is_one_line_in_the_log(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(folder, "a.wav", "b.wav")
        monkeypatch.setitem(sys.modules, "tinytag", None)
        library = scanned(folder)
        assert [track.duration for track in library.tracks_for(None)] == [None, None]
        assert caplog.text.count("audiostream[tags]") == 1

    def test_a_rescan_reads_only_what_has_changed(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(folder, "a.wav", "b.wav")
        library = scanned(folder)
        read = noted_reads(monkeypatch)
        write_wav(folder / "b.wav", 2.0)
        library.scan()
        assert read == ["b.wav"]
        assert library.tracks_for(None)[1].duration == 2.0


class TestOwners:
    def test_a_users_folder_is_theirs_alone(self, folder: Path) -> None:
        put(folder, "shared.wav", "users/ada/hers.wav", "users/ada/deep/too.wav")
        library = scanned(folder)
        assert titles(library, "ada") == ["hers", "shared", "too"]
        assert titles(library, "bob") == titles(library, None) == ["shared"]

    def test_an_unknown_track_and_anothers_are_refused_in_the_same_words(
        self, folder: Path
    ) -> None:
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

    def test_a_file_directly_under_users_is_nobodys(self, folder: Path) -> None:
        put(folder, "users/stray.wav")
        library = Library(folder)
        assert library.scan().left_out == (
            "users/stray.wav: it lies in users/ but in no user's folder",
        )
        assert titles(library) == []


class TestManifest:
    def test_it_names_tracks(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        entry = {"id": "one", "audioUrl": "a.wav", "title": "One", "artist": "X", "album": "Y"}
        manifest(folder, entry | {"duration": 5, "ownerId": "ada"})
        library = scanned(folder)
        assert library.find("one", "ada") == Track(
            "one", folder.resolve() / "a.wav", "One", "X", "Y", 5.0, "ada"
        )
        assert titles(library) == ["b"]

    def test_what_it_does_not_say_the_file_does(self, folder: Path) -> None:
        tagged(folder / "x.mp3", TIT2="Tagged")
        manifest(folder, {"id": "x", "audioUrl": "x.mp3"})
        assert titles(scanned(folder)) == ["Tagged"]

    def test_a_file_in_a_users_folder_stays_theirs(self, folder: Path) -> None:
        put(folder, "users/ada/a.wav")
        manifest(folder, {"id": "a", "audioUrl": "users/ada/a.wav"})
        assert scanned(folder).find("a", "ada").owner_id == "ada"

    def test_an_entry_may_point_through_a_link_inside(self, folder: Path) -> None:
        put(folder, "real.wav")
        (folder / "link.wav").symlink_to("real.wav")
        manifest(folder, {"id": "a", "audioUrl": "link.wav"})
        assert scanned(folder).find("a", None).path == folder.resolve() / "real.wav"

    @pytest.mark.parametrize(
        ("entry", "why"),
        [
            ({"audioUrl": "../outside.wav"}, "outside the media folder"),
            ({"audioUrl": "/etc/hostname"}, "outside the media folder"),
            ({"audioUrl": "n" * 300}, "no regular file"),
            ({"audioUrl": "\ud800"}, "is no path"),
            ({"audioUrl": "good%2ewav"}, "no regular file"),
            ({"audioUrl": "escape.wav"}, "outside the media folder"),
            ({"audioUrl": "a.wav/../../outside.wav"}, "outside the media folder"),
            ({"audioUrl": "a\0.wav"}, "must be a path"),
            ({"audioUrl": ""}, "must be a path"),
            ({"audioUrl": 5}, "must be a path"),
            ({"audioUrl": "none.wav"}, "no regular file"),
            ({"audioUrl": "directory"}, "no regular file"),
            ({"audioUrl": "pipe.wav"}, "no regular file"),
            ({"id": ""}, '"id" must be'),
            ({"id": 5}, '"id" must be'),
            ({"id": "a/b"}, '"id" must be'),
            ({"id": "a\nb"}, '"id" must be'),
            ({"id": "x" * 129}, '"id" must be'),
            ({"id": None}, '"id" must be'),
            ({"title": 5}, '"title" must be'),
            ({"artist": "a\0"}, '"artist" must be'),
            ({"duration": "5"}, '"duration" must be'),
            ({"duration": -1}, '"duration" must be'),
            ({"duration": True}, '"duration" must be'),
            ({"duration": 10**400}, '"duration" must be'),
            ({"ownerId": 7}, '"ownerId" must be'),
            ({"ownerId": ""}, '"ownerId" must be'),
            ({"audioUrl": "users/bob/b.wav", "ownerId": "ada"}, "another user's folder"),
        ],
    )
    def test_a_bad_entry_is_reported_and_left_out_and_its_file_with_it(
        self, folder: Path, tmp_path: Path, entry: dict[str, Any], why: str
    ) -> None:
        put(tmp_path, "outside.wav")
        put(folder, "a.wav", "good.wav", "users/bob/b.wav")
        (folder / "directory").mkdir()
        (folder / "escape.wav").symlink_to(tmp_path / "outside.wav")
        os.mkfifo(folder / "pipe.wav")
        bad = {"id": "bad", "audioUrl": "a.wav", "title": "Bad"} | entry
        manifest(folder, bad, {"id": "good", "audioUrl": "good.wav"})
        library = Library(folder)
        sentences = [line for line in library.scan().left_out if line.startswith("tracks.json")]
        assert len(sentences) == 1
        assert sentences[0].startswith("tracks.json, entry 1:")
        assert why in sentences[0]
        assert str(tmp_path) not in sentences[0]
        assert "Bad" not in titles(library, "ada") + titles(library, "bob")
        if bad["audioUrl"] == "a.wav":
            assert titles(library, "ada") == ["good"]

    def test_an_id_given_twice_is_the_first_ones(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        manifest(folder, {"id": "x", "audioUrl": "a.wav"}, {"id": "x", "audioUrl": "b.wav"}, 5)
        library = Library(folder)
        assert library.scan().left_out == (
            "tracks.json, entry 2: its id is taken by an entry before it",
            "tracks.json, entry 3: it is no object",
        )
        assert titles(library) == ["a"]

    def test_an_id_of_another_files_own_is_the_entrys(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        own = next(track.id for track in scanned(folder).tracks_for(None) if track.title == "b")
        manifest(folder, {"id": own, "audioUrl": "a.wav"})
        library = Library(folder)
        assert library.scan().left_out == ("b.wav: its id is taken by another track",)
        assert titles(library) == ["a"]

    @pytest.mark.parametrize("text", ["", "{}", "[", '"x"', "[" * 100_000, "\ud800"])
    def test_one_that_cannot_be_understood_shares_nothing(self, folder: Path, text: str) -> None:
        put(folder, "perhaps_private.wav", "users/ada/hers.wav")
        (folder / "tracks.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        library = Library(folder)
        [sentence] = library.scan().left_out
        assert "mend it and rescan" in sentence
        assert titles(library, "ada") == ["hers"]
        assert titles(library) == []

    @pytest.mark.parametrize("kind", ["pipe", "folder", "link to nothing"])
    def test_one_that_is_no_file_shares_nothing(self, folder: Path, kind: str) -> None:
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

    def test_one_mended_shares_again(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        (folder / "tracks.json").write_text("[")
        library = scanned(folder)
        manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
        assert library.scan().left_out == ()
        assert (titles(library, "ada"), titles(library)) == (["a", "b"], ["b"])

    def test_its_last_good_state_is_held_against_the_files_there_now(
        self, folder: Path, tmp_path: Path
    ) -> None:
        put(tmp_path, "outside.wav")
        put(folder, "a.wav", "b.wav")
        manifest(folder, {"id": "a", "audioUrl": "a.wav"}, {"id": "b", "audioUrl": "b.wav"})
        library = scanned(folder)
        (folder / "tracks.json").write_text("[")
        (folder / "a.wav").unlink()
        (folder / "a.wav").symlink_to(tmp_path / "outside.wav")
        report = library.scan()
        assert any("points outside" in sentence for sentence in report.left_out)
        assert titles(library) == ["b"]

    def test_one_broken_later_keeps_its_last_good_state(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
        library = scanned(folder)
        (folder / "tracks.json").write_text("[")
        [sentence] = library.scan().left_out
        assert "its last good state stays" in sentence
        assert (titles(library, "ada"), titles(library)) == (["a", "b"], ["b"])

    def test_one_taken_away_is_gone(self, folder: Path) -> None:
        put(folder, "a.wav")
        manifest(folder, {"id": "a", "audioUrl": "a.wav", "title": "A"})
        library = scanned(folder)
        (folder / "tracks.json").unlink()
        library.scan()
        assert titles(library) == ["a"]

    def test_an_entry_by_absolute_path_keeps_its_file_from_being_shared(self, folder: Path) -> None:
        put(folder, "hers.wav")
        manifest(folder, {"id": "h", "audioUrl": str(folder / "hers.wav"), "ownerId": "ada"})
        library = Library(folder)
        [sentence] = library.scan().left_out
        assert "relative to the media folder" in sentence
        assert titles(library) == titles(library, "ada") == []

    def test_a_file_named_twice_is_one_track(self, folder: Path) -> None:
        put(folder, "a.wav")
        manifest(folder, {"id": "one", "audioUrl": "a.wav"}, {"id": "two", "audioUrl": "./a.wav"})
        library = Library(folder)
        assert library.scan().left_out == (
            "tracks.json, entry 2: its file is named by an entry before it",
        )
        assert [track.id for track in library.tracks_for(None)] == ["one"]

    @pytest.mark.parametrize("owners", [("ada", None), (None, "ada"), ("ada", "bob"), (7, None)])
    def test_a_file_of_several_owners_is_nobodys(
        self, folder: Path, owners: tuple[Any, Any]
    ) -> None:
        put(folder, "a.wav")
        manifest(
            folder,
            *({"id": f"{owner}", "audioUrl": "a.wav", "ownerId": owner} for owner in owners),
        )
        library = Library(folder)
        assert "'a.wav': tracks.json names several owners of it" in library.scan().left_out
        for user_id in ("ada", "bob", None):
            assert titles(library, user_id) == []

    @pytest.mark.parametrize(("named", "there"), [("Ä.wav", "A\u0308.wav"), ("A.wav", "a.wav")])
    def test_a_file_whose_name_an_entry_spells_otherwise_is_not_shared(
        self, folder: Path, named: str, there: str
    ) -> None:
        put(folder, there, f"users/bob/{there}")
        manifest(folder, {"id": "a", "audioUrl": named, "ownerId": "ada"})
        library = Library(folder)
        assert any("in another spelling" in line for line in library.scan().left_out)
        assert titles(library) == titles(library, "ada") == []
        assert len(titles(library, "bob")) == 1

    def test_a_name_that_cannot_be_shown_still_gives_a_title(self, folder: Path) -> None:
        put(folder, "_.wav", "a\nb.wav")
        manifest(folder, {"id": "x", "audioUrl": "_.wav"}, {"id": "y", "audioUrl": "a\nb.wav"})
        assert titles(scanned(folder)) == ["'_.wav'", "a b"]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.data())
    def test_a_file_that_an_entry_gives_to_someone_is_never_shared(
        self, folder: Path, data: st.DataObject
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
        manifest(folder, *entries)
        library = scanned(folder)
        shared = [track.path.relative_to(folder.resolve()) for track in library.tracks_for(None)]
        assert not {path.as_posix() for path in shared} & owned
        assert len(shared) == len(set(shared))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        st.text() | st.lists(st.sampled_from(["..", ".", "/", "a", "a.wav", "up"])).map("/".join)
    )
    def test_no_audio_url_leads_outside(self, folder: Path, audio_url: str) -> None:
        (folder.parent / "a.wav").touch()
        (folder / "a.wav").touch()
        if not (folder / "up").is_symlink():
            (folder / "up").symlink_to("..")
        manifest(folder, {"id": "x", "audioUrl": audio_url})
        for track in scanned(folder).tracks_for(None):
            assert track.path.is_relative_to(folder.resolve())


class TestLists:
    def test_the_order_is_that_of_people(self, folder: Path) -> None:
        names = ["Track 10", "track 9", "Étude", "etude 2", "zebra", "10", "9"]
        put(folder, *(f"{name}.wav" for name in names))
        assert titles(scanned(folder)) == [
            "9",
            "10",
            "Étude",
            "etude 2",
            "track 9",
            "Track 10",
            "zebra",
        ]

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
    def test_search_is_by_words_without_case_and_accents(
        self, folder: Path, query: str, found: bool
    ) -> None:
        tagged(folder / "x.mp3", TIT2="Nocturne", TPE1="Frédéric Chopin", TALB="Op. 9 ㏕")
        assert bool(scanned(folder).tracks_for(None, query)) is found

    def test_a_number_of_thousands_of_digits_is_only_a_name(self, folder: Path) -> None:
        tagged(folder / "x.mp3", TIT2="9" * 5000)
        tagged(folder / "y.mp3", TIT2="8" * 5000)
        assert len(titles(scanned(folder))) == 2


class TestPublishing:
    def test_a_first_scan_shows_what_it_has(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
        put(folder, "a.wav", "b.wav", "c.wav")
        library, seen = Library(folder), []

        def look(progress: ScanProgress) -> None:
            seen.append((progress.found, len(titles(library)), library.ready))

        library.scan(look)
        assert seen == [(1, 0, False), (2, 1, False), (3, 2, False)]
        assert library.ready

    def test_a_first_scan_lists_all_files_before_it_reads_what_is_in_them(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 60.0)
        tagged(folder / "a.mp3", TIT2="Tagged")
        put(folder, "b.wav")
        library, seen = Library(folder), []
        reading = TagReader.read

        def noted(reader: TagReader, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
            seen.append(titles(library))
            return reading(reader, paths)

        monkeypatch.setattr(TagReader, "read", noted)
        library.scan()
        assert seen == [["a", "b"]]
        assert titles(library) == ["b", "Tagged"]

    def test_a_changed_file_keeps_its_title_until_the_new_one_is_read(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
        tagged(folder / "a.mp3", TIT2="Old")
        put(folder, *(f"{number}.wav" for number in range(9)))
        library = scanned(folder)
        tagged(folder / "a.mp3", TIT2="New")
        put(folder, "z.wav")
        seen = set()
        reading = TagReader.read

        def noted(reader: TagReader, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
            for path, tags in reading(reader, paths):
                seen.update(titles(library))
                yield path, tags

        monkeypatch.setattr(TagReader, "read", noted)
        library.scan()
        assert "a" not in seen
        assert "New" in titles(library)

    def test_a_rescan_lists_nothing_before_all_files_are_found(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
        put(folder, "a.wav")
        library = scanned(folder)
        put(folder, "b.wav", "c.wav")
        seen = []
        library.scan(lambda progress: seen.append(len(titles(library))))
        assert seen == [1, 1, 1]
        assert len(titles(library)) == 3

    def test_the_version_counts_changes(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
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

    def test_a_scan_that_is_stopped_leaves_everything_as_it_was(self, folder: Path) -> None:
        put(folder, "a.wav")
        library = scanned(folder)
        put(folder, "b.wav")
        stop = threading.Event()
        stop.set()
        assert library.scan(stop=stop).tracks == 1
        assert titles(library) == ["a"]

    def test_a_first_scan_may_be_stopped_and_begun_again(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav", "c/c.wav")
        library, stop = Library(folder), threading.Event()
        library.scan(lambda progress: stop.set(), stop)
        assert not library.ready
        assert library.scan().tracks == 3
        assert library.ready

    def test_a_stop_does_not_wait_for_folders_without_music(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(folder, "a.wav", *(f"pictures/{number}/x.jpg" for number in range(9)))
        library, stop, looked_into = Library(folder), threading.Event(), []
        scandir = os.scandir

        def noted(path: Path) -> Any:
            looked_into.append(path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", noted)
        library.scan(lambda progress: stop.set(), stop)
        assert looked_into == [folder.resolve()]

    def test_a_file_that_vanishes_after_it_was_listed(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        library = Library(folder)
        report = library.scan(lambda progress: (folder / "b.wav").unlink())
        assert (titles(library), report.left_out) == (["a"], ())

    def test_an_entry_whose_file_vanishes_meanwhile_is_no_error(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(folder, "a.wav", "b.wav")
        manifest(folder, {"id": "a", "audioUrl": "a.wav"}, {"id": "b", "audioUrl": "b.wav"})
        library = Library(folder)
        report = library.scan(lambda progress: (folder / "b.wav").unlink(missing_ok=True))
        assert (titles(library), report.left_out) == (["a"], ())

    def test_a_file_that_vanishes_before_its_tags_are_read_is_gone_at_the_next_scan(
        self, folder: Path
    ) -> None:
        put(folder, "a.wav", "b.wav")
        library = Library(folder)
        library.scan(lambda progress: (folder / "a.wav").unlink(missing_ok=True))
        library.scan()
        assert titles(library) == ["b"]

    def test_a_long_list_of_what_is_left_out_is_cut_in_the_log(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        monkeypatch.setattr(scanner, "MAX_LOGGED", 2)
        put(folder, *(f"users/{number}.wav" for number in range(5)))
        assert len(Library(folder).scan().left_out) == 5
        assert caplog.text.count("left out users/") == 2
        assert "and 3 more left out" in caplog.text


class TestARestart:
    """What one library found, another of the same folder begins with."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        return noted_reads(monkeypatch)

    def restarted(self, folder: Path, before: Library) -> Library:
        library = Library(folder)
        library.restore(before.rows())
        return library

    def test_lists_are_complete_before_anything_is_read(
        self, folder: Path, read: list[str]
    ) -> None:
        put(folder, *(f"album/{number}.wav" for number in range(20)), "users/ada/hers.wav")
        manifest(folder, {"id": "named", "audioUrl": "album/3.wav", "title": "Three"})
        before = scanned(folder)
        read.clear()
        library = self.restarted(folder, before)
        assert library.tracks_for("ada") == before.tracks_for("ada")
        assert library.tracks_for(None) == before.tracks_for(None)
        assert library.find("named", None).duration == 0.1
        assert read == []

    def test_the_scan_reads_only_what_has_changed(self, folder: Path, read: list[str]) -> None:
        put(folder, "same.wav", "longer.wav", "touched.wav", "gone.wav")
        library = self.restarted(folder, scanned(folder))
        write_wav(folder / "longer.wav", 0.2)
        os.utime(folder / "touched.wav", (1, 1))
        (folder / "gone.wav").unlink()
        put(folder, "new.wav")
        read.clear()
        report = library.scan()
        assert sorted(read) == ["longer.wav", "new.wav", "touched.wav"]
        assert (report.tracks, report.added, report.removed) == (4, 1, 1)
        assert titles(library) == ["longer", "new", "same", "touched"]

    def test_a_file_that_said_nothing_is_not_asked_again_until_it_changes(
        self, folder: Path, read: list[str]
    ) -> None:
        (folder / "broken.mp3").write_bytes(b"no audio")
        before = scanned(folder)
        assert read == ["broken.mp3"]
        before.scan()
        library = self.restarted(folder, before)
        assert titles(library) == ["broken"]
        library.scan()
        assert read == ["broken.mp3"]
        tagged(folder / "broken.mp3", TIT2="Mended")
        library.scan()
        assert read == ["broken.mp3", "broken.mp3"]
        assert titles(library) == ["Mended"]

    def test_a_file_that_nobody_could_read_is_asked_when_the_extra_is_there(
        self, folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(folder, "a.wav")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "tinytag", None)
            before = scanned(folder)
        library = self.restarted(folder, before)
        assert library.tracks_for(None)[0].duration is None
        library.scan()
        assert library.tracks_for(None)[0].duration == pytest.approx(0.1)

    def test_the_restored_list_stays_whole_during_the_scan(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)
        put(folder, *(f"{number}.wav" for number in range(5)))
        library = self.restarted(folder, scanned(folder))
        seen = set()
        library.scan(lambda _: seen.add(len(titles(library))))
        assert seen == {5}

    def test_who_may_play_what_is_as_it_is_written_now(self, folder: Path) -> None:
        put(folder, "a.wav", "b.wav")
        before = scanned(folder)
        manifest(folder, {"id": "a", "audioUrl": "a.wav", "ownerId": "ada"})
        library = self.restarted(folder, before)
        assert titles(library, "bob") == ["b"]
        assert titles(library, "ada") == ["a", "b"]
        (folder / "tracks.json").write_text("{")
        assert titles(self.restarted(folder, before), "ada") == []

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
    def test_what_no_scan_has_found_is_refused_whole(self, folder: Path, row: Any) -> None:
        put(folder, "fine.wav")
        good = scanned(folder).rows()
        library = Library(folder)
        with pytest.raises(ValueError, match=r"."):
            library.restore([*good, row])
        assert titles(library) == []
        library.scan()
        assert titles(library) == ["fine"]

    def test_what_is_known_already_stays(self, folder: Path) -> None:
        put(folder, "a.wav")
        library = scanned(folder)
        library.restore([("b.wav", "1", None, None, None, 1.0, None, None, None)])
        assert titles(library) == ["a"]
        empty = Library(folder)
        empty.restore([])
        assert not empty.ready
