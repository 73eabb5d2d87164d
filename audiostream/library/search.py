"""Search: which signs of a text count, and whether a text has all the words of a query.

Here: ``fold``, the searchable form of a text, and the words of a query with their bounds. Not
here: which tracks there are and who may play them (``library``).

People type what their keyboard has: ``don't`` for a title with U+2019, ``semi-charmed`` for one
with U+2010, ``lodz`` for "Łódź". Each word of a query therefore matches in either of two forms: its
signs left out, or a space in the place of each.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import InvalidMessage

MAX_QUERY_LENGTH = 200
"""Characters of a query."""
MAX_QUERY_WORDS = 16
"""Words of a query: each is looked for in every track."""

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
"""Letters that Unicode does not decompose, and whose names do not say what they are without."""
_APOSTROPHES = str.maketrans(
    dict.fromkeys(
        "\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ee\ua78c\u00b4\u0384\u1fbd\u1fbf\u1ffd",
        "'",
    )
)
"""Apostrophes that are letters to Unicode, and accents of which NFKD makes a space ."""
_SIGNS = re.compile("[!-/:-@[-`{-~]+")
"""Those of ASCII: quotes, hyphens and all else that is neither letter, number nor space."""
_SPACES = re.compile(" {2,}")
_WITH_STROKE = re.compile("((?:LATIN|CYRILLIC) SMALL LETTER .+?) WITH .+")
_BLOCKS = ((0x00E0, 0x0250), (0x0250, 0x02B0), (0x0430, 0x0530), (0x1E00, 0x1F00), (0x2C60, 0x2C80))
_MORE_BLOCKS = ((0x1D00, 0x1DC0), (0xA640, 0xA6A0), (0xA720, 0xA800), (0xAB30, 0xAB70))


def _plain_letters() -> dict[int, str | None]:
    """Letters with strokes, hooks and tails, each with the letter that it is without them.

    Unicode does not decompose these; their names say it: LATIN SMALL LETTER O WITH STROKE.
    """
    table: dict[int, str | None] = {}
    for first, end in (*_BLOCKS, *_MORE_BLOCKS):
        for code in range(first, end):
            named = _WITH_STROKE.fullmatch(unicodedata.name(chr(code), ""))
            if named and not unicodedata.decomposition(chr(code)):
                try:
                    table[code] = unicodedata.lookup(named[1])
                except KeyError:  # the letter without it is no letter of its own
                    continue
    return table | {ord(letter): plain for letter, plain in _LETTERS.items()}


_PLAIN = _plain_letters()
_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query in its forms. Either form in a searchable text is a match."""

    forms: tuple[str, ...]

    def is_in(self, searchable: str) -> bool:
        """Whether a text has it, as ``searchable`` gives that text."""
        return any(form in searchable for form in self.forms)


def fold(text: str) -> str:
    """Text without case, accents, strokes, ligatures and signs that nobody sees."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.translate(_APOSTROPHES)).casefold()
    plain = "".join(char for char in decomposed if _is_seen(char)).translate(_PLAIN)
    return _VARIATION_SELECTORS.sub("", plain)


def searchable(texts: Iterable[str | None]) -> str:
    """What ``Word.is_in`` searches: the folded texts as they are, and in both forms of a word."""
    literal = fold("\n".join(text for text in texts if text))
    forms = (literal, _without_signs(literal, " "), _without_signs(literal, ""))
    return "\n".join(dict.fromkeys(forms))


def parse_query(query: str) -> tuple[Word, ...]:
    """The words of a query. Raises ``InvalidMessage`` for more than a search may ask.

    Words of signs alone do not count, as the dash in "Artist - Title"; in a query of nothing else,
    as in "!!!", they are looked for to the letter.
    """
    if len(query) > MAX_QUERY_LENGTH:
        raise InvalidMessage(f'"q" must be {MAX_QUERY_LENGTH} characters or fewer')
    words = fold(query).split()
    if len(words) > MAX_QUERY_WORDS:
        raise InvalidMessage(f'"q" must be {MAX_QUERY_WORDS} words or fewer')
    distinct = dict.fromkeys(words)
    parsed = tuple(Word(forms) for word in distinct if (forms := _forms(word)))
    return parsed or tuple(Word((word,)) for word in distinct)


def _forms(word: str) -> tuple[str, ...]:
    forms = (_without_signs(word, ""), _without_signs(word, " ").strip())
    return tuple(dict.fromkeys(form for form in forms if form))


def _is_seen(char: str) -> bool:
    return not unicodedata.combining(char) and unicodedata.category(char) != "Cf"


def _without_signs(folded: str, instead: str) -> str:
    """``semi-charmed`` as ``semicharmed`` or, with a space ``instead``, as ``semi charmed``."""
    if folded.isascii():
        text = _SIGNS.sub(instead, folded)
    else:
        text = "".join(
            instead if unicodedata.category(char)[0] in "PS" else char for char in folded
        )
    return _SPACES.sub(" ", text)
