"""State: the position extrapolated to a moment, and its view for clients."""

from __future__ import annotations

from audiostream.playback.lifecycle import advance
from audiostream.playback.model import State
from audiostream.protocol.encode import StateView


class TestState:
    def test_position_of_a_playing_state_advances_by_time_times_rate(self) -> None:
        state = State(
            track_id="song",
            duration=100.0,
            position=10.0,
            anchored_at=50.0,
            is_playing=True,
            playback_rate=2.0,
        )
        assert state.position_at(53.0) == 16.0

    def test_position_of_a_paused_state_does_not_advance(self) -> None:
        assert (
            State(track_id="song", duration=100.0, position=10.0, anchored_at=50.0).position_at(
                90.0
            )
            == 10.0
        )

    def test_position_does_not_move_when_time_runs_backwards(self) -> None:
        assert (
            State(
                track_id="song", duration=100.0, position=10.0, anchored_at=50.0, is_playing=True
            ).position_at(49.0)
            == 10.0
        )

    def test_advance_pauses_a_state_that_reached_its_duration(self) -> None:
        ended = advance(
            State(
                track_id="song", duration=100.0, position=95.0, anchored_at=50.0, is_playing=True
            ),
            60.0,
        )
        assert (ended.is_playing, ended.position) == (False, 100.0)

    def test_advance_notes_when_the_track_came_to_its_end(self) -> None:
        state = State(
            track_id="song",
            duration=10.0,
            position=4.0,
            anchored_at=100.0,
            is_playing=True,
            playback_rate=2.0,
        )
        assert advance(state, 120.0).ended_at == 103.0

    def test_advance_pauses_exactly_when_the_position_is_the_duration(self) -> None:
        for position, moment in ((9.0, 100.5), (9.0, 101.0), (9.0, 99.0), (10.0, 99.0)):
            state = State(
                track_id="song",
                duration=10.0,
                position=position,
                anchored_at=100.0,
                is_playing=True,
            )
            assert advance(state, moment).is_playing == (state.position_at(moment) < 10.0)

    def test_advance_never_ends_a_track_of_unknown_duration(self) -> None:
        state = State(track_id="song", position=95.0, anchored_at=50.0, is_playing=True)
        assert advance(state, 10_000.0) is state

    def test_state_view_has_the_position_of_now_and_times_in_milliseconds(self) -> None:
        view = StateView.of(
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
        assert view.to_json() == {
            "trackId": "song",
            "currentTime": 11.5,
            "isPlaying": True,
            "playbackRate": 1.0,
            "rev": 3,
            "deviceId": None,
            "updatedAt": 950_000,
            "serverTime": 951_500,
            "queue": {"index": None, "length": 0, "repeat": "off"},
        }

    def test_state_view_before_anything_played_has_no_track_and_is_paused_at_0(self) -> None:
        view = StateView.of(State(), 51.5, 951.5)
        assert (view.track_id, view.current_time, view.is_playing) == (None, 0.0, False)
