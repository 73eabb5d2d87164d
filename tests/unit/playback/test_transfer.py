"""``transferPlayback``: what becomes of the playback, and who counts as its player (R26)."""

from __future__ import annotations

import pytest

from audiostream.errors import Conflict, DeviceNotFound, TrackNotFound
from audiostream.playback.lifecycle import RESUME_GRACE
from audiostream.playback.model import DeviceRef, DeviceSync, Snapshot, State
from audiostream.playback.transfer import transfer
from tests.support.scenario import Scenario

KIOSK = DeviceRef(2, "kiosk")


class TestR26Transfer:
    @pytest.mark.parametrize("sender", ["phone", "kiosk"])
    def test_the_named_device_becomes_active_and_all_are_sent_track_updated(
        self, in_sync: Scenario, sender: str
    ) -> None:
        in_sync.transfer(sender, "kiosk")
        assert in_sync.room.state.active_device == in_sync.devices["kiosk"].ref
        for name in ("phone", "kiosk"):
            [(event, state, _)] = in_sync.received_frames(name)
            assert (event, state["currentTime"], state["isPlaying"]) == ("trackUpdated", 10.0, True)
            assert (state["deviceId"], state["rev"]) == ("kiosk", 2)

    def test_a_sender_that_is_another_device_does_not_become_active(
        self, in_sync: Scenario
    ) -> None:
        in_sync.connect("tablet")
        in_sync.transfer("tablet", "kiosk")
        assert in_sync.room.state.active_device == in_sync.devices["kiosk"].ref

    @pytest.mark.parametrize(("play", "is_playing"), [(None, False), (True, True), (False, False)])
    def test_a_paused_playback_plays_only_where_the_transfer_says_so(
        self, in_sync: Scenario, play: bool | None, is_playing: bool
    ) -> None:
        in_sync.pause("phone", at=12.0)
        in_sync.transfer("phone", "kiosk", play)
        assert (in_sync.room.state.is_playing, in_sync.position) == (is_playing, 12.0)
        in_sync.clock.advance(1.0)
        assert in_sync.position == 12.0 + is_playing

    def test_what_plays_goes_on_where_the_former_device_is_that_started_late(
        self, in_sync: Scenario
    ) -> None:
        in_sync.clock.advance(1.0)
        in_sync.report("phone", at=10.6)
        in_sync.clock.advance(0.5)
        in_sync.transfer("kiosk", "kiosk", play=True)
        assert in_sync.position == pytest.approx(11.1)

    @pytest.mark.parametrize(("duration", "position"), [(None, 10.2), (10.0, 10.0)])
    def test_what_plays_goes_on_where_the_former_device_is_at_most_at_the_end(
        self, duration: float | None, position: float
    ) -> None:
        state = State(
            track_id="song", duration=duration, position=9.5, anchored_at=100.0, is_playing=True
        )
        report = Snapshot("song", 9.8, is_playing=True, playback_rate=1.0, at=100.0)
        former = DeviceSync(in_sync=True, last_report=report)
        outcome = transfer(state, KIOSK, 100.4, former=former)
        assert outcome.state.position == pytest.approx(position)

    def test_play_false_pauses_where_the_playback_is(self, in_sync: Scenario) -> None:
        in_sync.clock.advance(3.0)
        in_sync.transfer("phone", "kiosk", play=False)
        in_sync.clock.advance(3.0)
        assert not in_sync.room.state.is_playing
        assert in_sync.position == 13.0

    def test_play_true_after_the_end_starts_from_0(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 8.0)
        scenario.wait(5.0)
        scenario.transfer("phone", "kiosk", play=True)
        assert (scenario.position, scenario.room.state.is_playing) == (0.0, True)

    def test_after_the_end_it_stays_there_without_play(self, scenario: Scenario) -> None:
        scenario.play("phone", "short", 8.0)
        scenario.wait(5.0)
        scenario.transfer("phone", "kiosk")
        assert (scenario.position, scenario.room.state.is_playing) == (10.0, False)

    def test_rate_and_queue_and_measured_duration_stay(self) -> None:
        state = State(track_id="song", duration=42.5, is_measured=True, playback_rate=1.5, rev=4)
        moved = transfer(state, KIOSK, 5.0, play=True).state
        assert (moved.duration, moved.is_measured, moved.playback_rate) == (42.5, True, 1.5)
        assert (moved.queue, moved.rev) == (state.queue, 5)

    def test_a_frozen_playback_goes_on_where_it_froze(self, in_sync: Scenario) -> None:
        in_sync.disconnect("kiosk")
        in_sync.disconnect("phone")
        in_sync.wait(7.0)
        in_sync.connect("tablet")
        in_sync.clear()
        in_sync.transfer("tablet", "tablet")
        assert in_sync.received("tablet") == [("trackUpdated", 10.0)]
        in_sync.wait(RESUME_GRACE + 1.0)
        assert in_sync.position == 10.0 + RESUME_GRACE + 1.0

    def test_a_playback_abandoned_before_is_not_brought_back_by_a_late_player(
        self, in_sync: Scenario
    ) -> None:
        in_sync.disconnect("kiosk")
        in_sync.disconnect("phone")
        in_sync.wait(RESUME_GRACE + 1.0)
        in_sync.connect("tablet")
        in_sync.transfer("tablet", "tablet")
        in_sync.disconnect("tablet")
        in_sync.connect("phone")
        in_sync.report("phone", 10.0 + RESUME_GRACE + 1.0)
        assert not in_sync.room.state.is_playing

    def test_without_a_track_the_active_device_alone_changes(self, scenario: Scenario) -> None:
        scenario.transfer("phone", "kiosk", play=True)
        state = scenario.room.state
        assert (state.track_id, state.is_playing, state.rev) == (None, False, 1)
        [(event, data, _)] = scenario.received_frames("phone")
        assert (event, data["trackId"], data["deviceId"]) == ("trackUpdated", None, "kiosk")

    def test_of_two_devices_with_the_id_the_one_that_connected_last_takes_over(
        self, in_sync: Scenario
    ) -> None:
        former = in_sync.devices["kiosk"]
        in_sync.connect("kiosk")
        in_sync.transfer("phone", "kiosk")
        assert in_sync.room.state.active_device == in_sync.devices["kiosk"].ref != former.ref

    @pytest.mark.parametrize("device_id", ["nobody", "tablet"])
    def test_a_device_that_is_not_connected_is_refused(
        self, in_sync: Scenario, device_id: str
    ) -> None:
        in_sync.registry.connect("bob", in_sync.send_queues["phone"], "nobody")
        in_sync.connect("tablet")
        in_sync.disconnect("tablet")
        before = in_sync.room.state
        with pytest.raises(DeviceNotFound):
            in_sync.transfer("phone", device_id)
        assert in_sync.room.state is before
        assert in_sync.received("kiosk") == []

    def test_another_rev_is_refused_with_the_state(self, in_sync: Scenario) -> None:
        with pytest.raises(Conflict) as refused:
            in_sync.transfer("phone", "kiosk", if_rev=0)
        assert refused.value.state["rev"] == in_sync.room.state.rev == 1
        in_sync.transfer("phone", "kiosk", if_rev=1)
        assert in_sync.room.state.rev == 2

    def test_a_command_sent_again_takes_effect_once(self, in_sync: Scenario) -> None:
        in_sync.transfer("phone", "kiosk", command_id="c1")
        in_sync.transfer("phone", "phone")
        in_sync.clear()
        in_sync.transfer("phone", "kiosk", command_id="c1")
        assert in_sync.room.state.active_device == in_sync.devices["phone"].ref
        assert [event for event, _ in in_sync.received("phone")] == ["trackPlaying"]
        assert in_sync.received("kiosk") == []

    def test_a_track_that_left_the_library_goes_on_but_is_not_started(
        self, in_sync: Scenario
    ) -> None:
        del in_sync.library.durations["song"]
        in_sync.transfer("phone", "kiosk")
        assert in_sync.room.state.is_playing
        in_sync.transfer("phone", "phone", play=False)
        with pytest.raises(TrackNotFound):
            in_sync.transfer("phone", "kiosk", play=True)
        assert in_sync.room.state.active_device == in_sync.devices["phone"].ref

    def test_a_device_on_another_track_is_sent_an_event_that_sets_its_source(
        self, in_sync: Scenario
    ) -> None:
        in_sync.connect("tablet")
        for _ in range(2):  # it does not follow what it is sent after the first report
            in_sync.report("tablet", 5.0, track="other")
        in_sync.clear()
        in_sync.transfer("phone", "tablet")
        assert in_sync.received("tablet") == [("trackPlaying", 10.0)]
        assert in_sync.received("phone") == [("trackUpdated", 10.0)]

    def test_late_reports_of_both_devices_change_nothing(self, in_sync: Scenario) -> None:
        in_sync.pause("phone", at=10.0)
        in_sync.wait(5.0)
        in_sync.transfer("phone", "kiosk", play=True)
        in_sync.clear()
        in_sync.clock.advance(0.3)
        in_sync.report("kiosk", 10.0, playing=False)
        in_sync.report("phone", 10.0, playing=False)
        assert in_sync.room.state.is_playing
        assert in_sync.received("phone") == in_sync.received("kiosk") == []


