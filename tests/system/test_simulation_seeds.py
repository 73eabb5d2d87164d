"""The simulations of the rules of playback with further seeds than the unit tests run."""

from __future__ import annotations

import pytest

from tests.unit.playback.test_simulation import (
    KINDS,
    check_outage,
    check_reconnect,
    check_user_actions,
)

SEEDS = range(100, 300)


@pytest.mark.parametrize("kind", KINDS)
def test_all_players_agree_10_s_after_user_actions_on_a_bad_network_with_200_seeds(
    kind: str,
) -> None:
    check_user_actions(SEEDS, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_reconnects_after_a_minute_changes_nothing_with_200_seeds(kind: str) -> None:
    check_reconnect(SEEDS, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_given_up", [False, True], ids=["kept", "given up by the client"])
def test_an_outage_rewinds_no_player_and_undoes_no_pause_with_200_seeds(
    kind: str, is_given_up: bool
) -> None:
    check_outage(SEEDS, kind, is_given_up)
