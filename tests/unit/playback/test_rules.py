"""The playback rules, each played as scenes on a fake clock; seconds throughout."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audiostream.errors import Conflict, TrackNotFound
from audiostream.playback import rules
from audiostream.playback.commands import PlayTrack
from audiostream.playback.lifecycle import advance
from audiostream.playback.model import Recipients, State
from audiostream.protocol.messages import GetCurrentState, StateView
from tests.support.scenario import Scene


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.connect("phone", "kiosk")
    return scene


@pytest.fixture
def together(scene: Scene) -> Scene:
    """Phone and kiosk play the same song, the phone in the lead, both in step at 10 s."""
    scene.play("phone", at=0.0)
    scene.listen(10.0, phone=0.0, kiosk=-0.1)
    scene.clear()
    return scene


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
    def test_play_is_told_to_the_whole_room_the_sender_included(self, scene: Scene) -> None:
        answer = scene.play("phone", at=5.0)
        assert (answer.rev, answer.device_id, answer.is_playing) == (1, "phone", True)
        for name in ("phone", "kiosk"):
            [(event, state, _)] = scene.frames(name)
            assert (event, state["currentTime"], state["track"]["id"]) == (
                "trackPlaying",
                5.0,
                "song",
            )

    def test_pause_keeps_the_position_of_now(self, scene: Scene) -> None:
        scene.play("phone", at=5.0)
        scene.wait(3.5)
        scene.clear()
        scene.pause("kiosk")
        assert scene.heard("phone") == [("trackPaused", 8.5)]
        assert scene.room.state.active_device == scene.devices["kiosk"].ref

    def test_play_resumes_the_current_track_where_it_stands(self, scene: Scene) -> None:
        scene.pause("phone", at=42.0)
        scene.wait(60.0)
        assert scene.play("kiosk").current_time == 42.0

    def test_play_of_another_track_starts_at_0(self, scene: Scene) -> None:
        scene.play("phone", at=42.0)
        assert scene.play("phone", "other").current_time == 0.0

    def test_play_after_the_end_starts_again(self, scene: Scene) -> None:
        scene.play("phone", "short", 8.0)
        scene.wait(5.0)
        assert scene.room.perform(GetCurrentState()).current_time == 10.0
        assert scene.play("phone", "short").current_time == 0.0

    def test_a_position_within_the_tolerance_behind_the_end_is_the_end(self, scene: Scene) -> None:
        assert scene.play("phone", "short", 10.8).current_time == 10.0

    def test_pausing_another_than_the_current_track_is_refused(self, scene: Scene) -> None:
        scene.play("phone", at=5.0)
        scene.clear()
        with pytest.raises(Conflict) as refused:
            scene.pause("kiosk", "other")
        assert refused.value.state["trackId"] == "song"
        assert (scene.room.state.rev, scene.heard("phone")) == (1, [])

    def test_a_pause_before_anything_played_prepares_the_track(self, scene: Scene) -> None:
        answer = scene.pause("phone", at=7.0)
        assert (answer.track_id, answer.current_time, answer.is_playing) == ("song", 7.0, False)

    def test_rest_sets_the_state_and_the_room_hears_track_updated(self, scene: Scene) -> None:
        answer = scene.set(30.0, playing=True)
        assert (answer.rev, answer.device_id) == (1, None)
        assert scene.heard("phone") == scene.heard("kiosk") == [("trackUpdated", 30.0)]

    def test_rest_leaves_the_lead_where_it_was(self, together: Scene) -> None:
        assert together.set(30.0, playing=True).device_id == "phone"

    def test_another_track_plays_at_the_normal_rate_again(self, scene: Scene) -> None:
        scene.play("phone")
        scene.report("phone", 0.0, playback_rate=1.5)
        assert scene.room.state.playback_rate == 1.5
        assert scene.play("phone").playback_rate == 1.5
        assert scene.play("phone", "other").playback_rate == 1.0


class TestRule2AgreementIsAbsorbed:
    def test_two_tabs_left_alone_for_an_hour_hear_nothing_after_the_start(
        self, scene: Scene
    ) -> None:
        scene.play("phone", at=0.0)
        assert scene.heard("phone") == scene.heard("kiosk") == [("trackPlaying", 0.0)]
        for _ in range(4 * 3600):
            scene.clock.advance(0.25)
            scene.report("phone", scene.position)
            scene.report("kiosk", max(0.0, scene.position - 0.2))
        assert scene.heard("phone") == scene.heard("kiosk") == []
        assert scene.room.state.rev == 1

    @pytest.mark.parametrize("offset", [-1.0, -0.5, 0.0, 0.5, 1.0])
    def test_within_the_tolerance_nobody_is_told(self, together: Scene, offset: float) -> None:
        together.report("kiosk", together.position + offset)
        assert together.heard("phone") == together.heard("kiosk") == []
        assert together.room.state.rev == 1

    def test_a_paused_room_agrees_with_paused_reports(self, together: Scene) -> None:
        together.pause("phone")
        together.clear()
        together.report("kiosk", together.position + 0.4, playing=False)
        assert together.heard("phone") == together.heard("kiosk") == []

    def test_another_rate_is_no_agreement(self, together: Scene) -> None:
        together.report("kiosk", together.position, playback_rate=2.0)
        assert together.heard("phone")[0][0] == "trackUpdated"
        assert together.room.state.playback_rate == 2.0

    def test_a_duration_that_a_rescan_corrects_is_the_state_s_from_the_next_report_on(
        self, together: Scene
    ) -> None:
        together.shelf.durations["song"] = 5400.0
        together.report("phone", together.position)
        assert together.room.state.duration == 5400.0
        assert together.heard("kiosk") == together.heard("phone") == []


class TestRule3ADeviceThatIsCatchingUpIsNotObeyed:
    def test_a_pause_is_not_undone_by_the_others_late_playing(self, together: Scene) -> None:
        together.pause("phone")
        together.clear()
        for _ in range(7):
            together.clock.advance(0.25)
            together.report("kiosk", together.position + 0.2, playing=True)
        assert not together.room.state.is_playing
        assert together.heard("phone") == together.heard("kiosk") == []

    def test_a_pause_is_not_undone_by_the_senders_own_late_playing(self, together: Scene) -> None:
        together.pause("phone")
        together.clear()
        together.clock.advance(0.1)
        together.report("phone", together.position, playing=True)
        assert not together.room.state.is_playing
        assert together.heard("phone") == together.heard("kiosk") == []

    def test_restarting_a_track_is_not_undone_by_a_report_on_its_way(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.listen(120.0, phone=0.0)
        scene.play("phone", at=0.0)
        scene.clear()
        scene.clock.advance(0.3)
        scene.report("phone", 120.3)
        assert scene.position == pytest.approx(0.3)
        assert scene.heard("phone") == scene.heard("kiosk") == []

    def test_another_track_is_not_undone_by_a_report_of_the_old_one(self, together: Scene) -> None:
        together.play("phone", "other", 0.0)
        together.clear()
        together.clock.advance(0.2)
        together.report("phone", 10.2)
        assert together.room.state.track_id == "other"
        assert together.heard("phone") == together.heard("kiosk") == []

    def test_play_followed_at_once_by_a_jump_to_42_is_a_seek(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clear()
        scene.clock.advance(0.2)
        scene.report("phone", 42.0)
        assert scene.heard("phone") == scene.heard("kiosk") == [("trackUpdated", 42.0)]
        assert scene.room.state.rev == 2

    def test_from_another_device_even_a_jump_is_ignored(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clear()
        scene.clock.advance(0.2)
        scene.report("kiosk", 42.0)
        assert scene.heard("phone") == scene.heard("kiosk") == []

    def test_a_device_that_has_been_in_step_is_obeyed_at_once(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clock.advance(0.25)
        scene.report("kiosk", 0.2)
        scene.clear()
        scene.clock.advance(0.25)
        scene.report("kiosk", 0.4, playing=False)
        assert not scene.room.state.is_playing


class TestRule4DriftIsNotAWish:
    def test_a_kiosk_that_stalls_is_told_once_and_the_phone_never(self, together: Scene) -> None:
        stalled_at = together.position
        together.listen(5.0, phone=0.0)
        together.report("kiosk", stalled_at + 0.05)
        assert together.heard("kiosk") == [("trackUpdated", 15.0)]
        together.listen(60.0, phone=0.0, kiosk=-0.1)
        assert together.heard("kiosk") == together.heard("phone") == []

    def test_the_active_phone_that_stalls_moves_the_kiosk_once(self, together: Scene) -> None:
        together.listen(5.0, kiosk=0.0)
        together.clear()
        together.report("phone", 10.1)
        assert together.heard("kiosk") == [("trackUpdated", 10.1)]
        assert together.heard("phone") == []
        together.listen(60.0, phone=0.0, kiosk=-0.1)
        assert together.heard("kiosk") == together.heard("phone") == []
        assert together.room.state.rev == 1

    def test_a_late_start_of_the_active_device_is_followed(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clear()
        scene.clock.advance(4.0)
        scene.report("phone", 0.5)
        assert scene.position == 0.5
        assert scene.heard("kiosk") == [("trackUpdated", 0.5)]

    def test_a_device_alone_in_the_room_is_followed_without_a_word(self) -> None:
        scene = Scene()
        scene.connect("kiosk")
        scene.set(0.0, playing=True)
        scene.clear()
        scene.clock.advance(4.0)
        scene.report("kiosk", 0.5)
        assert scene.position == 0.5
        assert scene.heard("kiosk") == []

    def test_an_active_device_that_goes_on_contradicting_is_a_change(self, together: Scene) -> None:
        together.pause("phone")
        together.clear()
        for _ in range(9):  # its person pressed play in its own controls right after
            together.clock.advance(0.25)
            together.report("phone", 10.0 + 0.1, playing=True)
        assert together.room.state.is_playing
        assert together.room.state.rev == 3
        assert together.heard("kiosk") == [("trackUpdated", 10.1)]


class TestRule5ADeviceThatNeverFollowedCommandsNobody:
    def test_a_tab_whose_browser_blocks_sound_does_not_stop_the_first(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clear()
        for _ in range(4 * 20):
            scene.clock.advance(0.25)
            scene.report("phone", scene.position)
            scene.report("kiosk", 0.0, playing=False)
        assert scene.room.state.is_playing
        assert scene.heard("phone") == []
        assert 9 <= len(scene.heard("kiosk")) <= 10

    def test_a_device_that_plays_something_else_changes_nothing(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.clear()
        for step in range(4 * 20):
            scene.clock.advance(0.25)
            scene.report("phone", scene.position)
            scene.report("kiosk", step * 0.25, track="other")
        assert scene.room.state.track_id == "song"
        assert scene.heard("phone") == []
        assert 9 <= len(scene.heard("kiosk")) <= 10


class TestRule6AnythingElseIsAPerson:
    def test_a_seek_on_either_device_is_told_to_all(self, together: Scene) -> None:
        together.report("kiosk", 300.0)
        assert together.heard("phone") == together.heard("kiosk") == [("trackUpdated", 300.0)]
        assert together.room.state.active_device == together.devices["kiosk"].ref

    def test_a_pause_in_the_other_devices_own_controls_holds(self, together: Scene) -> None:
        together.report("kiosk", together.position, playing=False)
        assert together.heard("phone") == [("trackUpdated", 10.0)]
        together.clock.advance(0.1)
        together.report("phone", 10.1, playing=True)
        assert not together.room.state.is_playing

    def test_another_track_in_its_own_controls_is_followed(self, together: Scene) -> None:
        together.report("kiosk", 0.1, track="other")
        assert together.room.state.track_id == "other"
        assert together.room.state.duration == 7200.0

    def test_the_first_report_of_a_device_never_told_anything(self, scene: Scene) -> None:
        scene.report("phone", 17.0)
        assert scene.heard("kiosk") == [("trackUpdated", 17.0)]

    def test_having_been_told_that_there_is_no_track_is_not_having_been_told(
        self, scene: Scene
    ) -> None:
        scene.ask("phone")
        scene.clock.advance(0.1)
        scene.report("phone", 17.0)
        assert scene.position == 17.0


class TestRule7WithoutTolerance:
    def test_every_report_is_told_to_the_whole_room(self) -> None:
        scene = Scene(tolerance=0.0)
        scene.connect("phone", "kiosk")
        scene.play("phone", at=0.0)
        scene.clear()
        for step in range(1, 5):
            scene.clock.advance(0.25)
            scene.report("phone", step * 0.25)
        assert len(scene.heard("phone")) == len(scene.heard("kiosk")) == 4
        assert scene.room.state.rev == 5


class TestRule8IfRev:
    def test_the_current_rev_is_accepted(self, together: Scene) -> None:
        assert together.pause("kiosk", if_rev=1).rev == 2

    def test_another_is_refused_with_the_current_state(self, together: Scene) -> None:
        with pytest.raises(Conflict) as refused:
            together.pause("kiosk", if_rev=0)
        assert (refused.value.state["rev"], refused.value.state["isPlaying"]) == (1, True)
        with pytest.raises(Conflict):
            together.report("kiosk", 10.0, if_rev=2)
        assert together.heard("phone") == together.heard("kiosk") == []


class TestRule9UnknownTracks:
    def test_an_unknown_track_and_anothers_are_refused_in_the_same_words(
        self, scene: Scene
    ) -> None:
        scene.shelf.durations["secret"] = 60.0
        scene.shelf.owned["secret"] = "bob"
        refusals = set()
        for track in ("nothing", "secret"):
            with pytest.raises(TrackNotFound) as refused:
                scene.play("phone", track)
            refusals.add(str(refused.value))
            with pytest.raises(TrackNotFound):
                scene.report("phone", 1.0, track=track)
        assert len(refusals) == 1
        assert scene.room.state == State()


class TestRule11WhenTheLastPlayerLeaves:
    @pytest.fixture
    def frozen(self, together: Scene) -> Scene:
        """Only the phone had sound; it left at 10 s while the kiosk watches."""
        together.report("kiosk", together.position)
        together.devices["kiosk"].sync = replace(
            together.devices["kiosk"].sync, reports_playing=False
        )
        together.disconnect("phone")
        return together

    def test_the_position_freezes(self, frozen: Scene) -> None:
        frozen.wait(20.0)
        assert frozen.room.state.is_playing
        assert frozen.position == 10.0
        assert frozen.heard("kiosk") == []

    def test_after_the_grace_it_is_paused_and_the_room_is_told(self, frozen: Scene) -> None:
        frozen.wait(31.0)
        assert frozen.heard("kiosk") == [("trackPaused", 10.0)]
        assert (frozen.room.state.is_playing, frozen.room.state.rev) == (False, 2)
        frozen.wait(60.0)
        assert frozen.heard("kiosk") == []

    def test_a_reload_resumes_where_it_was(self, frozen: Scene) -> None:
        frozen.wait(1.5)
        frozen.connect("phone")
        assert frozen.ask("phone").current_time == 10.0
        frozen.clock.advance(0.5)
        frozen.clear()
        frozen.report("phone", 10.2)
        assert frozen.heard("phone") == []
        assert frozen.heard("kiosk") == [("trackUpdated", 10.2)]
        frozen.listen(60.0, phone=0.0)
        assert frozen.position == pytest.approx(70.2)
        assert frozen.room.state.rev == 1
        assert frozen.room.state.active_device == frozen.devices["phone"].ref

    def test_a_player_that_went_on_while_the_network_was_away_is_followed(
        self, frozen: Scene
    ) -> None:
        frozen.wait(3.0)
        frozen.connect("phone")
        frozen.report("phone", 13.0)
        assert frozen.heard("phone") == []
        assert frozen.position == 13.0

    def test_a_player_that_reports_seldom_is_not_pulled_back(self, frozen: Scene) -> None:
        frozen.connect("phone")
        frozen.ask("phone")
        frozen.wait(5.0)
        frozen.clear()
        frozen.report("phone", 14.8)
        assert frozen.heard("phone") == []
        assert frozen.position == 14.8

    def test_a_command_ends_the_waiting(self, frozen: Scene) -> None:
        frozen.wait(5.0)
        frozen.play("kiosk")
        frozen.wait(60.0)
        assert frozen.position == 70.0

    def test_a_paused_report_of_another_device_does_not_bring_it_back(self, frozen: Scene) -> None:
        frozen.connect("tablet")
        frozen.ask("tablet")
        frozen.wait(3.0)
        frozen.report("tablet", 10.0, playing=False)
        assert frozen.room.state.frozen_at is not None

    def test_a_battery_that_died_long_ago_counts_from_its_last_words(self, together: Scene) -> None:
        together.disconnect("kiosk")
        together.wait(45.0)
        together.disconnect("phone")
        assert together.position == 10.0

    def test_a_room_that_empties_freezes_even_if_nobody_ever_reported(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.wait(5.0)
        scene.disconnect("kiosk")
        scene.wait(5.0)
        scene.disconnect("phone")
        scene.wait(100.0)
        told = scene.room.perform(GetCurrentState())
        assert (told.is_playing, told.current_time) == (False, 10.0)

    def test_while_another_player_stays_nothing_freezes(self, together: Scene) -> None:
        together.disconnect("phone")
        together.wait(100.0)
        assert together.position == 110.0

    @pytest.fixture
    def interrupted(self, scene: Scene) -> Scene:
        """It was at 10 s when the server stopped; now the server runs again."""
        state = State(track_id="song", position=10.0, rev=7, is_interrupted=True)
        scene.room.restore(state, ())
        return scene

    def test_after_a_restart_a_player_that_went_on_is_followed_and_left_alone(
        self, interrupted: Scene
    ) -> None:
        interrupted.report("phone", 17.0)
        assert interrupted.heard("phone") == []
        assert interrupted.heard("kiosk") == [("trackUpdated", 17.0)]
        state = interrupted.room.state
        assert (state.is_playing, state.rev, state.is_interrupted) == (True, 8, False)
        assert state.active_device == interrupted.devices["phone"].ref
        interrupted.listen(60.0, phone=0.0)
        assert interrupted.heard("phone") == []

    def test_after_a_restart_a_late_report_does_not_play_against_what_was_asked(
        self, interrupted: Scene
    ) -> None:
        assert not interrupted.ask("phone").is_playing
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
        self, interrupted: Scene, track: str, at: float, playing: bool, event: str
    ) -> None:
        interrupted.report("phone", at, playing=playing, track=track)
        assert interrupted.heard("phone") == [(event, 10.0)]
        assert interrupted.heard("kiosk") == []
        assert interrupted.room.state.is_interrupted

    @pytest.fixture
    def abandoned(self, together: Scene) -> Scene:
        """Both left at 10 s, and neither came back within the grace."""
        together.disconnect("kiosk")
        together.disconnect("phone")
        together.wait(290.0)
        assert not together.room.state.is_playing
        together.connect("phone")
        return together

    @pytest.mark.parametrize("at", [10.0, 150.0, 300.9])
    def test_a_player_alone_in_the_room_that_went_on_is_followed_however_late(
        self, abandoned: Scene, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.heard("phone") == []
        assert (abandoned.room.state.is_playing, abandoned.position) == (True, at)
        assert abandoned.room.state.active_device == abandoned.devices["phone"].ref
        abandoned.listen(60.0, phone=0.0)
        assert abandoned.heard("phone") == []

    def test_a_player_alone_in_the_room_that_asked_first_is_followed_too(
        self, abandoned: Scene
    ) -> None:
        abandoned.ask("phone")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.heard("phone") == []
        assert abandoned.position == 300.0

    @pytest.mark.parametrize("at", [9.0, 302.0])
    def test_a_player_alone_in_the_room_that_cannot_have_gone_on_is_brought_up_to_date(
        self, abandoned: Scene, at: float
    ) -> None:
        abandoned.report("phone", at)
        assert abandoned.heard("phone") == [("trackUpdated", 10.0)]
        assert not abandoned.room.state.is_playing

    def test_after_the_grace_a_player_that_went_on_does_not_start_another_device(
        self, abandoned: Scene
    ) -> None:
        abandoned.connect("kiosk")
        abandoned.ask("kiosk")
        abandoned.clear()
        abandoned.report("phone", 300.0)
        assert abandoned.heard("kiosk") == []
        assert abandoned.heard("phone") == [("trackUpdated", 10.0)]

    def test_after_a_command_nothing_of_an_abandoned_playback_comes_back(
        self, abandoned: Scene
    ) -> None:
        abandoned.pause(None, at=20.0)
        abandoned.clear()
        abandoned.disconnect("phone")
        abandoned.connect("phone")
        abandoned.report("phone", 300.0)
        assert abandoned.heard("phone") == [("trackUpdated", 20.0)]
        assert not abandoned.room.state.is_playing

    def test_a_paused_room_does_not_freeze(self, together: Scene) -> None:
        together.pause("phone")
        together.disconnect("phone")
        together.disconnect("kiosk")
        assert together.room.state.frozen_at is None

    def test_a_device_told_to_pause_no_longer_counts_as_a_player(self, together: Scene) -> None:
        together.pause("phone")
        together.play("phone")
        together.listen(5.0, phone=0.0)
        together.disconnect("phone")
        assert together.room.state.frozen_at is not None

    def test_leaving_at_the_end_of_the_track_finds_it_ended(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.clock.advance(11.0)
        scene.disconnect("phone")
        assert (scene.room.state.is_playing, scene.room.state.frozen_at) == (False, None)


class TestRule12GetCurrentState:
    def test_only_the_asker_is_answered(self, together: Scene) -> None:
        together.ask("kiosk")
        [(event, state, _)] = together.frames("kiosk")
        assert (event, state["track"]["id"], state["currentTime"]) == ("trackState", "song", 10.0)
        assert together.heard("phone") == []

    def test_a_late_joiner_gets_the_extrapolated_position(self, together: Scene) -> None:
        together.clock.advance(2.5)
        together.connect("tablet")
        assert together.heard("tablet") == []
        together.ask("tablet")
        assert together.heard("tablet") == [("trackState", 12.5)]

    def test_it_counts_as_telling(self, together: Scene) -> None:
        together.connect("tablet")
        together.ask("tablet")
        together.clock.advance(0.5)
        together.report("tablet", 0.0, playing=False)
        assert together.room.state.is_playing

    def test_it_changes_nothing_and_makes_nobody_active(self, together: Scene) -> None:
        before = together.room.state
        together.ask("kiosk")
        assert together.room.state is before


class TestRule13TheEndIsNotAnAct:
    def test_the_first_to_end_does_not_cut_off_the_other(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.listen(9.5, phone=0.0, kiosk=-0.4)
        scene.clear()
        scene.report("phone", 10.0, playing=False, track="short")
        assert scene.heard("phone") == scene.heard("kiosk") == []
        assert scene.room.state.is_playing

    def test_a_file_longer_than_its_tags_say_disturbs_nobody(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        for _ in range(4 * 13):
            scene.clock.advance(0.25)
            scene.report("phone", scene.clock.now - 1_700_000_000.0, track="short")
        assert scene.heard("kiosk") == [("trackPlaying", 0.0)]

    def test_playing_again_from_the_start_is_an_act(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.listen(12.0, phone=0.0)
        scene.clear()
        scene.report("phone", 0.1, track="short")
        assert scene.heard("kiosk") == [("trackUpdated", 0.1)]


class TestRule14AJumpBackIsAWish:
    def test_a_seek_backwards_on_the_other_device_moves_all(self, scene: Scene) -> None:
        scene.play("phone", at=0.0)
        scene.listen(60.0, phone=0.0, kiosk=-0.1)
        scene.clear()
        scene.report("kiosk", 30.0)
        assert scene.heard("phone") == scene.heard("kiosk") == [("trackUpdated", 30.0)]

    def test_right_after_being_told_it_is_still_a_late_start(self, together: Scene) -> None:
        together.set(11.0, playing=True)
        together.report("kiosk", together.position)
        together.clear()
        together.clock.advance(1.5)
        together.report("kiosk", 11.0)
        assert together.heard("phone") == []


class TestRule17ANewConnectionIsBroughtUpToDate:
    @pytest.fixture
    def away(self, together: Scene) -> Scene:
        """The laptop's line was cut at 10 s, the phone went on to 1005 s, the laptop is back."""
        together.connect("laptop")
        together.report("laptop", together.position)
        together.disconnect("laptop")
        together.disconnect("kiosk")
        together.report("phone", 1000.0)
        together.listen(5.0, phone=0.0)
        together.connect("laptop")
        together.clear()
        return together

    def pause_and_reconnect(self, away: Scene) -> None:
        """Let the phone pause before the laptop is back."""
        away.disconnect("laptop")
        away.pause("phone")
        away.clear()
        away.connect("laptop")

    def test_its_stale_report_leaves_the_state_and_the_others_alone(self, away: Scene) -> None:
        before = away.room.state
        away.report("laptop", 15.0)
        assert away.room.state is before
        assert away.heard("phone") == []
        assert away.heard("laptop") == [("trackUpdated", 1005.0)]

    def test_it_does_not_start_a_phone_that_is_paused(self, away: Scene) -> None:
        self.pause_and_reconnect(away)
        away.report("laptop", 15.0)
        assert away.heard("phone") == []
        assert away.heard("laptop") == [("trackUpdated", 1005.0)]
        assert not away.room.state.is_playing

    def test_what_was_on_its_way_when_it_was_told_is_ignored(self, away: Scene) -> None:
        for at in (15.0, 15.25, 15.5):
            away.report("laptop", at)
            away.clock.advance(0.1)
        assert len(away.heard("laptop")) == 1
        assert away.heard("phone") == []

    @pytest.mark.parametrize(("playing", "event"), [(True, "trackPlaying"), (False, "trackPaused")])
    def test_from_another_track_it_is_brought_by_an_event_that_sets_the_source(
        self, away: Scene, playing: bool, event: str
    ) -> None:
        if not playing:
            self.pause_and_reconnect(away)
        away.report("laptop", 15.0, track="other")
        [(told, state, _)] = away.frames("laptop")
        assert (told, state["trackId"], state["currentTime"]) == (event, "song", 1005.0)
        assert ("track" in state) is playing
        assert away.heard("phone") == []

    def test_a_device_that_stopped_on_its_own_track_is_not_told_again(self, away: Scene) -> None:
        self.pause_and_reconnect(away)
        away.report("laptop", 15.0, track="other")
        away.clear()
        away.clock.advance(0.1)
        away.report("laptop", 15.1, playing=False, track="other")
        away.wait(30.0)
        away.report("laptop", 15.1, playing=False, track="other")
        away.wait(30.0)
        assert away.heard("laptop") == away.heard("phone") == []
        away.report("laptop", 15.3, track="other")  # a person presses play there
        assert away.heard("phone") == [("trackPlaying", 15.3)]

    def test_its_command_takes_effect(self, away: Scene) -> None:
        away.play("laptop", at=15.0)
        assert away.heard("phone") == [("trackPlaying", 15.0)]
        assert away.room.positions == {"song": 1005.0}

    def test_once_it_has_agreed_a_seek_of_its_own_counts(self, away: Scene) -> None:
        away.report("laptop", 1005.2)
        assert away.heard("laptop") == []
        away.clock.advance(1.0)
        away.report("laptop", 2000.0)
        assert away.heard("phone") == [("trackUpdated", 2000.0)]

    def test_once_it_has_followed_what_it_was_told_a_seek_of_its_own_counts(
        self, away: Scene
    ) -> None:
        away.report("laptop", 15.0)
        away.clock.advance(0.3)
        away.report("laptop", 1005.0)
        away.clock.advance(0.3)
        away.report("laptop", 2000.0)
        assert away.heard("phone") == [("trackUpdated", 2000.0)]

    def test_in_a_room_that_never_played_its_report_counts(self) -> None:
        scene = Scene()
        scene.connect("phone", "laptop")
        scene.report("laptop", 15.0)
        assert scene.position == 15.0


