"""The queue panel: what it shows, each of its controls by pointer and by key, and its limits."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.support.server_process import Launch, ServerProcess

from .conftest import SAMPLES, watch
from .player_page import PATIENCE, RestClient, becomes, new_page, open_player

Token = Callable[..., str]
TITLES = (
    "First Light",
    "Harbour Lights",
    "Late Tram",
    "Paper Carousel",
    "Wooden Rain",
    "Under the Stars",
)
AUDIO = "document.getElementById('audio')"
ROW = 60
"""Pixels, as in css/panels.css."""


class Queue:
    """A page whose queue panel is open, and the server's queue."""

    def __init__(self, page: Page, rest: RestClient, ids: dict[str, str]) -> None:
        self.page = page
        self.rest = rest
        self.ids = ids
        self.rows = page.locator("#queue-list li")

    @classmethod
    async def open(cls, page: Page, server: ServerProcess, token: str, *titles: str) -> Queue:
        """Play the second of these tracks, with all of them as the queue."""
        rest = RestClient(server, token)
        ids = {each["title"]: each["id"] for each in (await rest.request(""))["tracks"]}
        if titles:
            queue = [ids[title] for title in titles]
            await rest.play(queue[1], queue=queue, queueIndex=1)
        await open_player(page, server, token)
        await page.locator("#open-queue").click()
        opened = cls(page, rest, ids)
        await expect(opened.rows).to_have_count(len(titles))
        return opened

    async def shows(self, *titles: str) -> None:
        """Wait until the panel and the server have these tracks in this order."""
        await expect(self.rows.locator(".title")).to_have_text(list(titles))
        wanted = [self.ids[title] for title in titles]
        async with asyncio.timeout(PATIENCE):
            while (await self.rest.request("/queue"))["trackIds"] != wanted:
                await asyncio.sleep(0.05)

    async def announces(self, text: str) -> None:
        await expect(self.page.locator("#queue-status")).to_have_text(text)

    async def drag(self, index: int, rows: float, *, drops: bool = True) -> None:
        """Drag a row by its handle, so many rows down."""
        box = await self.rows.nth(index).locator(".grab").bounding_box()
        assert box is not None
        x, y = box["x"] + 20, box["y"] + box["height"] / 2
        mouse = self.page.mouse
        await mouse.move(x, y)
        await mouse.down()
        await mouse.move(x, y + rows * ROW, steps=8)
        if drops:
            await mouse.up()


