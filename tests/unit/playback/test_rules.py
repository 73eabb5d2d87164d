"""The playback rules, each played as scenes on a fake clock; seconds throughout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audiostream.errors import Conflict, TrackNotFound
from audiostream.playback import rules
from audiostream.playback.commands import PlayTrack
from audiostream.playback.lifecycle import advance
from audiostream.playback.model import Recipients, State
from audiostream.protocol.decode import GetCurrentState
from audiostream.protocol.encode import StateView
from tests.support.scenario import Scenario


@pytest.fixture
def scenario() -> Scenario:
    scenario = Scenario()
    scenario.connect("phone", "kiosk")
    return scenario


@pytest.fixture
def together(scenario: Scenario) -> Scenario:
    """Phone and kiosk play the same song, the phone in the lead, both in step at 10 s."""
    scenario.play("phone", at=0.0)
    scenario.report_for(10.0, phone=0.0, kiosk=-0.1)
    scenario.clear()
    return scenario


class TestState:
    def test_a_playing_state_moves_with_time_and_rate(self) -> None:
        state = State(
            track_id="song",
            duration=100.0,
            position=10.0,
            anchored_at=50.0,
            is_playing=True,
            playback_rate=2.0,
        )
        assert state.position_at(53.0) == 16.0

    def test_a_paused_state_stands_still(self) -> None:
        assert (
            State(track_id="song", duration=100.0, position=10.0, anchored_at=50.0).position_at(
                90.0
            )
            == 10.0
        )

    def test_time_that_runs_backwards_moves_nothing(self) -> None:
        assert (
            State(
                track_id="song", duration=100.0, position=10.0, anchored_at=50.0, is_playing=True
            ).position_at(49.0)
            == 10.0
        )

    def test_the_end_of_the_track_ends_the_playing(self) -> None:
        ended = advance(
            State(
                track_id="song", duration=100.0, position=95.0, anchored_at=50.0, is_playing=True
            ),
            60.0,
        )
        assert (ended.is_playing, ended.position) == (False, 100.0)

    def test_it_has_ended_where_its_position_says_so(self) -> None:
        for position, moment in ((9.0, 100.5), (9.0, 101.0), (9.0, 99.0), (10.0, 99.0)):
            state = State(
                track_id="song",
                duration=10.0,
                position=position,
                anchored_at=100.0,
                is_playing=True,
            )
            assert advance(state, moment).is_playing == (state.position_at(moment) < 10.0)

    def test_a_track_of_unknown_length_has_no_end(self) -> None:
        state = State(track_id="song", position=95.0, anchored_at=50.0, is_playing=True)
        assert advance(state, 10_000.0) is state

    def test_clients_are_told_positions_of_now_and_times_in_milliseconds(self) -> None:
        told = StateView.of(
            State(
                track_id="song",
                position=10.0,
                anchored_at=50.0,
                is_playing=True,
                rev=3,
                updated_at=950.0,
            ),
            51.5,
            951.5,
        )
        assert told.to_json() == {
            "trackId": "song",
            "currentTime": 11.5,
            "isPlaying": True,
            "playbackRate": 1.0,
            "rev": 3,
            "deviceId": None,
            "updatedAt": 950_000,
            "serverTime": 951_500,
        }

    def test_nothing_played_yet(self) -> None:
        told = StateView.of(State(), 51.5, 951.5)
        assert (told.track_id, told.current_time, told.is_playing) == (None, 0.0, False)


class TestRule1ACommandTakesEffect:
    def test_play_is_told_to_the_whole_room_the_sender_included(self, scenario: Scenario) -> None:
        answer = scenario.play("phone", at=5.0)
        assert (answer.rev, answer.device_id, answer.is_playing) == (1, "phone", True)
        for name in ("phone", "kiosk"):
            [(event, state, _)] = scenario.received_frames(name)
            assert (event, state["currentTime"], state["track"]["id"]) == (
                "trackPlaying",
                5.0,
                "song",
            )

    def test_pause_keeps_the_position_of_now(self, scenario: Scenario) -> None:
        scenario.play("phone", at=5.0)
        scenario.wait(3.5)
        scenario.clear()
        scenario.pause("kiosk")
        assert scenario.received("phone") == [("trackPaused", 8.5)]
        assert scenario.room.state.active_device == scenario.devices["kiosk"].ref

    def test_play_resumes_the_current_track_where_it_stands(self, scenario: Scenario) -> None:
        scenario.pause("phone", at=42.0)
        scenario.wait(60.0)
        assert scenario.play("kiosk").current_time == 42.0

    def test_play_of_another_track_starts_at_0(self, scenario: Scenario) -> None:
        scenario.play("phone", at=42.0)
        assert scenario.play("phone", "other").current_time == 0.0

    def test_play_after_the_end_starts_again(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 8.0)
        scenario.wait(5.0)
        scenario.room.apply(GetCurrentState())
        assert scenario.room.view().current_time == 10.0
        assert scenario.play("phone", "short").current_time == 0.0

    def test_a_position_within_the_tolerance_behind_the_end_is_the_end(
        self, scenario: Scenario
    ) -> None:
        assert scenario.play("phone", "short", 10.8).current_time == 10.0

    def test_pausing_another_than_the_current_track_is_refused(self, scenario: Scenario) -> None:
        scenario.play("phone", at=5.0)
        scenario.clear()
        with pytest.raises(Conflict) as refused:
            scenario.pause("kiosk", "other")
        assert refused.value.state["trackId"] == "song"
        assert (scenario.room.state.rev, scenario.received("phone")) == (1, [])

    def test_a_pause_before_anything_played_prepares_the_track(self, scenario: Scenario) -> None:
        answer = scenario.pause("phone", at=7.0)
        assert (answer.track_id, answer.current_time, answer.is_playing) == ("song", 7.0, False)

    def test_rest_sets_the_state_and_the_room_hears_track_updated(self, scenario: Scenario) -> None:
        answer = scenario.set_state(30.0, playing=True)
        assert (answer.rev, answer.device_id) == (1, None)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 30.0)]

    def test_rest_leaves_the_lead_where_it_was(self, together: Scenario) -> None:
        assert together.set_state(30.0, playing=True).device_id == "phone"

    def test_another_track_plays_at_the_normal_rate_again(self, scenario: Scenario) -> None:
        scenario.play("phone")
        scenario.report("phone", 0.0, playback_rate=1.5)
        assert scenario.room.state.playback_rate == 1.5
        assert scenario.play("phone").playback_rate == 1.5
        assert scenario.play("phone", "other").playback_rate == 1.0


class TestRule2AgreementIsAbsorbed:
    def test_two_tabs_left_alone_for_an_hour_hear_nothing_after_the_start(
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
    def test_within_the_tolerance_nobody_is_told(self, together: Scenario, offset: float) -> None:
        together.report("kiosk", together.position + offset)
        assert together.received("phone") == together.received("kiosk") == []
        assert together.room.state.rev == 1

    def test_a_paused_room_agrees_with_paused_reports(self, together: Scenario) -> None:
        together.pause("phone")
        together.clear()
        together.report("kiosk", together.position + 0.4, playing=False)
        assert together.received("phone") == together.received("kiosk") == []

    def test_another_rate_is_no_agreement(self, together: Scenario) -> None:
        together.report("kiosk", together.position, playback_rate=2.0)
        assert together.received("phone")[0][0] == "trackUpdated"
        assert together.room.state.playback_rate == 2.0

    def test_a_duration_that_a_rescan_corrects_is_the_state_s_from_the_next_report_on(
        self, together: Scenario
    ) -> None:
        together.library.durations["song"] = 5400.0
        together.report("phone", together.position)
        assert together.room.state.duration == 5400.0
        assert together.received("kiosk") == together.received("phone") == []


class TestRule3ADeviceThatIsCatchingUpIsNotObeyed:
    def test_a_pause_is_not_undone_by_the_others_late_playing(self, together: Scenario) -> None:
        together.pause("phone")
        together.clear()
        for _ in range(7):
            together.clock.advance(0.25)
            together.report("kiosk", together.position + 0.2, playing=True)
        assert not together.room.state.is_playing
        assert together.received("phone") == together.received("kiosk") == []

    def test_a_pause_is_not_undone_by_the_senders_own_late_playing(
        self, together: Scenario
    ) -> None:
        together.pause("phone")
        together.clear()
        together.clock.advance(0.1)
        together.report("phone", together.position, playing=True)
        assert not together.room.state.is_playing
        assert together.received("phone") == together.received("kiosk") == []

    def test_restarting_a_track_is_not_undone_by_a_report_on_its_way(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.report_for(120.0, phone=0.0)
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(0.3)
        scenario.report("phone", 120.3)
        assert scenario.position == pytest.approx(0.3)
        assert scenario.received("phone") == scenario.received("kiosk") == []

    def test_another_track_is_not_undone_by_a_report_of_the_old_one(
        self, together: Scenario
    ) -> None:
        together.play("phone", "other", 0.0)
        together.clear()
        together.clock.advance(0.2)
        together.report("phone", 10.2)
        assert together.room.state.track_id == "other"
        assert together.received("phone") == together.received("kiosk") == []

    def test_play_followed_at_once_by_a_jump_to_42_is_a_seek(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(0.2)
        scenario.report("phone", 42.0)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 42.0)]
        assert scenario.room.state.rev == 2

    def test_from_another_device_even_a_jump_is_ignored(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(0.2)
        scenario.report("kiosk", 42.0)
        assert scenario.received("phone") == scenario.received("kiosk") == []

    def test_a_device_that_has_been_in_step_is_obeyed_at_once(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clock.advance(0.25)
        scenario.report("kiosk", 0.2)
        scenario.clear()
        scenario.clock.advance(0.25)
        scenario.report("kiosk", 0.4, playing=False)
        assert not scenario.room.state.is_playing


class TestRule4DriftIsNotAWish:
    def test_a_kiosk_that_stalls_is_told_once_and_the_phone_never(self, together: Scenario) -> None:
        stalled_at = together.position
        together.report_for(5.0, phone=0.0)
        together.report("kiosk", stalled_at + 0.05)
        assert together.received("kiosk") == [("trackUpdated", 15.0)]
        together.report_for(60.0, phone=0.0, kiosk=-0.1)
        assert together.received("kiosk") == together.received("phone") == []

    def test_the_active_phone_that_stalls_moves_the_kiosk_once(self, together: Scenario) -> None:
        together.report_for(5.0, kiosk=0.0)
        together.clear()
        together.report("phone", 10.1)
        assert together.received("kiosk") == [("trackUpdated", 10.1)]
        assert together.received("phone") == []
        together.report_for(60.0, phone=0.0, kiosk=-0.1)
        assert together.received("kiosk") == together.received("phone") == []
        assert together.room.state.rev == 1

    def test_a_late_start_of_the_active_device_is_followed(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(4.0)
        scenario.report("phone", 0.5)
        assert scenario.position == 0.5
        assert scenario.received("kiosk") == [("trackUpdated", 0.5)]

    def test_a_device_alone_in_the_room_is_followed_without_a_word(self) -> None:
        scenario = Scenario()
        scenario.connect("kiosk")
        scenario.set_state(0.0, playing=True)
        scenario.clear()
        scenario.clock.advance(4.0)
        scenario.report("kiosk", 0.5)
        assert scenario.position == 0.5
        assert scenario.received("kiosk") == []

    def test_an_active_device_that_goes_on_contradicting_is_a_change(
        self, together: Scenario
    ) -> None:
        together.pause("phone")
        together.clear()
        for _ in range(9):  # its person pressed play in its own controls right after
            together.clock.advance(0.25)
            together.report("phone", 10.0 + 0.1, playing=True)
        assert together.room.state.is_playing
        assert together.room.state.rev == 3
        assert together.received("kiosk") == [("trackUpdated", 10.1)]


class TestRule5ADeviceThatNeverFollowedCommandsNobody:
    def test_a_tab_whose_browser_blocks_sound_does_not_stop_the_first(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        for _ in range(4 * 20):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.position)
            scenario.report("kiosk", 0.0, playing=False)
        assert scenario.room.state.is_playing
        assert scenario.received("phone") == []
        assert 9 <= len(scenario.received("kiosk")) <= 10

    def test_a_device_that_plays_something_else_changes_nothing(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        for step in range(4 * 20):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.position)
            scenario.report("kiosk", step * 0.25, track="other")
        assert scenario.room.state.track_id == "song"
        assert scenario.received("phone") == []
        assert 9 <= len(scenario.received("kiosk")) <= 10


class TestRule6AnythingElseIsAPerson:
    def test_a_seek_on_either_device_is_told_to_all(self, together: Scenario) -> None:
        together.report("kiosk", 300.0)
        assert together.received("phone") == together.received("kiosk") == [("trackUpdated", 300.0)]
        assert together.room.state.active_device == together.devices["kiosk"].ref

    def test_a_pause_in_the_other_devices_own_controls_holds(self, together: Scenario) -> None:
        together.report("kiosk", together.position, playing=False)
        assert together.received("phone") == [("trackUpdated", 10.0)]
        together.clock.advance(0.1)
        together.report("phone", 10.1, playing=True)
        assert not together.room.state.is_playing

    def test_another_track_in_its_own_controls_is_followed(self, together: Scenario) -> None:
        together.report("kiosk", 0.1, track="other")
        assert together.room.state.track_id == "other"
        assert together.room.state.duration == 7200.0

    def test_the_first_report_of_a_device_never_told_anything(self, scenario: Scenario) -> None:
        scenario.report("phone", 17.0)
        assert scenario.received("kiosk") == [("trackUpdated", 17.0)]

    def test_having_been_told_that_there_is_no_track_is_not_having_been_told(
        self, scenario: Scenario
    ) -> None:
        scenario.get_state("phone")
        scenario.clock.advance(0.1)
        scenario.report("phone", 17.0)
        assert scenario.position == 17.0


class TestRule7WithoutTolerance:
    def test_every_report_is_told_to_the_whole_room(self) -> None:
        scenario = Scenario(tolerance=0.0)
        scenario.connect("phone", "kiosk")
        scenario.play("phone", at=0.0)
        scenario.clear()
        for step in range(1, 5):
            scenario.clock.advance(0.25)
            scenario.report("phone", step * 0.25)
        assert len(scenario.received("phone")) == len(scenario.received("kiosk")) == 4
        assert scenario.room.state.rev == 5


class TestRule8IfRev:
    def test_the_current_rev_is_accepted(self, together: Scenario) -> None:
        assert together.pause("kiosk", if_rev=1).rev == 2

    def test_another_is_refused_with_the_current_state(self, together: Scenario) -> None:
        with pytest.raises(Conflict) as refused:
            together.pause("kiosk", if_rev=0)
        assert (refused.value.state["rev"], refused.value.state["isPlaying"]) == (1, True)
        with pytest.raises(Conflict):
            together.report("kiosk", 10.0, if_rev=2)
        assert together.received("phone") == together.received("kiosk") == []


class TestRule9UnknownTracks:
    def test_an_unknown_track_and_anothers_are_refused_in_the_same_words(
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


class TestRule11WhenTheLastPlayerLeaves:
    @pytest.fixture
    def frozen(self, together: Scenario) -> Scenario:
        """Only the phone had sound; it left at 10 s while the kiosk watches."""
        together.report("kiosk", together.position)
        together.devices["kiosk"].sync = replace(
            together.devices["kiosk"].sync, reports_playing=False
        )
        together.disconnect("phone")
        return together

    def test_the_position_freezes(self, frozen: Scenario) -> None:
        frozen.wait(20.0)
        assert frozen.room.state.is_playing
        assert frozen.position == 10.0
        assert frozen.received("kiosk") == []

    def test_after_the_grace_it_is_paused_and_the_room_is_told(self, frozen: Scenario) -> None:
        frozen.wait(31.0)
        assert frozen.received("kiosk") == [("trackPaused", 10.0)]
        assert (frozen.room.state.is_playing, frozen.room.state.rev) == (False, 2)
        frozen.wait(60.0)
        assert frozen.received("kiosk") == []

    def test_a_reload_resumes_where_it_was(self, frozen: Scenario) -> None:
        frozen.wait(1.5)
        frozen.connect("phone")
        assert frozen.get_state("phone").current_time == 10.0
        frozen.clock.advance(0.5)
        frozen.clear()
        frozen.report("phone", 10.2)
        assert frozen.received("phone") == []
        assert frozen.received("kiosk") == [("trackUpdated", 10.2)]
        frozen.report_for(60.0, phone=0.0)
        assert frozen.position == pytest.approx(70.2)
        assert frozen.room.state.rev == 1
        assert frozen.room.state.active_device == frozen.devices["phone"].ref

    def test_a_player_that_went_on_while_the_network_was_away_is_followed(
        self, frozen: Scenario
    ) -> None:
        frozen.wait(3.0)
        frozen.connect("phone")
        frozen.report("phone", 13.0)
        assert frozen.received("phone") == []
        assert frozen.position == 13.0

    def test_a_player_that_reports_seldom_is_not_pulled_back(self, frozen: Scenario) -> None:
        frozen.connect("phone")
        frozen.get_state("phone")
        frozen.wait(5.0)
        frozen.clear()
        frozen.report("phone", 14.8)
        assert frozen.received("phone") == []
        assert frozen.position == 14.8

    def test_a_command_ends_the_waiting(self, frozen: Scenario) -> None:
        frozen.wait(5.0)
        frozen.play("kiosk")
        frozen.wait(60.0)
        assert frozen.position == 70.0

    def test_a_paused_report_of_another_device_does_not_bring_it_back(
        self, frozen: Scenario
    ) -> None:
        frozen.connect("tablet")
        frozen.get_state("tablet")
        frozen.wait(3.0)
        frozen.report("tablet", 10.0, playing=False)
        assert frozen.room.state.frozen_at is not None

    def test_a_battery_that_died_long_ago_counts_from_its_last_words(
        self, together: Scenario
    ) -> None:
        together.disconnect("kiosk")
        together.wait(45.0)
        together.disconnect("phone")
        assert together.position == 10.0

    def test_a_room_that_empties_freezes_even_if_nobody_ever_reported(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.wait(5.0)
        scenario.disconnect("kiosk")
        scenario.wait(5.0)
        scenario.disconnect("phone")
        scenario.wait(100.0)
        scenario.room.apply(GetCurrentState())
        told = scenario.room.view()
        assert (told.is_playing, told.current_time) == (False, 10.0)

    def test_while_another_player_stays_nothing_freezes(self, together: Scenario) -> None:
        together.disconnect("phone")
        together.wait(100.0)
        assert together.position == 110.0

    @pytest.fixture
    def interrupted(self, scenario: Scenario) -> Scenario:
        """It was at 10 s when the server stopped; now the server runs again."""
        state = State(track_id="song", position=10.0, rev=7, is_interrupted=True)
        scenario.room.restore(state, ())
        return scenario

    def test_after_a_restart_a_player_that_went_on_is_followed_and_left_alone(
        self, interrupted: Scenario
    ) -> None:
        interrupted.report("phone", 17.0)
        assert interrupted.received("phone") == []
        assert interrupted.received("kiosk") == [("trackUpdated", 17.0)]
        state = interrupted.room.state
        assert (state.is_playing, state.rev, state.is_interrupted) == (True, 8, False)
        assert state.active_device == interrupted.devices["phone"].ref
        interrupted.report_for(60.0, phone=0.0)
        assert interrupted.received("phone") == []

    def test_after_a_restart_a_late_report_does_not_play_against_what_was_asked(
        self, interrupted: Scenario
    ) -> None:
        assert not interrupted.get_state("phone").is_playing
        interrupted.report("phone", 17.0)
        assert not interrupted.room.state.is_playing

    @pytest.mark.parametrize(
        ("track", "at", "playing", "event"),
        [
            ("song", 17.0, False, "trackUpdated"),
            ("song", 5.0, True, "trackUpdated"),
            ("other", 17.0, True, "trackPaused"),
        ],
    )
    def test_after_a_restart_a_device_that_says_anything_else_is_brought_up_to_date(
        self, interrupted: Scenario, track: str, at: float, playing: bool, event: str
    ) -> None:
        interrupted.report("phone", at, playing=playing, track=track)
        assert interrupted.received("phone") == [(event, 10.0)]
        assert interrupted.received("kiosk") == []
        assert interrupted.room.state.is_interrupted

    @pytest.fixture
    def abandoned(self, together: Scenario) -> Scenario:
        """Both left at 10 s, and neither came back within the grace."""
        together.disconnect("kiosk")
        together.disconnect("phone")
        together.wait(290.0)
        assert not together.room.state.is_playing
        together.connect("phone")
        return together

    @pytest.mark.parametrize("at", [10.0, 150.0, 300.9])
    def test_a_player_alone_in_the_room_that_went_on_is_followed_however_late(
        self, abandoned: Scenario, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.received("phone") == []
        assert (abandoned.room.state.is_playing, abandoned.position) == (True, at)
        assert abandoned.room.state.active_device == abandoned.devices["phone"].ref
        abandoned.report_for(60.0, phone=0.0)
        assert abandoned.received("phone") == []

    def test_a_player_alone_in_the_room_that_asked_first_is_followed_too(
        self, abandoned: Scenario
    ) -> None:
        abandoned.get_state("phone")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.received("phone") == []
        assert abandoned.position == 300.0

    @pytest.mark.parametrize("at", [9.0, 302.0])
    def test_a_player_alone_in_the_room_that_cannot_have_gone_on_is_brought_up_to_date(
        self, abandoned: Scenario, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.received("phone") == [("trackUpdated", 10.0)]
        assert not abandoned.room.state.is_playing

    def test_after_the_grace_a_player_that_went_on_does_not_start_another_device(
        self, abandoned: Scenario
    ) -> None:
        abandoned.connect("kiosk")
        abandoned.get_state("kiosk")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.received("kiosk") == []
        assert abandoned.received("phone") == [("trackUpdated", 10.0)]

    def test_after_a_command_nothing_of_an_abandoned_playback_comes_back(
        self, abandoned: Scenario
    ) -> None:
        abandoned.pause(None, at=20.0)
        abandoned.clear()
        abandoned.disconnect("phone")
        abandoned.connect("phone")
        abandoned.report("phone", 300.0)
        assert abandoned.received("phone") == [("trackUpdated", 20.0)]
        assert not abandoned.room.state.is_playing

    def test_a_paused_room_does_not_freeze(self, together: Scenario) -> None:
        together.pause("phone")
        together.disconnect("phone")
        together.disconnect("kiosk")
        assert together.room.state.frozen_at is None

    def test_a_device_told_to_pause_no_longer_counts_as_a_player(self, together: Scenario) -> None:
        together.pause("phone")
        together.play("phone")
        together.report_for(5.0, phone=0.0)
        together.disconnect("phone")
        assert together.room.state.frozen_at is not None

    def test_leaving_at_the_end_of_the_track_finds_it_ended(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clock.advance(11.0)
        scenario.disconnect("phone")
        assert (scenario.room.state.is_playing, scenario.room.state.frozen_at) == (False, None)


class TestRule12GetCurrentState:
    def test_only_the_asker_is_answered(self, together: Scenario) -> None:
        together.get_state("kiosk")
        [(event, state, _)] = together.received_frames("kiosk")
        assert (event, state["track"]["id"], state["currentTime"]) == ("trackState", "song", 10.0)
        assert together.received("phone") == []

    def test_a_late_joiner_gets_the_extrapolated_position(self, together: Scenario) -> None:
        together.clock.advance(2.5)
        together.connect("tablet")
        assert together.received("tablet") == []
        together.get_state("tablet")
        assert together.received("tablet") == [("trackState", 12.5)]

    def test_it_counts_as_telling(self, together: Scenario) -> None:
        together.connect("tablet")
        together.get_state("tablet")
        together.clock.advance(0.5)
        together.report("tablet", 0.0, playing=False)
        assert together.room.state.is_playing

    def test_it_changes_nothing_and_makes_nobody_active(self, together: Scenario) -> None:
        before = together.room.state
        together.get_state("kiosk")
        assert together.room.state is before


class TestRule13TheEndIsNotAnAct:
    def test_the_first_to_end_does_not_cut_off_the_other(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.report_for(9.5, phone=0.0, kiosk=-0.4)
        scenario.clear()
        scenario.report("phone", 10.0, playing=False, track="short")
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.room.state.is_playing

    def test_a_file_longer_than_its_tags_say_disturbs_nobody(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        for _ in range(4 * 13):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.clock.now - 1_700_000_000.0, track="short")
        assert scenario.received("kiosk") == [("trackPlaying", 0.0)]

    def test_playing_again_from_the_start_is_an_act(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.report_for(12.0, phone=0.0)
        scenario.clear()
        scenario.report("phone", 0.1, track="short")
        assert scenario.received("kiosk") == [("trackUpdated", 0.1)]


class TestRule14AJumpBackIsAWish:
    def test_a_seek_backwards_on_the_other_device_moves_all(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.report_for(60.0, phone=0.0, kiosk=-0.1)
        scenario.clear()
        scenario.report("kiosk", 30.0)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 30.0)]

    def test_right_after_being_told_it_is_still_a_late_start(self, together: Scenario) -> None:
        together.set_state(11.0, playing=True)
        together.report("kiosk", together.position)
        together.clear()
        together.clock.advance(1.5)
        together.report("kiosk", 11.0)
        assert together.received("phone") == []


class TestRule17ANewConnectionIsBroughtUpToDate:
    @pytest.fixture
    def away(self, together: Scenario) -> Scenario:
        """The laptop's line was cut at 10 s, the phone went on to 1005 s, the laptop is back."""
        together.connect("laptop")
        together.report("laptop", together.position)
        together.disconnect("laptop")
        together.disconnect("kiosk")
        together.report("phone", 1000.0)
        together.report_for(5.0, phone=0.0)
        together.connect("laptop")
        together.clear()
        return together

    def pause_and_reconnect(self, away: Scenario) -> None:
        """Let the phone pause before the laptop is back."""
        away.disconnect("laptop")
        away.pause("phone")
        away.clear()
        away.connect("laptop")

    def test_its_stale_report_leaves_the_state_and_the_others_alone(self, away: Scenario) -> None:
        before = away.room.state
        away.report("laptop", 15.0)
        assert away.room.state is before
        assert away.received("phone") == []
        assert away.received("laptop") == [("trackUpdated", 1005.0)]

    def test_it_does_not_start_a_phone_that_is_paused(self, away: Scenario) -> None:
        self.pause_and_reconnect(away)
        away.report("laptop", 15.0)
        assert away.received("phone") == []
        assert away.received("laptop") == [("trackUpdated", 1005.0)]
        assert not away.room.state.is_playing

    def test_what_was_on_its_way_when_it_was_told_is_ignored(self, away: Scenario) -> None:
        for at in (15.0, 15.25, 15.5):
            away.report("laptop", at)
            away.clock.advance(0.1)
        assert len(away.received("laptop")) == 1
        assert away.received("phone") == []

    @pytest.mark.parametrize(("playing", "event"), [(True, "trackPlaying"), (False, "trackPaused")])
    def test_from_another_track_it_is_brought_by_an_event_that_sets_the_source(
        self, away: Scenario, playing: bool, event: str
    ) -> None:
        if not playing:
            self.pause_and_reconnect(away)
        away.report("laptop", 15.0, track="other")
        [(told, state, _)] = away.received_frames("laptop")
        assert (told, state["trackId"], state["currentTime"]) == (event, "song", 1005.0)
        assert ("track" in state) is playing
        assert away.received("phone") == []

    def test_a_device_that_stopped_on_its_own_track_is_not_told_again(self, away: Scenario) -> None:
        self.pause_and_reconnect(away)
        away.report("laptop", 15.0, track="other")
        away.clear()
        away.clock.advance(0.1)
        away.report("laptop", 15.1, playing=False, track="other")
        away.wait(30.0)
        away.report("laptop", 15.1, playing=False, track="other")
        away.wait(30.0)
        assert away.received("laptop") == away.received("phone") == []
        away.report("laptop", 15.3, track="other")  # a person presses play there
        assert away.received("phone") == [("trackPlaying", 15.3)]

    def test_its_command_takes_effect(self, away: Scenario) -> None:
        away.play("laptop", at=15.0)
        assert away.received("phone") == [("trackPlaying", 15.0)]
        assert away.room.stop_points.position("song") == 1005.0

    def test_once_it_has_agreed_a_seek_of_its_own_counts(self, away: Scenario) -> None:
        away.report("laptop", 1005.2)
        assert away.received("laptop") == []
        away.clock.advance(1.0)
        away.report("laptop", 2000.0)
        assert away.received("phone") == [("trackUpdated", 2000.0)]

    def test_once_it_has_followed_what_it_was_told_a_seek_of_its_own_counts(
        self, away: Scenario
    ) -> None:
        away.report("laptop", 15.0)
        away.clock.advance(0.3)
        away.report("laptop", 1005.0)
        away.clock.advance(0.3)
        away.report("laptop", 2000.0)
        assert away.received("phone") == [("trackUpdated", 2000.0)]

    def test_in_a_room_that_never_played_its_report_counts(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "laptop")
        scenario.report("laptop", 15.0)
        assert scenario.position == 15.0


