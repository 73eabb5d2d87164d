"""The data of the queue's events, and a queue that ``playTrack`` brings along."""

from __future__ import annotations

from typing import Any

import pytest

from audiostream.errors import InvalidMessage
from audiostream.playback.commands import (
    NextTrack,
    PlayTrack,
    PreviousTrack,
    SetQueue,
    SetRepeat,
    ShuffleQueue,
)
from audiostream.protocol.decode import Command, decode_command
from audiostream.protocol.decode_queue import QUEUE_EVENTS, GetQueue

LIST = ["a", "b", "a"]


@pytest.mark.parametrize(
    ("event", "data", "command"),
    [
        ("setQueue", {"trackIds": LIST}, SetQueue(("a", "b", "a"))),
        ("setQueue", {"trackIds": [], "queueIndex": None}, SetQueue(())),
        ("setQueue", {"trackIds": LIST, "queueIndex": 0}, SetQueue(("a", "b", "a"), 0)),
        ("setQueue", {"trackIds": LIST, "queueIndex": 2}, SetQueue(("a", "b", "a"), 2)),
        ("setRepeat", {"repeat": "one"}, SetRepeat("one")),
        ("shuffleQueue", {"ifRev": 3, "commandId": "x"}, ShuffleQueue(3, "x")),
        ("nextTrack", {"deviceId": "kitchen"}, NextTrack(device_id="kitchen")),
        ("previousTrack", {"ifRev": 3, "commandId": "x"}, PreviousTrack(3, "x")),
        ("getQueue", {"anything": 1}, GetQueue()),
    ],
)
def test_an_event_of_the_queue_is_decoded(
    event: str, data: dict[str, Any], command: Command
) -> None:
    assert event in QUEUE_EVENTS
    assert decode_command(event, data) == command


@pytest.mark.parametrize(
    ("event", "data", "text"),
    [
        ("setQueue", {}, "trackIds"),
        ("setQueue", {"trackIds": "a"}, "list of track ids"),
        ("setQueue", {"trackIds": ["a", ""]}, "list of track ids"),
        ("setQueue", {"trackIds": ["a", 1]}, "list of track ids"),
        ("setQueue", {"trackIds": LIST, "queueIndex": 3}, "has 3 tracks"),
        ("setQueue", {"trackIds": [], "queueIndex": 0}, "has 0 tracks"),
        ("setQueue", {"trackIds": LIST, "queueIndex": -1}, "0 or more"),
        ("setQueue", {"trackIds": LIST, "queueIndex": True}, "whole number"),
        ("setQueue", {"trackIds": LIST, "queueIndex": 1.0}, "whole number"),
        ("setRepeat", {}, "repeat"),
        ("setRepeat", {"repeat": "ALL"}, "repeat"),
        ("setRepeat", {"repeat": ["all"]}, "repeat"),
        ("nextTrack", {"deviceId": ""}, "deviceId"),
        ("shuffleQueue", {"commandId": "x" * 65}, "commandId"),
    ],
)
def test_data_that_the_protocol_does_not_allow_is_refused(
    event: str, data: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidMessage, match=text):
        decode_command(event, data)


@pytest.mark.parametrize(("data", "index"), [({}, None), ({"queueIndex": 0}, 0)])
def test_play_track_brings_a_queue_along(data: dict[str, Any], index: int | None) -> None:
    command = decode_command("playTrack", {"trackId": "a", "queue": LIST, **data})
    assert command == PlayTrack("a", queue=("a", "b", "a"), queue_index=index)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"queue": ["b"]}, "must contain"),
        ({"queue": []}, "must contain"),
        ({"queue": LIST, "queueIndex": 1}, "a place of"),
        ({"queue": LIST, "queueIndex": 3}, "a place of"),
        ({"queueIndex": 0}, "missing"),
    ],
)
def test_a_queue_without_the_track_at_its_place_is_refused(data: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidMessage, match=text):
        decode_command("playTrack", {"trackId": "a", **data})
