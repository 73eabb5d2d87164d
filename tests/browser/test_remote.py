"""Only the active device sounds: a second page controls it, and takes the playback over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Request, expect

from tests.support.cluster import running_processes
from tests.support.redis_server import running_redis
from tests.support.server_process import ServerProcess

from .conftest import SAMPLES, watch
from .player_page import (
    PAUSED,
    POSITION,
    RestClient,
    becomes,
    choose,
    open_player,
    plays,
)

Token = Callable[..., str]
LOST = 1.0
"""Seconds of a track that a transfer may skip or repeat on a busy machine: 0.3 elsewhere."""
MOVED = 3.0
"""Seconds from the press to the sound on a busy machine: one elsewhere."""
RECORD = """(() => {
  const audio = document.getElementById("audio");
  window.samples = [];
  setInterval(() => samples.push([Date.now() / 1000, audio.currentTime, audio.paused]), 10);
})()"""
PRESS = """(() => {
  document.getElementById("remote-play-here").click();
  return Date.now() / 1000;
})()"""


def streams(page: Page) -> list[str]:
    """The streams that a page has requested, from now on."""
    requested: list[str] = []

    def note(request: Request) -> None:
        if "/tracks/stream/" in request.url:
            requested.append(request.url)

    page.on("request", note)
    return requested


async def sounding_since(page: Page) -> tuple[float, float]:
    """When the audio began to advance, in epoch seconds, and the position at which it did."""
    samples = await page.evaluate("samples")
    for (at, position, paused), later in zip(samples, samples[5:], strict=False):
        if not paused and later[1] > position > 0:
            return at, position
    pytest.fail("the page is silent")


async def test_a_second_page_controls_the_first_without_a_stream_and_takes_over(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    await control_and_take_over(browser, server, server, token("demo"))


async def test_a_page_on_another_process_controls_the_first_without_a_stream_and_takes_over(
    browser: Browser, tmp_path: Path, token: Token
) -> None:
    with running_redis(tmp_path) as redis:
        async with running_processes(SAMPLES, redis, 2) as cluster:
            one, other = (each.server for each in cluster.members)
            await control_and_take_over(browser, one, other, token("demo"))


async def control_and_take_over(
    browser: Browser, server: ServerProcess, other: ServerProcess, token: str
) -> None:
    """Play in a page of ``server``, control and take over in one of ``other``."""
    context = await browser.new_context()
    first, second = await context.new_page(), await context.new_page()
    problems = [watch(first), watch(second)]
    requested, rest = streams(second), RestClient(server, token)
    await open_player(first, server, token)
    await open_player(second, other, token)
    await choose(first, "Harbour Lights")
    await plays(first)
    active = (await rest.state())["deviceId"]

    title = second.locator("#now-title")
    await expect(title).to_have_text("Harbour Lights")
    await second.get_by_role("button", name="Pause").click()
    await becomes(first, PAUSED)
    await second.get_by_role("button", name="Play", exact=True).click()
    await plays(first)
    await second.get_by_role("button", name="Next track").click()
    await expect(first.locator("#now-title")).to_have_text("Late Tram")
    await plays(first)
    await second.locator("#seek").focus()
    before = await first.evaluate(POSITION)
    await second.keyboard.press("ArrowRight")
    await becomes(first, f"{POSITION} > {before} + 4")
    await choose(second, "First Light")
    await expect(first.locator("#now-title")).to_have_text("First Light")
    await plays(first, beyond=2.0)
    shown = await second.locator("#seek").evaluate("(seek) => seek.valueAsNumber")
    assert shown == pytest.approx(await first.evaluate(POSITION), abs=1.0)
    assert (await rest.state())["deviceId"] == active
    assert requested == []
    assert not await second.evaluate("document.getElementById('audio').hasAttribute('src')")

    await first.evaluate(RECORD)
    await second.evaluate(RECORD)
    await asyncio.sleep(0.5)
    pressed = await second.evaluate(PRESS)
    await becomes(second, f"!{PAUSED} && samples.at(-20)?.[1] > 1 && !samples.at(-20)[2]")
    await becomes(first, PAUSED)
    begin, position = await sounding_since(second)
    last = [at for _, at, paused in await first.evaluate("samples") if not paused][-1]
    assert begin - pressed < MOVED
    assert abs(position - last) < LOST
    await becomes(first, "!document.getElementById('audio').hasAttribute('src')")
    assert (await rest.state())["deviceId"] != active
    await asyncio.sleep(2.0)
    assert not await second.evaluate(PAUSED)
    assert problems == [[], []]
