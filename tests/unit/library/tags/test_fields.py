"""Which values of tags are kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.library.tags.fields import (
    MAX_NUMBER,
    MAX_TEXT_LENGTH,
    Tags,
    clean_duration,
    clean_number,
    clean_text,
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Song", "Song"),
        ("  a\nb\x07 ", "a b"),
        ("\u2028\ud800", None),
        ("", None),
        (None, None),
        ("x" * 5000, "x" * MAX_TEXT_LENGTH),
    ],
)
def test_a_text_is_kept_on_one_line_without_control_characters(
    text: str | None, kept: str | None
) -> None:
    assert clean_text(text) == kept


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 0.0, 0.0001, None, 10**400])
def test_a_duration_that_is_not_a_positive_number_is_unknown(number: float | None) -> None:
    assert clean_duration(number) is None


def test_a_duration_is_rounded_to_milliseconds() -> None:
    assert clean_duration(61.23456) == 61.235


@pytest.mark.parametrize(
    ("number", "kept"), [(12, 12), (0, None), (-1, None), (None, None), (MAX_NUMBER + 1, None)]
)
def test_disc_and_track_numbers_below_one_or_too_large_are_unknown(
    number: int | None, kept: int | None
) -> None:
    assert clean_number(number) == kept


@pytest.mark.parametrize(
    ("fields", "is_sound"),
    [
        ({}, True),
        ({"title": "a", "duration": 1.5, "disc": 1, "track_number": 999}, True),
        ({"title": "a\nb"}, False),
        ({"title": 5}, False),
        ({"album_artist": ""}, False),
        ({"duration": "1"}, False),
        ({"duration": -1.0}, False),
        ({"disc": True}, False),
        ({"disc": "1"}, False),
        ({"track_number": 10**9}, False),
    ],
)
def test_tags_are_valid_only_with_values_of_the_right_type_and_form(
    fields: dict[str, Any], is_sound: bool
) -> None:
    assert Tags(**fields).is_valid() is is_sound


@given(st.text(), st.floats(), st.integers())
def test_tags_of_cleaned_values_are_always_valid(text: str, duration: float, number: int) -> None:
    assert Tags(
        title=clean_text(text), duration=clean_duration(duration), disc=clean_number(number)
    ).is_valid()
