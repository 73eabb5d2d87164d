"""The end of a track in a room: what starts, when, and that it starts once (R24)."""

from __future__ import annotations

import pytest

from audiostream.playback.commands import Report, SetQueue, SetRepeat
from audiostream.rooms.room import Room
from tests.support.fakes import FakeLibrary
from tests.support.scenario import Scenario

TRACKS = ("one", "two", "three")


def album(*devices: str, duration: float | None = 10.0) -> Scenario:
    """The first device plays a queue of three tracks; all have reported and are in sync."""
    scenario = Scenario(library=FakeLibrary(dict.fromkeys((*TRACKS, "other"), duration)))
    scenario.connect(*devices)
    scenario.play_album(devices[0] if devices else None, *TRACKS)
    scenario.report_for(3.0, **dict.fromkeys(devices, 0.0))
    scenario.clear()
    return scenario


def playing(scenario: Scenario) -> tuple[str | None, bool, int]:
    state = scenario.room.state
    return state.track_id, state.is_playing, state.rev


class TestReportedEnd:
    def test_the_active_devices_end_starts_the_next_track_for_the_room(self) -> None:
        scenario = album("phone", "kiosk")
        scenario.report_for(6.75, phone=0.0, kiosk=0.0)
        scenario.report("phone", 10.0, False, "one")
        for name in ("phone", "kiosk"):
            assert scenario.received(name) == [("trackPlaying", 0.0)]
        assert playing(scenario) == ("two", True, 2)
        assert scenario.room.state.active_device == scenario.devices["phone"].ref

    def test_an_end_before_the_listed_one_counts_where_the_device_says_so(self) -> None:
        scenario = album("phone")
        scenario.report("phone", 3.1, False, "one", ended=True)
        assert playing(scenario) == ("two", True, 2)

    def test_an_end_beyond_a_listed_one_that_was_wrong_counts(self) -> None:
        scenario = album("phone")
        scenario.report_for(17.0, phone=0.0)
        scenario.clock.advance(0.25)
        scenario.report("phone", 20.0, True, "one")
        scenario.report("phone", 20.25, False, "one", ended=True)
        assert playing(scenario)[:2] == ("two", True)

    def test_the_end_of_a_track_of_unknown_duration_counts(self) -> None:
        scenario = album("phone", duration=None)
        scenario.report("phone", 3.1, False, "one", ended=True)
        assert playing(scenario) == ("two", True, 2)

    def test_the_end_of_another_device_changes_nothing_while_the_active_one_is_there(self) -> None:
        scenario = album("phone", "kiosk")
        before = scenario.room.state
        scenario.report("kiosk", 3.1, False, "one", ended=True)
        assert scenario.room.state is before
        assert scenario.received("phone") == scenario.received("kiosk") == []

    def test_the_end_of_any_device_counts_where_the_active_one_is_gone(self) -> None:
        scenario = album("phone", "kiosk")
        scenario.disconnect("phone")
        scenario.report_for(6.75, kiosk=0.0)
        scenario.report("kiosk", 10.0, False, "one")
        assert playing(scenario) == ("two", True, 2)

    @pytest.mark.parametrize("ended", [True, False])
    def test_further_reports_of_the_same_end_are_ignored(self, ended: bool) -> None:
        scenario = album("phone", "kiosk")
        scenario.report_for(6.75, phone=0.0, kiosk=0.0)
        for _ in range(3):
            scenario.report("phone", 10.0, False, "one", ended=ended)
            scenario.clock.advance(0.3)
            scenario.report("kiosk", 10.0, False, "one", ended=ended)
        assert playing(scenario) == ("two", True, 2)

    @pytest.mark.parametrize("ended", [True, False])
    def test_a_late_end_does_not_end_the_same_track_that_has_started_again(
        self, ended: bool
    ) -> None:
        scenario = album("phone")
        scenario.command("phone", SetRepeat("one"))
        scenario.report_for(6.75, phone=0.0)
        rev = scenario.room.state.rev
        for _ in range(3):
            scenario.report("phone", 10.0, False, "one", ended=ended)
            scenario.clock.advance(0.3)
        assert playing(scenario) == ("one", True, rev + 1)

    @pytest.mark.parametrize("ended", [True, False])
    @pytest.mark.parametrize("next_track", ["one", "two"])
    def test_a_late_end_is_not_repeated_while_the_device_loads_what_follows(
        self, next_track: str, ended: bool
    ) -> None:
        scenario = album("phone", "kiosk")
        scenario.play_album("phone", "one", next_track)
        scenario.report_for(9.75, phone=0.0)
        scenario.clear()
        for _ in range(2):
            scenario.report("phone", 10.0, False, "one", ended=ended)
            scenario.clock.advance(0.3)
        scenario.wait(4.0)
        assert playing(scenario)[:2] == (next_track, True)
        for name in ("phone", "kiosk"):
            assert scenario.received(name) == [("trackPlaying", 0.0)]

    @pytest.mark.parametrize("ended", [True, False])
    def test_a_device_that_reports_the_end_of_a_former_track_for_long_is_sent_the_state(
        self, ended: bool
    ) -> None:
        scenario = album("phone")
        scenario.wait(9.0)
        assert playing(scenario) == ("two", True, 2)
        scenario.clock.advance(2.0)
        scenario.clear()
        for _ in range(16):
            scenario.clock.advance(0.25)
            scenario.report("phone", 10.0, False, "one", ended=ended)
        assert playing(scenario) == ("two", True, 2)
        assert [event for event, _ in scenario.received("phone")] == ["trackPlaying"] * 2

    def test_no_end_is_taken_from_a_device_that_loads_a_jingle(self) -> None:
        scenario = album("phone", duration=0.6)
        scenario.play_album("phone", *TRACKS)
        scenario.report("phone", 0.0, False, "one")
        assert scenario.room.state.track_id == "one"

    def test_the_end_after_a_pause_starts_nothing(self) -> None:
        scenario = album("phone")
        scenario.report_for(6.5, phone=0.0)
        scenario.pause("phone", "one")
        rev = scenario.room.state.rev
        scenario.report("phone", 10.0, False, "one", ended=True)
        scenario.wait(20.0)
        assert playing(scenario) == ("one", False, rev)

    def test_the_last_end_leaves_the_playback_there(self) -> None:
        scenario = album("phone", "kiosk")
        scenario.play("phone", "three", 0.0)
        scenario.report_for(9.75, phone=0.0, kiosk=0.0)
        scenario.clear()
        rev = scenario.room.state.rev
        scenario.report("phone", 10.0, False, "three", ended=True)
        scenario.wait(20.0)
        assert playing(scenario) == ("three", False, rev)
        assert scenario.position == 10.0
        assert scenario.received("kiosk") == []

    @pytest.mark.parametrize("end", [7.0, 10.0, 25.0])
    @pytest.mark.parametrize("measured", [False, True])
    def test_a_track_that_was_played_to_its_end_resumes_at_0_wherever_that_is(
        self, end: float, measured: bool
    ) -> None:
        scenario = album("phone")
        for quarter in range(13, int(end * 4)):
            scenario.clock.advance(0.25)
            scenario.report("phone", quarter / 4, True, "one")
        duration = end if measured else None
        scenario.report("phone", end, False, "one", ended=True, duration=duration)
        assert playing(scenario)[:2] == ("two", True)
        assert scenario.room.stop_points.position("one") == 0.0

    @pytest.mark.parametrize("position", [9.0, 50.0])
    @pytest.mark.parametrize("delay", [0.3, 3.0])
    def test_a_jump_beyond_the_end_of_a_file_starts_what_follows(
        self, position: float, delay: float
    ) -> None:
        scenario = album("phone", "kiosk")
        scenario.play("kiosk", "one", position, device_id="phone")
        scenario.clock.advance(delay)
        scenario.report("phone", 7.0, False, "one", ended=True)
        assert playing(scenario)[:2] == ("two", True)

    @pytest.mark.parametrize("is_playing", [False, True])
    def test_after_a_last_end_before_the_listed_one_play_starts_at_0(
        self, is_playing: bool
    ) -> None:
        scenario = album("phone", "kiosk")
        scenario.play("phone", "three", 0.0)
        scenario.report_for(7.0, phone=0.0)
        scenario.report("phone", 7.0, is_playing, "three", ended=True)
        scenario.wait(20.0)
        assert playing(scenario)[:2] == ("three", False)
        assert (scenario.position, scenario.room.state.duration) == (7.0, 7.0)
        assert scenario.room.stop_points.position("three") == 0.0
        assert scenario.play(None, "three").current_time == 0.0

    def test_tracks_that_left_the_library_are_skipped(self) -> None:
        scenario = album("phone")
        del scenario.library.durations["two"]
        scenario.report("phone", 3.1, False, "one", ended=True)
        assert playing(scenario) == ("three", True, 2)

    def test_where_all_that_follow_are_gone_the_playback_stays_at_the_end(self) -> None:
        scenario = album("phone")
        del scenario.library.durations["two"], scenario.library.durations["three"]
        scenario.report_for(6.75, phone=0.0)
        scenario.report("phone", 10.0, False, "one", ended=True)
        scenario.wait(5.0)
        assert playing(scenario) == ("one", False, 1)


