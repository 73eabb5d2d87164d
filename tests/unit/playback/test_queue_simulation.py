"""Simulated rooms with a queue: each track starts once, whatever the network does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest

from tests.support.queue_simulation import AlbumSimulation
from tests.support.simulation import BAD

SEEDS = range(300)
TRACKS, SECONDS = 12, 2.0
LONGEST_GAP = 6.0
"""Seconds between two tracks at most: the end and the next track on their way, else the two seconds
after the computed end, and a second until the next housekeeping."""


def check_album(seeds: Iterable[int], followers: int) -> None:
    for seed in seeds:
        simulation = AlbumSimulation(seed, BAD, TRACKS, SECONDS, followers)
        simulation.play()
        simulation.run(TRACKS * (SECONDS + LONGEST_GAP))
        state = simulation.room.state
        assert simulation.headless.started == list(simulation.tracks), f"seed {seed}"
        for page in simulation.followers:
            followed = [
                track for track, _ in groupby(page.started)
            ]  # one that drifts is sent it again
            assert followed == list(simulation.tracks), f"seed {seed}, {page.name}"
        assert (state.track_id, state.is_playing) == (simulation.tracks[-1], False), f"seed {seed}"
        assert state.rev == TRACKS, f"seed {seed}"


@pytest.mark.parametrize("followers", [0, 1, 2])
def test_on_a_bad_network_a_headless_player_plays_an_album_without_skip_or_repetition(
    followers: int,
) -> None:
    check_album(SEEDS, followers)
