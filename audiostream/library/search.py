"""Search: folding texts for comparison, and matching the words of a query.

People type what their keyboard has: ``don't`` for a title with U+2019, ``semi-charmed`` for one
with U+2010, ``lodz`` for "Łódź". Each word of a query therefore matches in either of two forms:
without its punctuation, or with a space in the place of each mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..errors import InvalidMessage

MAX_QUERY_LENGTH: Final = 200
"""Characters of a query, as many as the longest titles have."""
MAX_QUERY_WORDS: Final = 16
"""Words of a query: each is searched for in every track."""

_LETTERS = {
    "æ": "ae",
    "œ": "oe",
    "ꜳ": "aa",
    "ꝏ": "oo",
    "ð": "d",
    "þ": "th",
    "ŋ": "n",
    "ĸ": "k",
    "\u0131": "i",  # without a dot, Turkish
    "\u0237": "j",
    "ə": "e",
    "ɛ": "e",
    "ɔ": "o",
    "\u0640": "",  # ARABIC TATWEEL, which only makes a word longer
}
"""Letters that Unicode does not decompose, and whose names do not name their base letter."""
_APOSTROPHES = str.maketrans(
    dict.fromkeys(
        "\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ee\ua78c\u00b4\u0384\u1fbd\u1fbf\u1ffd",
        "'",
    )
)
"""Apostrophes that are letters to Unicode, and accents that NFKD turns into a space."""
_ASCII_PUNCTUATION = re.compile("[!-/:-@[-`{-~]+")
"""Quotes, hyphens and all else of ASCII that is neither a letter, a digit nor a space."""
_SPACES = re.compile(" {2,}")
_WITH_STROKE = re.compile("((?:LATIN|CYRILLIC) SMALL LETTER .+?) WITH .+")
_COMMON_BLOCKS = (
    (0x00E0, 0x0250),
    (0x0250, 0x02B0),
    (0x0430, 0x0530),
    (0x1E00, 0x1F00),
    (0x2C60, 0x2C80),
)
_RARE_BLOCKS = ((0x1D00, 0x1DC0), (0xA640, 0xA6A0), (0xA720, 0xA800), (0xAB30, 0xAB70))


def _base_letters() -> dict[int, str | None]:
    """Return a translation table of letters with strokes, hooks and tails to their base letters.

    Unicode does not decompose these, but names them: LATIN SMALL LETTER O WITH STROKE.
    """
    table: dict[int, str | None] = {}
    for first, end in (*_COMMON_BLOCKS, *_RARE_BLOCKS):
        for code in range(first, end):
            named = _WITH_STROKE.fullmatch(unicodedata.name(chr(code), ""))
            if named and not unicodedata.decomposition(chr(code)):
                try:
                    table[code] = unicodedata.lookup(named[1])
                except KeyError:  # the base is no letter of its own
                    continue
    return table | {ord(letter): plain for letter, plain in _LETTERS.items()}


_BASE_LETTERS = _base_letters()
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True)
class QueryWord:
    """A word of a query in its forms, of which one must occur in a text."""

    forms: tuple[str, ...]

    def is_in(self, searchable: str) -> bool:
        """Return whether a text contains the word; ``searchable`` returns such texts."""
        return any(form in searchable for form in self.forms)


def fold(text: str) -> str:
    """Return a text without case, accents, strokes, ligatures and invisible characters."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    plain = "".join(char for char in decomposed if _is_visible(char)).translate(_BASE_LETTERS)
    return _VARIATION_SELECTORS.sub("", plain)


def searchable(texts: Iterable[str | None]) -> str:
    """Return the text that ``QueryWord.is_in`` takes: folded, as it is and in both forms."""
    literal = fold("\n".join(text for text in texts if text))
    forms = (literal, _replace_punctuation(literal, " "), _replace_punctuation(literal, ""))
    return "\n".join(dict.fromkeys(forms))


def parse_query(query: str) -> tuple[QueryWord, ...]:
    """Return the words of a query. Raises ``InvalidMessage`` above the limits.

    Words of punctuation alone are dropped, as the dash in "Artist - Title"; in a query of nothing
    else, as "!!!", they must occur literally.
    """
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidMessage(f'"q" must be {MAX_QUERY_LENGTH} characters or fewer')
    words = fold(query).split()
    if len(words) > MAX_QUERY_WORDS:
        raise InvalidMessage(f'"q" must be {MAX_QUERY_WORDS} words or fewer')
    distinct = dict.fromkeys(words)
    parsed = tuple(QueryWord(forms) for word in distinct if (forms := _forms(word)))
    return parsed or tuple(QueryWord((word,)) for word in distinct)


def _forms(word: str) -> tuple[str, ...]:
    forms = (_replace_punctuation(word, ""), _replace_punctuation(word, " ").strip())
    return tuple(dict.fromkeys(form for form in forms if form))


def _is_visible(char: str) -> bool:
    return not unicodedata.combining(char) and unicodedata.category(char) != "Cf"


def _replace_punctuation(folded: str, replacement: str) -> str:
    """Return ``semi-charmed`` as ``semicharmed`` or, with a space, as ``semi charmed``."""
    if folded.isascii():
        text = _ASCII_PUNCTUATION.sub(replacement, folded)
    else:
        text = "".join(
            replacement if unicodedata.category(char)[0] in "PS" else char for char in folded
        )
    return _SPACES.sub(" ", text)
