"""Properties of the queue: what holds whatever commands, ends, disconnects and time do to it."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from audiostream.errors import Conflict
from audiostream.playback.commands import (
    NextTrack,
    PauseTrack,
    PreviousTrack,
    SetQueue,
    SetRepeat,
    ShuffleQueue,
)
from tests.support.fakes import FakeLibrary
from tests.support.scenario import Scenario

DEVICES = ("phone", "kiosk")
TRACKS = ("one", "two", "three", "four")
SECONDS = 10.0

DEVICE = st.sampled_from((*DEVICES, None))
QUEUE = st.lists(st.sampled_from(TRACKS), min_size=1, max_size=8).map(tuple)
ACTS = st.one_of(
    st.tuples(st.just("album"), DEVICE, QUEUE),
    st.tuples(st.just("play"), DEVICE, st.sampled_from(TRACKS)),
    st.tuples(st.just("set"), DEVICE, QUEUE, st.none() | st.integers(0, 7)),
    st.tuples(st.just("next"), DEVICE),
    st.tuples(st.just("previous"), DEVICE),
    st.tuples(st.just("shuffle"), DEVICE),
    st.tuples(st.just("repeat"), DEVICE, st.sampled_from(("off", "one", "all"))),
    st.tuples(st.just("pause"), DEVICE),
    st.tuples(st.just("end"), st.sampled_from(DEVICES), st.sampled_from(TRACKS), st.booleans()),
    st.tuples(st.just("follow"), st.sampled_from(DEVICES), st.floats(0.1, 9.0)),
    st.tuples(st.just("leave"), st.sampled_from(DEVICES)),
    st.tuples(st.just("gone"), st.sampled_from(TRACKS)),
    st.tuples(st.just("wait"), st.floats(0.01, 40.0)),
)


class QueueScenario(Scenario):
    """Two devices and tracks of ten seconds; plays any list of acts."""

    def __init__(self) -> None:
        super().__init__(library=FakeLibrary(dict.fromkeys(TRACKS, SECONDS)))

    def play_all(self, acts: list[tuple[object, ...]]) -> None:
        for act in acts:
            before = self.room.state
            with suppress(Conflict):
                self._play_one(*act)
            state = self.room.state
            assert state.rev >= before.rev
            if state.rev == before.rev:
                assert state.track_id == before.track_id
                assert state.queue == before.queue
            index = state.queue.index
            if index is not None:
                assert state.queue.track_ids[index] == state.track_id
            assert not (state.is_playing and state.ended_at is not None)

    def _play_one(self, kind: object, *details: object) -> None:
        match kind, details:
            case "album", (name, tuple(tracks)):
                listed = tuple(each for each in tracks if each in self.library.durations)
                if listed:
                    self.play_album(self._here(name), *listed)
            case "play", (name, str(track)) if track in self.library.durations:
                self.play(self._here(name), track)
            case "set", (name, tuple(tracks), index):
                listed = tuple(each for each in tracks if each in self.library.durations)
                self.command(self._here(name), SetQueue(listed, index))  # type: ignore[arg-type]
            case "next", (name,):
                self.command(self._here(name), NextTrack())
            case "previous", (name,) if self.room.state.track_id in self.library.durations:
                self.command(self._here(name), PreviousTrack())
            case "shuffle", (name,):
                self.command(self._here(name), ShuffleQueue())
            case "repeat", (name, repeat):
                self.command(self._here(name), SetRepeat(repeat))  # type: ignore[arg-type]
            case "pause", (name,) if self.room.state.track_id is not None:
                self.command(self._here(name), PauseTrack(self.room.state.track_id))
            case "end", (str(name), str(track), bool(ended)) if track in self.library.durations:
                self._here(name)
                self.report(name, SECONDS, False, track, ended=ended)
            case "follow", (str(name), float(seconds)):
                self._here(name)
                if self.room.state.track_id in self.library.durations:
                    self.report_for(seconds, **{name: 0.0})
            case "leave", (str(name),) if name in self.devices:
                self.disconnect(name)
            case "gone", (str(track),):
                self.library.durations.pop(track, None)
            case "wait", (float(seconds),):
                self.wait(seconds)

    def _here(self, name: object) -> str | None:
        if name is None:
            return None
        if name not in self.devices:
            self.connect(str(name))
            self.get_state(str(name))
        return str(name)


@settings(max_examples=400)
@given(st.lists(ACTS, max_size=25))
def test_rev_never_falls_and_the_place_is_that_of_the_current_track(
    acts: list[tuple[object, ...]],
) -> None:
    QueueScenario().play_all(acts)


@settings(max_examples=300)
@given(
    repeat=st.sampled_from(("off", "one", "all")),
    tracks=st.lists(st.sampled_from(TRACKS), min_size=2, max_size=5).map(tuple),
    echoes=st.lists(
        st.tuples(st.sampled_from(DEVICES), st.booleans(), st.floats(0.0, 0.3)),
        min_size=1,
        max_size=6,
    ),
    early=st.floats(0.0, 0.9),
)
def test_an_end_starts_one_track_however_often_and_by_whom_it_is_reported(
    repeat: str,
    tracks: tuple[str, ...],
    echoes: list[tuple[str, bool, float]],
    early: float,
) -> None:
    scenario = QueueScenario()
    scenario.connect(*DEVICES)
    scenario.command("phone", SetRepeat(repeat))  # type: ignore[arg-type]
    scenario.play_album("phone", *tracks)
    scenario.report_for(SECONDS - 1.0, phone=0.0, kiosk=0.0)
    scenario.clock.advance(1.0 - early)
    rev = scenario.room.state.rev
    for name, ended, delay in [("phone", True, 0.0), *echoes]:
        scenario.clock.advance(delay)
        scenario.report(name, SECONDS, False, tracks[0], ended=ended)
    assert scenario.room.state.rev == rev + 1
    assert scenario.room.state.queue.index == (0 if repeat == "one" else 1)
    started = [event for event, _ in scenario.received("kiosk") if event == "trackPlaying"]
    assert len(started) == 2  # the first track, and what followed


@settings(max_examples=200)
@given(st.lists(ACTS, max_size=25))
def test_a_queue_that_all_devices_leave_stands_still_after_the_grace_period(
    acts: list[tuple[object, ...]],
) -> None:
    scenario = QueueScenario()
    scenario.play_all(acts)
    if not scenario.devices:
        return
    for name in tuple(scenario.devices):
        scenario.disconnect(name)
    track = scenario.room.state.track_id
    scenario.wait(300.0)
    assert scenario.room.state.track_id == track
    assert not scenario.room.state.is_playing