class TestR26PlayersAfterATransfer:
    def test_the_stop_of_the_former_device_pauses_nothing_though_a_late_report_agreed(
        self, in_sync: Scenario
    ) -> None:
        in_sync.transfer("phone", "kiosk")
        in_sync.clear()
        in_sync.clock.advance(0.2)
        in_sync.report("phone", in_sync.position)
        in_sync.clock.advance(0.5)
        in_sync.report("phone", in_sync.position, playing=False)
        assert in_sync.room.state.is_playing
        assert in_sync.received("kiosk") == []
        in_sync.wait(10.0)
        assert in_sync.room.state.is_playing
        assert in_sync.received("kiosk") == []

    def test_it_freezes_with_the_new_device_as_the_former_one_reports_no_more(
        self, in_sync: Scenario
    ) -> None:
        in_sync.transfer("phone", "kiosk")
        in_sync.report_for(5.0, kiosk=0.0)
        in_sync.disconnect("kiosk")
        in_sync.wait(10.0)
        assert in_sync.position == pytest.approx(15.0)
        assert in_sync.room.state.frozen_at is not None

    def test_it_freezes_though_the_new_device_disconnects_before_its_first_report(
        self, in_sync: Scenario
    ) -> None:
        in_sync.connect("tablet")
        in_sync.disconnect("kiosk")
        in_sync.transfer("phone", "tablet")
        in_sync.clock.advance(0.5)
        in_sync.disconnect("tablet")
        in_sync.wait(10.0)
        assert in_sync.position == 10.5

    def test_it_plays_on_where_the_former_device_still_reports_that_it_plays(
        self, in_sync: Scenario
    ) -> None:
        in_sync.transfer("phone", "kiosk")
        in_sync.report_for(5.0, kiosk=0.0, phone=0.0)
        in_sync.disconnect("kiosk")
        assert in_sync.room.state.frozen_at is None

    def test_a_device_that_another_command_made_inactive_counts_as_after_a_transfer(
        self, in_sync: Scenario
    ) -> None:
        in_sync.play("kiosk", at=100.0)
        in_sync.report_for(5.0, kiosk=0.0)
        in_sync.disconnect("kiosk")
        assert in_sync.room.state.frozen_at is not None

    def test_the_next_device_goes_on_at_the_place_where_the_active_one_disconnected(
        self, in_sync: Scenario
    ) -> None:
        in_sync.transfer("phone", "kiosk")
        in_sync.report_for(5.0, kiosk=0.0)
        in_sync.disconnect("kiosk")
        in_sync.wait(12.0)
        in_sync.clear()
        in_sync.transfer("phone", "phone", play=True)
        assert in_sync.received("phone") == [("trackUpdated", 15.0)]
        assert in_sync.room.state.is_playing
