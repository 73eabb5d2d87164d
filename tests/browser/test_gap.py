"""The gap between two tracks of the queue: the next one is loaded before the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch

from .player_page import POSITION, becomes, choose, new_page, open_player, plays

Token = Callable[..., str]
GAP = 0.3
"""Seconds of silence between two tracks: what the product promises."""
RECORD = """(() => {
  const audio = document.getElementById("audio");
  const title = document.getElementById("now-title");
  window.samples = [];
  setInterval(() => samples.push([Date.now() / 1000, title.textContent, audio.currentTime]), 5);
})()"""


LONGEST = 1.0
"""The same on a machine that is busy, or where Chromium loads a track anew that it has already."""
TITLES = "abcd"
LENGTH = 3.0
"""Seconds of each track."""


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of short tracks, of which each is followed by the next."""
    media = tmp_path / "album"
    media.mkdir()
    for title in TITLES:
        write_wav(media / f"{title}.wav", LENGTH)
    entries = [{"id": each, "audioUrl": f"{each}.wav", "title": each} for each in TITLES]
    (media / "tracks.json").write_text(json.dumps(entries))
    return media


async def gaps(
    browser: Browser, launch: Launch, token: str, album: Path, latency: int
) -> list[float]:
    """Seconds of silence after each track but the last, with ``latency`` in milliseconds."""
    server = launch("--media", str(album))
    server.wait_for_log(f"the library has {len(TITLES)} tracks")
    page = await new_page(browser)
    session = await page.context.new_cdp_session(page)
    await open_player(page, server, token)
    conditions = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", {**conditions, "latency": latency})
    await choose(page, TITLES[0])
    await plays(page)
    await page.evaluate(RECORD)
    await becomes(page, f"samples.at(-1)?.[1] === '{TITLES[-1]}' && {POSITION} > 1")
    samples = await page.evaluate("samples")
    assert list(dict.fromkeys(title for _, title, _ in samples)) == list(TITLES)
    return [silence(samples, *pair) for pair in pairwise(TITLES)]


def silence(samples: list[Any], before: str, after: str) -> float:
    """Seconds from where ``before`` stopped to advance until ``after`` began to."""
    ends = [(at, where) for at, title, where in samples if title == before]
    last = max(where for _, where in ends)
    end: float = next(at for at, where in ends if where == last)
    begin: float = next(at for at, title, where in samples if title == after and 0 < where < 1)
    return begin - end


async def test_the_gap_between_two_tracks_is_under_300_ms(
    browser: Browser, launch: Launch, token: Token, album: Path
) -> None:
    measured = await gaps(browser, launch, token("demo"), album, 0)
    assert median(measured) < GAP, measured
    assert max(measured) < LONGEST, measured


async def test_over_a_network_of_100_ms_the_next_track_is_loaded_before_the_end(
    browser: Browser, launch: Launch, token: Token, album: Path
) -> None:
    measured = await gaps(browser, launch, token("demo"), album, 100)
    assert min(measured) < GAP, measured
    assert max(measured) < LONGEST, measured
