"""The player page loses its connection and comes back: what was done meanwhile stays done."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from ..conftest import Launch, ServerProcess
from .conftest import SAMPLES
from .test_player import PAUSED, POSITION, becomes, choose, plays

Token = Callable[..., str]
AWAY = 3.0


@dataclass
class Line:
    """The page's WebSocket, which a test takes away and gives back."""

    is_up: bool = True
    open: list[tuple[WebSocketRoute, WebSocketRoute]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)

    async def connect(self, page_side: WebSocketRoute) -> None:
        if not self.is_up:
            await page_side.close()
            return
        server_side = page_side.connect_to_server()
        self.open.append((page_side, server_side))

        def pass_on(text: str | bytes) -> None:
            self.sent.append(json.loads(text))
            server_side.send(text)

        page_side.on_message(pass_on)

    async def cut(self) -> None:
        self.is_up = False
        while self.open:
            page_side, server_side = self.open.pop()
            await server_side.close()
            await page_side.close()
        self.sent.clear()

    def commands(self) -> list[str]:
        """What the page has commanded since its line was cut."""
        events = [frame["event"] for frame in self.sent]
        return [event for event in events if event in ("playTrack", "pauseTrack")]


@dataclass
class Site:
    server: ServerProcess
    token: str
    page: Page
    line: Line

    def ask(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.server.url}/api/tracks{path}",
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def state(self) -> Any:
        return self.ask("/current-state")

    def track(self, title: str) -> str:
        (found,) = [each for each in self.ask("")["tracks"] if each["title"] == title]
        identity: str = found["id"]
        return identity

    async def comes_back(self) -> None:
        self.line.is_up = True
        await self.page.evaluate("dispatchEvent(new Event('online'))")
        await expect(self.page.get_by_text("Connected")).to_be_visible(timeout=15_000)
        await asyncio.sleep(1.0)


@pytest.fixture
async def site(browser: Browser, server: ServerProcess, token: Token) -> Site:
    """A page that plays, and leads."""
    return await site_of(browser, server, token("demo"))


async def site_of(
    browser: Browser, server: ServerProcess, token: str, title: str = "First Light"
) -> Site:
    context = await browser.new_context()
    page, line = await context.new_page(), Line()
    await page.route_web_socket("**/ws", line.connect)
    await page.goto(f"{server.url}/#token={token}")
    await choose(page, title)
    await plays(page)
    return Site(server, token, page, line)


async def test_a_pause_elsewhere_while_the_page_was_away_stays_a_pause(site: Site) -> None:
    await site.line.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    site.ask(f"/pause/{site.track('First Light')}", "POST", {})
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await becomes(site.page, PAUSED)
    await asyncio.sleep(2.5)
    assert await site.page.evaluate(PAUSED)
    assert not site.state()["isPlaying"]
    assert site.line.commands() == []


async def test_another_track_elsewhere_while_the_page_was_away_is_followed(site: Site) -> None:
    await site.line.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    other = site.track("Harbour Lights")
    site.ask(f"/play/{other}", "POST", {"currentTime": 3})
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await expect(site.page.locator("#now-title")).to_have_text("Harbour Lights")
    await plays(site.page, beyond=3.0)
    state = site.state()
    assert (state["trackId"], state["isPlaying"]) == (other, True)
    assert site.line.commands() == []


async def test_a_page_that_played_on_while_it_was_away_is_not_disturbed(site: Site) -> None:
    await site.page.evaluate(
        "window.seeks = 0;"
        "document.getElementById('audio').addEventListener('seeking', () => window.seeks++)"
    )
    await site.line.cut()
    await asyncio.sleep(AWAY)
    await site.comes_back()
    here = await site.page.evaluate(POSITION)
    assert not await site.page.evaluate(PAUSED)
    assert await site.page.evaluate("window.seeks") == 0
    state = site.state()
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)


async def test_a_pause_in_the_page_while_it_was_away_counts(site: Site) -> None:
    await site.line.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await site.page.get_by_role("button", name="Pause").click()
    await asyncio.sleep(AWAY)
    await site.comes_back()
    assert not site.state()["isPlaying"]
    assert await site.page.evaluate(PAUSED)


async def test_an_act_in_the_page_while_it_was_away_gives_way_to_one_elsewhere(
    site: Site,
) -> None:
    await site.line.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await choose(site.page, "Late Tram")
    site.ask(f"/pause/{site.track('First Light')}", "POST", {})
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await becomes(site.page, PAUSED)
    await expect(site.page.locator("#now-title")).to_have_text("First Light")
    state = site.state()
    assert (state["trackId"], state["isPlaying"]) == (site.track("First Light"), False)
    assert site.line.commands() == []


async def test_an_act_before_the_first_other_one_gives_way_to_it_too(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    context = await browser.new_context()
    page, line = await context.new_page(), Line()
    await page.route_web_socket("**/ws", line.connect)
    await page.goto(f"{server.url}/#token={token('demo')}")
    await expect(page.get_by_text("Connected")).to_be_visible()
    await expect(page.locator("#tracks li")).to_have_count(6)
    site = Site(server, token("demo"), page, line)
    await line.cut()
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    await choose(page, "Late Tram")
    other = site.track("Harbour Lights")
    site.ask(f"/play/{other}", "POST", {})
    await asyncio.sleep(1.0)
    await site.comes_back()
    await expect(page.locator("#now-title")).to_have_text("Harbour Lights")
    assert site.state()["trackId"] == other


async def test_a_page_goes_on_through_a_restart_of_the_server_that_keeps_its_state(
    browser: Browser, launch: Launch, token: Token, tmp_path: Path
) -> None:
    state_file = str(tmp_path / "state.sqlite3")
    first = launch("--media", str(SAMPLES), "--state", state_file)
    first.wait_for_log("the library has 6 tracks")
    site = await site_of(browser, first, token("demo"))
    await asyncio.sleep(1.5)  # an accepted change is saved within a second
    site.line.sent.clear()
    first.stop()
    launch("--media", str(SAMPLES), "--state", state_file, "--port", str(first.port))
    await site.comes_back()
    await asyncio.sleep(1.0)
    before = await site.page.evaluate(POSITION)
    await plays(site.page, beyond=before + 0.5)
    assert site.state()["isPlaying"]
    assert site.line.commands() == []


async def test_a_page_that_plays_alone_goes_on_after_half_a_minute_without_its_connection(
    browser: Browser, launch: Launch, token: Token
) -> None:
    site = await site_of(browser, launch(), token("demo"), "Song")
    await site.line.cut()
    async with asyncio.timeout(50):
        while (await asyncio.to_thread(site.state))["isPlaying"]:
            await asyncio.sleep(0.5)
    await site.comes_back()
    assert not await site.page.evaluate(PAUSED)
    state, here = site.state(), await site.page.evaluate(POSITION)
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)
    assert site.line.commands() == []
