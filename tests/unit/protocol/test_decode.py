"""The data of client events: decoded into commands, or refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.errors import InvalidMessage, UnknownEvent
from audiostream.playback.commands import PauseTrack, PlayTrack, Report, SetState
from audiostream.protocol.decode import (
    GetCurrentState,
    decode_auth_token,
    decode_command,
    decode_get_devices,
    decode_set_state,
)
from tests.unit.protocol.test_envelope import JSON

NAMES = st.sampled_from(["trackId", "currentTime", "isPlaying", "playbackRate", "ifRev", "token"])
EVENTS = st.sampled_from(["playTrack", "pauseTrack", "updateStreaming", "getCurrentState"])


def test_play_track_is_decoded_with_its_optional_fields() -> None:
    assert decode_command("playTrack", {"trackId": "a"}) == PlayTrack("a")
    data = {"trackId": "a", "currentTime": 5, "ifRev": 2}
    assert decode_command("playTrack", data) == PlayTrack("a", 5.0, 2)


def test_resume_is_decoded_as_a_flag_and_refused_otherwise() -> None:
    command = decode_command("playTrack", {"trackId": "a", "resume": True})
    assert command == PlayTrack("a", resume=True)
    with pytest.raises(InvalidMessage, match="resume"):
        decode_command("playTrack", {"trackId": "a", "resume": 1})


def test_pause_track_is_decoded() -> None:
    data = {"trackId": "a", "currentTime": 5.5, "ifRev": None}
    assert decode_command("pauseTrack", data) == PauseTrack("a", 5.5)


def test_update_streaming_is_decoded_as_a_report() -> None:
    data = {"trackId": "a", "currentTime": 5.5, "isPlaying": True}
    assert decode_command("updateStreaming", data) == Report("a", 5.5, True)
    assert decode_command("updateStreaming", data | {"playbackRate": 2}) == Report(
        "a", 5.5, True, 2.0
    )


def test_get_current_state_ignores_its_data() -> None:
    assert decode_command("getCurrentState", {"anything": 1}) == GetCurrentState()


def test_get_devices_asks_to_watch_only_where_it_says_so() -> None:
    assert decode_get_devices({"watch": True})
    assert not decode_get_devices({})
    with pytest.raises(InvalidMessage, match="watch"):
        decode_get_devices({"watch": "yes"})


def test_the_body_of_update_state_is_decoded() -> None:
    data = {"trackId": "a", "currentTime": 1, "isPlaying": False}
    assert decode_set_state(data) == SetState("a", 1.0, False)


def test_a_user_id_in_the_data_is_ignored() -> None:
    plain = decode_command("playTrack", {"trackId": "a"})
    assert decode_command("playTrack", {"trackId": "a", "userId": "eve"}) == plain


def test_an_unknown_event_is_refused_by_name() -> None:
    with pytest.raises(UnknownEvent, match="stopTrack"):
        decode_command("stopTrack", {})


@pytest.mark.parametrize("time", [-1.0, float("nan"), float("inf"), "5", True, [], 10**400])
def test_a_position_that_no_player_has_is_refused(time: object) -> None:
    with pytest.raises(InvalidMessage, match="currentTime"):
        decode_command("playTrack", {"trackId": "a", "currentTime": time})


@pytest.mark.parametrize("time", [-0.999, -0.02, -0.0])
def test_a_position_just_under_0_is_decoded_as_0(time: float) -> None:
    data = {"trackId": "a", "currentTime": time, "isPlaying": True}
    assert decode_command("updateStreaming", data) == Report("a", 0.0, True)


@pytest.mark.parametrize("track", [None, "", 5, ["a"]])
def test_a_track_id_that_is_no_string_or_empty_is_refused(track: object) -> None:
    with pytest.raises(InvalidMessage, match="trackId"):
        decode_command("playTrack", {"trackId": track})


@pytest.mark.parametrize("rate", [0, -1, 0.01, 17, "1", float("nan")])
def test_a_playback_rate_that_no_browser_plays_is_refused(rate: object) -> None:
    data = {"trackId": "a", "currentTime": 1, "isPlaying": True, "playbackRate": rate}
    with pytest.raises(InvalidMessage, match="playbackRate"):
        decode_command("updateStreaming", data)


@pytest.mark.parametrize("rev", ["1", 1.0, True])
def test_a_rev_that_is_no_integer_is_refused(rev: object) -> None:
    with pytest.raises(InvalidMessage, match="ifRev"):
        decode_command("playTrack", {"trackId": "a", "ifRev": rev})


@pytest.mark.parametrize("duration", [0, -1.5, "60", True, float("inf")])
def test_a_duration_that_no_track_has_is_refused(duration: object) -> None:
    data = {"trackId": "a", "currentTime": 1, "isPlaying": True, "duration": duration}
    with pytest.raises(InvalidMessage, match="duration"):
        decode_command("updateStreaming", data)


@pytest.mark.parametrize("event", ["playTrack", "pauseTrack"])
@pytest.mark.parametrize("command_id", ["", "x" * 65, 7, ["one"]])
def test_a_command_id_that_is_no_short_string_is_refused(event: str, command_id: object) -> None:
    assert decode_command(event, {"trackId": "a", "commandId": "x" * 64})
    with pytest.raises(InvalidMessage, match="commandId"):
        decode_command(event, {"trackId": "a", "commandId": command_id})


@pytest.mark.parametrize("missing", ["trackId", "currentTime", "isPlaying"])
def test_a_report_that_lacks_a_field_is_refused_by_its_name(missing: str) -> None:
    data = {"trackId": "a", "currentTime": 1, "isPlaying": True}
    del data[missing]
    with pytest.raises(InvalidMessage, match=missing):
        decode_command("updateStreaming", data)


@given(EVENTS | st.text(), st.dictionaries(NAMES, JSON))
def test_any_data_is_either_decoded_or_refused(event: str, data: dict[str, Any]) -> None:
    with suppress(InvalidMessage, UnknownEvent):
        decode_command(event, data)


def test_the_token_of_an_auth_frame_is_decoded() -> None:
    assert decode_auth_token({"token": "t", "deviceId": "d", "deviceName": "Küche"}) == "t"


@pytest.mark.parametrize("token", [None, "", 5])
def test_an_auth_frame_without_a_token_is_refused(token: object) -> None:
    with pytest.raises(InvalidMessage, match="token"):
        decode_auth_token({"token": token})