class TestComputedEnd:
    def test_what_follows_starts_2_seconds_after_the_end_that_no_device_reported(self) -> None:
        scenario = album("phone", "kiosk")
        scenario.wait(8.5)
        assert playing(scenario)[0] == "one"
        scenario.wait(2.0)
        assert playing(scenario) == ("two", True, 2)
        assert scenario.received("kiosk")[-1] == ("trackPlaying", 0.0)

    def test_it_waits_for_an_active_device_that_still_plays_the_track(self) -> None:
        scenario = album("phone")
        scenario.report_for(6.75, phone=0.0)
        for _ in range(12):  # stalls just before the end, and goes on reporting
            scenario.wait(0.25)
            scenario.report("phone", 9.8, True, "one")
        assert playing(scenario)[0] == "one"
        scenario.report("phone", 10.0, False, "one")
        assert playing(scenario) == ("two", True, 2)

    def test_without_a_device_it_starts_at_the_computed_end_at_once(self) -> None:
        scenario = album()
        scenario.wait(9.0)  # 12 s after the start
        assert playing(scenario) == ("two", True, 2)
        assert scenario.position == pytest.approx(2.0)
        scenario.wait(7.0)
        assert scenario.position == pytest.approx(9.0)
        scenario.wait(11.5)  # 30.5 s after the start
        assert playing(scenario) == ("three", False, 3)

    def test_a_device_that_joins_is_answered_the_right_track_between_two_housekeepings(
        self,
    ) -> None:
        scenario = album()
        scenario.clock.advance(8.5)
        scenario.connect("phone")
        scenario.get_state("phone")
        [(event, state, _)] = scenario.received_frames("phone")
        assert (event, state["trackId"], state["currentTime"]) == ("trackState", "two", 1.5)
        assert state["nextTrack"]["id"] == "three"

    def test_nothing_follows_while_the_playback_is_frozen(self) -> None:
        scenario = album("phone")
        scenario.report_for(6.5, phone=0.0)
        scenario.disconnect("phone")
        scenario.wait(60.0)
        assert playing(scenario) == ("one", False, 2)
        assert scenario.position == pytest.approx(9.5)

    def test_nothing_follows_a_disconnect_that_leaves_nobody_at_the_end(self) -> None:
        scenario = album("phone")
        scenario.wait(7.5)
        scenario.disconnect("phone")
        scenario.wait(10.0)
        assert playing(scenario)[:2] == ("one", False)

    def test_a_queue_that_is_set_while_a_track_plays_goes_on_at_its_end(self) -> None:
        scenario = Scenario(library=FakeLibrary(dict.fromkeys(TRACKS, 10.0)))
        scenario.play(None, "one")
        scenario.wait(5.0)
        scenario.command(None, SetQueue(("one", "two")))
        scenario.wait(6.0)
        assert playing(scenario)[:2] == ("two", True)

    def test_a_queue_that_is_set_after_the_end_waits_for_a_command(self) -> None:
        scenario = Scenario(library=FakeLibrary(dict.fromkeys(TRACKS, 10.0)))
        scenario.connect("phone")
        scenario.play("phone", "one")
        scenario.wait(20.0)
        scenario.command("phone", SetQueue(("one", "two")))
        scenario.wait(20.0)
        assert playing(scenario)[:2] == ("one", False)

    def test_a_seek_back_moves_the_end(self) -> None:
        scenario = album()
        scenario.play(None, "one", 2.0)
        scenario.wait(7.5)
        assert playing(scenario)[0] == "one"
        scenario.wait(1.5)
        assert playing(scenario)[0] == "two"

    def test_a_queue_of_tracks_without_length_does_not_hold_the_server_up(self) -> None:
        scenario = album(duration=0.0)
        scenario.command(None, SetRepeat("all"))
        scenario.wait(3.0)
        assert scenario.room.state.rev < 1000


def test_housekeeping_does_not_visit_a_room_before_the_end_of_its_track(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario, visits = album("phone"), list[float]()
    monkeypatch.setattr(Room, "housekeep", lambda room: visits.append(scenario.clock.now))
    scenario.wait(6.0)
    assert visits == []


def test_a_report_with_another_rev_ends_nothing() -> None:
    scenario = album("phone")
    device = scenario.devices["phone"]
    with pytest.raises(Exception, match="moved on to rev"):
        scenario.room.apply(Report("one", 3.1, False, if_rev=7, ended=True), device)
    assert playing(scenario)[0] == "one"
