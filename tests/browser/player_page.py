"""The player page in Chromium: opening it, choosing a track, and waiting for audio."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, expect

from tests.support.server_process import ServerProcess

PATIENCE = 30.0
"""Seconds for what must come."""
POSITION = "document.getElementById('audio').currentTime"
PAUSED = "document.getElementById('audio').paused"


@dataclass(frozen=True, slots=True)
class RestClient:
    """The REST API of a server, as one user."""

    server: ServerProcess
    token: str

    async def request(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """The JSON of a response, which must be a success."""
        url = f"{self.server.url}/api/tracks{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url, json=body) as answer,
        ):
            assert answer.ok, await answer.text()
            return await answer.json()

    async def state(self) -> Any:
        return await self.request("/current-state")

    async def play(self, track: str, **body: Any) -> Any:
        return await self.request(f"/play/{track}", "POST", body)

    async def pause(self, track: str) -> Any:
        return await self.request(f"/pause/{track}", "POST", {})

    async def track(self, title: str) -> str:
        """The id of the one track with this title."""
        tracks = (await self.request(""))["tracks"]
        (found,) = [each["id"] for each in tracks if each["title"] == title]
        identity: str = found
        return identity


async def new_page(browser: Browser, width: int = 1200, height: int = 800) -> Page:
    """A page with a storage of its own."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    return await context.new_page()


async def open_player(page: Page, server: ServerProcess, token: str, query: str = "") -> None:
    """Load the player, and wait until it is connected and has the library."""
    await page.goto(f"{server.url}/{query}#token={token}")
    await expect(page.get_by_text("Connected")).to_be_attached()
    if "kiosk" in query:  # its rows are made when the library is opened
        await expect(page.locator("#toggle")).to_be_enabled()
    else:
        await expect(page.locator("#tracks li").first).to_be_attached()


async def becomes(page: Page, true: str) -> None:
    """Wait for an expression; from outside, as the page's policy forbids to evaluate inside."""
    async with asyncio.timeout(PATIENCE):
        while not await page.evaluate(true):
            await asyncio.sleep(0.05)


async def plays(page: Page, beyond: float = 0.5) -> None:
    await becomes(page, f"{POSITION} > {beyond} && !{PAUSED}")


async def choose(page: Page, title: str) -> None:
    await page.locator("#tracks").get_by_text(title, exact=True).click()
