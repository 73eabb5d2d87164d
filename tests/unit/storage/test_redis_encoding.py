"""States and rows of devices as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from audiostream.playback.model import DeviceRef, State
from audiostream.playback.queue import Queue
from audiostream.storage.redis_encoding import (
    FORMAT,
    decode_row,
    decode_state,
    decode_texts,
    encode_row,
    encode_state,
    encode_texts,
)
from audiostream.storage.shared_store import DeviceRow
from tests.support.shared_values import ROWS, STATES, TRACK_IDS

STATE = State(track_id="song", position=10.0, rev=3, queue=Queue(index=1))


@given(STATES)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    text = encode_state(state)
    assert text.isascii()
    read = decode_state(text.encode(), state.queue.track_ids)
    assert read == state
    assert repr(read) == repr(state)  # -0.0 and the types of numbers, too


@given(ROWS)
def test_a_row_is_read_as_it_was_written(row: DeviceRow) -> None:
    assert repr(decode_row(encode_row(row).encode())) == repr(row)


@given(TRACK_IDS)
def test_a_list_of_ids_is_read_as_it_was_written(texts: tuple[str, ...]) -> None:
    assert decode_texts(encode_texts(texts).encode()) == texts


def test_what_is_not_stored_is_an_empty_state() -> None:
    assert decode_state(None) == State()
    assert decode_texts(None) == ()


def test_a_field_of_a_later_version_is_ignored_and_one_that_is_missing_has_its_default() -> None:
    content = json.loads(encode_state(STATE)) | {"mood": [1, {}]}
    del content["position"]
    read = decode_state(json.dumps(content))
    assert read == State(track_id="song", rev=3, queue=Queue(index=1))
    row = json.loads(encode_row(DeviceRow(ref=DeviceRef(1, "a"), process_id="p"))) | {"mood": 1}
    assert decode_row(json.dumps(row)) == DeviceRow(ref=DeviceRef(1, "a"), process_id="p")


@pytest.mark.parametrize(
    "changed",
    [
        {"format": FORMAT + 1},
        {"format": None},
        {"position": "10"},
        {"position": True},
        {"position": 10**400},
        {"rev": 1.5},
        {"is_playing": 1},
        {"track_id": 7},
        {"repeat": "some"},
        {"queue_index": "1"},
        {"active_device": "phone"},
        {"active_device": [1]},
        {"active_device": [1, "phone", 2]},
        {"active_device": ["1", "phone"]},
    ],
)
def test_a_state_that_this_version_does_not_understand_is_refused(changed: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_state(json.dumps(json.loads(encode_state(STATE)) | changed))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"format":1,"position":1e999}', b"\xff", b"[" * 9999]
)
def test_text_that_is_no_state_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_state(text)
    with pytest.raises(ValueError, match=r".+"):
        decode_row(text)


@pytest.mark.parametrize("position", [float("nan"), float("inf")])
def test_what_is_no_number_is_not_written(position: float) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_state(State(position=position))
