"""Strict JSON: what is refused, and how deep it may be nested."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import InvalidMessage
from audiostream.protocol.strict_json import encode_json, parse_json, parse_json_object


def depth_of(content: Any) -> int:
    if not isinstance(content, dict | list):
        return 0
    inner = content.values() if isinstance(content, dict) else content
    return 1 + max(map(depth_of, inner), default=0)


@pytest.mark.parametrize("levels", [1, 2, 31, 32])
def test_json_nested_as_deep_as_allowed_is_parsed(levels: int) -> None:
    assert parse_json_object('{"a":' * levels + "1" + "}" * levels, 32)


@pytest.mark.parametrize(
    "text", ['{"a":' * 33 + "1" + "}" * 33, '{"a":' + "[" * 40 + "]" * 40 + "}"]
)
def test_json_nested_deeper_than_allowed_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="deeper than 32"):
        parse_json_object(text, 32)


@given(st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_the_depth_of_any_json_is_measured_exactly(content: Any) -> None:
    text, depth = json.dumps(content), depth_of(content)
    assert parse_json(text, depth) == content
    if depth:
        with pytest.raises(InvalidMessage, match="deeper"):
            parse_json(text, depth - 1)


def test_brackets_in_a_string_do_not_count_as_nesting() -> None:
    assert parse_json_object('{"a": "' + "[" * 100 + '"}', 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[" * 100_000,
        '{"a": NaN}',
        '{"a": -Infinity}',
        "{} {}",
        '{"a": ' + "9" * 5_000 + "}",
        "\N{NO-BREAK SPACE}{}",
    ],
)
def test_text_that_is_not_strict_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="not valid JSON"):
        parse_json(text)


@pytest.mark.parametrize("text", ["[]", "null", '"playTrack"', "1"])
def test_json_that_is_no_object_is_refused_where_an_object_is_expected(text: str) -> None:
    with pytest.raises(InvalidMessage, match="object"):
        parse_json_object(text)


def test_of_a_repeated_key_the_last_value_counts() -> None:
    assert parse_json_object(' \t\n\r{"a": 1, "a": 2}\n') == {"a": 2}


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False, width=32)))
def test_encoded_json_is_ascii_and_parsed_as_it_was(content: dict[str, Any]) -> None:
    if any(each in (float("inf"), -float("inf")) for each in content.values()):
        with pytest.raises(ValueError, match="JSON"):
            encode_json(content)
        return
    text = encode_json(content)
    assert text.isascii()
    assert json.loads(text) == content