async def test_the_panel_shows_what_plays_and_follows_and_a_row_plays_from_there(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    problems = watch(page)
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    await expect(page.locator("#queue-summary")).to_contain_text("2 of 6")
    await expect(queue.rows.nth(1)).to_contain_text("Now")
    await expect(queue.rows.nth(2)).to_contain_text("Next")
    await expect(queue.rows.nth(1).locator(".entry")).to_have_attribute("aria-current", "true")
    await expect(page.locator("#open-queue")).to_have_attribute("aria-expanded", "true")
    await queue.rows.nth(3).locator(".entry").click()
    await expect(page.locator("#now-title")).to_have_text("Paper Carousel")
    await expect(queue.rows.nth(3)).to_contain_text("Now")
    await expect(queue.rows.nth(4)).to_contain_text("Next")
    await queue.shows(*TITLES)
    await page.keyboard.press("Escape")
    await expect(page.locator("#queue-panel")).to_be_hidden()
    await expect(page.locator("#open-queue")).to_be_focused()
    assert problems == []
    await page.context.close()


async def test_rows_are_moved_by_their_handle_with_the_pointer(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    first, second, third, fourth, fifth, sixth = TITLES
    await queue.drag(4, -2.2)
    await queue.shows(first, second, fifth, third, fourth, sixth)
    await queue.drag(1, 2)  # what plays
    await queue.shows(first, fifth, third, second, fourth, sixth)
    await expect(queue.rows.nth(3)).to_contain_text("Now")
    await queue.drag(5, -3, drops=False)
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await expect(page.locator("#queue-panel")).to_be_visible()
    await queue.shows(first, fifth, third, second, fourth, sixth)
    await queue.drag(0, 40)  # beyond the end
    await queue.shows(fifth, third, second, fourth, sixth, first)
    await page.context.close()


async def test_rows_are_moved_and_removed_by_the_keyboard_with_announcements(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    first, second, third, fourth, fifth, sixth = TITLES
    key = page.keyboard.press
    await queue.rows.nth(2).locator(".entry").focus()
    await key("Alt+ArrowDown")
    await key("Alt+ArrowDown")
    await queue.announces(f"{third}, place 5 of 6")
    await queue.shows(first, second, fourth, fifth, third, sixth)
    await expect(queue.rows.nth(4).locator(".entry")).to_be_focused()
    await key("Shift+Tab")
    handle = page.get_by_role("button", name=f"Move {third}", exact=True)
    await expect(handle).to_be_focused()
    await key("Space")
    await expect(handle).to_have_attribute("aria-pressed", "true")
    await queue.announces(f"Grabbed: {third}, place 5 of 6")
    for name in ("ArrowUp", "ArrowUp", "Escape"):
        await key(name)
    await queue.announces(f"Not moved: {third}, place 5 of 6")
    for name in ("Space", "Home", "Enter"):
        await key(name)
    await queue.announces(f"Dropped: {third}, place 1 of 6")
    await queue.shows(third, first, second, fourth, fifth, sixth)
    await key("End")
    await key("Delete")
    await queue.announces(f"Removed “{sixth}”")
    await queue.shows(third, first, second, fourth, fifth)
    await expect(page.get_by_role("button", name=f"Move {fifth}", exact=True)).to_be_focused()
    # Handles alone, for those who have no arrow keys: of the row, then of the place.
    await page.get_by_role("button", name=f"Move {fourth}", exact=True).click()
    await page.get_by_role("button", name=f"Move {first}", exact=True).click()
    await queue.shows(third, fourth, first, second, fifth)
    await page.context.close()


async def test_what_is_removed_or_cleared_can_be_put_back(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    undo = page.get_by_role("button", name="Undo")
    await queue.rows.nth(0).get_by_role("button", name="Remove").click()
    await queue.shows(*TITLES[1:])
    await undo.click()
    await queue.shows(*TITLES)
    await expect(queue.rows.nth(1)).to_contain_text("Now")
    await page.get_by_role("button", name="Clear what follows").click()
    await queue.shows(*TITLES[:2])
    await expect(undo).to_be_focused()
    await queue.rest.request("/queue", "PUT", {"trackIds": [queue.ids[TITLES[1]]]})
    await expect(queue.rows).to_have_count(1)
    await undo.click()
    await queue.shows(*TITLES[1:])  # into the queue as it is now
    await expect(undo).to_be_hidden()
    await page.context.close()


async def test_shuffle_and_repeat_are_the_same_on_two_pages(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    other = await new_page(browser, 390, 844)
    await open_player(other, server, token("demo"))
    await other.locator("#open-queue").click()
    repeats = [("all", "all", "true"), ("one", "this track", "true"), ("off", "off", "false")]
    for repeat, label, pressed in repeats:
        await page.get_by_role("button", name="Repeat").click()
        for each in (page, other):
            button = each.get_by_role("button", name=f"Repeat: {label}")
            await expect(button).to_have_attribute("aria-pressed", pressed)
        assert (await queue.rest.request("/queue"))["repeat"] == repeat
    shuffle = page.get_by_role("button", name="Shuffle what follows")
    notice = page.locator("#notice")
    await shuffle.click()
    await expect(notice).to_contain_text("Shuffled what follows")
    await notice.get_by_role("button", name="Undo").click()
    await queue.shows(*TITLES)
    await expect(notice).to_be_hidden()
    for _ in range(5):
        await shuffle.click()
        await page.wait_for_timeout(100)
    ids = (await queue.rest.request("/queue"))["trackIds"]
    order = [title for id in ids for title, known in queue.ids.items() if known == id]
    assert order[:2] == list(TITLES[:2])
    assert sorted(order) == sorted(TITLES)
    await queue.shows(*order)
    await expect(other.locator("#queue-list .title")).to_have_text(order)
    for each in (page, other):
        await each.context.close()


async def test_an_empty_queue_says_how_to_fill_it_and_a_track_outside_is_named(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser)
    queue = await Queue.open(page, server, token("demo"))
    await expect(page.get_by_text("The queue is empty")).to_be_visible()
    for name in ("Shuffle what follows", "Clear what follows"):
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
    await queue.rest.play(queue.ids[TITLES[0]])
    await queue.rest.request("/queue", "PUT", {"trackIds": [queue.ids[TITLES[1]]]})
    await expect(page.locator("#queue-outside")).to_have_text(f"Now: “{TITLES[0]}”")
    await expect(queue.rows).to_have_count(1)
    await expect(queue.rows.first).to_contain_text("Next")
    await page.context.close()


async def test_a_thousand_tracks_open_move_and_keep_the_order_of_equal_ones(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    page = await new_page(browser, 390, 844)
    titles = [TITLES[index % 5] for index in range(999)] + [TITLES[5]]
    queue = await Queue.open(page, server, token("demo"), *titles)
    last = queue.rows.nth(999)
    await last.locator(".entry").focus()
    await expect(last).to_be_in_viewport()
    await page.keyboard.press("Alt+Home")
    await queue.announces(f"{TITLES[5]}, place 1 of 1000")
    await queue.shows(TITLES[5], *titles[:999])
    await expect(queue.rows.nth(0)).to_be_in_viewport()
    await page.context.close()


async def test_a_track_that_has_left_the_library_is_shown_as_such(
    browser: Browser, launch: Launch, demo_token: str, tmp_path: Path
) -> None:
    media = tmp_path / "copied"
    shutil.copytree(SAMPLES, media)
    server = launch("--media", str(media))
    server.wait_for_log("the library has 6 tracks")
    page = await new_page(browser)
    queue = await Queue.open(page, server, demo_token, *TITLES)
    gone = next(path for path in media.rglob("*") if "Wooden" in path.name or "wooden" in path.name)
    gone.unlink()
    server.process.send_signal(1)
    server.wait_for_log("the library has 5 tracks")
    row = queue.rows.nth(4)
    await expect(row).to_contain_text("No longer in the library")
    await row.locator(".entry").click()
    await queue.announces("That track is no longer in the library.")
    await row.get_by_role("button", name="Remove").click()
    await queue.shows(*TITLES[:4], TITLES[5])
    await page.context.close()


async def test_on_a_phone_a_finger_moves_a_row_and_a_tap_beside_the_sheet_closes_it(
    browser: Browser, server: ServerProcess, token: Token
) -> None:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    queue = await Queue.open(page, server, token("demo"), *TITLES)
    box = await queue.rows.nth(5).locator(".grab").bounding_box()
    assert box is not None
    touch = await context.new_cdp_session(page)
    x, y = box["x"] + 20, box["y"] + 30
    for kind, down in (("touchStart", 0), ("touchMove", -60), ("touchMove", -2 * ROW)):
        point = {"x": x, "y": y + down}
        await touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    await touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await queue.shows(*TITLES[:3], TITLES[5], *TITLES[3:5])
    assert await page.evaluate("document.querySelector('#queue-panel').matches(':modal')")
    async with asyncio.timeout(PATIENCE):
        while await page.locator("#queue-panel").is_visible():
            # Chromium takes a tap just after a drag for the end of its fling.
            await page.touchscreen.tap(190, 20)
            await asyncio.sleep(1.0)
    await becomes(page, "document.activeElement.id === 'open-queue'")
    await context.close()
