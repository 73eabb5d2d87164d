"""The duration of a track: an estimate of the library, or measured by a player."""

from __future__ import annotations

import pytest

from audiostream.playback.model import State
from audiostream.protocol.decode import GetCurrentState
from tests.support.scenario import Scenario


class TestR13EndOfTrackIsNoUserAction:
    def test_first_player_to_end_does_not_pause_the_other(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.report_for(9.5, phone=0.0, kiosk=-0.4)
        scenario.clear()
        scenario.report("phone", 10.0, playing=False, track="short")
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.room.state.is_playing

    def test_reports_beyond_the_listed_duration_send_nothing_to_the_other_device(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        for _ in range(4 * 13):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.clock.now - 1_700_000_000.0, track="short")
        assert scenario.received("kiosk") == [("trackPlaying", 0.0)]

    def test_report_from_the_beginning_after_the_end_is_a_user_action(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.report_for(12.0, phone=0.0)
        scenario.clear()
        scenario.report("phone", 0.1, track="short")
        assert scenario.received("kiosk") == [("trackUpdated", 0.1)]


class TestR19ListedDurationIsAnEstimate:
    @pytest.mark.parametrize("act", ["play", "pause", "set", "report"])
    def test_position_beyond_the_listed_duration_is_kept_and_the_duration_unknown(
        self, scenario: Scenario, act: str
    ) -> None:
        if act == "set":
            scenario.set_state(35.0, True, "short")
        elif act == "report":
            scenario.report("phone", 35.0, True, "short")
        else:
            getattr(scenario, act)("phone", "short", 35.0)
        state = scenario.room.view(scenario.room.apply(GetCurrentState()))
        assert (state.current_time, state.duration) == (35.0, None)
        scenario.report_for(5.0, phone=0.0)
        assert scenario.position == (35.0 if act == "pause" else 40.0)

    def test_two_players_that_go_on_beyond_the_listed_duration_are_sent_nothing(
        self, scenario: Scenario
    ) -> None:
        began = scenario.clock.now
        scenario.play("phone", "short", 0.0)
        scenario.clear()
        for _ in range(4 * 40):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.clock.now - began, track="short")
            scenario.report("kiosk", scenario.clock.now - began - 0.2, track="short")
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.position == pytest.approx(40.0)
        assert (scenario.room.state.is_playing, scenario.room.state.rev) == (True, 1)
        scenario.play("phone", "other", 0.0)
        assert scenario.play("phone", "short", resume=True).current_time == pytest.approx(40.0)

    def test_device_that_was_sent_the_end_is_sent_that_the_track_goes_on(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.report_for(10.75, phone=0.0)
        scenario.report("phone", 10.75, track="short")
        scenario.connect("tablet")
        assert not scenario.get_state("tablet").is_playing
        scenario.clear()
        scenario.clock.advance(0.5)
        scenario.report("phone", 11.25, track="short")
        assert scenario.received("tablet") == [("trackUpdated", 11.25)]
        assert scenario.received("kiosk") == scenario.received("phone") == []

    def test_listed_duration_ends_a_track_that_no_device_reports_on(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.wait(60.0)
        state = scenario.room.view(scenario.room.apply(GetCurrentState()))
        assert (state.is_playing, state.current_time, state.duration) == (False, 10.0, 10.0)

    def test_duration_that_a_player_reports_replaces_the_listed_one(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clear()
        scenario.report_for(1.0, phone=0.0)
        scenario.report("phone", 1.0, track="short", duration=42.5)
        scenario.report("kiosk", 1.0, track="short")
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.get_state("kiosk").duration == 42.5
        scenario.wait(60.0)
        assert scenario.get_state("kiosk").current_time == 42.5

    @pytest.mark.parametrize(
        ("later", "kept"), [(7000.03, 7000.0), (7010.0, 7010.0), (5.0, 7000.0)]
    )
    def test_reported_duration_changes_by_more_than_rounding_and_never_below_the_position(
        self, in_sync: Scenario, later: float, kept: float
    ) -> None:
        in_sync.report("phone", in_sync.position, duration=7000.0)
        in_sync.report("phone", in_sync.position, duration=later)
        assert in_sync.room.state.duration == kept

    def test_reported_duration_does_not_apply_to_the_next_track(self, scenario: Scenario) -> None:
        scenario.play("phone", "endless", 0.0)
        scenario.report("phone", 0.0, track="endless", duration=42.5)
        assert scenario.play("phone", "short").duration == 10.0
        assert scenario.play("phone", "endless").duration is None

    def test_duration_in_an_ignored_report_is_not_taken(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clock.advance(0.1)
        scenario.report("kiosk", 7.0, track="short", duration=42.5)
        assert scenario.get_state("phone").duration == 10.0

    def test_position_beyond_a_reported_duration_makes_it_unknown(self, scenario: Scenario) -> None:
        scenario.play("phone", "song", 0.0)
        scenario.report("phone", 0.0, duration=1.0)
        scenario.clock.advance(5.0)
        scenario.report("phone", 5.0)
        assert scenario.room.state.duration is None
        assert scenario.position == 5.0

    def test_restored_position_beyond_the_listed_duration_is_not_clamped(
        self, scenario: Scenario
    ) -> None:
        scenario.room.restore(State(track_id="short", position=35.0, rev=7), ())
        assert scenario.get_state("phone").current_time == 35.0
        assert scenario.play("phone", "short").current_time == 35.0
