"""What time, missing reports and disconnects do to a playback, and the stop points it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audiostream.playback.commands import Report
from audiostream.playback.lifecycle import MAX_RESENDS, assumed_report
from audiostream.playback.model import DeviceSync, Snapshot, State
from audiostream.protocol.decode import GetCurrentState
from tests.support.scenario import Scenario


def snapshot(position: float, is_playing: bool, at: float) -> Snapshot:
    return Snapshot(
        track_id="song", position=position, is_playing=is_playing, playback_rate=1.0, at=at
    )


class TestR11LastPlayerDisconnects:
    @pytest.fixture
    def frozen(self, in_sync: Scenario) -> Scenario:
        """Only the phone had sound; it disconnected at 10 s, and the kiosk is muted."""
        in_sync.report("kiosk", in_sync.position)
        in_sync.devices["kiosk"].sync = replace(
            in_sync.devices["kiosk"].sync, reports_playing=False
        )
        in_sync.disconnect("phone")
        return in_sync

    def test_position_freezes_when_the_last_player_disconnects(self, frozen: Scenario) -> None:
        frozen.wait(20.0)
        assert frozen.room.state.is_playing
        assert frozen.position == 10.0
        assert frozen.received("kiosk") == []

    def test_frozen_playback_is_paused_and_sent_after_the_grace_period(
        self, frozen: Scenario
    ) -> None:
        frozen.wait(31.0)
        assert frozen.received("kiosk") == [("trackPaused", 10.0)]
        assert (frozen.room.state.is_playing, frozen.room.state.rev) == (False, 2)
        frozen.wait(60.0)
        assert frozen.received("kiosk") == []

    def test_reloaded_page_resumes_a_frozen_playback_at_its_position(
        self, frozen: Scenario
    ) -> None:
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

    def test_player_that_went_on_during_a_short_disconnect_reanchors_the_state(
        self, frozen: Scenario
    ) -> None:
        frozen.wait(3.0)
        frozen.connect("phone")
        frozen.report("phone", 13.0)
        assert frozen.received("phone") == []
        assert frozen.position == 13.0

    def test_player_that_reports_seldom_is_not_rewound_after_a_freeze(
        self, frozen: Scenario
    ) -> None:
        frozen.connect("phone")
        frozen.get_state("phone")
        frozen.wait(5.0)
        frozen.clear()
        frozen.report("phone", 14.8)
        assert frozen.received("phone") == []
        assert frozen.position == 14.8

    def test_command_ends_the_freeze(self, frozen: Scenario) -> None:
        frozen.wait(5.0)
        frozen.play("kiosk")
        frozen.wait(60.0)
        assert frozen.position == 70.0

    def test_paused_report_of_another_device_does_not_end_the_freeze(
        self, frozen: Scenario
    ) -> None:
        frozen.connect("tablet")
        frozen.get_state("tablet")
        frozen.wait(3.0)
        frozen.report("tablet", 10.0, playing=False)
        assert frozen.room.state.frozen_at is not None

    def test_dead_connection_noticed_late_freezes_at_the_last_report(
        self, in_sync: Scenario
    ) -> None:
        in_sync.disconnect("kiosk")
        in_sync.wait(45.0)
        in_sync.disconnect("phone")
        assert in_sync.position == 10.0

    def test_room_that_empties_without_any_report_freezes_and_is_paused(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.wait(5.0)
        scenario.disconnect("kiosk")
        scenario.wait(5.0)
        scenario.disconnect("phone")
        scenario.wait(100.0)
        state = scenario.room.view(scenario.room.apply(GetCurrentState()))
        assert (state.is_playing, state.current_time) == (False, 10.0)

    def test_playback_does_not_freeze_while_another_player_stays(self, in_sync: Scenario) -> None:
        in_sync.disconnect("phone")
        in_sync.wait(100.0)
        assert in_sync.position == 110.0

    def test_a_device_that_is_gone_just_after_it_reported_an_end_freezes_what_follows(
        self, scenario: Scenario
    ) -> None:
        scenario.play_album("phone", "short", "song")
        scenario.report_for(9.75, phone=0.0)
        scenario.report("phone", 10.0, False, "short", ended=True)
        scenario.clock.advance(0.3)
        scenario.disconnect("phone")
        scenario.wait(100.0)
        state = scenario.room.state
        assert (state.track_id, state.is_playing) == ("song", False)
        assert scenario.position == pytest.approx(0.3)

    @pytest.mark.parametrize("starter", ["phone", "kiosk", None])
    @pytest.mark.parametrize("late_pause", [False, True])
    @pytest.mark.parametrize("has_reconnected", [False, True])
    def test_a_paused_device_that_is_gone_before_it_plays_freezes_the_playback(
        self,
        scenario: Scenario,
        starter: str | None,
        late_pause: bool,
        has_reconnected: bool,
    ) -> None:
        scenario.play("phone", at=10.0)
        scenario.pause("phone")
        scenario.wait(5.0)
        for name in ("phone", "kiosk"):
            scenario.report(name, 10.0, playing=False)
        if has_reconnected:
            scenario.disconnect("phone")
            scenario.connect("phone")
            scenario.report("phone", 10.0, playing=False)
        scenario.play(starter, device_id="phone" if starter else None)
        scenario.clock.advance(0.5)
        if late_pause:
            scenario.report("phone", 10.0, playing=False)
        scenario.disconnect("phone")
        scenario.wait(100.0)
        assert (scenario.position, scenario.room.state.is_playing) == (10.5, False)

    def test_an_active_device_that_never_reports_plays_nothing_once_the_player_is_gone(
        self, scenario: Scenario
    ) -> None:
        scenario.connect("button")
        scenario.play("button", at=0.0)
        scenario.report_for(10.0, kiosk=0.0)
        scenario.disconnect("kiosk")
        scenario.wait(100.0)
        assert scenario.position == pytest.approx(10.0)

    def test_a_player_that_has_reported_nothing_yet_brings_back_what_a_button_started(
        self, scenario: Scenario
    ) -> None:
        scenario.connect("button")
        scenario.play("button", at=0.0)
        scenario.disconnect("button")
        scenario.clock.advance(1.0)
        scenario.report("kiosk", 0.8)
        scenario.report_for(60.0, kiosk=0.0)
        assert scenario.position == pytest.approx(60.8)
        assert scenario.room.state.active_device == scenario.devices["kiosk"].ref

    @pytest.fixture
    def interrupted(self, scenario: Scenario) -> Scenario:
        """It was at 10 s when the server stopped; now the server runs again."""
        state = State(track_id="song", position=10.0, rev=7, is_interrupted=True)
        scenario.room.restore(state, ())
        return scenario

    def test_player_that_went_on_during_a_server_restart_resumes_the_state_and_is_sent_nothing(
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

    def test_player_that_got_the_state_after_a_server_restart_does_not_resume_it_by_a_late_report(
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
    def test_device_that_contradicts_the_state_after_a_server_restart_is_sent_it(
        self, interrupted: Scenario, track: str, at: float, playing: bool, event: str
    ) -> None:
        interrupted.report("phone", at, playing=playing, track=track)
        assert interrupted.received("phone") == [(event, 10.0)]
        assert interrupted.received("kiosk") == []
        assert interrupted.room.state.is_interrupted

    @pytest.fixture
    def abandoned(self, in_sync: Scenario) -> Scenario:
        """Both left at 10 s, and neither came back within the grace."""
        in_sync.disconnect("kiosk")
        in_sync.disconnect("phone")
        in_sync.wait(290.0)
        assert not in_sync.room.state.is_playing
        in_sync.connect("phone")
        return in_sync

    @pytest.mark.parametrize("at", [10.0, 150.0, 300.9])
    def test_player_alone_in_the_room_that_went_on_resumes_an_abandoned_playback(
        self, abandoned: Scenario, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.received("phone") == []
        assert (abandoned.room.state.is_playing, abandoned.position) == (True, at)
        assert abandoned.room.state.active_device == abandoned.devices["phone"].ref
        abandoned.report_for(60.0, phone=0.0)
        assert abandoned.received("phone") == []

    def test_player_alone_in_the_room_that_got_the_state_first_resumes_an_abandoned_playback(
        self, abandoned: Scenario
    ) -> None:
        abandoned.get_state("phone")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.received("phone") == []
        assert abandoned.position == 300.0

    @pytest.mark.parametrize("at", [9.0, 302.0])
    def test_player_alone_in_the_room_at_an_impossible_position_is_sent_the_state(
        self, abandoned: Scenario, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.received("phone") == [("trackUpdated", 10.0)]
        assert not abandoned.room.state.is_playing

    def test_player_that_went_on_does_not_start_another_device_after_the_grace_period(
        self, abandoned: Scenario
    ) -> None:
        abandoned.connect("kiosk")
        abandoned.get_state("kiosk")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.received("kiosk") == []
        assert abandoned.received("phone") == [("trackUpdated", 10.0)]

    def test_abandoned_playback_cannot_be_resumed_by_a_report_after_a_command(
        self, abandoned: Scenario
    ) -> None:
        abandoned.pause(None, at=20.0)
        abandoned.clear()
        abandoned.disconnect("phone")
        abandoned.connect("phone")
        abandoned.report("phone", 300.0)
        assert abandoned.received("phone") == [("trackUpdated", 20.0)]
        assert not abandoned.room.state.is_playing

    def test_paused_playback_does_not_freeze(self, in_sync: Scenario) -> None:
        in_sync.pause("phone")
        in_sync.disconnect("phone")
        in_sync.disconnect("kiosk")
        assert in_sync.room.state.frozen_at is None

    def test_device_that_was_sent_a_pause_does_not_count_as_a_player(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.play("phone")
        in_sync.report_for(5.0, phone=0.0)
        in_sync.disconnect("phone")
        assert in_sync.room.state.frozen_at is not None

    def test_disconnect_after_the_end_of_the_track_leaves_it_ended(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", "short", 0.0)
        scenario.clock.advance(11.0)
        scenario.disconnect("phone")
        assert (scenario.room.state.is_playing, scenario.room.state.frozen_at) == (False, None)


class TestR16NoFurtherReport:
    @pytest.fixture
    def ignored(self, in_sync: Scenario) -> Scenario:
        """The phone paused at 10 s; the paused kiosk was ignored when it was moved to 200 s."""
        in_sync.pause("phone")
        in_sync.clock.advance(0.5)
        in_sync.report("kiosk", 200.0, playing=False)
        in_sync.clear()
        return in_sync

    def test_ignored_device_that_does_not_report_is_sent_the_state_after_2_s(
        self, ignored: Scenario
    ) -> None:
        ignored.wait(1.0)
        assert ignored.received("kiosk") == []
        ignored.wait(2.0)
        assert ignored.received("kiosk") == [("trackUpdated", 10.0)]
        assert ignored.received("phone") == []

    def test_ignored_device_that_cannot_follow_is_sent_the_state_three_times(
        self, ignored: Scenario
    ) -> None:
        sent = 0
        for _ in range(30):
            ignored.wait(1.0)
            if received := ignored.received("kiosk"):
                sent += len(received)
                ignored.report("kiosk", 200.0, playing=False)
        assert sent == MAX_RESENDS

    def test_device_that_does_not_report_after_a_pause_is_assumed_to_have_paused(self) -> None:
        playing = snapshot(position=10.0, is_playing=True, at=100.0)
        paused = snapshot(position=9.0, is_playing=False, at=99.0)
        silent = DeviceSync(last_sent=paused, last_report=playing, is_ignored=True)
        assert assumed_report(silent, 101.9) is None
        assert assumed_report(silent, 103.0) == Report("song", 10.0, False, 1.0)

    def test_device_that_does_not_report_after_a_playing_state_is_assumed_to_play_on(self) -> None:
        playing = snapshot(position=10.0, is_playing=True, at=100.0)
        sent = snapshot(position=50.0, is_playing=True, at=99.0)
        silent = DeviceSync(last_sent=sent, last_report=playing, is_ignored=True)
        assert assumed_report(silent, 103.0) == Report("song", 13.0, True, 1.0)


class TestR20StopPoints:
    def resumed(self, scenario: Scenario, track: str = "song") -> float:
        scenario.play("phone", "other", 0.0)
        return scenario.play("phone", track, resume=True).current_time

    def test_seek_by_command_while_paused_is_where_the_track_resumes(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=100.0)
        scenario.pause("phone")
        scenario.pause("phone", at=200.0)
        assert self.resumed(scenario) == 200.0

    def test_seek_in_the_controls_of_a_paused_player_is_where_the_track_resumes(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.report("phone", in_sync.position, playing=False)
        in_sync.wait(5.0)
        in_sync.report("phone", 200.0, playing=False)
        assert self.resumed(in_sync) == 200.0

    def test_rest_update_while_paused_is_where_the_track_resumes(self, scenario: Scenario) -> None:
        scenario.pause("phone", at=100.0)
        scenario.set_state(200.0, playing=False)
        assert self.resumed(scenario) == 200.0

    def test_track_that_was_replaced_resumes_where_it_was(self, scenario: Scenario) -> None:
        scenario.play("phone", at=100.0)
        scenario.wait(5.0)
        assert self.resumed(scenario) == 105.0

    def test_restart_shortly_before_another_track_keeps_the_stop_point_before_it(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=0.0)
        scenario.wait(2.0)
        assert self.resumed(scenario) == 1000.0

    @pytest.mark.parametrize("to", [0.0, 969.0, 1031.0])
    def test_jump_of_more_than_30_s_leaves_a_stop_point_where_it_began(
        self, scenario: Scenario, to: float
    ) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=to)
        assert [left.position for left in scenario.room.stop_points.unsaved] == [1000.0]

    def test_pause_at_a_far_position_leaves_both_stop_points(self, scenario: Scenario) -> None:
        scenario.play("phone", at=1000.0)
        scenario.pause("phone", at=101.0)
        assert [left.position for left in scenario.room.stop_points.unsaved] == [1000.0, 101.0]
        assert self.resumed(scenario) == 101.0

    def test_jump_of_less_than_30_s_leaves_no_stop_point(self, scenario: Scenario) -> None:
        scenario.play("phone", at=1000.0)
        scenario.play("phone", at=1029.0)
        assert scenario.room.stop_points.unsaved == ()

    def test_track_that_ended_by_a_reported_duration_resumes_at_0(self, scenario: Scenario) -> None:
        scenario.play("phone", "endless", 0.0)
        scenario.report("phone", 0.0, track="endless", duration=40.0)
        scenario.clock.advance(39.5)
        scenario.report("phone", 39.5, track="endless", playing=False)
        assert self.resumed(scenario, "endless") == 0.0
