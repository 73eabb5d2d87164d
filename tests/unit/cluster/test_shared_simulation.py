"""The players of one user on several processes: after a while all agree, and no echo storms.

``NEAR`` and the ways to the store are together within the delays of ``simulation.BAD``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.shared_simulation import SharedSimulation
from tests.support.simulation import QUIET, USER, Network
from tests.unit.playback.test_simulation import APART, BURSTS, SETTLED_AFTER, STORM

NEAR = Network(0.01, 0.6)


@contextmanager
def simulated(seed: int, network: Network, store_delay: float = 0.05) -> Iterator[SharedSimulation]:
    simulation = SharedSimulation(seed, network, store_delay=store_delay)
    try:
        simulation.start()
        yield simulation
    finally:
        simulation.close()


def check_agreement(simulation: SharedSimulation, within: float = SETTLED_AFTER) -> None:
    simulation.run(within)
    assert simulation.disagreement(APART) is None
    revs = [change.state.rev for change in simulation.database.changes]
    assert revs == sorted(revs)


def check_versions(simulation: SharedSimulation) -> None:
    versions = [change.version for change in simulation.database.changes]
    assert versions == list(range(1, len(versions) + 1))


def check_user_actions(seed: int, network: Network, store_delay: float) -> None:
    with simulated(seed, network, store_delay) as simulation:
        for _ in range(BURSTS):
            simulation.reset_counts()
            simulation.act_at_random()
            check_agreement(simulation)
            assert simulation.most_received <= STORM
        check_versions(simulation)


@pytest.mark.parametrize("seed", range(30))
def test_all_agree_after_users_have_acted_on_a_bad_network(seed: int) -> None:
    check_user_actions(seed, NEAR, 0.05)


@pytest.mark.parametrize("seed", range(15))
def test_all_agree_after_users_have_acted_with_a_slow_store(seed: int) -> None:
    check_user_actions(seed, QUIET, 0.3)


@pytest.mark.parametrize("seed", range(15))
def test_all_agree_after_processes_were_killed(seed: int) -> None:
    with simulated(seed, NEAR) as simulation:
        for _ in range(4):
            simulation.act_at_random()
            simulation.kill(simulation.random.choice(simulation.processes))
            simulation.act_at_random()
            simulation.processes.append(simulation.start_process())
            check_agreement(simulation, 15.0)
        check_versions(simulation)
        simulation.run(25.0)
        for process in simulation.processes:
            if room := process.rooms.live.get(USER):
                names = sorted(each.ref.device_id for each in room.devices.values())
                assert names == ["player0", "player1", "player2"]


@pytest.mark.parametrize("seed", range(10))
def test_all_agree_after_the_store_was_out_of_reach_of_one_process(seed: int) -> None:
    with simulated(seed, NEAR) as simulation:
        for _ in range(3):
            simulation.cut(simulation.random.choice(simulation.processes))
            for _ in range(3):
                simulation.act_at_random()
                simulation.run(5.0)
            simulation.restore()
            check_agreement(simulation, 15.0)
        check_versions(simulation)


@pytest.mark.parametrize("seed", range(10))
def test_all_agree_after_the_store_was_out_of_reach_of_all(seed: int) -> None:
    with simulated(seed, NEAR) as simulation:
        for _ in range(3):
            simulation.cut(*simulation.processes)
            simulation.act_at_random()
            simulation.run(5.0)
            simulation.restore()
            check_agreement(simulation, 15.0)
        check_versions(simulation)


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_lost_where_the_store_has_lost_everything(seed: int) -> None:
    with simulated(seed, NEAR) as simulation:
        for _ in range(3):
            simulation.act_at_random()
            check_agreement(simulation)
            track, rev = simulation.room.state.track_id, simulation.room.state.rev
            simulation.cut(*simulation.processes)
            simulation.database.users.clear()
            simulation.database.renewed_at.clear()
            simulation.run(3.0)
            simulation.restore()
            check_agreement(simulation, 15.0)
            state = simulation.database.users[USER].room.state
            assert (state.track_id, state.rev >= rev) == (track, True)
