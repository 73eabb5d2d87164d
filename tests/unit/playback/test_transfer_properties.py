"""Transfers in any order, among reports and disconnects, and on a bad network (R26)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiostream.errors import DeviceNotFound
from audiostream.playback.commands import TransferPlayback
from audiostream.playback.model import DeviceRef, State
from audiostream.playback.transfer import transfer
from tests.support.scenario import Scenario
from tests.support.simulation import BAD, Simulation

KIOSK = DeviceRef(2, "kiosk")
MOMENTS = st.floats(0.0, 1000.0).map(lambda moment: round(moment, 2))


APART, SETTLED_AFTER = 2.8, 10.0
"""Seconds, as in ``test_simulation``: by how much players may differ, and when they agree."""


@given(
    duration=st.none() | st.floats(1.0, 1000.0),
    position=MOMENTS,
    playing=st.booleans(),
    frozen=st.booleans(),
    play=st.none() | st.booleans(),
    elapsed=MOMENTS,
)
def test_transfers_keep_the_track_and_the_position(
    duration: float | None,
    position: float,
    playing: bool,
    frozen: bool,
    play: bool | None,
    elapsed: float,
) -> None:
    before = State(
        track_id="song",
        duration=duration,
        position=position if duration is None else min(position, duration),
        anchored_at=50.0,
        is_playing=playing,
        frozen_at=50.0 if playing and frozen else None,
        rev=7,
    )
    now = 50.0 + elapsed
    outcome = transfer(before, KIOSK, now, play=play)
    after = outcome.state
    assert (after.track_id, after.duration, after.rev) == ("song", duration, 8)
    assert after.active_device == KIOSK
    assert after.is_playing is (playing if play is None else play)
    assert after.frozen_at is None
    restarts = after.is_playing and not playing and before.position == duration
    assert after.position_at(now) == (0.0 if restarts else before.position_at(now))


NAMES = ("phone", "kiosk", "tablet")
NAME = st.sampled_from(NAMES)
ACTS = st.one_of(
    st.tuples(st.just("transfer"), NAME, NAME, st.none() | st.booleans()),
    st.tuples(st.just("play"), NAME, st.sampled_from(("short", "song"))),
    st.tuples(st.just("report"), NAME, st.floats(0.0, 60.0), st.booleans()),
    st.tuples(st.just("leave"), NAME),
    st.tuples(st.just("wait"), st.floats(0.01, 40.0)),
)


def play_act(scenario: Scenario, kind: object, *details: object) -> None:
    """Do one of ``ACTS``; devices that are not connected connect first, but for a target."""
    match kind, details:
        case "wait", (float(seconds),):
            scenario.wait(seconds)
        case "leave", (str(name),) if name in scenario.devices:
            scenario.disconnect(name)
        case "transfer" | "play" | "report", (str(name), *rest):
            if name not in scenario.devices:
                scenario.connect(name)
            getattr(scenario, str(kind))(name, *rest)


@settings(max_examples=300)
@given(st.lists(ACTS, max_size=30))
def test_transfers_among_reports_and_disconnects_raise_rev_and_name_a_connected_device(
    acts: list[tuple[object, ...]],
) -> None:
    scenario = Scenario()
    for act in acts:
        rev, connected = scenario.room.state.rev, set(scenario.devices)
        with suppress(DeviceNotFound):
            play_act(scenario, *act)
            if act[0] == "transfer":
                target = scenario.devices[str(act[2])]
                assert scenario.room.state.active_device == target.ref
                assert scenario.room.state.rev > rev
                assert target.ref.device_id in connected | {act[1]}
        state = scenario.room.state
        assert state.rev >= rev
        assert 0.0 <= scenario.position <= (state.duration or 7200.0)
        assert state.is_playing or state.frozen_at is None


@pytest.mark.parametrize("reports_paused", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_transfers_on_a_bad_network_leave_all_players_that_echo_where_the_state_is(
    seed: int, reports_paused: bool
) -> None:
    simulation = Simulation(seed, BAD, reports_paused=reports_paused)
    choice = simulation.random.choice
    simulation.start()
    for _ in range(5):
        simulation.act_at_random()
        connected = [player for player in simulation.players if player.device is not None]
        sender, target = choice(connected), choice(connected)
        transferred = TransferPlayback(target.name, choice((None, True, False)))
        before = simulation.room.state.rev
        simulation.room.apply(transferred, sender.device)
        assert simulation.room.state.rev > before
        simulation.run(SETTLED_AFTER)
        assert simulation.disagreement(APART) is None
