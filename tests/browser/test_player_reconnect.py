"""The player page loses its connection and comes back: what was done meanwhile stays done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch, ServerProcess

from .conftest import SAMPLES
from .player_page import (
    PATIENCE,
    PAUSED,
    POSITION,
    RestClient,
    becomes,
    choose,
    new_page,
    open_player,
    plays,
)

Token = Callable[..., str]
AWAY = 3.0
"""Seconds without a connection."""


@dataclass
class Connection:
    """The page's WebSocket, which a test cuts and restores."""

    is_up: bool = True
    is_answering: bool = True
    is_state_known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the page was sent a state: before, it cannot tell who has acted in an outage."""
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

        def answer(text: str | bytes) -> None:
            if self.is_answering:
                page_side.send(text)
                if json.loads(text)["event"] == "trackState":
                    self.is_state_known.set()

        page_side.on_message(pass_on)
        server_side.on_message(answer)

    async def cut(self) -> None:
        self.is_up = False
        while self.open:
            page_side, server_side = self.open.pop()
            await server_side.close()
            await page_side.close()
        self.sent.clear()

    def commands(self) -> list[tuple[str, str]]:
        """What the page has commanded since its connection was cut: events and command ids."""
        commands = [frame for frame in self.sent if frame["event"] in ("playTrack", "pauseTrack")]
        return [(frame["event"], frame["data"]["commandId"]) for frame in commands]


@dataclass
class Site:
    page: Page
    connection: Connection
    rest: RestClient

    async def comes_back(self) -> None:
        self.connection.is_up = True
        await self.page.evaluate("dispatchEvent(new Event('online'))")
        await expect(self.page.get_by_text("Connected")).to_be_visible()
        await asyncio.sleep(1.0)


async def connected(browser: Browser, server: ServerProcess, token: str) -> Site:
    """A page that is connected, has been sent the state, and shows the library."""
    page, connection = await new_page(browser), Connection()
    await page.route_web_socket("**/ws", connection.connect)
    await open_player(page, server, token)
    async with asyncio.timeout(PATIENCE):
        await connection.is_state_known.wait()
    return Site(page, connection, RestClient(server, token))


async def playing(
    browser: Browser, server: ServerProcess, token: str, title: str = "First Light"
) -> Site:
    """A page that plays, as the active device."""
    site = await connected(browser, server, token)
    await choose(site.page, title)
    await plays(site.page)
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def site(browser: Browser, server: ServerProcess, token: Token) -> Site:
    return await playing(browser, server, token("demo"))


async def test_a_pause_elsewhere_while_the_page_was_disconnected_is_followed(site: Site) -> None:
    await site.connection.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await site.rest.pause(await site.rest.track("First Light"))
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await becomes(site.page, PAUSED)
    await asyncio.sleep(2.5)
    assert await site.page.evaluate(PAUSED)
    assert not (await site.rest.state())["isPlaying"]
    assert site.connection.commands() == []


async def test_another_track_elsewhere_while_the_page_was_disconnected_is_followed(
    site: Site,
) -> None:
    await site.connection.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    other = await site.rest.track("Harbour Lights")
    await site.rest.play(other, currentTime=3)
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await expect(site.page.locator("#now-title")).to_have_text("Harbour Lights")
    await plays(site.page, beyond=3.0)
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == (other, True)
    assert site.connection.commands() == []


async def test_a_page_that_played_on_while_disconnected_is_not_sought(site: Site) -> None:
    await site.page.evaluate(
        "window.seeks = 0;"
        "document.getElementById('audio').addEventListener('seeking', () => window.seeks++)"
    )
    await site.connection.cut()
    await asyncio.sleep(AWAY)
    await site.comes_back()
    here = await site.page.evaluate(POSITION)
    assert not await site.page.evaluate(PAUSED)
    assert await site.page.evaluate("window.seeks") == 0
    state = await site.rest.state()
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)


async def test_a_pause_in_the_page_while_disconnected_takes_effect(site: Site) -> None:
    await site.connection.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await site.page.get_by_role("button", name="Pause").click()
    await asyncio.sleep(AWAY)
    await site.comes_back()
    assert not (await site.rest.state())["isPlaying"]
    assert await site.page.evaluate(PAUSED)


async def test_a_pause_whose_answer_was_lost_is_sent_again_and_takes_effect_once(
    site: Site,
) -> None:
    rev = (await site.rest.state())["rev"]
    site.connection.sent.clear()
    site.connection.is_answering = False
    await site.page.get_by_role("button", name="Pause").click()
    async with asyncio.timeout(PATIENCE):
        while (await site.rest.state())["isPlaying"]:
            await asyncio.sleep(0.1)
    (pause,) = site.connection.commands()
    await site.connection.cut()
    site.connection.is_answering = True
    await site.comes_back()
    assert site.connection.commands() == [pause]
    state = await site.rest.state()
    assert (state["isPlaying"], state["rev"]) == (False, rev + 1)
    assert await site.page.evaluate(PAUSED)


async def test_an_action_in_the_page_while_disconnected_gives_way_to_one_elsewhere(
    site: Site,
) -> None:
    await site.connection.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await choose(site.page, "Late Tram")
    await site.rest.pause(await site.rest.track("First Light"))
    await asyncio.sleep(AWAY)
    await site.comes_back()
    await becomes(site.page, PAUSED)
    await expect(site.page.locator("#now-title")).to_have_text("First Light")
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == (
        await site.rest.track("First Light"),
        False,
    )
    assert site.connection.commands() == []


async def test_an_action_while_disconnected_gives_way_to_the_first_one_ever_elsewhere(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    site = await connected(browser, server, token("demo"))
    await site.connection.cut()
    await expect(site.page.get_by_text("Reconnecting")).to_be_visible()
    await choose(site.page, "Late Tram")
    other = await site.rest.track("Harbour Lights")
    await site.rest.play(other)
    await asyncio.sleep(1.0)
    await site.comes_back()
    await expect(site.page.locator("#now-title")).to_have_text("Harbour Lights")
    assert (await site.rest.state())["trackId"] == other


async def test_a_page_goes_on_through_a_restart_of_the_server_that_keeps_its_state(
    browser: Browser, launch: Launch, token: Token, tmp_path: Path
) -> None:
    state_file = str(tmp_path / "state.sqlite3")
    first = launch("--media", str(SAMPLES), "--state", state_file)
    first.wait_for_log("the library has 6 tracks")
    site = await playing(browser, first, token("demo"))
    await asyncio.sleep(1.5)  # an accepted change is saved within a second
    site.connection.sent.clear()
    first.stop()
    launch("--media", str(SAMPLES), "--state", state_file, "--port", str(first.port))
    await site.comes_back()
    await asyncio.sleep(1.0)
    before = await site.page.evaluate(POSITION)
    await plays(site.page, beyond=before + 0.5)
    assert (await site.rest.state())["isPlaying"]
    assert site.connection.commands() == []


async def test_a_track_that_begins_while_the_server_is_away_plays_on_after_its_restart(
    browser: Browser, launch: Launch, token: Token, tmp_path: Path
) -> None:
    media = tmp_path / "two"
    for title in ("One", "Two"):
        write_wav(media / f"{title}.wav", 8.0)
    options = "--media", str(media), "--state", str(tmp_path / "state.sqlite3")
    first = launch(*options)
    site = await playing(browser, first, token("demo"), "One")
    await asyncio.sleep(1.5)  # an accepted change is saved within a second
    first.stop()
    await becomes(site.page, "document.getElementById('now-title').textContent === 'Two'")
    launch(*options, "--port", str(first.port))
    await site.comes_back()
    await plays(site.page)
    state, two = await site.rest.state(), await site.rest.track("Two")
    assert (state["trackId"], state["isPlaying"]) == (two, True)


async def test_a_page_that_plays_alone_goes_on_after_half_a_minute_without_its_connection(
    browser: Browser, launch: Launch, token: Token
) -> None:
    site = await playing(browser, launch(), token("demo"), "Song")
    await site.connection.cut()
    async with asyncio.timeout(2 * PATIENCE):
        while (await site.rest.state())["isPlaying"]:
            await asyncio.sleep(0.5)
    await site.comes_back()
    assert not await site.page.evaluate(PAUSED)
    state, here = await site.rest.state(), await site.page.evaluate(POSITION)
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)
    assert site.connection.commands() == []
