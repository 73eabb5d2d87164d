"""A server whose pages run ``client.js``, or the npm package socket.io-client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from tests.support.server_process import ServerProcess

from . import pages

Token = Callable[..., str]
LONGEST = "First Light"
"""The title of the longest sample."""
PATIENCE = 30_000.0
"""Milliseconds for what must come."""
PLAYED = "!audio.paused && audio.currentTime > 0.3"


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and how its pages reach it."""

    server: ServerProcess
    client: str
    browser: Browser
    node_modules: Path | None
    token: Token

    @property
    def url(self) -> str:
        return self.server.url

    async def context(self, user: str) -> BrowserContext:
        context = await self.browser.new_context(permissions=pages.PERMISSIONS)
        context.set_default_timeout(PATIENCE)
        await pages.serve(context, self.url, self.client, self.node_modules)
        if self.client == pages.BUNDLE:  # the package knows nothing of our cookie
            headers = {"Authorization": f"Bearer {self.token(user)}"}
            await context.request.post(f"{self.url}/session", headers=headers)
        return context

    async def player(self, context: BrowserContext, user: str) -> Page:
        page = await pages.opened(context, f"{self.url}/spec.html", self.token(user))
        await page.wait_for_function("socket.connected")
        return page

    async def tab_that_plays(self, user: str) -> Page:
        page = await self.player(await self.context(user), user)
        await page.evaluate("id => playTrack(id)", await self.track(page, user))
        await page.wait_for_function(PLAYED)
        return page

    async def tabs_that_play(self, user: str) -> tuple[Page, Page]:
        """Two tabs of one browser; the second came later and asked for the state."""
        first = await self.tab_that_plays(user)
        second = await self.player(first.context, user)
        await second.evaluate("() => { socket.emit('getCurrentState'); }")
        await second.wait_for_function(PLAYED)
        return first, second

    async def track(self, page: Page, user: str) -> str:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        answer = await page.context.request.get(
            f"{self.url}/tracks", headers=headers, params={"q": LONGEST}
        )
        (track,) = (await answer.json())["tracks"]
        found: str = track["id"]
        return found

    async def state(self, page: Page, user: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        answer = await page.context.request.get(f"{self.url}/tracks/current-state", headers=headers)
        state: dict[str, Any] = await answer.json()
        return state


async def run(page: Page, script: str, argument: Any = None) -> Any:
    """What a script in the page answers; a promise that is never kept is a failure."""
    async with asyncio.timeout(PATIENCE / 1000):
        return await page.evaluate(script, argument)
