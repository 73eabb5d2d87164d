"""The gap between two tracks of the queue, on a network of 100 ms as on none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch

from .player_page import choose, new_page, open_player, plays

Token = Callable[..., str]
GAP = 0.3
"""Seconds of silence between two tracks: what the product promises."""
RECORD = """(() => {
  const audio = document.getElementById("audio");
  const title = document.getElementById("now-title");
  window.samples = [];
  setInterval(() => samples.push([Date.now() / 1000, title.textContent, audio.currentTime]), 5);
})()"""


@pytest.mark.parametrize("latency", [0, 100])
async def test_the_gap_between_two_tracks_is_under_300_ms(
    browser: Browser, launch: Launch, token: Token, tmp_path: Path, latency: int
) -> None:
    media = tmp_path / "album"
    media.mkdir()
    for title in "abc":
        write_wav(media / f"{title}.wav", 6.0)
    entries = [{"id": each, "audioUrl": f"{each}.wav", "title": each} for each in "abc"]
    (media / "tracks.json").write_text(json.dumps(entries))
    server = launch("--media", str(media))
    server.wait_for_log("the library has 3 tracks")
    page = await new_page(browser)
    session = await page.context.new_cdp_session(page)
    await open_player(page, server, token("demo"))
    conditions = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", {**conditions, "latency": latency})
    await choose(page, "a")
    await plays(page)
    await page.evaluate(RECORD)
    await asyncio.sleep(14.0)
    samples = await page.evaluate("samples")
    assert list(dict.fromkeys(title for _, title, _ in samples)) == ["a", "b", "c"]
    for before, after in ("ab", "bc"):
        ends = [(at, where) for at, title, where in samples if title == before]
        end = next(at for at, where in ends if where == max(where for _, where in ends))
        begin = next(at for at, title, where in samples if title == after and 0 < where < 1)
        assert begin - end < GAP, (before, after)
