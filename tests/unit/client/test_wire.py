"""The server's frames as values: what has another shape is refused."""

from __future__ import annotations

from typing import Any

import pytest

from audiostream.client import Device, QueuePlace, Report, ServerInfo, Volume, wire
from audiostream.errors import (
    AudiostreamError,
    DeviceNotFound,
    InvalidMessage,
    StoreError,
    Unavailable,
)

ADDRESS = wire.Address.parse("http://server")
STATE = {
    "trackId": "one",
    "currentTime": 1.5,
    "isPlaying": True,
    "playbackRate": 1,
    "rev": 4,
    "deviceId": None,
    "updatedAt": 1,
    "serverTime": 2,
}
TRACK = {"id": "two", "title": "Two", "streamUrl": "/api/tracks/stream/two?ticket=t"}
QUEUE = {"trackIds": ["one", "two", "one"], "index": 2, "repeat": "all", "rev": 4, "updatedAt": 1}
ROW = {
    "deviceId": "kitchen",
    "deviceName": "Kitchen",
    "isActive": True,
    "trackId": "one",
    "currentTime": 1.5,
    "isPlaying": True,
    "reportAge": 0.2,
}


def test_a_state_has_its_place_in_the_queue() -> None:
    place = {"index": 1, "length": 3, "repeat": "one"}
    assert wire.parse_state({**STATE, "queue": place}).queue == QueuePlace(1, 3, "one")


def test_a_state_of_a_server_without_queues_is_one_with_an_empty_queue() -> None:
    assert wire.parse_state(STATE).queue == QueuePlace(None, 0, "off")


@pytest.mark.parametrize(
    "place",
    [
        7,
        {},
        {"index": 3, "length": 3, "repeat": "off"},
        {"index": -1, "length": 3, "repeat": "off"},
        {"index": True, "length": 3, "repeat": "off"},
        {"index": None, "length": -1, "repeat": "off"},
        {"index": None, "length": None, "repeat": "off"},
        {"index": 0, "length": 1, "repeat": "twice"},
        {"index": 0, "length": 1, "repeat": []},
    ],
)
def test_a_place_that_is_not_in_its_queue_is_refused(place: Any) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_state({**STATE, "queue": place})


def test_the_next_track_comes_with_its_address() -> None:
    frame = {"event": "trackPlaying", "data": {**STATE, "track": TRACK, "nextTrack": TRACK}}
    event = wire.parse_event(frame, ADDRESS)
    assert event is not None
    assert event.next_track is not None
    assert event.next_track.stream_url == "http://server/api/tracks/stream/two?ticket=t"


def test_a_queue_is_parsed() -> None:
    queue = wire.parse_queue({**QUEUE, "nextTrack": TRACK}, ADDRESS)
    assert (queue.track_ids, queue.index, queue.repeat) == (("one", "two", "one"), 2, "all")
    assert queue.next_track is not None
    assert queue.next_track.id == "two"


@pytest.mark.parametrize(
    "change",
    [
        {"trackIds": None},
        {"trackIds": "one"},
        {"trackIds": [1]},
        {"index": 3},
        {"repeat": None},
        {"rev": None},
        {"rev": 1e999},
        {"nextTrack": 7},
    ],
)
def test_what_is_no_queue_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_queue({**QUEUE, **change}, ADDRESS)


def test_volumes_are_from_0_to_1() -> None:
    assert wire.parse_volume({"volume": 1, "muted": False}) == Volume(1.0, False)
    assert wire.parse_volume({}) == Volume(None, None)
    for wrong in ({"volume": 1.1}, {"volume": "1"}, {"volume": True}, {"muted": 1}):
        with pytest.raises(InvalidMessage):
            wire.parse_volume(wrong)


def test_devices_are_parsed_with_their_volumes() -> None:
    expected = Device("kitchen", "Kitchen", True, "one", 1.5, True, 0.2, Volume(0.5, True))
    row = {**ROW, "volume": 0.5, "muted": True}
    assert wire.parse_devices({"devices": [row]}) == [expected]
    assert wire.parse_devices({"devices": [ROW]})[0].volume == Volume()


@pytest.mark.parametrize("rows", [None, 7, [7], [{}], [{**ROW, "volume": 2}]])
def test_what_is_no_list_of_devices_is_refused(rows: Any) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_devices({"devices": rows})


def test_a_server_that_tells_nothing_of_itself_has_no_features() -> None:
    assert wire.parse_server({}) == ServerInfo(None, frozenset(), 1.0)
    told = {"version": "1.2", "features": ["queue"], "syncTolerance": 0.5}
    assert wire.parse_server(told) == ServerInfo("1.2", frozenset({"queue"}), 0.5)


@pytest.mark.parametrize(
    "data", [{"version": 1}, {"features": "queue"}, {"features": [1]}, {"syncTolerance": None}]
)
def test_a_description_of_another_shape_is_refused(data: Any) -> None:
    with pytest.raises(InvalidMessage):
        wire.parse_server(data)


def test_a_report_leaves_out_what_it_leaves_open() -> None:
    assert wire.report_data(Report("one", 2.0, True)) == {
        "trackId": "one",
        "currentTime": 2.0,
        "isPlaying": True,
        "playbackRate": 1.0,
    }
    full = Report("one", 2.0, False, duration=2.0, ended=True, volume=0.5, muted=False, if_rev=3)
    data = wire.report_data(full)
    assert (data["ended"], data["duration"], data["volume"]) == (True, 2.0, 0.5)
    assert (data["muted"], data["ifRev"], data["isPlaying"]) == (False, 3, False)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("device_not_found", DeviceNotFound),
        ("state_unavailable", StoreError),
        ("unavailable", Unavailable),
        ("a later code", AudiostreamError),
    ],
)
def test_an_error_is_the_exception_of_its_code(code: str, kind: type[AudiostreamError]) -> None:
    error = wire.parse_error({"code": code, "message": "no"})
    assert (type(error), str(error)) == (kind, "no")


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host:3000/", "http://host:3000"),
        ("wss://host/audio/", "https://host/audio"),
        ("ws://[::1]:80", "http://[::1]:80"),
    ],
)
def test_an_address_is_parsed_with_its_prefix(url: str, base: str) -> None:
    assert wire.Address.parse(url).base == base


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("host:3000", "must begin"),
        ("", "must begin"),
        ("http://", "no host"),
        ("http://host:port", "port"),
        ("http://host:99999", "port"),
        ("http://me@host", "user"),
        ("http://host/?token=1", "query"),
    ],
)
def test_a_bad_address_is_refused_with_what_is_wrong(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        wire.Address.parse(url)
