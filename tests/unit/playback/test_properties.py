"""What holds for the playback rules whatever up to four devices do, and in whatever order."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from audiostream.errors import Conflict
from audiostream.playback import sync
from audiostream.playback.model import DeviceSync, Snapshot
from audiostream.playback.sync import HISTORY_SIZE, SETTLE_TIME
from tests.support.scenario import Scenario

DEVICES = ("phone", "kiosk", "tablet", "laptop")
POSITIONS = st.floats(0.0, 130.0).map(lambda position: round(position, 2))
TRACKS = st.sampled_from(("short", "song", "endless"))
DEVICE = st.sampled_from(DEVICES)

ACTS = st.one_of(
    st.tuples(st.just("play"), DEVICE, TRACKS, st.none() | POSITIONS),
    st.tuples(st.just("pause"), DEVICE, TRACKS, st.none() | POSITIONS),
    st.tuples(st.just("report"), DEVICE, TRACKS, POSITIONS, st.booleans()),
    st.tuples(st.just("follow"), DEVICE, st.floats(-0.5, 0.5)),
    st.tuples(st.just("set"), TRACKS, POSITIONS, st.booleans()),
    st.tuples(st.just("ask"), DEVICE),
    st.tuples(st.just("leave"), DEVICE),
    st.tuples(st.just("wait"), st.floats(0.01, 5.0)),
    st.tuples(st.just("wait"), st.floats(25.0, 40.0)),
)


class Rehearsal(Scenario):
    """A scenario that plays any list of acts, and checks after each what always holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.library.durations["song"] = 120.0

    def play_all(self, acts: list[tuple[object, ...]]) -> None:
        for act in acts:
            rev = self.room.state.rev
            with suppress(Conflict):
                self._play_one(*act)
            state = self.room.state
            assert state.rev >= rev
            assert 0.0 <= self.position <= (state.duration or float("inf"))
            assert state.is_playing or state.frozen_at is None
            for device in self.devices.values():
                moments = [seen.at for seen in device.sync.history]
                assert moments == sorted(moments)
                assert device.sync.last_report in (None, *device.sync.history[-1:])

    def _play_one(self, kind: object, *details: object) -> None:
        match kind, details:
            case "play", (str(name), str(track), at):
                self._here(name)
                self.play(name, track, at)  # type: ignore[arg-type]
            case "pause", (str(name), str(track), at):
                self._here(name)
                self.pause(name, track, at)  # type: ignore[arg-type]
            case "report", (str(name), str(track), float(at), bool(playing)):
                self._here(name)
                self.report(name, at, playing, track)
            case "follow", (str(name), float(offset)):
                self._here(name)
                self.follow(name, offset)
            case "set", (str(track), float(at), bool(playing)):
                self.set_state(at, playing, track)
            case "ask", (str(name),):
                self._here(name)
                self.get_state(name)
            case "leave", (str(name),):
                if name in self.devices:
                    self.disconnect(name)
            case "wait", (float(seconds),):
                self.wait(seconds)

    def _here(self, name: str) -> None:
        if name not in self.devices:
            self.connect(name)

    def follow(self, name: str, offset: float = 0.0) -> None:
        """Let a device report exactly what it was told last, gone on until now."""
        told = self.devices[name].sync.last_sent
        if told is None:
            return
        went_on = (self.clock.now - told.at) * told.playback_rate if told.is_playing else 0.0
        at = max(0.0, told.position + went_on + offset)
        self.report(name, at, told.is_playing, told.track_id)


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_rev_never_decreases_and_the_position_stays_within_the_track(
    acts: list[tuple[object, ...]],
) -> None:
    Rehearsal().play_all(acts)


@settings(max_examples=400, deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_when_things_are_quiet_and_devices_say_what_they_were_told_nothing_more_is_sent(
    acts: list[tuple[object, ...]],
) -> None:
    scenario = Rehearsal()
    scenario.play_all(acts)
    for name in tuple(scenario.devices):
        scenario.get_state(name)
    for _ in range(3):  # to hear what is left to hear
        scenario.wait(SETTLE_TIME + 1.0)
        for name in tuple(scenario.devices):
            scenario.follow(name)
    scenario.clear()
    for _ in range(20):
        scenario.wait(0.25)
        for name in tuple(scenario.devices):
            scenario.follow(name)
    told = {name: scenario.received(name) for name in scenario.devices}
    assert not any(told.values()), told


MOMENTS = st.lists(st.floats(0.0, 10.0), max_size=HISTORY_SIZE).map(sorted)


@given(moments=MOMENTS, after=st.floats(0.0, 5.0), told=st.integers(0, 9), changed=st.booleans())
def test_of_what_is_old_a_device_that_is_told_keeps_what_it_was_told_and_said_last(
    moments: list[float], after: float, told: int, changed: bool
) -> None:
    seen = tuple(
        Snapshot(track_id="song", position=at, is_playing=True, playback_rate=1.0, at=at)
        for at in moments
    )
    last, reported = (seen[told] if told < len(seen) else None), (seen[-1] if seen else None)
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
    assert listener.history == (*lately, *([former] if former else []), news)[-HISTORY_SIZE:]


def test_a_telling_that_changed_nothing_is_two_recent_states_but_one_of_the_old_ones() -> None:
    moments = (100.0, 101.0, 101.0 + SETTLE_TIME + 0.5)
    first, second, third = (
        Snapshot(track_id="song", position=at, is_playing=True, playback_rate=1.0, at=at)
        for at in moments
    )
    listener = sync.record_sent(sync.record_sent(DeviceSync(), first, first), second, second)
    assert listener.history == (first, first, second, second)
    assert sync.record_sent(listener, third, third).history == (second, third, third)


@settings(max_examples=400, deadline=None)
@given(
    acts=st.lists(ACTS, max_size=20),
    pauser=DEVICE | st.none(),
    late=st.lists(
        st.tuples(DEVICE, st.floats(0.0, SETTLE_TIME / 4), st.floats(0.0, 1.5)), max_size=6
    ),
)
def test_a_paused_session_is_never_resumed_by_a_report_sent_before_the_pause_was_told(
    acts: list[tuple[object, ...]],
    pauser: str | None,
    late: list[tuple[str, float, float]],
) -> None:
    scenario = Rehearsal()
    scenario.connect(*DEVICES)
    scenario.play_all(acts)
    for name in DEVICES:
        if name not in scenario.devices:
            scenario.connect(name)
            scenario.get_state(name)
        scenario.follow(name)
    track = scenario.room.state.track_id
    if track is None:
        return
    sent_from = {name: scenario.devices[name].sync for name in DEVICES}
    paused_at = scenario.clock.now
    if pauser is None:
        scenario.set_state(scenario.position, playing=False, track=track)
    else:
        scenario.pause(pauser, track)
    for name, delay, stalled in late:
        if scenario.clock.now + delay - paused_at >= SETTLE_TIME:
            break
        scenario.clock.advance(delay)
        was = sent_from[name].last_report or sent_from[name].last_sent
        if was is not None and was.is_playing:
            went_on = max(0.0, (scenario.clock.now - was.at) - stalled)
            scenario.report(name, was.position + went_on, True, was.track_id)
            assert not scenario.room.state.is_playing
