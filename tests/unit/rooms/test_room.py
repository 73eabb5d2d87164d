"""What a room does with commands, answers and silent devices."""

from __future__ import annotations

import pytest

from audiostream.errors import TrackNotFound
from audiostream.playback.commands import PlayTrack, Report
from audiostream.playback.lifecycle import MAX_RESENDS
from audiostream.playback.model import State
from audiostream.protocol.decode import GetCurrentState
from tests.support.scenario import Scenario


def test_a_room_is_named_after_its_user() -> None:
    assert Scenario().room.name == "user_ada"


def test_a_device_that_connects_is_sent_nothing() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.play("phone")
    scenario.connect("kiosk")
    assert scenario.received("kiosk") == []


class TestDirectAnswers:
    def test_only_the_senders_frame_of_a_broadcast_carries_its_id(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.room.apply(PlayTrack("song"), scenario.devices["phone"], "q1")
        [(event, state, frame_id)] = scenario.received_frames("phone")
        assert (event, frame_id, state["trackId"]) == ("trackPlaying", "q1", "song")
        [(event, _, frame_id)] = scenario.received_frames("kiosk")
        assert (event, frame_id) == ("trackPlaying", None)

    def test_an_id_of_0_or_an_empty_string_is_answered_too(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        for frame_id in (0, ""):
            scenario.room.apply(GetCurrentState(), scenario.devices["phone"], frame_id)
            assert scenario.received_frames("phone")[0][2] == frame_id

    def test_an_absorbed_report_with_an_id_is_answered_to_its_sender_alone(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.room.apply(Report("song", 0.0, True), scenario.devices["phone"], 5)
        [(event, state, frame_id)] = scenario.received_frames("phone")
        assert (event, frame_id, state["rev"]) == ("trackState", 5, 1)
        assert scenario.received("kiosk") == []

    def test_an_answer_to_an_absorbed_report_is_not_recorded_as_sent(self) -> None:
        scenario = Scenario()
        scenario.connect("phone")
        scenario.play("phone", at=0.0)
        last_sent = scenario.devices["phone"].sync.last_sent
        scenario.room.apply(Report("song", 0.0, True), scenario.devices["phone"], 5)
        assert scenario.devices["phone"].sync.last_sent is last_sent


def test_the_current_track_can_be_paused_but_not_started_after_it_left_the_library() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.play("phone", at=5.0)
    del scenario.library.durations["song"]
    scenario.clear()
    scenario.pause("phone")
    assert not scenario.room.state.is_playing
    assert scenario.received("phone") == [("trackPaused", 5.0)]
    with pytest.raises(TrackNotFound):
        scenario.play("phone", at=5.0)


def test_a_device_on_a_removed_track_follows_to_the_next_one_without_an_error() -> None:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    scenario.play("phone", at=0.0)
    scenario.wait(10.0)
    scenario.report("kiosk", 10.0)
    del scenario.library.durations["song"]
    scenario.play("phone", track="other", at=0.0)
    scenario.clear()
    scenario.report("kiosk", 10.5)
    assert scenario.room.state.track_id == "other"
    assert scenario.received("phone") == []
    scenario.wait(5.0)
    assert {data["trackId"] for _, data, _ in scenario.received_frames("kiosk")} == {"other"}


def test_the_track_before_the_current_one_cannot_be_started_after_it_left_the_library() -> None:
    scenario = Scenario()
    scenario.connect("phone")
    scenario.play("phone", at=5.0)
    del scenario.library.durations["song"]
    scenario.play("phone", track="other", at=0.0)
    with pytest.raises(TrackNotFound):
        scenario.play("phone", track="song", at=5.0)
    assert scenario.room.state.track_id == "other"


def test_a_player_that_went_on_over_a_restart_is_followed_though_the_clock_was_set_back() -> None:
    scenario = Scenario()
    state = State(track_id="song", position=10.0, is_interrupted=True)
    scenario.room.restore(state, (), reached_at=scenario.clock.now + 50.0)
    scenario.connect("phone")
    scenario.report("phone", 3610.0)
    assert (scenario.room.state.is_playing, scenario.position) == (True, 3610.0)


class TestAssumedReports:
    def test_a_paused_device_whose_seek_was_ignored_is_sent_the_state(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.pause("phone", at=10.0)
        scenario.clock.advance(0.5)
        scenario.report("kiosk", 300.0, playing=False)  # ignored while it is settling
        scenario.clear()
        scenario.wait(4.0)
        assert scenario.received("kiosk") == [("trackUpdated", 10.0)]
        assert scenario.received("phone") == []

    def test_an_ignored_pause_of_the_active_device_takes_effect_later(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=10.0)
        scenario.clock.advance(1.0)
        scenario.pause("phone", at=300.0)
        scenario.clock.advance(0.3)
        scenario.report("phone", 11.0, playing=False)  # in its own controls, while it is settling
        scenario.clear()
        scenario.wait(4.0)
        assert scenario.position == 11.0
        assert scenario.received("kiosk") == [("trackUpdated", 11.0)]

    def test_a_device_that_reported_playing_and_is_silent_since_a_pause_is_taken_to_have_paused(
        self,
    ) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=10.0)
        scenario.report_for(3.0, phone=0.0)
        scenario.report("phone", 13.0, playing=False)
        scenario.report("phone", 13.0)  # sent before the pause reached it
        scenario.clear()
        scenario.wait(10.0)
        assert not scenario.room.state.is_playing
        assert scenario.received("phone") == [("trackUpdated", 13.0)]  # it may have missed that
        assert scenario.received("kiosk") == []

    def test_each_ignored_seek_after_a_resend_is_answered_by_another(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.pause("phone", at=10.0)
        for position in (300.0, 200.0, 100.0):
            scenario.clock.advance(0.5)
            scenario.report("kiosk", position, playing=False)
            scenario.clear()
            scenario.wait(3.0)
            assert scenario.received("kiosk") == [("trackUpdated", 10.0)]

    def test_a_device_that_never_follows_is_sent_the_state_a_limited_number_of_times(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=0.0)
        scenario.clear()
        for _ in range(20):
            scenario.report("phone", scenario.position)
            if scenario.received("kiosk"):
                scenario.report("kiosk", 0.0, playing=False)
            scenario.wait(1.0)
        scenario.report("kiosk", 0.0, playing=False)  # it reports again
        scenario.wait(10.0)
        assert len(scenario.received("kiosk")) <= MAX_RESENDS

    def test_an_ignored_report_of_a_track_that_left_the_library_is_answered_with_the_state(
        self,
    ) -> None:
        scenario = Scenario()
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=0.0)
        scenario.report("kiosk", 5.0, track="other")
        del scenario.library.durations["other"]
        scenario.clear()
        scenario.wait(10.0)
        assert scenario.received("kiosk") == [("trackPlaying", 2.0)]
