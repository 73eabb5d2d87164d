"""The paths that an ``audioUrl`` may mean, and the keys by which names are compared."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.manifest_paths import (
    MAX_DEPTH,
    candidate_paths,
    file_keys,
    folder_key,
    is_pattern,
    name_key,
    path_key,
)

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\\\0:?&#=;|%"), min_size=1
).filter(lambda name: name.strip(". ") != "")


@pytest.mark.parametrize(
    "audio_url",
    [
        "private/x y.mp3",
        "private\\x y.mp3",
        "/private/x y.mp3",
        "file:///music/private/x%20y.mp3",
        "C:private:x y.mp3",
        "http://host/private/x%20y.mp3?a=b#c",
        "private%252Fx%2520y.mp3",
        "private/x&#32;y.mp3",
        "./a/../private//x y.mp3",
    ],
)
def test_a_path_is_understood_in_every_notation(audio_url: str) -> None:
    assert any(parts[-2:] == ("private", "x y.mp3") for parts in candidate_paths(audio_url))


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(0, 3))
def test_an_encoded_path_is_among_its_candidates(parts: list[str], encodings: int) -> None:
    audio_url = "/".join(parts)
    for _ in range(encodings):
        audio_url = quote(audio_url)
    assert tuple(parts) in set(candidate_paths(audio_url))


@given(st.text())
def test_candidates_are_bounded_in_depth_and_never_blank(audio_url: str) -> None:
    for parts in candidate_paths(audio_url):
        assert 0 < len(parts) <= MAX_DEPTH
        assert all(part.strip(". ") for part in parts)


@given(st.text(st.characters(codec="latin-1"), max_size=20))
def test_the_key_of_a_name_does_not_depend_on_its_case(name: str) -> None:
    assert name_key(name.casefold()) == name_key(name)


def test_a_file_is_compared_with_and_without_its_suffix() -> None:
    assert file_keys("My Diary.wav") == ("mydiary", "mydiarywav")
    assert file_keys("my_diary.mp3")[0] == "mydiary"
    assert path_key(["Privat\u00e9", "my diary.wav"]) == "private/mydiarywav"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("private", "*.mp3"), True),
        (("private", "x?.mp3"), True),
        (("private", "x.mp3?a=b"), False),
        (("private", "x.mp3"), False),
    ],
)
def test_a_star_or_question_mark_makes_a_pattern_unless_it_begins_a_query(
    parts: tuple[str, ...], expected: bool
) -> None:
    assert is_pattern(parts) is expected


def test_the_folder_of_a_pattern_is_the_innermost_one_without_a_wildcard() -> None:
    assert folder_key(("music", "private", "**", "*.wav")) == "private"
    assert folder_key(("*", "x.wav")) == folder_key(("x.wav",)) == ""
