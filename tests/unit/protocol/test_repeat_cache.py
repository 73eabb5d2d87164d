"""Texts that differ from a cached one in a number decode to what parsing them in full gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import InvalidMessage
from audiostream.playback.commands import Report
from audiostream.protocol.decode import decode_report
from audiostream.protocol.envelope import Frame, parse_frame
from audiostream.protocol.repeat_cache import MAX_CACHED_LENGTH, RepeatedMessageParser


def report_text(position: str, more: str = "") -> str:
    data = f'"trackId": "song", {more}"currentTime": {position}, "isPlaying": true'
    return f'{{"event": "updateStreaming", "data": {{{data}}}}}'


def query_text(frame_id: str, more: str = "") -> str:
    return f'{{"event": "getCurrentState", {more}"id": {frame_id}}}'


def parsed_in_full(text: str) -> Report | Frame | None:
    """What parsing makes of a text, None if it is refused."""
    try:
        frame = parse_frame(text)
        return decode_report(frame.data) if frame.event == "updateStreaming" else frame
    except InvalidMessage:
        return None


def parser_after(text: str) -> RepeatedMessageParser:
    """A parser that was given ``text`` to cache."""
    parser, parsed = RepeatedMessageParser(), parsed_in_full(text)
    if isinstance(parsed, Report):
        parser.cache_report(text, parsed)
    elif parsed is not None and not parsed.data:
        parser.cache_query(text, parsed)
    return parser


@pytest.mark.parametrize("position", ["0", "7", "7.5", "123456789.123", "0.0"])
def test_a_report_that_differs_in_its_position_is_parsed_from_the_cache(position: str) -> None:
    parser = parser_after(report_text("10.25"))
    assert parser.parse_report(report_text(position)) == Report("song", float(position), True)


def test_a_report_from_the_cache_has_all_other_fields_of_the_cached_one() -> None:
    more = (
        '"playbackRate": 1.5, "ifRev": 3, "duration": 42.5, '
        '"ended": true, "volume": 0.5, "muted": false, '
    )
    parser = parser_after(report_text("10.25", more))
    expected = Report("song", 11.25, True, 1.5, 3, 42.5, True, 0.5, False)
    assert parser.parse_report(report_text("11.25", more)) == expected


def test_a_report_of_another_volume_is_left_to_the_parser() -> None:
    parser = parser_after(report_text("10.25", '"volume": 0.5, '))
    for more in ('"volume": 0.75, ', '"volume": 0.5, "muted": true, ', ""):
        assert parser.parse_report(report_text("10.25", more)) is None


@pytest.mark.parametrize("frame_id", ["0", "8", "123456789012345678"])
def test_a_query_that_differs_in_its_id_is_parsed_from_the_cache(frame_id: str) -> None:
    parser = parser_after(query_text("7"))
    found = parser.parse_query(query_text(frame_id))
    assert found == Frame("getCurrentState", {}, int(frame_id))


def test_an_empty_cache_parses_nothing() -> None:
    assert RepeatedMessageParser().parse_report(report_text("1")) is None
    assert RepeatedMessageParser().parse_query(query_text("1")) is None


@pytest.mark.parametrize(
    "number", ["", "-1", "01", "1.", ".5", "1e3", "1_0", " 1", "NaN", "1,2", "\u0661", '"1"']
)
def test_a_text_with_anything_but_a_plain_number_is_left_to_the_parser(number: str) -> None:
    assert parser_after(report_text("10.25")).parse_report(report_text(number)) is None
    assert parser_after(query_text("7")).parse_query(query_text(number)) is None


def test_a_text_that_differs_in_more_than_the_number_is_left_to_the_parser() -> None:
    parser = parser_after(report_text("10.25"))
    assert parser.parse_report(report_text("10.25").replace("true", "false")) is None
    assert parser.parse_report(report_text("10.25").replace("song", "hymn")) is None
    assert parser.parse_report("") is None


@pytest.mark.parametrize(
    "more",
    [
        '"currentTime": 3.0, ',
        '"x": {"currentTime": 3.0}, ',
        '"x": "currentTime", ',
        '"x": "\\u0041", ',
    ],
)
def test_a_text_in_which_another_number_may_count_is_not_cached(more: str) -> None:
    assert parser_after(report_text("10.25", more)).parse_report(report_text("7", more)) is None
    more = more.replace("currentTime", "id")
    assert parser_after(query_text("10", more)).parse_query(query_text("7", more)) is None


@pytest.mark.parametrize("end", ["e1", "E1", ".0e1"])
def test_a_text_whose_number_has_an_exponent_is_not_cached(end: str) -> None:
    assert parser_after(report_text(f"0{end}")).parse_report(report_text(f"7{end}")) is None
    assert parser_after(query_text(f"0{end}")).parse_query(query_text(f"7{end}")) is None


def test_a_text_longer_than_the_limit_is_not_cached() -> None:
    more = f'"x": "{"y" * MAX_CACHED_LENGTH}", '
    assert parser_after(report_text("10.25", more)).parse_report(report_text("7", more)) is None


def test_a_text_in_which_an_escape_hides_the_name_is_not_cached() -> None:
    text = report_text("5", '"x": {"currentTime": %s}, ').replace(
        '"currentTime": 5', '"current\\u0054ime": 5'
    )
    assert parser_after(text % "1").parse_report(text % "2") is None


@given(st.data())
def test_whatever_is_parsed_from_the_cache_equals_what_parsing_in_full_gives(
    data: st.DataObject,
) -> None:
    shape = data.draw(
        st.sampled_from(
            [
                report_text("%s"),
                report_text("%s", '"playbackRate": 1.5, "ifRev": 3, '),
                report_text("%s", '"ended": true, "volume": 0.5, "muted": false, '),
                report_text("1.5", '"volume": %s, '),
                report_text("%s", '"x": [[]], '),
                report_text("%s").replace(" ", ""),
                report_text("%se1"),
                report_text("1%s"),
                query_text("%s"),
                query_text("%s", '"data": null, "x": {"y": 1}, '),
                query_text("%s").replace(" ", "\n"),
                "%s",
            ]
        )
    )
    numbers = st.from_regex(r"-?[0-9]{0,12}(\.[0-9]{0,18})?(e[0-9])?", fullmatch=True)
    first, second = (data.draw(numbers | st.text(max_size=4)) for _ in range(2))
    parser, text = parser_after(shape % first), shape % second
    for found in (parser.parse_report(text), parser.parse_query(text)):
        assert found is None or found == parsed_in_full(text)
