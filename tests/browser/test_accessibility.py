"""axe-core finds no violation in any state of the page: light, dark, on a phone and on a kiosk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.server_process import ServerProcess

from .audit import Audit
from .player_page import choose, plays
from .test_device_panel import kitchen, open_devices, row

Token = Callable[..., str]


class View(NamedTuple):
    """A view that has to be usable by everybody."""

    query: str = ""
    width: int = 1200
    height: int = 800
    scheme: Literal["light", "dark"] = "light"


VIEWS = {
    "light": View(),
    "dark": View(scheme="dark"),
    "phone": View(width=360, height=740),
    "kiosk": View("?kiosk=1", 1024, 600, "dark"),
}


@pytest_asyncio.fixture(params=VIEWS, loop_scope="session")
async def view(request: pytest.FixtureRequest) -> View:
    return VIEWS[request.param]


@pytest_asyncio.fixture(loop_scope="session")
async def audit(browser: Browser, node_modules: Path, view: View) -> Audit:
    axe = (node_modules / "axe-core" / "axe.min.js").read_text()
    context = await browser.new_context(
        viewport={"width": view.width, "height": view.height},
        color_scheme=view.scheme,
        bypass_csp=True,
    )
    return Audit(await context.new_page(), axe)


async def test_axe_finds_no_violation_while_signing_in(
    audit: Audit, view: View, server: ServerProcess
) -> None:
    page = audit.page
    await page.goto(f"{server.url}/{view.query}")
    await audit.look("sign-in")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("Paste a token first")
    await audit.look("problem")
    assert audit.violations == []


async def test_axe_finds_no_violation_in_any_state_of_the_player(
    audit: Audit, view: View, server: ServerProcess, token: Token
) -> None:
    page = audit.page
    await page.goto(f"{server.url}/{view.query}#token={token('demo', 55)}")
    await expect(page.get_by_text("Connected")).to_be_attached()
    await expect(page.locator("#notice")).to_contain_text("ends within a minute")
    await audit.look("empty, with a notice")
    await page.goto(f"{server.url}/{view.query}#token={token('demo')}")
    if view.query:
        await page.get_by_role("button", name="Choose a track").click()
    await expect(page.locator("#tracks li")).to_have_count(6)
    await choose(page, "First Light")
    await plays(page)
    await audit.look("playing")
    await page.evaluate("away.hidden = listen.hidden = false")
    await audit.look("blocked and without a server")
    await page.evaluate("(away.hidden = listen.hidden = true)")
    await look_at_panels(audit, server, token("demo"))
    assert await page.evaluate("document.documentElement.scrollWidth") <= view.width
    await page.keyboard.press("?")
    await audit.look("keys")
    await page.keyboard.press("Escape")
    if view.query:
        await page.get_by_role("button", name="Choose a track").click()
        await audit.look("library")
    else:
        await look_at_library(audit)
    assert audit.violations == []


async def look_at_panels(audit: Audit, server: ServerProcess, token: str) -> None:
    """Open the queue with what can be put back, and the devices with one that has a volume."""
    page = audit.page
    await page.locator("#open-queue").click()
    await page.locator("#queue-list li").last.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    await audit.look("queue")
    await page.keyboard.press("Escape")
    async with kitchen(server, token) as peer:
        await peer.send("deviceUpdate", volume=0.6, muted=False)
        await open_devices(page)
        await expect(row(page, "Kitchen").get_by_role("slider")).to_have_value("60")
        await audit.look("devices")
    await page.keyboard.press("Escape")
    await expect(page.locator("#device-panel")).to_be_hidden()
    close = page.get_by_role("button", name="Close the player")
    if await close.is_visible():
        await close.click()


async def look_at_library(audit: Audit) -> None:
    """Open what a kiosk does not have."""
    page = audit.page
    await page.get_by_role("button", name="Menu").click()
    await audit.look("menu")
    await page.keyboard.press("Escape")
    opener = page.get_by_role("button", name="Open the player")
    if await opener.is_visible():
        await opener.click()
        await audit.look("full view")
        await page.keyboard.press("Escape")
    await page.get_by_label("Search title, artist, album").fill("no such thing")
    await expect(page.get_by_text("Nothing matches")).to_be_visible()
    await audit.look("nothing found")
