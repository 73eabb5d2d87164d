"""Frames: events, ids, and the error frame."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import Conflict, InvalidMessage
from audiostream.protocol.envelope import (
    Frame,
    encode_error,
    encode_frame,
    parse_frame,
    wrap_in_frame,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class TestParseFrame:
    def test_a_frame_with_data_and_an_id_is_parsed_whole(self) -> None:
        text = '{"event": "playTrack", "data": {"trackId": "a"}, "id": 7}'
        assert parse_frame(text) == Frame("playTrack", {"trackId": "a"}, 7)

    @pytest.mark.parametrize("text", ['{"id": 7}', '{"event": "e", "data": [], "id": 7}'])
    def test_a_frame_refused_after_its_id_was_read_is_refused_with_that_id(self, text: str) -> None:
        with pytest.raises(InvalidMessage) as refused:
            parse_frame(text)
        assert refused.value.frame_id == 7

    @pytest.mark.parametrize("data", ["", ', "data": null', ', "data": {}'])
    def test_a_frame_without_data_has_an_empty_object(self, data: str) -> None:
        assert parse_frame(f'{{"event": "getCurrentState"{data}}}').data == {}

    @pytest.mark.parametrize("frame_id", [0, -1, 1.5, "a", "x" * 128, 2**62])
    def test_a_frame_id_may_be_a_number_or_a_short_string(self, frame_id: object) -> None:
        assert parse_frame(json.dumps({"event": "e", "id": frame_id})).id == frame_id

    @pytest.mark.parametrize("frame_id", [True, [], {}, "x" * 129, 2**63])
    def test_a_frame_id_of_another_kind_is_refused(self, frame_id: object) -> None:
        with pytest.raises(InvalidMessage):
            parse_frame(json.dumps({"event": "e", "id": frame_id}))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "nonsense",
            "[]",
            "null",
            '"playTrack"',
            "{}",
            '{"event": ""}',
            '{"event": 1}',
            '{"event": "e", "data": []}',
            '{"event": "e", "data": "x"}',
            '{"event": "e", "id": NaN}',
            '{"event": "e", "id": 1e400}',
            '{"event": "e", "data": {"currentTime": Infinity}}',
            '{"event": "e"} {"event": "e"}',
            "[" * 100_000,
            '{"event": "e", "data": ' + '{"a":' * 100_000,
            '{"event": "e", "id": ' + "9" * 5_000 + "}",
        ],
    )
    def test_a_text_that_is_no_frame_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidMessage):
            parse_frame(text)

    @given(st.text() | JSON.map(json.dumps))
    def test_any_text_is_either_parsed_or_refused_as_invalid(self, text: str) -> None:
        with suppress(InvalidMessage):
            parse_frame(text)


class TestEncodeFrame:
    def test_a_frame_without_an_id_has_event_and_data(self) -> None:
        assert json.loads(encode_frame("trackState", {"rev": 1})) == {
            "event": "trackState",
            "data": {"rev": 1},
        }

    @pytest.mark.parametrize("frame_id", [0, "", "\ud800", 1.5])
    def test_an_answer_carries_any_id_in_ascii(self, frame_id: Any) -> None:
        text = encode_frame("trackState", {}, frame_id)
        assert text.isascii()
        assert json.loads(text)["id"] == frame_id

    @given(st.text() | st.integers(-(2**63), 2**63) | st.floats(-1e300, 1e300))
    def test_a_frame_around_encoded_data_is_what_json_encodes(self, frame_id: Any) -> None:
        for given_id in (None, frame_id):
            frame = {"event": "trackState", "id": given_id, "data": {"rev": 1}}
            if given_id is None:
                del frame["id"]
            assert wrap_in_frame("trackState", '{"rev":1}', given_id) == json.dumps(
                frame, separators=(",", ":")
            )


class TestEncodeError:
    def test_an_error_frame_has_code_message_event_and_id(self) -> None:
        frame = json.loads(encode_error(InvalidMessage("why"), "playTrack", 3))
        assert frame == {
            "event": "error",
            "id": 3,
            "data": {"code": "invalid_message", "message": "why", "event": "playTrack"},
        }

    def test_the_error_frame_of_a_conflict_has_the_current_state(self) -> None:
        frame = json.loads(encode_error(Conflict("late", {"rev": 4}), "playTrack"))
        assert frame["data"]["state"] == {"rev": 4}
