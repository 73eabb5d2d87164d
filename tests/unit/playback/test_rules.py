"""Commands, agreement and user actions; times in seconds of the fake clock."""

from __future__ import annotations

from dataclasses import fields

import pytest

from audiostream.errors import Conflict, TrackNotFound
from audiostream.playback import rules
from audiostream.playback.commands import PauseTrack, PlayTrack, Report, SetState
from audiostream.playback.model import Recipients, State
from audiostream.protocol.decode import GetCurrentState
from tests.support.scenario import Scenario


class TestR1CommandTakesEffect:
    def test_play_is_sent_to_the_whole_room_the_sender_included(self, scenario: Scenario) -> None:
        answer = scenario.play("phone", at=5.0)
        assert (answer.rev, answer.device_id, answer.is_playing) == (1, "phone", True)
        for name in ("phone", "kiosk"):
            [(event, state, _)] = scenario.received_frames(name)
            assert (event, state["currentTime"], state["track"]["id"]) == (
                "trackPlaying",
                5.0,
                "song",
            )

    def test_pause_without_a_position_keeps_the_position_of_now(self, scenario: Scenario) -> None:
        scenario.play("phone", at=5.0)
        scenario.wait(3.5)
        scenario.clear()
        scenario.pause("kiosk")
        assert scenario.received("phone") == [("trackPaused", 8.5)]
        assert scenario.room.state.active_device == scenario.devices["kiosk"].ref

    def test_play_without_a_position_resumes_the_current_track(self, scenario: Scenario) -> None:
        scenario.pause("phone", at=42.0)
        scenario.wait(60.0)
        assert scenario.play("kiosk").current_time == 42.0

    def test_play_of_another_track_without_a_position_starts_at_0(self, scenario: Scenario) -> None:
        scenario.play("phone", at=42.0)
        assert scenario.play("phone", "other").current_time == 0.0

    def test_play_after_the_end_of_the_track_starts_at_0(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 8.0)
        scenario.wait(5.0)
        assert scenario.room.view(scenario.room.apply(GetCurrentState())).current_time == 10.0
        assert scenario.play("phone", "short").current_time == 0.0

    def test_position_within_the_tolerance_beyond_the_duration_becomes_the_duration(
        self, scenario: Scenario
    ) -> None:
        assert scenario.play("phone", "short", 10.8).current_time == 10.0

    def test_pause_of_another_than_the_current_track_is_refused_with_conflict(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=5.0)
        scenario.clear()
        with pytest.raises(Conflict) as refused:
            scenario.pause("kiosk", "other")
        assert refused.value.state["trackId"] == "song"
        assert (scenario.room.state.rev, scenario.received("phone")) == (1, [])

    def test_pause_before_anything_played_sets_track_and_position(self, scenario: Scenario) -> None:
        answer = scenario.pause("phone", at=7.0)
        assert (answer.track_id, answer.current_time, answer.is_playing) == ("song", 7.0, False)

    def test_rest_update_is_sent_to_the_room_as_track_updated(self, scenario: Scenario) -> None:
        answer = scenario.set_state(30.0, playing=True)
        assert (answer.rev, answer.device_id) == (1, None)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 30.0)]

    def test_rest_update_keeps_the_active_device(self, in_sync: Scenario) -> None:
        assert in_sync.set_state(30.0, playing=True).device_id == "phone"

    def test_play_of_another_track_resets_the_playback_rate(self, scenario: Scenario) -> None:
        scenario.play("phone")
        scenario.report("phone", 0.0, playback_rate=1.5)
        assert scenario.room.state.playback_rate == 1.5
        assert scenario.play("phone").playback_rate == 1.5
        assert scenario.play("phone", "other").playback_rate == 1.0


class TestR2AgreementIsAbsorbed:
    def test_two_tabs_that_report_for_an_hour_are_sent_nothing_after_the_start(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackPlaying", 0.0)]
        for _ in range(4 * 3600):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.position)
            scenario.report("kiosk", max(0.0, scenario.position - 0.2))
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.room.state.rev == 1

    @pytest.mark.parametrize("offset", [-1.0, -0.5, 0.0, 0.5, 1.0])
    def test_report_within_the_tolerance_sends_nothing(
        self, in_sync: Scenario, offset: float
    ) -> None:
        in_sync.report("kiosk", in_sync.position + offset)
        assert in_sync.received("phone") == in_sync.received("kiosk") == []
        assert in_sync.room.state.rev == 1

    def test_paused_report_in_a_paused_room_sends_nothing(self, in_sync: Scenario) -> None:
        in_sync.pause("phone")
        in_sync.clear()
        in_sync.report("kiosk", in_sync.position + 0.4, playing=False)
        assert in_sync.received("phone") == in_sync.received("kiosk") == []

    def test_report_at_another_rate_is_applied_and_sent(self, in_sync: Scenario) -> None:
        in_sync.report("kiosk", in_sync.position, playback_rate=2.0)
        assert in_sync.received("phone")[0][0] == "trackUpdated"
        assert in_sync.room.state.playback_rate == 2.0

    def test_duration_corrected_by_a_rescan_is_taken_at_the_next_report_without_a_message(
        self, in_sync: Scenario
    ) -> None:
        in_sync.library.durations["song"] = 5400.0
        in_sync.report("phone", in_sync.position)
        assert in_sync.room.state.duration == 5400.0
        assert in_sync.received("kiosk") == in_sync.received("phone") == []


