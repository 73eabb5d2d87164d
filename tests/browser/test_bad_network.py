"""The player page on a bad network: a listener loses what the outages take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Browser

from tests.support.long_tests import times
from tests.support.server_process import Launch

from .bad_network import outages, suffer, write_album
from .engines import Chromium

MINUTES, SEED = times(3), 7


async def test_minutes_on_a_bad_network_cost_little_beyond_the_outages(
    browser: Browser, launch: Launch, token: Callable[..., str], tmp_path: Path
) -> None:
    album = write_album(tmp_path / "album", MINUTES * 60 + 20)
    server = launch("--media", str(tmp_path / "album"))
    await server.logs("the library has")
    tab = await Chromium(browser).tab()
    losses = await suffer(tab, server, album, token("demo"), MINUTES, SEED)
    assert losses.complaints(album) == []


def test_the_outages_of_a_seed_are_always_the_same_and_within_their_minutes() -> None:
    plan = outages(10, SEED)
    assert plan == outages(10, SEED)
    assert all(5 <= length <= 60 and 0 <= before <= 60 - length for before, length in plan)
