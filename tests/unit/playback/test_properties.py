"""Properties of the rules of playback: what holds whatever up to four devices do, in any order."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from audiostream.errors import Conflict
from audiostream.playback.sync import SETTLE_TIME
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


class CheckedScenario(Scenario):
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
        """Let a device report what it was sent last, extrapolated to now."""
        sent = self.devices[name].sync.last_sent
        if sent is None:
            return
        at = max(0.0, sent.position_at(self.clock.now) + offset)
        self.report(name, at, sent.is_playing, sent.track_id)


@settings(max_examples=400)
@given(st.lists(ACTS, max_size=30))
def test_invariants_hold_and_nothing_more_is_sent_once_all_devices_report_what_they_were_sent(
    acts: list[tuple[object, ...]],
) -> None:
    scenario = CheckedScenario()
    scenario.play_all(acts)
    for name in tuple(scenario.devices):
        scenario.get_state(name)
    for _ in range(3):  # until nothing is left to be sent
        scenario.wait(SETTLE_TIME + 1.0)
        for name in tuple(scenario.devices):
            scenario.follow(name)
    scenario.clear()
    for _ in range(20):
        scenario.wait(0.25)
        for name in tuple(scenario.devices):
            scenario.follow(name)
    received = {name: scenario.received(name) for name in scenario.devices}
    assert not any(received.values()), received


@settings(max_examples=400)
@given(
    acts=st.lists(ACTS, max_size=20),
    pauser=DEVICE | st.none(),
    late=st.lists(
        st.tuples(DEVICE, st.floats(0.0, SETTLE_TIME / 4), st.floats(0.0, 1.5)), max_size=6
    ),
)
def test_pause_is_never_undone_by_a_report_that_was_sent_before_it_arrived(
    acts: list[tuple[object, ...]],
    pauser: str | None,
    late: list[tuple[str, float, float]],
) -> None:
    scenario = CheckedScenario()
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
        before = sent_from[name].last_report or sent_from[name].last_sent
        if before is not None and before.is_playing:
            went_on = max(0.0, (scenario.clock.now - before.at) - stalled)
            scenario.report(name, before.position + went_on, True, before.track_id)
            assert not scenario.room.state.is_playing
