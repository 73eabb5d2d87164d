"""The player page, driven as a person would, with sound coming out of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from ..conftest import ServerProcess
from .conftest import watch

Token = Callable[..., str]
PICTURE = Path(__file__).parent / "player.png"
PATIENCE = 15.0
POSITION = "document.getElementById('audio').currentTime"
PAUSED = "document.getElementById('audio').paused"


@pytest.fixture
async def signed_in(page: Page, server: ServerProcess, token: Token) -> Page:
    await page.goto(f"{server.url}/#token={token('demo')}")
    await expect(page.get_by_text("Connected")).to_be_visible()
    return page


async def becomes(page: Page, true: str) -> None:
    """Wait for an expression; from outside, as the page's policy forbids to evaluate inside."""
    async with asyncio.timeout(PATIENCE):
        while not await page.evaluate(true):
            await asyncio.sleep(0.05)


async def plays(page: Page, beyond: float = 0.5) -> None:
    await becomes(page, f"{POSITION} > {beyond} && !{PAUSED}")


async def choose(page: Page, title: str) -> None:
    await page.locator("#tracks").get_by_text(title, exact=True).click()


async def test_signing_in_by_hand(page: Page, server: ServerProcess, token: Token) -> None:
    await page.goto(server.url)
    await page.get_by_label("Access token").fill(token("demo"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Connected")).to_be_visible()


async def test_the_token_does_not_stay_in_the_address_bar(
    signed_in: Page, server: ServerProcess
) -> None:
    assert signed_in.url == f"{server.url}/"


async def test_a_refused_token_is_said_to_be_refused(
    browser: object, server: ServerProcess
) -> None:
    page = await browser.new_page()  # type: ignore[attr-defined]
    await page.goto(server.url)
    await page.get_by_label("Access token").fill("nonsense")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("refused")


async def test_play_pause_and_seek(signed_in: Page) -> None:
    await choose(signed_in, "First Light")
    await plays(signed_in)
    await signed_in.locator("#seek").focus()
    before = await signed_in.evaluate(POSITION)
    await signed_in.keyboard.press("ArrowRight")
    await becomes(signed_in, f"{POSITION} > {before} + 0.5")
    await plays(signed_in)
    await signed_in.get_by_role("button", name="Pause").click()
    await becomes(signed_in, PAUSED)


@pytest.mark.parametrize(
    "title", ["Harbour Lights", "Late Tram", "Paper Carousel", "Wooden Rain", "Under the Stars"]
)
async def test_every_format_plays(signed_in: Page, title: str) -> None:
    await choose(signed_in, title)
    await plays(signed_in)


async def test_search(signed_in: Page) -> None:
    await signed_in.get_by_label("Search title, artist, album").fill("tram")
    await expect(signed_in.locator("#tracks li")).to_have_count(1)


async def test_it_plays_on_undisturbed(signed_in: Page) -> None:
    await signed_in.evaluate(
        "window.seeks = 0;"
        "document.getElementById('audio').addEventListener('seeking', () => window.seeks++)"
    )
    await choose(signed_in, "Harbour Lights")
    await plays(signed_in)
    started = await signed_in.evaluate(f"window.seeks = 0, [{POSITION}, performance.now() / 1000]")
    await signed_in.wait_for_timeout(5000)
    ended = await signed_in.evaluate(f"[{POSITION}, performance.now() / 1000, window.seeks]")
    assert ended[0] - started[0] == pytest.approx(ended[1] - started[1], abs=0.3)
    assert ended[2] == 0


async def test_another_tab_acts_and_this_one_follows(
    signed_in: Page, server: ServerProcess, token: Token
) -> None:
    await choose(signed_in, "Harbour Lights")
    await plays(signed_in)
    other = await signed_in.context.new_page()
    problems = watch(other)
    await other.goto(f"{server.url}/#token={token('demo')}")
    await plays(other)
    await other.get_by_role("button", name="Pause").click()
    await becomes(signed_in, PAUSED)
    await other.get_by_role("button", name="Play", exact=True).click()
    await plays(signed_in)
    await choose(other, "Late Tram")
    await expect(signed_in.locator("#now-title")).to_have_text("Late Tram")
    await plays(signed_in)
    assert problems == []


async def test_at_phone_width_nothing_is_cut_off(signed_in: Page) -> None:
    await signed_in.set_viewport_size({"width": 360, "height": 740})
    await choose(signed_in, "First Light")
    await plays(signed_in)
    assert await signed_in.evaluate("document.documentElement.scrollWidth") <= 360
    await expect(signed_in.get_by_role("button", name="Pause")).to_be_in_viewport()


async def test_the_picture(signed_in: Page, tmp_path: Path) -> None:
    await choose(signed_in, "First Light")
    await plays(signed_in, beyond=3.0)
    picture = await signed_in.screenshot(path=tmp_path / "player.png")
    assert picture.startswith(b"\x89PNG")
    if "UPDATE_PICTURE" in os.environ:
        PICTURE.write_bytes(picture)