class TestRule18AnotherTrackIsToldByAnEventThatSetsTheSource:
    def test_a_track_that_is_chosen_in_a_devices_own_controls(self, together: Scene) -> None:
        together.report("kiosk", 5.0, track="other")
        assert together.heard("phone") == [("trackPlaying", 5.0)]
        assert together.heard("kiosk") == [("trackUpdated", 5.0)]

    def test_a_paused_one(self, together: Scene) -> None:
        together.report("kiosk", 5.0, playing=False, track="other")
        assert together.heard("phone") == [("trackPaused", 5.0)]

    def test_an_update_by_rest(self, together: Scene) -> None:
        together.set(5.0, playing=True, track="other")
        assert together.heard("phone") == together.heard("kiosk") == [("trackPlaying", 5.0)]
        together.set(7.0, playing=False, track="other")
        assert together.heard("phone") == together.heard("kiosk") == [("trackUpdated", 7.0)]


class TestRule19AListedDurationIsAnEstimate:
    @pytest.mark.parametrize("act", ["play", "pause", "set", "report"])
    def test_a_position_beyond_it_is_kept_as_said(self, scene: Scene, act: str) -> None:
        if act == "set":
            scene.set(35.0, True, "short")
        elif act == "report":
            scene.report("phone", 35.0, True, "short")
        else:
            getattr(scene, act)("phone", "short", 35.0)
        told = scene.room.perform(GetCurrentState())
        assert (told.current_time, told.duration) == (35.0, None)
        scene.listen(5.0, phone=0.0)
        assert scene.position == (35.0 if act == "pause" else 40.0)

    def test_two_players_that_go_on_beyond_it_are_followed_and_left_alone(
        self, scene: Scene
    ) -> None:
        began = scene.clock.now
        scene.play("phone", "short", 0.0)
        scene.clear()
        for _ in range(4 * 40):
            scene.clock.advance(0.25)
            scene.report("phone", scene.clock.now - began, track="short")
            scene.report("kiosk", scene.clock.now - began - 0.2, track="short")
        assert scene.heard("phone") == scene.heard("kiosk") == []
        assert scene.position == pytest.approx(40.0)
        assert (scene.room.state.is_playing, scene.room.state.rev) == (True, 1)
        scene.play("phone", "other", 0.0)
        assert scene.play("phone", "short", resume=True).current_time == pytest.approx(40.0)

    def test_a_device_that_was_told_the_end_hears_that_it_goes_on(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.listen(10.75, phone=0.0)
        scene.report("phone", 10.75, track="short")
        scene.connect("tablet")
        assert not scene.ask("tablet").is_playing
        scene.clear()
        scene.clock.advance(0.5)
        scene.report("phone", 11.25, track="short")
        assert scene.heard("tablet") == [("trackUpdated", 11.25)]
        assert scene.heard("kiosk") == scene.heard("phone") == []

    def test_where_nobody_reports_it_ends_the_track(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.wait(60.0)
        told = scene.room.perform(GetCurrentState())
        assert (told.is_playing, told.current_time, told.duration) == (False, 10.0, 10.0)

    def test_what_a_player_says_replaces_it(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.clear()
        scene.listen(1.0, phone=0.0)
        scene.report("phone", 1.0, track="short", duration=42.5)
        scene.report("kiosk", 1.0, track="short")
        assert scene.heard("phone") == scene.heard("kiosk") == []
        assert scene.ask("kiosk").duration == 42.5
        scene.wait(60.0)
        assert scene.ask("kiosk").current_time == 42.5

    def test_another_track_has_its_listed_one_again(self, scene: Scene) -> None:
        scene.play("phone", "endless", 0.0)
        scene.report("phone", 0.0, track="endless", duration=42.5)
        assert scene.play("phone", "short").duration == 10.0
        assert scene.play("phone", "endless").duration is None

    def test_what_a_device_that_is_ignored_says_does_not_count(self, scene: Scene) -> None:
        scene.play("phone", "short", 0.0)
        scene.clock.advance(0.1)
        scene.report("kiosk", 7.0, track="short", duration=42.5)
        assert scene.ask("phone").duration == 10.0

    def test_a_position_refutes_also_what_a_player_said(self, scene: Scene) -> None:
        scene.play("phone", "song", 0.0)
        scene.report("phone", 0.0, duration=1.0)
        scene.clock.advance(5.0)
        scene.report("phone", 5.0)
        assert scene.room.state.duration is None
        assert scene.position == 5.0

    def test_a_kept_position_beyond_it_is_not_cut(self, scene: Scene) -> None:
        scene.room.restore(State(track_id="short", position=35.0, rev=7), ())
        assert scene.ask("phone").current_time == 35.0
        assert scene.play("phone", "short").current_time == 35.0


class TestRule20StopPoints:
    def resumed(self, scene: Scene, track: str = "song") -> float:
        scene.play("phone", "other", 0.0)
        return scene.play("phone", track, resume=True).current_time

    def test_a_seek_while_paused(self, scene: Scene) -> None:
        scene.play("phone", at=100.0)
        scene.pause("phone")
        scene.pause("phone", at=200.0)
        assert self.resumed(scene) == 200.0

    def test_a_seek_in_a_paused_players_own_controls(self, together: Scene) -> None:
        together.pause("phone")
        together.report("phone", together.position, playing=False)
        together.wait(5.0)
        together.report("phone", 200.0, playing=False)
        assert self.resumed(together) == 200.0

    def test_an_update_by_rest_while_paused(self, scene: Scene) -> None:
        scene.pause("phone", at=100.0)
        scene.set(200.0, playing=False)
        assert self.resumed(scene) == 200.0

    def test_where_another_track_replaced_it(self, scene: Scene) -> None:
        scene.play("phone", at=100.0)
        scene.wait(5.0)
        assert self.resumed(scene) == 105.0

    def test_a_restart_just_before_another_track_does_not_lose_the_place(
        self, scene: Scene
    ) -> None:
        scene.play("phone", at=1000.0)
        scene.play("phone", at=0.0)
        scene.wait(2.0)
        assert self.resumed(scene) == 1000.0

    @pytest.mark.parametrize("to", [0.0, 969.0, 1031.0])
    def test_a_jump_of_more_than_half_a_minute_keeps_where_it_was(
        self, scene: Scene, to: float
    ) -> None:
        scene.play("phone", at=1000.0)
        scene.play("phone", at=to)
        assert [left.position for left in scene.room.left] == [1000.0]

    def test_a_pause_far_from_the_position_keeps_both(self, scene: Scene) -> None:
        scene.play("phone", at=1000.0)
        scene.pause("phone", at=101.0)
        assert [left.position for left in scene.room.left] == [1000.0, 101.0]
        assert self.resumed(scene) == 101.0

    def test_a_short_jump_keeps_nothing(self, scene: Scene) -> None:
        scene.play("phone", at=1000.0)
        scene.play("phone", at=1029.0)
        assert scene.room.left == []

    def test_the_end_leads_to_the_beginning_also_where_the_duration_was_a_players(
        self, scene: Scene
    ) -> None:
        scene.play("phone", "endless", 0.0)
        scene.report("phone", 0.0, track="endless", duration=40.0)
        scene.clock.advance(39.5)
        scene.report("phone", 39.5, track="endless", playing=False)
        assert self.resumed(scene, "endless") == 0.0


class TestRule21TheRateStaysWithinAnAlbum:
    @pytest.mark.parametrize(
        ("albums", "rate"), [({"song": "Book", "other": "Book"}, 1.5), ({"song": "Book"}, 1.0)]
    )
    def test_at_the_next_track(self, scene: Scene, albums: dict[str, str], rate: float) -> None:
        scene.shelf.albums = albums
        scene.play("phone")
        scene.report("phone", 0.0, playback_rate=1.5)
        assert scene.play("phone", "other").playback_rate == rate

    def test_in_a_devices_own_controls(self, together: Scene) -> None:
        together.shelf.albums = {"song": "Book", "other": "Book"}
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
