"""What a device is sent at its first reports, and when it plays another track."""

from __future__ import annotations

import pytest

from tests.support.scenario import Scenario


class TestR12GetCurrentState:
    def test_get_current_state_is_answered_to_the_asking_device_alone(
        self, in_sync: Scenario
    ) -> None:
        in_sync.get_state("kiosk")
        [(event, state, _)] = in_sync.received_frames("kiosk")
        assert (event, state["track"]["id"], state["currentTime"]) == ("trackState", "song", 10.0)
        assert in_sync.received("phone") == []

    def test_late_joiner_gets_the_extrapolated_position(self, in_sync: Scenario) -> None:
        in_sync.clock.advance(2.5)
        in_sync.connect("tablet")
        assert in_sync.received("tablet") == []
        in_sync.get_state("tablet")
        assert in_sync.received("tablet") == [("trackState", 12.5)]

    def test_report_right_after_get_current_state_is_ignored(self, in_sync: Scenario) -> None:
        in_sync.connect("tablet")
        in_sync.get_state("tablet")
        in_sync.clock.advance(0.5)
        in_sync.report("tablet", 0.0, playing=False)
        assert in_sync.room.state.is_playing

    def test_get_current_state_changes_nothing(self, in_sync: Scenario) -> None:
        before = in_sync.room.state
        in_sync.get_state("kiosk")
        assert in_sync.room.state is before


class TestR17NewConnectionIsSentTheState:
    @pytest.fixture
    def reconnected(self, in_sync: Scenario) -> Scenario:
        """The laptop lost its connection at 10 s and reconnects when the phone is at 1005 s."""
        in_sync.connect("laptop")
        in_sync.report("laptop", in_sync.position)
        in_sync.disconnect("laptop")
        in_sync.disconnect("kiosk")
        in_sync.report("phone", 1000.0)
        in_sync.report_for(5.0, phone=0.0)
        in_sync.connect("laptop")
        in_sync.clear()
        return in_sync

    def pause_and_reconnect(self, reconnected: Scenario) -> None:
        """Let the phone pause before the laptop is back."""
        reconnected.disconnect("laptop")
        reconnected.pause("phone")
        reconnected.clear()
        reconnected.connect("laptop")

    def test_stale_report_of_a_reconnected_device_changes_nothing_and_is_sent_the_state(
        self, reconnected: Scenario
    ) -> None:
        before = reconnected.room.state
        reconnected.report("laptop", 15.0)
        assert reconnected.room.state is before
        assert reconnected.received("phone") == []
        assert reconnected.received("laptop") == [("trackUpdated", 1005.0)]

    def test_stale_report_of_a_reconnected_device_does_not_resume_a_paused_phone(
        self, reconnected: Scenario
    ) -> None:
        self.pause_and_reconnect(reconnected)
        reconnected.report("laptop", 15.0)
        assert reconnected.received("phone") == []
        assert reconnected.received("laptop") == [("trackUpdated", 1005.0)]
        assert not reconnected.room.state.is_playing

    def test_further_stale_reports_of_a_reconnected_device_are_ignored(
        self, reconnected: Scenario
    ) -> None:
        for at in (15.0, 15.25, 15.5):
            reconnected.report("laptop", at)
            reconnected.clock.advance(0.1)
        assert len(reconnected.received("laptop")) == 1
        assert reconnected.received("phone") == []

    @pytest.mark.parametrize(("playing", "event"), [(True, "trackPlaying"), (False, "trackPaused")])
    def test_reconnected_device_on_another_track_is_sent_an_event_that_sets_the_source(
        self, reconnected: Scenario, playing: bool, event: str
    ) -> None:
        if not playing:
            self.pause_and_reconnect(reconnected)
        reconnected.report("laptop", 15.0, track="other")
        [(sent, state, _)] = reconnected.received_frames("laptop")
        assert (sent, state["trackId"], state["currentTime"]) == (event, "song", 1005.0)
        assert ("track" in state) is playing
        assert reconnected.received("phone") == []

    def test_reconnected_device_that_paused_on_its_own_track_is_not_sent_the_state_again(
        self, reconnected: Scenario
    ) -> None:
        self.pause_and_reconnect(reconnected)
        reconnected.report("laptop", 15.0, track="other")
        reconnected.clear()
        reconnected.clock.advance(0.1)
        reconnected.report("laptop", 15.1, playing=False, track="other")
        reconnected.wait(30.0)
        reconnected.report("laptop", 15.1, playing=False, track="other")
        reconnected.wait(30.0)
        assert reconnected.received("laptop") == reconnected.received("phone") == []
        reconnected.report("laptop", 15.3, track="other")  # its user presses play there
        assert reconnected.received("phone") == [("trackPlaying", 15.3)]

    def test_command_of_a_reconnected_device_takes_effect(self, reconnected: Scenario) -> None:
        reconnected.play("laptop", at=15.0)
        assert reconnected.received("phone") == [("trackPlaying", 15.0)]
        assert reconnected.room.stop_points.position("song") == 1005.0

    def test_seek_on_a_reconnected_device_that_agreed_is_applied(
        self, reconnected: Scenario
    ) -> None:
        reconnected.report("laptop", 1005.2)
        assert reconnected.received("laptop") == []
        reconnected.clock.advance(1.0)
        reconnected.report("laptop", 2000.0)
        assert reconnected.received("phone") == [("trackUpdated", 2000.0)]

    def test_seek_on_a_reconnected_device_that_followed_the_state_is_applied(
        self, reconnected: Scenario
    ) -> None:
        reconnected.report("laptop", 15.0)
        reconnected.clock.advance(0.3)
        reconnected.report("laptop", 1005.0)
        reconnected.clock.advance(0.3)
        reconnected.report("laptop", 2000.0)
        assert reconnected.received("phone") == [("trackUpdated", 2000.0)]

    def test_report_of_a_new_device_in_a_room_that_never_played_is_applied(self) -> None:
        scenario = Scenario()
        scenario.connect("phone", "laptop")
        scenario.report("laptop", 15.0)
        assert scenario.position == 15.0


class TestR18OtherTrackComesWithAnEventThatSetsTheSource:
    def test_track_chosen_in_the_controls_of_a_device_is_sent_to_the_others_as_track_playing(
        self, in_sync: Scenario
    ) -> None:
        in_sync.report("kiosk", 5.0, track="other")
        assert in_sync.received("phone") == [("trackPlaying", 5.0)]
        assert in_sync.received("kiosk") == [("trackUpdated", 5.0)]

    def test_paused_track_chosen_in_the_controls_of_a_device_is_sent_as_track_paused(
        self, in_sync: Scenario
    ) -> None:
        in_sync.report("kiosk", 5.0, playing=False, track="other")
        assert in_sync.received("phone") == [("trackPaused", 5.0)]

    def test_rest_update_to_another_track_is_sent_as_track_playing(self, in_sync: Scenario) -> None:
        in_sync.set_state(5.0, playing=True, track="other")
        assert in_sync.received("phone") == in_sync.received("kiosk") == [("trackPlaying", 5.0)]
        in_sync.set_state(7.0, playing=False, track="other")
        assert in_sync.received("phone") == in_sync.received("kiosk") == [("trackUpdated", 7.0)]
