"""Removing tokens, tickets and session cookies from text that is logged."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "[redacted]"
MAX_MARKERS: Final = 100
"""Markers and percent signs in a text. Of a text with more the beginning alone is kept, as each
marker costs a search."""
KEPT_PREFIX: Final = 256
"""Characters that are kept of a text with more than ``MAX_MARKERS``."""
DECODE_ROUNDS: Final = 3
"""How often percent-encoding is decoded in search of a marker."""

_PARAMETER = re.compile(
    r"((?:token|ticket|audiostream_session(?:_[0-9a-f]{8}_[0-9]{1,5})?)=)[^\s&\"';]+"
    r"|(bearer\s++)\S+",
    re.IGNORECASE,
)
# One match takes the rest of a word: starting again at each "eyJ" in it would take quadratic time.
_JWT = re.compile(r"eyJ[\w.%-]{4,}", re.IGNORECASE)
# The signature of a JWT has 43 characters or more. Where a character splits a token in two, its
# second part has no "eyJ" in front of it.
_SIGNATURE = re.compile(r"(?<![\w-])[\w-]{40,}+")
_PERCENT_ENCODED_WORD = re.compile(r"(?<!\S)[^\s%]*+%\S*")
# Text without any of these holds no credential, unless it is percent-encoded.
_MARKERS = ("eyj", "bearer", "token=", "ticket=", "audiostream_session")


def redact(text: str) -> str:
    """Return the text with its tokens, tickets and cookies replaced, in linear time."""
    if "%" not in text and not _count_markers(text):
        return text
    if max(text.count("%"), _count_markers(text)) > MAX_MARKERS:
        text = f"{text[:KEPT_PREFIX]} {REDACTED}"
    if "%" in text and _hides_marker(text):
        text = _PERCENT_ENCODED_WORD.sub(_redact_encoded_word, text)
    text = _PARAMETER.sub(rf"\1\2{REDACTED}", text)
    if "eyj" not in text.casefold():
        return text
    return _SIGNATURE.sub(REDACTED, _JWT.sub(_redact_jwt, text))


def _count_markers(text: str) -> int:
    folded = text.casefold()
    return sum([folded.count(marker) for marker in _MARKERS if marker in folded])


def _hides_marker(text: str) -> bool:
    """Return whether percent-decoding brings up a marker."""
    decoded = text
    for _ in range(DECODE_ROUNDS):
        decoded = unquote(decoded)
    return _count_markers(decoded) > _count_markers(text)


def _redact_encoded_word(word: re.Match[str]) -> str:
    return REDACTED if _hides_marker(word[0]) else word[0]


def _redact_jwt(word: re.Match[str]) -> str:
    """Redact a word with the two dots of a JWT, or with one and the length of a JWT's part."""
    dots = word[0].count(".") + word[0].count("%")
    return REDACTED if dots > 1 or (dots and len(word[0]) >= 40) else word[0]
