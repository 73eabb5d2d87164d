"""A search finds what a keyboard can type, within its limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import InvalidMessage
from audiostream.library.search import (
    MAX_QUERY_LENGTH,
    MAX_QUERY_WORDS,
    fold,
    parse_query,
    searchable,
)

QUERIES_AND_TITLES = [
    # apostrophes and quotes
    ("don't", "Don\u2019t Stop"),
    ("don\u2019t", "Don't Stop"),
    ("dont", "Don\u2019t Stop"),
    ("don t", "Don\u2019t Stop"),
    ("don\u00b4t", "Don\u2019t Stop"),
    ("don`t", "Don\u02bct Stop"),
    ("don't", "Don\u2032t Stop"),
    ("don't", "Don\uff07t Stop"),
    ("don't", "Dont Stop"),
    ('"heroes"', "\u201cHeroes\u201d"),
    ("heroes", "\u00abHeroes\u00bb"),
    ("\u201eheroes\u201c", "'Heroes'"),
    ("hawai'i", "Hawai\u02bbi"),
    # hyphens and dashes
    ("semi-charmed", "Semi\u2010Charmed Life"),
    ("semi-charmed", "Semi\u2011Charmed Life"),
    ("semi-charmed", "Semi\u2013Charmed Life"),
    ("semi-charmed", "Semi\u2212Charmed Life"),
    ("semi-charmed", "Semi Charmed Life"),
    ("semi-charmed", "SemiCharmed Life"),
    ("semi charmed", "Semi\u2010Charmed Life"),
    ("semicharmed", "Semi\u2010Charmed Life"),
    ("semi\u2014charmed", "Semi-Charmed Life"),
    ("semicharmed", "Semi\u00adCharmed Life"),
    ("bob dylan - hurricane", "Bob Dylan Hurricane"),
    # letters with strokes, hooks and tails, ligatures, other letters
    ("lodz", "\u0141\u00f3d\u017a"),
    ("\u0142\u00f3d\u017a", "Lodz"),
    ("oster", "\u00d8ster"),
    ("dang", "\u0110\u1eb7ng"),
    ("aero", "\u00c6r\u00f8"),
    ("oeuvre", "\u0152uvre"),
    ("final", "\ufb01nal"),
    ("strasse", "Stra\u00dfe"),
    ("STRASSE", "STRA\u1e9eE"),
    ("stra\u00dfe", "STRASSE"),
    ("isik", "I\u015f\u0131k"),
    ("istanbul", "\u0130stanbul"),
    ("ISTANBUL", "\u0131stanbul"),
    ("thor", "\u00de\u00f3r"),
    ("bjork", "Bj\u00f6rk"),
    ("bjo\u0308rk", "BJ\u00d6RK"),
    ("\u043a\u0430\u0437\u0430\u043a", "\u049a\u0430\u0437\u0430\u049b"),
    # full-width forms, other forms of numbers, invisible characters
    ("full", "\uff26\uff35\uff2c\uff2c"),
    ("\uff46\uff55\uff4c\uff4c", "Full"),
    ("part 4", "Part \u2463"),
    ("part iv", "Part \u2163"),
    ("wait", "W\u200ba\u2060i\ufefft"),
    ("heart", "He\ufe0fart"),
    ("a b", "a\u00a0b"),
    # abbreviations
    ("acdc", "AC/DC"),
    ("ac/dc", "ACDC"),
    ("rem", "R.E.M."),
    ("r.e.m.", "REM"),
    ("mr. brightside", "Mr Brightside"),
    # nothing but signs
    ("!!!", "!!! (Chk Chk Chk)"),
    ("+", "Ed Sheeran +"),
]


def is_found(query: str, *texts: str) -> bool:
    return all(word.is_in(searchable(texts)) for word in parse_query(query))


@pytest.mark.parametrize(("query", "text"), QUERIES_AND_TITLES, ids=ascii)
def test_a_query_matches_whatever_punctuation_and_letters_the_title_has(
    query: str, text: str
) -> None:
    assert is_found(query, text)
    assert is_found(query, "Artist", text, "Album")


@pytest.mark.parametrize(
    ("query", "text"),
    [("cant", "Don\u2019t"), ("dont stop", "Don\u2019t"), ("!!!", "Chk"), ("rem", "Re: M")],
)
def test_a_query_does_not_match_a_title_without_its_words(query: str, text: str) -> None:
    assert not is_found(query, text)


@pytest.mark.parametrize("query", ["", " ", "\n\t"])
def test_an_empty_query_matches_every_title(query: str) -> None:
    assert is_found(query, "anything")


@given(st.text(max_size=MAX_QUERY_LENGTH))
def test_any_text_is_found_by_itself(text: str) -> None:
    try:
        words = parse_query(text)
    except InvalidMessage:
        return
    assert all(word.is_in(searchable([text])) for word in words)


@given(st.text())
def test_a_folded_text_is_folded_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    "query",
    [
        "x" * (MAX_QUERY_LENGTH + 1),
        "a " * (MAX_QUERY_WORDS + 1),
        " ".join(str(number) for number in range(MAX_QUERY_WORDS + 1)),
        "\ufdfa" * 6,  # one letter of 18, four words
    ],
    ids=ascii,
)
def test_a_query_above_the_limits_is_refused(query: str) -> None:
    with pytest.raises(InvalidMessage, match='"q" must be'):
        parse_query(query)


def test_a_query_may_have_200_characters_and_16_words() -> None:
    assert (MAX_QUERY_LENGTH, MAX_QUERY_WORDS) == (200, 16)
    assert len(parse_query(" ".join(f"word{number}" for number in range(16)))) == 16
    assert parse_query("x" * 200)


@pytest.mark.parametrize("unit", ["'", "-", " ", "\u0130", "\u00b4", "\ufdfa", "e\u0301"])
def test_folding_a_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    def seconds(count: int) -> float:
        began = time.process_time()
        searchable([unit * count])
        return time.process_time() - began

    short = min(seconds(1_000) for _ in range(5))
    assert min(seconds(16_000) for _ in range(3)) < 64 * max(short, 1e-4)
