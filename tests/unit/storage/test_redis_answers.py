"""What cannot be read of what Redis returns."""

from __future__ import annotations

import pytest

from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.storage.play_history import HistoryEntry
from audiostream.storage.redis_answers import (
    read_history,
    read_revoked,
    read_room,
    read_stop_points,
)
from audiostream.storage.redis_encoding import encode_row, encode_state
from audiostream.storage.shared_store import DeviceRow, StoredRoom

ROW = DeviceRow(ref=DeviceRef(1, "phone"), process_id="p")
STATE = encode_state(State(track_id="song")).encode()


class Warnings:
    """Collects what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


def test_a_row_and_applied_ids_that_cannot_be_read_are_left_out() -> None:
    warn = Warnings()
    answer = ([b"7", b"change", STATE, None, b"x"], [b"{}", encode_row(ROW).encode(), b"\xff"])
    expected = StoredRoom(
        version=7, change_id="change", state=State(track_id="song"), devices=(ROW,)
    )
    assert read_room(answer, warn) == expected
    assert len(warn.lines) == 3


@pytest.mark.parametrize(
    "fields",
    [
        [b"x", b"change", STATE, None, None],
        [b"7", b"change", b"x", None, None],
        [b"7", b"change", STATE, b"{}", None],
    ],
)
def test_a_version_state_or_queue_that_cannot_be_read_is_refused(
    fields: list[bytes | None],
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_room((fields, []), Warnings())


def test_a_stop_point_that_cannot_be_read_is_left_out() -> None:
    warn = Warnings()
    assert read_stop_points("song", b"2.5 9.0\nx y\n1\n1.5 8.0\n", warn) == [
        StopPoint("song", 2.5, 9.0),
        StopPoint("song", 1.5, 8.0),
    ]
    assert len(warn.lines) == 2
    assert read_stop_points("song", None, warn) == []


def test_an_entry_of_a_history_that_cannot_be_read_is_left_out() -> None:
    warn = Warnings()
    page = [[b"b", b"2", b"9.0", b""], [b"\xff", b"1", b"8.0", b""], [b"a", b"1", b"", b"1.5"]]
    assert read_history(page, warn) == [HistoryEntry("b", 9.0, None)]
    assert len(warn.lines) == 2


def test_a_revocation_that_cannot_be_read_is_left_out() -> None:
    warn = Warnings()
    assert read_revoked([b"ada", b"5.0", b"bob", b"soon", b"%7B", b"6"], warn) == {
        "ada": 5.0,
        "{": 6.0,
    }
    assert len(warn.lines) == 1
