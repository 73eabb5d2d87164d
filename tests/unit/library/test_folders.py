"""What the place of a file says: hidden or not, a library or not, whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.folders import excluded_kind, is_hidden, normalize_name, place_of


@pytest.mark.parametrize(
    ("name", "hidden"),
    [(".a", True), ("._a", True), ("..a", False), ("...And Justice for All", False), ("a", False)],
)
def test_one_dot_in_front_hides_and_two_or_more_are_a_name(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


@pytest.mark.parametrize(
    "name",
    ["#recycle", "#RECYCLE", "@eaDir", "lost+found", "$Recycle.Bin", "_recycle", "@snapshots"],
)
def test_a_recycle_bin_or_an_index_is_no_library_in_any_case(name: str) -> None:
    assert excluded_kind(name)
    assert place_of(f"albums/{name}/x/a.mp3").excluded_as == excluded_kind(name)


@pytest.mark.parametrize("name", ["Recycle", "Trash", "Snapshots", "users", "#1", "@Home"])
def test_a_folder_that_only_sounds_like_one_is_a_library(name: str) -> None:
    assert excluded_kind(name) is None


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("users/ada/a.mp3", {"ada"}),
        ("USERS/Ada/x/a.mp3", {"Ada"}),
        ("backup/Users/ada/a.mp3", {"ada"}),
        ("users/ada/users/ada/a.mp3", {"ada"}),
        ("users/ada/users/bob/a.mp3", {"ada", "bob"}),
        ("users/users/a.mp3", {"users"}),
        ("users/ada/users/a.mp3", {"ada"}),
        ("users/A\u0308da/a.mp3", {"\u00c4da"}),
        ("users/a.mp3", set()),
        ("albums/users.mp3", set()),
        ("a.mp3", set()),
    ],
)
def test_the_owners_of_a_file_are_those_of_all_users_folders_above_it(
    path: str, owners: set[str]
) -> None:
    assert place_of(path).owners == owners


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Song.mp3", "song.MP3"),
        ("\u00c4.mp3", "A\u0308.mp3"),
        ("a\u200cb", "ab"),
        ("song.", "song"),
        ("song ", "song"),
        ("\uff53ong", "song"),
        ("private /x", "private/x"),
    ],
)
def test_two_names_that_some_disk_takes_for_one_have_the_same_normalize_name(
    one: str, other: str
) -> None:
    assert normalize_name(one) == normalize_name(other)


@given(st.text())
def test_a_spelling_is_its_own_normalize_name(name: str) -> None:
    assert normalize_name(normalize_name(name)) == normalize_name(name)
