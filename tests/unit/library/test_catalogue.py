"""The order of lists, and how a catalogue follows another."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library import catalogue
from audiostream.library.catalogue import Catalogue
from audiostream.library.tracks import Track
from tests.support.audio_files import tagged
from tests.support.media_folder import put, scanned, titles

CHAPTERS = ("Prologue", "Arrival", "The Storm", "Homecoming", "Epilogue")


def test_titles_are_sorted_by_numbers_and_without_case_and_accents(folder: Path) -> None:
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


def test_titles_that_are_numbers_of_thousands_of_digits_are_listed(folder: Path) -> None:
    tagged(folder / "x.mp3", TIT2="9" * 5000)
    tagged(folder / "y.mp3", TIT2="8" * 5000)
    assert len(titles(scanned(folder))) == 2


def test_the_chapters_of_a_book_are_listed_by_track_number(folder: Path) -> None:
    for number, title in enumerate(CHAPTERS, 1):
        tagged(folder / f"{title}.mp3", TIT2=title, TPE1="A", TALB="Book", TRCK=f"{number}/5")
    assert titles(scanned(folder)) == list(CHAPTERS)


def test_track_numbers_are_compared_as_numbers(folder: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        tagged(folder / f"{number}.mp3", TIT2=f"{1000 - number}", TALB="A", TRCK=str(number))
    assert titles(scanned(folder)) == ["999", "998", "991", "990", "989", "900"]


def test_the_discs_of_an_album_are_listed_one_after_the_other(folder: Path) -> None:
    for disc, number, title in ((2, 1, "c"), (1, 2, "b"), (1, 1, "a"), (10, 1, "e"), (2, 2, "d")):
        tagged(folder / f"{title}.mp3", TIT2=title, TALB="A", TRCK=str(number), TPOS=str(disc))
    assert titles(scanned(folder)) == ["a", "b", "c", "d", "e"]


def test_an_album_of_several_artists_stays_together_by_its_album_artist(folder: Path) -> None:
    for number, artist in ((1, "Zoe"), (2, "Ada"), (3, "Moe")):
        tagged(
            folder / f"{number}.mp3",
            TIT2=f"{artist} sings",
            TPE1=artist,
            TPE2="Various",
            TALB="Together",
            TRCK=str(number),
        )
    tagged(folder / "x.mp3", TIT2="Alone", TPE1="Nora")
    assert titles(scanned(folder)) == ["Alone", "Zoe sings", "Ada sings", "Moe sings"]


def test_tracks_without_a_number_follow_the_numbered_ones_by_title(folder: Path) -> None:
    for title, number in (("b", "2"), ("d", ""), ("c", "x"), ("a", "1")):
        tagged(folder / f"{title}.mp3", TIT2=title, TALB="A", TRCK=number)
    assert titles(scanned(folder)) == ["a", "b", "c", "d"]


TITLES = st.lists(st.text("ab1 2é", max_size=4), max_size=12)


@given(before=TITLES, after=TITLES, seed=st.integers())
def test_an_updated_catalogue_equals_one_made_anew_whatever_was_kept(
    before: list[str], after: list[str], seed: int
) -> None:
    known = {title: Track(id=title, path=Path("/a"), title=title) for title in before}
    tracks = {
        title: known.get(title, Track(id=title, path=Path("/a"), title=title)) for title in after
    }
    shuffled = list(tracks.items())
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    updated = Catalogue().updated(known).updated(dict(shuffled))
    assert updated == Catalogue().updated(tracks)
    assert [listed.sort_key for listed in updated.ordered] == sorted(
        listed.sort_key for listed in updated.ordered
    )


def test_no_call_sorts_more_tracks_than_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAX_SORT_RUN", 3)
    tracks = {str(n): Track(id=str(n), path=Path("/a"), title=f"{n * 7 % 10}") for n in range(10)}
    assert [listed.track.title for listed in Catalogue().updated(tracks).ordered] == [
        str(number) for number in range(10)
    ]
