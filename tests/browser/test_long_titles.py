"""Where the parts of the player are while a long title, or another device, plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.async_api import Browser, FloatRect, Page, expect

from tests.support.album import write_titles
from tests.support.server_process import ServerProcess

from .conftest import serving
from .player_page import choose, new_page, open_player, plays
from .test_device_panel import kitchen

Token = Callable[..., str]
TITLE = "The whole of the long winter sessions, volume four: songs for a house by the sea, as they "
TITLE += "were played in the spring of 74"
"""121 characters, as titles of classical music often have."""
DEVICE = "The loudspeakers of the kitchen, and those of the room beside it"
CONTROLS = ("#seek", ".transport", "#extras", "#panels")
PHONES = ((390, 844), (390, 664), (320, 640))
DESKTOPS = ((1280, 800), (1280, 720))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with two tracks of five minutes, both with long titles."""
    folder, artist = tmp_path_factory.mktemp("two"), "An ensemble with a long name"
    with serving(write_titles(folder, TITLE, f"Z {TITLE}", artist=artist)) as server:
        yield server


async def box_of(page: Page, selector: str) -> FloatRect:
    box = await page.locator(selector).bounding_box()
    assert box is not None, selector
    return box


async def expect_in_place(page: Page, *more: str) -> None:
    """The controls are on the screen, and the title is between the artwork and the seek bar."""
    await expect(page.locator("#now-title")).to_have_text(TITLE)
    for selector in (*CONTROLS, *more):
        await expect(page.locator(selector)).to_be_in_viewport(ratio=1)
    cover, title = await box_of(page, "#cover-frame"), await box_of(page, "#now-title")
    names, seek = await box_of(page, "#what"), await box_of(page, "#seek")
    assert cover["width"] == pytest.approx(cover["height"], abs=1)
    assert cover["y"] + cover["height"] <= title["y"]
    assert names["y"] + names["height"] <= seek["y"] + 1


async def test_a_phone_shows_a_long_title_in_full_and_where_else_it_plays(
    browser: Browser, two: ServerProcess, token: Token
) -> None:
    page = await new_page(browser, *PHONES[0])
    await open_player(page, two, token())
    await choose(page, TITLE)
    await plays(page)
    await page.locator("#open-full").click()
    for width, height in PHONES:
        await page.set_viewport_size({"width": width, "height": height})
        await expect_in_place(page)
        title, names = await box_of(page, "#now-title"), await box_of(page, "#what")
        assert title["height"] <= names["height"]
        assert (await box_of(page, "#now-next"))["height"] < 24  # one line
    async with kitchen(two, token()) as device:
        await page.locator("#open-devices").click()
        await page.get_by_role("button", name="Play on Kitchen").click()
        await page.keyboard.press("Escape")
        await expect(page.locator("#remote")).to_contain_text("Playing on Kitchen")
        await device.send("deviceUpdate", deviceName=DEVICE)
        await expect(page.locator("#remote")).to_contain_text(DEVICE)
        for width, height in PHONES:
            await page.set_viewport_size({"width": width, "height": height})
            await expect_in_place(page, "#remote", "#remote-play-here")
            label = page.locator("#open-queue span")  # the device's name gives way to it
            assert await label.evaluate("(span) => span.scrollWidth <= span.clientWidth")
        await page.locator("#remote-play-here").click()
        await plays(page)
    await page.context.close()


async def test_speed_and_sleep_stay_on_the_screen_of_a_desktop(
    browser: Browser, two: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    await open_player(page, two, token())
    await choose(page, TITLE)
    await plays(page)
    async with kitchen(two, token()):
        for is_remote in (False, True):
            if is_remote:
                await page.locator("#open-devices").click()
                await page.get_by_role("button", name="Play on Kitchen").click()
                await page.keyboard.press("Escape")
                await expect(page.locator("#remote")).to_contain_text("Playing on Kitchen")
            for width, height in DESKTOPS:
                await page.set_viewport_size({"width": width, "height": height})
                for name in ("Show the whole title", "Show less of the title"):
                    await expect_in_place(page, *["#remote"] * is_remote)
                    panels, extras = await box_of(page, "#panels"), await box_of(page, "#extras")
                    assert panels["y"] + panels["height"] + 4 <= extras["y"]
                    await page.get_by_role("button", name=name).click()
    await page.context.close()
