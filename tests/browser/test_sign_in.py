"""Staying signed in, a QR code that signs a phone in, and the page as an installed application."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.paths import WEB
from tests.support.server_process import ServerProcess

from .player_page import becomes, new_page, open_player

Token = Callable[..., str]
STORED = "localStorage.getItem('audiostream.token')"


async def sign_in(page: Page, server: ServerProcess, token: str, *, stay: bool) -> None:
    await page.goto(server.url)
    await page.get_by_label("Access token").fill(token)
    if stay:
        await page.get_by_role("checkbox", name="Stay signed in on this device").check()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Connected")).to_be_attached()


async def test_a_tab_that_shall_not_stay_signed_in_leaves_no_token(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    await sign_in(page, server, token("demo"), stay=False)
    assert await page.evaluate(STORED) is None
    other = await page.context.new_page()
    await other.goto(server.url)
    await expect(other.get_by_label("Access token")).to_be_visible()


async def test_a_device_that_stays_signed_in_does_so_in_new_tabs_until_one_signs_out(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    await sign_in(page, server, token("demo"), stay=True)
    other = await page.context.new_page()
    await other.goto(server.url)
    await expect(other.get_by_text("Connected")).to_be_attached()
    await other.get_by_role("button", name="Menu").click()
    await expect(other.get_by_role("switch")).to_be_checked()
    await other.get_by_role("button", name="Sign out").click()
    for tab in (page, other):
        await expect(tab.get_by_label("Access token")).to_be_visible()
    assert await page.evaluate(STORED) is None


async def test_the_switch_in_the_menu_keeps_the_token_and_drops_it_again(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    await open_player(page, server, token("demo"))
    await page.get_by_role("button", name="Menu").click()
    switch = page.get_by_role("switch", name="Stay signed in on this device")
    await switch.check()
    await becomes(page, f"{STORED} !== null")
    await switch.uncheck()
    await becomes(page, f"{STORED} === null")
    await page.reload()
    await expect(page.get_by_text("Connected")).to_be_attached()


async def test_a_qr_code_of_the_signed_in_address_is_shown_on_request(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    pytest.importorskip("segno", reason="the [qr] extra is not installed")
    page = await new_page(browser)
    await open_player(page, server, token("demo"))
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("button", name="Sign in a phone").click()
    dialog = page.get_by_role("dialog", name="Sign in a phone")
    await expect(dialog.get_by_role("img", name="QR code")).to_be_visible()
    await becomes(page, "document.querySelector('#qr-code path').getAttribute('d')?.length > 1000")
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_be_hidden()
    await becomes(page, "document.querySelector('#qr-code path').getAttribute('d') === null")
    assert all(token("demo") not in line for line in server.log)


async def test_the_manifest_of_the_application_names_icons_that_are_there(
    browser: Browser, server: ServerProcess
) -> None:
    page = await new_page(browser)
    await page.goto(server.url)
    session = await page.context.new_cdp_session(page)
    manifest = await session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    problems = await session.send("Page.getInstallabilityErrors")
    assert [each["errorId"] for each in problems["installabilityErrors"]] in ([], ["in-incognito"])
    for icon in json.loads(manifest["data"])["icons"]:
        size = (await page.request.get(f"{server.url}/{icon['src']}")).headers["content-length"]
        assert int(size) == (WEB / icon["src"]).stat().st_size
