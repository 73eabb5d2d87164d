"""What is counted of native devices."""

from __future__ import annotations

import pytest

from audiostream.errors import UnknownEvent
from audiostream.ops.counters import Counters
from audiostream.protocol.decode import decode_command
from audiostream.websocket.counting import EVENTS, CountedWriteBatcher, count_command
from audiostream.websocket.rate_limit import REPORT_EVENT


def test_the_events_that_are_counted_are_all_that_clients_send() -> None:
    with pytest.raises(UnknownEvent) as refused:
        decode_command("nothingOfTheKind", {})
    listed = str(refused.value).partition("clients send ")[2].replace(" and ", ", ").split(", ")
    assert {*listed} == EVENTS | {REPORT_EVENT}


def test_names_that_clients_make_up_are_one_series() -> None:
    counters = Counters()
    for event in ("playTrack", "x" * 1000, "", "ada"):
        count_command(counters, "websocket", event)
    assert counters.commands == {("websocket", "playTrack"): 1, ("websocket", "other"): 3}


def test_a_broadcast_is_encoded_once_and_counted_for_each_recipient() -> None:
    counters = Counters()
    batcher = CountedWriteBatcher(counters)
    assert batcher.encode("a text") is batcher.encode("a text")
    assert counters.frames_sent == {"websocket": 2}