class TestR6AnythingElseIsAUserAction:
    def test_seek_on_the_other_device_is_sent_to_all_and_makes_it_active(
        self, in_sync: Scenario
    ) -> None:
        in_sync.report("kiosk", 300.0)
        assert in_sync.received("phone") == in_sync.received("kiosk") == [("trackUpdated", 300.0)]
        assert in_sync.room.state.active_device == in_sync.devices["kiosk"].ref

    def test_pause_in_the_controls_of_the_other_device_is_sent_and_holds(
        self, in_sync: Scenario
    ) -> None:
        in_sync.report("kiosk", in_sync.position, playing=False)
        assert in_sync.received("phone") == [("trackUpdated", 10.0)]
        in_sync.clock.advance(0.1)
        in_sync.report("phone", 10.1, playing=True)
        assert not in_sync.room.state.is_playing

    def test_track_chosen_in_the_controls_of_a_device_becomes_the_state(
        self, in_sync: Scenario
    ) -> None:
        in_sync.report("kiosk", 0.1, track="other")
        assert in_sync.room.state.track_id == "other"
        assert in_sync.room.state.duration == 7200.0

    def test_first_report_in_an_unused_room_is_applied_and_sent(self, scenario: Scenario) -> None:
        scenario.report("phone", 17.0)
        assert scenario.received("kiosk") == [("trackUpdated", 17.0)]

    def test_report_after_a_state_without_track_was_sent_is_applied(
        self, scenario: Scenario
    ) -> None:
        scenario.get_state("phone")
        scenario.clock.advance(0.1)
        scenario.report("phone", 17.0)
        assert scenario.position == 17.0


class TestR7ToleranceZero:
    def test_every_report_is_sent_to_the_whole_room(self) -> None:
        scenario = Scenario(tolerance=0.0)
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=0.0)
        scenario.clear()
        for step in range(1, 5):
            scenario.clock.advance(0.25)
            scenario.report("phone", step * 0.25)
        assert len(scenario.received("phone")) == len(scenario.received("kiosk")) == 4
        assert scenario.room.state.rev == 5


class TestR8IfRev:
    def test_command_with_the_current_rev_is_applied(self, in_sync: Scenario) -> None:
        assert in_sync.pause("kiosk", if_rev=1).rev == 2

    def test_command_or_report_with_another_rev_is_refused_with_the_current_state(
        self, in_sync: Scenario
    ) -> None:
        with pytest.raises(Conflict) as refused:
            in_sync.pause("kiosk", if_rev=0)
        assert (refused.value.state["rev"], refused.value.state["isPlaying"]) == (1, True)
        with pytest.raises(Conflict):
            in_sync.report("kiosk", 10.0, if_rev=2)
        assert in_sync.received("phone") == in_sync.received("kiosk") == []


class TestR9UnknownTrack:
    def test_unknown_track_and_track_of_another_user_are_refused_with_the_same_message(
        self, scenario: Scenario
    ) -> None:
        scenario.library.durations["secret"] = 60.0
        scenario.library.owned["secret"] = "bob"
        refusals = set()
        for track in ("nothing", "secret"):
            with pytest.raises(TrackNotFound) as refused:
                scenario.play("phone", track)
            refusals.add(str(refused.value))
            with pytest.raises(TrackNotFound):
                scenario.report("phone", 1.0, track=track)
        assert len(refusals) == 1
        assert scenario.room.state == State()


class TestR10UserIsTheTokens:
    @pytest.mark.parametrize("command", [PlayTrack, PauseTrack, SetState, Report])
    def test_no_command_names_a_user(self, command: type) -> None:
        assert not [field.name for field in fields(command) if "user" in field.name]


class TestR21PlaybackRateStaysWithinAnAlbum:
    @pytest.mark.parametrize(
        ("albums", "rate"), [({"song": "Book", "other": "Book"}, 1.5), ({"song": "Book"}, 1.0)]
    )
    def test_playback_rate_at_the_next_track_stays_within_the_album_alone(
        self, scenario: Scenario, albums: dict[str, str], rate: float
    ) -> None:
        scenario.library.albums = albums
        scenario.play("phone")
        scenario.report("phone", 0.0, playback_rate=1.5)
        assert scenario.play("phone", "other").playback_rate == rate

    def test_playback_rate_stays_when_the_next_track_of_the_album_is_chosen_in_a_device(
        self, in_sync: Scenario
    ) -> None:
        in_sync.library.albums = {"song": "Book", "other": "Book"}
        in_sync.report("phone", in_sync.position, playback_rate=1.5)
        in_sync.report("phone", 0.0, track="other")
        assert in_sync.room.state.playback_rate == 1.5


def test_apply_without_a_device_sends_a_command_to_the_room() -> None:
    outcome = rules.apply(State(), PlayTrack("song"), 5.0, duration=10.0)
    assert (outcome.state.track_id, outcome.state.rev, outcome.recipients) == (
        "song",
        1,
        Recipients.ROOM,
    )