class TestRule18AnotherTrackIsToldByAnEventThatSetsTheSource:
    def test_a_track_that_is_chosen_in_a_devices_own_controls(self, together: Scenario) -> None:
        together.report("kiosk", 5.0, track="other")
        assert together.received("phone") == [("trackPlaying", 5.0)]
        assert together.received("kiosk") == [("trackUpdated", 5.0)]

    def test_a_paused_one(self, together: Scenario) -> None:
        together.report("kiosk", 5.0, playing=False, track="other")
        assert together.received("phone") == [("trackPaused", 5.0)]

    def test_an_update_by_rest(self, together: Scenario) -> None:
        together.set_state(5.0, playing=True, track="other")
        assert together.received("phone") == together.received("kiosk") == [("trackPlaying", 5.0)]
        together.set_state(7.0, playing=False, track="other")
        assert together.received("phone") == together.received("kiosk") == [("trackUpdated", 7.0)]


class TestRule19AListedDurationIsAnEstimate:
    @pytest.mark.parametrize("act", ["play", "pause", "set", "report"])
    def test_a_position_beyond_it_is_kept_as_said(self, scenario: Scenario, act: str) -> None:
        if act == "set":
            scenario.set_state(35.0, True, "short")
        elif act == "report":
            scenario.report("phone", 35.0, True, "short")
        else:
            getattr(scenario, act)("phone", "short", 35.0)
        scenario.room.apply(GetCurrentState())
        told = scenario.room.view()
        assert (told.current_time, told.duration) == (35.0, None)
        scenario.report_for(5.0, phone=0.0)
        assert scenario.position == (35.0 if act == "pause" else 40.0)

    def test_two_players_that_go_on_beyond_it_are_followed_and_left_alone(
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

    def test_a_device_that_was_told_the_end_hears_that_it_goes_on(self, scenario: Scenario) -> None:
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

    def test_where_nobody_reports_it_ends_the_track(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.wait(60.0)
        scenario.room.apply(GetCurrentState())
        told = scenario.room.view()
        assert (told.is_playing, told.current_time, told.duration) == (False, 10.0, 10.0)

    def test_what_a_player_says_replaces_it(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clear()
        scenario.report_for(1.0, phone=0.0)
        scenario.report("phone", 1.0, track="short", duration=42.5)
        scenario.report("kiosk", 1.0, track="short")
        assert scenario.received("phone") == scenario.received("kiosk") == []
        assert scenario.get_state("kiosk").duration == 42.5
        scenario.wait(60.0)
        assert scenario.get_state("kiosk").current_time == 42.5

    def test_another_track_has_its_listed_one_again(self, scenario: Scenario) -> None:
        scenario.play("phone", "endless", 0.0)
        scenario.report("phone", 0.0, track="endless", duration=42.5)
        assert scenario.play("phone", "short").duration == 10.0
        assert scenario.play("phone", "endless").duration is None

    def test_what_a_device_that_is_ignored_says_does_not_count(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clock.advance(0.1)
        scenario.report("kiosk", 7.0, track="short", duration=42.5)
        assert scenario.get_state("phone").duration == 10.0

    def test_a_position_refutes_also_what_a_player_said(self, scenario: Scenario) -> None:
        scenario.play("phone", "song", 0.0)
        scenario.report("phone", 0.0, duration=1.0)
        scenario.clock.advance(5.0)
        scenario.report("phone", 5.0)
        assert scenario.room.state.duration is None
        assert scenario.position == 5.0

    def test_a_kept_position_beyond_it_is_not_cut(self, scenario: Scenario) -> None:
        scenario.room.restore(State(track_id="short", position=35.0, rev=7), ())
        assert scenario.get_state("phone").current_time == 35.0
        assert scenario.play("phone", "short").current_time == 35.0


class TestRule20StopPoints:
    def resumed(self, scenario: Scenario, track: str = "song") -> float:
        scenario.play("phone", "other", 0.0)
        return scenario.play("phone", track, resume=True).current_time

    def test_a_seek_while_paused(self, scenario: Scenario) -> None:
        scenario.play("phone", at=100.0)
        scenario.pause("phone")
        scenario.pause("phone", at=200.0)
        assert self.resumed(scenario) == 200.0

    def test_a_seek_in_a_paused_players_own_controls(self, together: Scenario) -> None:
        together.pause("phone")
        together.report("phone", together.position, playing=False)
        together.wait(5.0)
        together.report("phone", 200.0, playing=False)
        assert self.resumed(together) == 200.0

    def test_an_update_by_rest_while_paused(self, scenario: Scenario) -> None:
        scenario.pause("phone", at=100.0)
        scenario.set_state(200.0, playing=False)
        assert self.resumed(scenario) == 200.0

    def test_where_another_track_replaced_it(self, scenario: Scenario) -> None:
        scenario.play("phone", at=100.0)
        scenario.wait(5.0)
        assert self.resumed(scenario) == 105.0

    def test_a_restart_just_before_another_track_does_not_lose_the_place(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=0.0)
        scenario.wait(2.0)
        assert self.resumed(scenario) == 1000.0

    @pytest.mark.parametrize("to", [0.0, 969.0, 1031.0])
    def test_a_jump_of_more_than_half_a_minute_keeps_where_it_was(
        self, scenario: Scenario, to: float
    ) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=to)
        assert [left.position for left in scenario.room.stop_points.unsaved] == [1000.0]

    def test_a_pause_far_from_the_position_keeps_both(self, scenario: Scenario) -> None:
        scenario.play("phone", at=1000.0)
        scenario.pause("phone", at=101.0)
        assert [left.position for left in scenario.room.stop_points.unsaved] == [1000.0, 101.0]
        assert self.resumed(scenario) == 101.0

    def test_a_short_jump_keeps_nothing(self, scenario: Scenario) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=1029.0)
        assert scenario.room.stop_points.unsaved == []

    def test_the_end_leads_to_the_beginning_also_where_the_duration_was_a_players(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "endless", 0.0)
        scenario.report("phone", 0.0, track="endless", duration=40.0)
        scenario.clock.advance(39.5)
        scenario.report("phone", 39.5, track="endless", playing=False)
        assert self.resumed(scenario, "endless") == 0.0


class TestRule21TheRateStaysWithinAnAlbum:
    @pytest.mark.parametrize(
        ("albums", "rate"), [({"song": "Book", "other": "Book"}, 1.5), ({"song": "Book"}, 1.0)]
    )
    def test_at_the_next_track(
        self, scenario: Scenario, albums: dict[str, str], rate: float
    ) -> None:
        scenario.library.albums = albums
        scenario.play("phone")
        scenario.report("phone", 0.0, playback_rate=1.5)
        assert scenario.play("phone", "other").playback_rate == rate

    def test_in_a_devices_own_controls(self, together: Scenario) -> None:
        together.library.albums = {"song": "Book", "other": "Book"}
        together.report("phone", together.position, playback_rate=1.5)
        together.report("phone", 0.0, track="other")
        assert together.room.state.playback_rate == 1.5


def test_apply_needs_no_device() -> None:
    outcome = rules.apply(State(), PlayTrack("song"), 5.0, duration=10.0)
    assert (outcome.state.track_id, outcome.state.rev, outcome.recipients) == (
        "song",
        1,
        Recipients.ROOM,
    )
