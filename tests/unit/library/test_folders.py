"""What a path says of a file: hidden or not, excluded or not, and whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.folders import excluded_kind, is_hidden, normalize_name, place_of


@pytest.mark.parametrize(
    ("name", "hidden"),
    [(".a", True), ("._a", True), ("..a", False), ("...And Justice for All", False), ("a", False)],
)
def test_a_name_with_one_leading_dot_is_hidden_and_with_two_is_not(name: str, hidden: bool) -> None:
    assert is_hidden(name) is hidden


@pytest.mark.parametrize(
    "name",
    ["#recycle", "#RECYCLE", "@eaDir", "lost+found", "$Recycle.Bin", "_recycle", "@snapshots"],
)
def test_recycle_bins_and_indexes_are_excluded_in_any_case(name: str) -> None:
    assert excluded_kind(name)
    assert place_of(f"albums/{name}/x/a.mp3").excluded_as == excluded_kind(name)


@pytest.mark.parametrize("name", ["Recycle", "Trash", "Snapshots", "users", "#1", "@Home"])
def test_a_folder_whose_name_only_resembles_a_recycle_bin_is_not_excluded(name: str) -> None:
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
def test_names_that_some_file_system_takes_for_one_are_normalized_alike(
    one: str, other: str
) -> None:
    assert normalize_name(one) == normalize_name(other)


@given(st.text())
def test_a_normalized_name_is_normalized_to_itself(name: str) -> None:
    assert normalize_name(normalize_name(name)) == normalize_name(name)
