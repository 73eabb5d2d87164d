"""A browser that starts no sound before a user gesture: the page says so, and disturbs nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from aiohttp import ClientSession
from playwright.async_api import Browser, Page, expect

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch, ServerProcess
from tests.support.ws_client import connect

from .chromium import AUTOPLAY, FLAGS, chromium
from .player_page import PAUSED, POSITION, RestClient, becomes, new_page

Token = Callable[..., str]
SETTLED = 3.0
"""Seconds in which a page that plays would have reported, and one that echoes have disturbed."""


async def tap_prompt(page: Page) -> None:
    """Tap near the edge of the prompt: all of it is one button."""
    box = await page.locator("#listen").bounding_box()
    assert box is not None
    await page.mouse.click(box["x"] + 12, box["y"] + box["height"] - 12)


async def press_space(page: Page) -> None:
    await page.keyboard.press("Space")


async def press_play(page: Page) -> None:
    await page.locator("#toggle").click()


STARTS = {"desktop": tap_prompt, "phone": tap_prompt, "key": press_space, "button": press_play}
"""By the name of the user who does so."""


async def test_where_autoplay_is_refused_a_tap_starts_the_audio_and_the_room_plays_on(
    launch: Launch, media: Path, token: Token
) -> None:
    write_wav(media / "song.wav", 300.0)
    server = launch()
    server.wait_for_log("the library has")
    flags = [flag for flag in FLAGS if flag != AUTOPLAY]
    async with chromium(flags) as browser, ClientSession() as session, asyncio.TaskGroup() as group:
        for user in STARTS:
            group.create_task(start_blocked_page(browser, session, server, user, token(user)))


async def start_blocked_page(
    browser: Browser, session: ClientSession, server: ServerProcess, user: str, token: str
) -> None:
    rest = RestClient(server, token)
    async with connect(session, f"{server.url}/ws", token) as other:
        page = await new_page(browser, 390 if user == "phone" else 1200)
        before = await rest.play("song", currentTime=2)
        await other.receives("trackPlaying")
        # Playwright's own looks at the page count as gestures: none before the page is blocked.
        await page.goto(f"{server.url}/#token={token}")
        await asyncio.sleep(SETTLED)
        await expect(page.locator("#listen")).to_contain_text("Tap to listen")
        await expect(page.locator("#toggle")).to_have_accessible_name("Play")
        assert await page.evaluate(PAUSED)
        await other.receives_nothing()
        state = await rest.state()
        assert (state["isPlaying"], state["rev"]) == (True, before["rev"])
        await STARTS[user](page)
        await becomes(page, f"{POSITION} > 3 && !{PAUSED}")
        await expect(page.locator("#listen")).to_be_hidden()
        await asyncio.sleep(1)
        here, state = await page.evaluate(POSITION), await rest.state()
        assert abs(here - state["currentTime"]) < 1
        assert (state["isPlaying"], state["rev"]) == (True, before["rev"])
        await other.receives_nothing()
