"""What is remembered of a device; the rules about devices that are late, drift or do not follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.playback import sync
from audiostream.playback.model import DeviceSync, Snapshot
from audiostream.playback.sync import SETTLE_TIME, USUAL_SIZE
from tests.support.scenario import Scenario


class TestR3ReportOfASettlingDeviceIsIgnored:
    def test_pause_is_not_undone_by_late_playing_reports_of_another_device(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.clear()
        for _ in range(7):
            in_sync.clock.advance(0.25)
            in_sync.report("kiosk", in_sync.position + 0.2, playing=True)
        assert not in_sync.room.state.is_playing
        assert in_sync.received("phone") == in_sync.received("kiosk") == []

    def test_pause_is_not_undone_by_a_late_playing_report_of_its_sender(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.clear()
        in_sync.clock.advance(0.1)
        in_sync.report("phone", in_sync.position, playing=True)
        assert not in_sync.room.state.is_playing
        assert in_sync.received("phone") == in_sync.received("kiosk") == []

    def test_restart_of_a_track_is_not_undone_by_a_report_that_was_on_its_way(
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

    def test_play_of_another_track_is_not_undone_by_a_late_report_of_the_old_one(
        self, in_sync: Scenario
    ) -> None:
        in_sync.play("phone", "other", 0.0)
        in_sync.clear()
        in_sync.clock.advance(0.2)
        in_sync.report("phone", 10.2)
        assert in_sync.room.state.track_id == "other"
        assert in_sync.received("phone") == in_sync.received("kiosk") == []

    def test_jump_to_42_s_by_the_active_device_right_after_play_is_a_seek(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(0.2)
        scenario.report("phone", 42.0)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 42.0)]
        assert scenario.room.state.rev == 2

    def test_jump_by_another_device_right_after_play_is_ignored(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(0.2)
        scenario.report("kiosk", 42.0)
        assert scenario.received("phone") == scenario.received("kiosk") == []

    def test_pause_by_a_device_in_sync_right_after_play_is_applied(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.clock.advance(0.25)
        scenario.report("kiosk", 0.2)
        scenario.clear()
        scenario.clock.advance(0.25)
        scenario.report("kiosk", 0.4, playing=False)
        assert not scenario.room.state.is_playing


class TestR4DriftIsNoUserAction:
    def test_stalled_kiosk_is_sent_the_state_once_and_the_active_phone_never(
        self, in_sync: Scenario
    ) -> None:
        stalled_at = in_sync.position
        in_sync.report_for(5.0, phone=0.0)
        in_sync.report("kiosk", stalled_at + 0.05)
        assert in_sync.received("kiosk") == [("trackUpdated", 15.0)]
        in_sync.report_for(60.0, phone=0.0, kiosk=-0.1)
        assert in_sync.received("kiosk") == in_sync.received("phone") == []

    def test_stalled_active_phone_moves_the_kiosk_once(self, in_sync: Scenario) -> None:
        in_sync.report_for(5.0, kiosk=0.0)
        in_sync.clear()
        in_sync.report("phone", 10.1)
        assert in_sync.received("kiosk") == [("trackUpdated", 10.1)]
        assert in_sync.received("phone") == []
        in_sync.report_for(60.0, phone=0.0, kiosk=-0.1)
        assert in_sync.received("kiosk") == in_sync.received("phone") == []
        assert in_sync.room.state.rev == 1

    def test_late_start_of_the_active_device_reanchors_the_state(self, scenario: Scenario) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        scenario.clock.advance(4.0)
        scenario.report("phone", 0.5)
        assert scenario.position == 0.5
        assert scenario.received("kiosk") == [("trackUpdated", 0.5)]

    def test_late_start_of_a_device_alone_in_the_room_reanchors_the_state_silently(self) -> None:
        scenario = Scenario()
        scenario.connect("kiosk")
        scenario.set_state(0.0, playing=True)
        scenario.clear()
        scenario.clock.advance(4.0)
        scenario.report("kiosk", 0.5)
        assert scenario.position == 0.5
        assert scenario.received("kiosk") == []

    def test_active_device_that_reports_playing_for_2_s_after_a_pause_resumes(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.clear()
        for _ in range(9):  # its user pressed play in its controls right after
            in_sync.clock.advance(0.25)
            in_sync.report("phone", 10.0 + 0.1, playing=True)
        assert in_sync.room.state.is_playing
        assert in_sync.room.state.rev == 3
        assert in_sync.received("kiosk") == [("trackUpdated", 10.1)]


class TestR5DeviceThatNeverFollowedChangesNothing:
    def test_tab_whose_browser_blocks_sound_does_not_pause_the_active_one(
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

    def test_device_that_keeps_playing_another_track_is_sent_the_state_every_2_s(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.clear()
        for step in range(4 * 20):
            scenario.clock.advance(0.25)
            scenario.report("phone", scenario.position)
            scenario.report("kiosk", step * 0.25, track="other")
        assert scenario.room.state.track_id == "song"
        assert scenario.received("phone") == []
        assert 9 <= len(scenario.received("kiosk")) <= 10


class TestR14JumpBackIsAUserAction:
    def test_seek_backwards_on_the_other_device_in_sync_is_sent_to_all(
        self, scenario: Scenario
    ) -> None:
        scenario.play("phone", at=0.0)
        scenario.report_for(60.0, phone=0.0, kiosk=-0.1)
        scenario.clear()
        scenario.report("kiosk", 30.0)
        assert scenario.received("phone") == scenario.received("kiosk") == [("trackUpdated", 30.0)]

    def test_jump_back_within_2_s_of_a_message_is_a_late_start(self, in_sync: Scenario) -> None:
        in_sync.set_state(11.0, playing=True)
        in_sync.report("kiosk", in_sync.position)
        in_sync.clear()
        in_sync.clock.advance(1.5)
        in_sync.report("kiosk", 11.0)
        assert in_sync.received("phone") == []


class TestR15AgreementMayBeOld:
    def test_device_that_agrees_after_two_messages_within_2_s_is_not_in_sync(
        self, in_sync: Scenario
    ) -> None:
        in_sync.set_state(30.0, playing=True)
        in_sync.clock.advance(0.3)
        in_sync.set_state(30.0, playing=True)
        in_sync.clock.advance(0.2)
        in_sync.report("kiosk", in_sync.position)
        assert not in_sync.devices["kiosk"].sync.in_sync

    def test_device_that_agrees_2_s_after_the_message_before_the_last_is_in_sync(
        self, in_sync: Scenario
    ) -> None:
        in_sync.set_state(30.0, playing=True)
        in_sync.clock.advance(0.3)
        in_sync.set_state(30.0, playing=True)
        in_sync.clock.advance(1.8)
        in_sync.report("kiosk", in_sync.position)
        assert in_sync.devices["kiosk"].sync.in_sync


class TestR22StateDeliveredLate:
    def test_device_settles_from_the_moment_at_which_the_state_was_delivered(
        self, in_sync: Scenario
    ) -> None:
        in_sync.pause("phone")
        in_sync.clock.advance(5.0)
        in_sync.room.mark_delivered(in_sync.devices["kiosk"])
        in_sync.clear()
        in_sync.clock.advance(1.9)
        in_sync.report("kiosk", 15.0)
        assert not in_sync.room.state.is_playing
        assert in_sync.received("kiosk") == []
        in_sync.clock.advance(0.2)
        in_sync.report("kiosk", 15.2)
        assert in_sync.received("kiosk") == [("trackUpdated", 10.0)]

    def test_device_that_was_sent_nothing_stays_as_it_is(self) -> None:
        assert sync.record_delivered(DeviceSync(), 5.0) == DeviceSync()


MOMENTS = st.lists(st.floats(0.0, 10.0), max_size=USUAL_SIZE - 2).map(sorted)


@given(moments=MOMENTS, after=st.floats(0.0, 5.0), sent=st.integers(0, 9), changed=st.booleans())
def test_of_older_history_only_the_last_sent_and_the_last_report_remain(
    moments: list[float], after: float, sent: int, changed: bool
) -> None:
    seen = tuple(
        Snapshot(track_id="song", position=at, is_playing=True, playback_rate=1.0, at=at)
        for at in moments
    )
    last, reported = (seen[sent] if sent < len(seen) else None), (seen[-1] if seen else None)
    news = Snapshot(
        track_id="song",
        position=0.0,
        is_playing=True,
        playback_rate=1.0,
        at=max(moments, default=0.0) + after,
    )
    former = (
        Snapshot(track_id="song", position=5.0, is_playing=True, playback_rate=1.0, at=news.at)
        if changed
        else None
    )
    listener = sync.record_sent(
        DeviceSync(last_sent=last, last_report=reported, history=seen), former, news
    )
    lately = [
        each
        for each in seen
        if news.at - each.at <= SETTLE_TIME or each is last or each is reported
    ]
    assert listener.history == (*lately, *([former] if former else []), news)


def test_a_state_sent_unchanged_is_in_the_history_once_for_each_time_but_for_old_times() -> None:
    moments = (100.0, 101.0, 101.0 + SETTLE_TIME + 0.5)
    first, second, third = (
        Snapshot(track_id="song", position=at, is_playing=True, playback_rate=1.0, at=at)
        for at in moments
    )
    listener = sync.record_sent(sync.record_sent(DeviceSync(), first, first), second, second)
    assert listener.history == (first, second)
    assert sync.record_sent(listener, third, third).history == (second, third)


def test_a_state_that_is_sent_again_and_again_is_kept_a_few_times_alone() -> None:
    device = DeviceSync()
    for at in range(500):
        state = Snapshot("song", 10.0, False, 1.0, at / 1000)
        device = sync.record_sent(device, state, state)
    assert len(device.history) == USUAL_SIZE
    assert device.history[-1] is device.last_sent
