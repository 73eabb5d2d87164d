"""Strict parsing of the JSON that clients send, and compact encoding in pure ASCII."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.scanner import make_scanner
from typing import Any, NoReturn

from ..errors import InvalidMessage

MAX_DEPTH = 32
"""Levels of nesting: the protocol uses three, and each level costs the parser stack."""

JsonObject = Mapping[str, Any]


def parse_json_object(text: str, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Parse a JSON object. Raises ``InvalidMessage`` as ``parse_json`` does."""
    content = parse_json(text, max_depth)
    if not isinstance(content, dict):
        raise InvalidMessage("a JSON object is expected")
    return content


def parse_json(text: str, max_depth: int = MAX_DEPTH) -> Any:
    """Parse any JSON value. Of a repeated key the last value counts (RFC 8259 §4 leaves it open).

    Raises ``InvalidMessage`` for NaN and Infinity, for integers of more than 4,300 digits, and for
    nesting deeper than ``max_depth``.
    """
    text = text.strip(" \t\n\r")  # the whitespace of RFC 8259 §2
    try:
        content, end = _scan(text, 0)
    except (StopIteration, ValueError, RecursionError):
        raise InvalidMessage("this is not valid JSON") from None
    if end != len(text):
        raise InvalidMessage("this is not valid JSON")
    if ("[" in text or text.count("{") > max_depth) and _is_deeper(content, max_depth):
        raise InvalidMessage(f"the JSON is nested deeper than {max_depth} levels")
    return content


def encode_json(content: Any) -> str:
    """Encode as JSON without whitespace and in ASCII, which carries lone surrogates too."""
    return _ENCODER.encode(content)


def _is_deeper(content: Any, levels: int) -> bool:
    inner = [content]
    for _ in range(levels):
        inner = [
            child
            for each in inner
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in inner)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


# ``json.loads`` does the same in three Python calls a message, this in one.
_scan = make_scanner(json.JSONDecoder(parse_constant=_refuse_constant))  # type: ignore[arg-type]
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
