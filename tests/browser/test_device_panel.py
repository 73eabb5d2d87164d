"""The device panel: where it plays, how loud and under which name; with a device without a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession
from playwright.async_api import Browser, Locator, Page, expect

from tests.support.server_process import ServerProcess
from tests.support.ws_client import Peer, connect

from .conftest import watch
from .player_page import PATIENCE, RestClient, becomes, choose, new_page, open_player

Token = Callable[..., str]
AUDIO = "document.getElementById('audio')"


@asynccontextmanager
async def kitchen(server: ServerProcess, token: str) -> AsyncIterator[Peer]:
    """A device called Kitchen with nothing but a WebSocket."""
    address = f"{server.url}/ws?deviceId=kitchen&deviceName=Kitchen"
    async with ClientSession() as session, connect(session, address, token) as peer:
        yield peer


async def received(peer: Peer, event: str) -> dict[str, Any]:
    """The data of the next frame of this event, past any others."""
    async with asyncio.timeout(PATIENCE):
        while (frame := await peer.frame())["event"] != event:
            pass
    data: dict[str, Any] = frame["data"]
    return data


async def opened(page: Page, server: ServerProcess, token: str) -> Page:
    await open_player(page, server, token)
    return page


async def open_devices(page: Page) -> None:
    """Open the panel, on a phone from the full view of the player."""
    if not await page.locator("#open-devices").is_visible():
        await page.locator("#open-full").click()
    await page.locator("#open-devices").click()


def row(page: Page, name: str) -> Locator:
    return page.locator("#devices-list li").filter(has_text=name)


async def test_play_on_another_device_and_play_here_move_what_sounds(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await opened(await new_page(browser), server, token("demo"))
    problems = watch(page)
    async with kitchen(server, token("demo")) as peer:
        await choose(page, "Harbour Lights")
        await becomes(page, f"!{AUDIO}.paused")
        await page.locator("#open-devices").click()
        own, other = page.locator("#devices-list li").first, row(page, "Kitchen")
        await expect(own).to_contain_text("Chrome, Linux · Playing · Harbour Lights")
        await expect(own.locator(".name")).to_have_text("This device")
        await expect(page.locator("#active-device")).to_have_text("This device")
        await expect(own.get_by_role("button", name="Play here")).to_be_hidden()
        await other.get_by_role("button", name="Play on Kitchen").click()
        await expect(other).to_contain_text("Playing · Harbour Lights")
        await expect(page.locator("#remote")).to_contain_text("Playing on Kitchen")
        await expect(page.locator("#active-device")).to_have_text("Kitchen")
        await becomes(page, f"{AUDIO}.paused")
        await page.keyboard.press("Escape")
        await expect(page.locator("#device-panel")).to_be_hidden()
        await expect(page.locator("#open-devices")).to_be_focused()
        await page.get_by_role("button", name="Pause").click()
        assert (await received(peer, "trackPaused"))["deviceId"] == "kitchen"
        await expect(page.locator("#remote")).to_contain_text("Paused on Kitchen")
        await page.locator("#remote").get_by_role("button", name="Play here").click()
        await becomes(page, f"!{AUDIO}.paused")
        await expect(page.locator("#remote")).to_be_hidden()
    await expect(page.locator("#devices-list li")).to_have_count(1)
    assert problems == []
    await page.context.close()


async def test_the_volume_of_another_device_is_shown_and_set(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await opened(await new_page(browser), server, token("demo"))
    async with kitchen(server, token("demo")) as peer:
        await page.locator("#open-devices").click()
        other = row(page, "Kitchen")
        slider, mute = other.get_by_role("slider"), other.get_by_role("button", name="Mute Kitchen")
        await expect(other).to_be_visible()
        await expect(slider).to_be_hidden()  # it has reported no volume
        await expect(mute).to_be_hidden()
        await peer.send("deviceUpdate", volume=0.6, muted=False)
        await expect(slider).to_have_value("60")
        await slider.focus()
        for _ in range(30):
            await page.keyboard.press("ArrowDown")
        volumes = [await received(peer, "volume")]
        while volumes[-1]["volume"] != 0.3:
            volumes.append(await received(peer, "volume"))
        assert len(volumes) < 20  # not one for each key
        await peer.send("deviceUpdate", volume=0.5, muted=False)  # as loud as it dares to be
        await expect(slider).to_have_value("50")
        await mute.click()
        assert await received(peer, "volume") == {"muted": True}
        await peer.send("deviceUpdate", muted=True)
        await expect(mute).to_have_attribute("aria-pressed", "true")
        await expect(slider).to_have_attribute("aria-valuetext", "muted")
    await page.context.close()


async def test_a_page_obeys_the_volume_that_another_page_sets(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    one = await opened(await new_page(browser), server, token("demo"))
    other = await opened(await new_page(browser, 390, 844), server, token("demo"))
    await choose(one, "Late Tram")
    await becomes(one, f"!{AUDIO}.paused")
    await open_devices(other)
    theirs = other.locator("#devices-list li").nth(1)
    await expect(theirs).to_contain_text("Playing · Late Tram")
    await expect(theirs.locator(".name")).to_have_text("Chrome, Linux")
    await expect(other.locator("#devices-list li").first).to_contain_text("Chrome, Linux (2)")
    await expect(other.locator("#remote")).to_contain_text("Playing on Chrome, Linux")
    await theirs.get_by_role("slider").fill("25")
    await becomes(one, f"{AUDIO}.volume === 0.25")
    await one.evaluate(f"{AUDIO}.muted = true")
    await expect(theirs.get_by_role("button", name="Mute")).to_have_attribute(
        "aria-pressed", "true"
    )
    await one.evaluate(f"({AUDIO}.muted = false, {AUDIO}.volume = 0.75)")
    await expect(theirs.get_by_role("slider")).to_have_value("75")
    own = other.locator("#devices-list li").first.get_by_role("slider")
    await own.fill("40")
    assert await other.evaluate(f"{AUDIO}.volume") == 0.4
    for page in (one, other):
        await page.context.close()


async def test_the_volume_in_the_bar_is_that_of_the_device_that_plays(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await opened(await new_page(browser), server, token("demo"))
    rest = RestClient(server, token("demo"))
    async with kitchen(server, token("demo")) as peer:
        await peer.send("deviceUpdate", volume=0.6, muted=False)
        await peer.send("playTrack", trackId=await rest.track("Late Tram"))
        bar = page.locator("#now")
        await expect(bar.get_by_role("slider", name="Volume of Kitchen")).to_have_value("60")
        await expect(bar.get_by_role("slider", name="Volume of this tab")).to_be_hidden()
        await bar.get_by_role("slider", name="Volume of Kitchen").fill("20")
        assert (await received(peer, "volume"))["volume"] == 0.2
        assert await page.evaluate(f"{AUDIO}.volume") == 1
    await expect(bar.get_by_role("slider", name="Volume of this tab")).to_be_visible()
    await page.context.close()


async def test_a_device_that_is_renamed_has_its_name_everywhere_and_after_a_reload(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await opened(await new_page(browser), server, token("demo"))
    other = await opened(await new_page(browser), server, token("demo"))
    await page.locator("#open-devices").click()
    name = page.get_by_label("Name of this device")
    await name.fill("Living room 🛋")
    await name.press("Enter")
    await expect(page.locator("#device-status")).to_contain_text("“Living room 🛋”")
    await other.locator("#open-devices").click()
    await expect(row(other, "Living room 🛋")).to_be_visible()
    await opened(page, server, token("demo"))
    await page.reload()
    await expect(row(other, "Living room 🛋")).to_be_visible()
    await page.locator("#open-devices").click()
    await expect(name).to_have_value("Living room 🛋")
    await name.fill("  ")
    await page.get_by_role("button", name="Save").click()
    await expect(row(other, "Living room 🛋")).to_be_hidden()
    for each in (page, other):
        await each.context.close()
