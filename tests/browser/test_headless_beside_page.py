"""The specification's player in a browser beside a headless player that goes through a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from playwright.async_api import Browser

from audiostream.client import connect
from tests.support.album import ALBUM, TITLES, write_album
from tests.support.headless import headless
from tests.support.server_process import Launch

from . import pages

Token = Callable[..., str]

PLAYED = ALBUM[:5]
LONGEST = 60.0
"""Seconds for five tracks of two seconds, on a busy machine."""
FOLLOWED = """async () => {
  const seen = [];
  while (seen.at(-1) !== "song") {
    if (current() && current() !== seen.at(-1)) seen.push(current());
    await wait(50);
  }
  while (audio.currentTime < 0.5) await wait(50);
  return seen;
}"""
"""The tracks that the page has loaded, once it plays ``song``."""


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return write_album(tmp_path / "media")


@pytest.mark.skipif(which("mpv") is None, reason="there is no mpv")
async def test_the_specifications_player_follows_to_each_track_and_disturbs_none(
    launch: Launch, browser: Browser, token: Token, tmp_path: Path
) -> None:
    server = launch()
    await server.logs("the library has")
    context = await browser.new_context(permissions=pages.PERMISSIONS)
    await pages.serve(context, server.url, pages.CLIENT, None)
    page = await pages.opened(context, f"{server.url}/spec.html", token())
    await page.wait_for_function("socket.connected")
    arguments: Any = (server.url, token(), tmp_path, "--device-id", "kitchen")
    async with (
        headless(*arguments) as player,
        connect(server.url, token(), device_id="phone") as phone,
    ):
        await player.logs("connected to")
        following = asyncio.create_task(page.evaluate(FOLLOWED))
        await phone.play("t01", queue=[*PLAYED, "song"], device_id="kitchen")
        async with asyncio.timeout(LONGEST):
            assert await following == [*PLAYED, "song"]
        state = await phone.state()
        assert (state.device_id, state.is_playing, state.queue.index) == ("kitchen", True, 5)
        assert player.titles("plays") == TITLES[:1]
        assert player.titles("goes on with") == [*TITLES[1:5], "song"]
    await context.close()
