"""The views of the library, their orders, letters and menus, by pointer, touch and keyboard."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, ViewportSize, expect

from tests.support.server_process import ServerProcess

from .audit import Audit
from .conftest import serving
from .library_page import ARABIC, LONG, LibraryPage, write_songs
from .player_page import becomes

Token = Callable[..., str]
BLUE = ["Zephyr", "Anchor", "Maple"]
PHONE: ViewportSize = {"width": 390, "height": 844}
MENU = ["Play", "Play next", "Add to queue"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("songs")
    write_songs(folder)
    with serving(folder) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def library(
    browser: Browser, songs: ServerProcess, token: Token
) -> AsyncIterator[LibraryPage]:
    library = await LibraryPage.open(browser, songs.url, token("demo"))
    yield library
    assert library.problems == []
    await library.context.close()


async def entries(page: Page) -> list[str]:
    return await page.get_by_role("menuitem").all_text_contents()


async def test_albums_have_headers_and_tracks_in_order_and_play_from_any_track(
    library: LibraryPage,
) -> None:
    await library.view("Albums")
    assert (await library.names())[:10] == [
        *("Blue", *BLUE),
        *("Discs", "Side One", "Side Two"),
        *("Without an album", LONG.strip(), "Without an album"),
    ]
    header = library.row("Blue")
    await expect(header.locator(".artist")).to_have_text("Ann · 3 tracks")
    await becomes(library.page, "document.querySelector('.album-row img').naturalWidth > 0")
    numbers = library.page.locator("#tracks .number")
    assert (await numbers.all_text_contents())[:5] == ["1", "2", "3", "1-1", "2-1"]
    await library.row("Anchor").click()
    assert await library.calls() == [["chosen", "Anchor", BLUE]]
    await expect(library.row("Anchor")).to_have_attribute("aria-selected", "true")
    await header.click(position={"x": 200, "y": 50})
    assert await library.calls() == []
    await header.get_by_role("button", name="Play Blue").click()
    assert await library.calls() == [["chosen", "Zephyr", BLUE]]
    await library.page.keyboard.press("Home")
    await library.page.keyboard.press("Enter")
    assert await library.calls() == [["chosen", "Zephyr", BLUE]]


async def test_a_compilation_without_an_album_artist_is_one_album(library: LibraryPage) -> None:
    await library.view("Albums")
    await library.page.get_by_label("Search title").fill("both")
    await expect(library.page.locator("#count")).to_have_text("1 album")
    assert await library.names() == ["Both", "Guest", "Visitor"]
    await expect(library.row("Both").locator(".artist")).to_contain_text("Various artists")
    await expect(library.row("Guest").locator(".artist")).to_have_text("Cid")


async def test_artists_open_to_their_albums_by_a_tap_and_by_arrows(library: LibraryPage) -> None:
    page = library.page
    await library.view("Artists")
    await expect(page.locator("#count")).to_have_text("7 artists")
    ann = library.row("Ann")
    await expect(ann).to_have_attribute("aria-expanded", "false")
    await expect(ann.locator(".artist")).to_have_text("1 album · 3 tracks")
    await ann.click()
    assert (await library.names())[:6] == ["Ann", "Blue", *BLUE, "Bea"]
    await expect(library.row("Zephyr")).to_have_attribute("aria-level", "3")
    await library.row("Maple").click()
    assert await library.calls() == [["chosen", "Maple", BLUE]]
    await page.locator("#tracks").focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowLeft")
    await expect(ann).to_have_attribute("aria-expanded", "false")
    await page.keyboard.press("ArrowDown")
    await expect(library.active).to_have_text("Bea")
    await page.keyboard.press("ArrowRight")
    await expect(library.row("Bea")).to_have_attribute("aria-expanded", "true")
    await page.keyboard.press("Enter")
    await expect(library.row("Bea")).to_have_attribute("aria-expanded", "false")


async def test_what_was_played_is_a_view_that_shows_when_and_where_it_was_left(
    library: LibraryPage,
) -> None:
    tracks = await library.page.evaluate(
        "fetch('api/tracks?limit=3', { headers: { Authorization: `Bearer ${location.hash.slice(1)}`"
        " } }).then((response) => response.json()).then(({ tracks }) => tracks)"
    )
    now = time.time() * 1000
    played = [
        {"track": tracks[2], "playedAt": now - 120_000, "position": 754.2},
        {"track": tracks[0], "playedAt": now - 25 * 3_600_000, "position": None},
    ]

    async def answer(route: Route) -> None:
        await route.fulfill(json={"tracks": played})

    await library.page.route("**/api/tracks/history*", answer)
    await library.load("?history")
    await library.view("Recent")
    assert await library.names() == [tracks[2]["title"], tracks[0]["title"]]
    details = await library.page.locator("#tracks .artist").all_text_contents()
    assert "2 minutes ago · left at 12:34" in details[0]
    assert details[1].endswith("yesterday")
    await library.rows.nth(1).click()
    titles = [tracks[2]["title"], tracks[0]["title"]]
    assert await library.calls() == [["chosen", titles[1], titles]]
    await library.load("?history")  # the view is remembered
    await expect(library.rows).to_have_count(2)
    played.clear()
    await library.view("Tracks")
    await library.page.get_by_role("button", name="Recent").click()
    await expect(library.page.get_by_text("Nothing was played yet")).to_be_visible()


async def test_a_server_without_a_history_has_no_such_view(library: LibraryPage) -> None:
    recent = library.page.get_by_role("button", name="Recent")
    await expect(recent).to_be_hidden()

    async def refuse(route: Route) -> None:
        await route.fulfill(status=404, json={"error": {"code": "not_found", "message": "no"}})

    await library.page.route("**/api/tracks/history*", refuse)
    await library.load("?history")  # a server that promises more than it has
    await expect(recent).to_be_hidden()
    library.problems.clear()  # the browser logs the 404


async def test_tracks_are_sorted_as_chosen_and_the_choice_is_remembered(
    library: LibraryPage,
) -> None:
    page, select = library.page, library.page.get_by_label("Sort by")
    for label, first in (("Album", "Zephyr"), ("Artist", "Zephyr"), ("Newest first", "Many")):
        await select.select_option(label=label)
        assert (await page.evaluate("shown"))[0].startswith(first)
    await select.select_option(label="Title")
    by_title = await library.names()
    assert by_title.index("Anchor") < by_title.index("Guest") < by_title.index("Many 01")
    assert (await page.evaluate("shown"))[-3:] == ["Zephyr", ARABIC, "🎉🌊"]
    await library.row("Anchor").click()
    ((_, _, queue),) = await library.calls()
    assert queue == await page.evaluate("shown")
    await library.load()
    await expect(select).to_have_value("title")
    await library.view("Albums")
    assert await select.locator("option:not([disabled])").all_text_contents() == [
        *("Artist", "Album", "Newest first")
    ]
    await select.select_option(label="Album")
    assert (await library.names())[0] == "Blue"
    assert (await library.names())[4] == "Both"
    await library.load()
    await expect(page.get_by_role("button", name="Albums")).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(select).to_have_value("album")


async def test_a_letter_leads_to_its_first_row_by_the_panel_and_by_typing(
    library: LibraryPage,
) -> None:
    page = library.page
    await page.get_by_role("button", name="Jump to a letter").click()
    letters = page.locator("#letters button")
    assert await letters.all_text_contents() == [*"ABCDEFG", "ف"]
    await letters.get_by_text("G").click()
    await expect(library.active).to_have_text("Many 01")
    await expect(page.locator("#tracks")).to_be_focused()
    await expect(page.locator("#letters")).to_be_hidden()
    await page.keyboard.press("v")
    await expect(library.active).to_have_text("Visitor")
    await page.get_by_label("Sort by").select_option(label="Longest first")
    await expect(page.get_by_role("button", name="Jump to a letter")).to_be_hidden()


async def test_a_button_leads_back_to_the_current_track_in_every_view(
    library: LibraryPage,
) -> None:
    page = library.page
    button = page.get_by_role("button", name="To the current track")
    await expect(button).to_be_hidden()
    await page.get_by_label("Search title").fill("many 20")
    await expect(library.rows).to_have_count(1)
    await library.row("Many 20").click()
    await page.get_by_label("Search title").fill("")
    await expect(page.locator("#count")).to_have_text("40 tracks")
    for view in ("Tracks", "Albums", "Artists"):
        await library.view(view)
        await page.evaluate("scrollTo(0, 0)")
        await button.click()
        await expect(library.active).to_have_text("Many 20")
        await expect(library.row("Many 20")).to_be_in_viewport(ratio=1)
    await page.get_by_label("Search title").fill("blue")
    await expect(button).to_be_hidden()


async def test_the_menu_of_a_track_plays_queues_and_plays_its_album(library: LibraryPage) -> None:
    page = library.page
    await library.row("Anchor").get_by_role("button", name="More for Anchor").click()
    await expect(page.locator("#row-menu")).to_contain_text("Ann · Blue")
    assert await entries(page) == [*MENU, "Play album from here"]
    await page.get_by_role("menuitem", name="Play next").click()
    assert await library.calls() == [["next", ["Anchor"]]]
    for name, call in (
        ("Add to queue", ["add", ["Anchor"]]),
        ("Play album from here", ["chosen", "Anchor", BLUE]),
    ):
        await library.row("Anchor").click(button="right")
        await page.get_by_role("menuitem", name=name).click()
        assert await library.calls() == [call]
    await library.view("Albums")
    await library.row("Blue").get_by_role("button", name="More for Blue").click()
    assert await entries(page) == MENU
    await page.get_by_role("menuitem", name="Add to queue").click()
    assert await library.calls() == [["add", BLUE]]


@pytest.mark.parametrize("keys", ["Shift+F10", "ContextMenu"])
async def test_the_menu_opens_and_is_used_by_the_keyboard_alone(
    library: LibraryPage, keys: str
) -> None:
    page = library.page
    await page.locator("#tracks").focus()
    await page.keyboard.press("End")
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press(keys)
    items = page.get_by_role("menuitem")
    await expect(items.nth(0)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(items.nth(2)).to_be_focused()
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await expect(items.last).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#row-menu")).to_be_hidden()
    await expect(page.locator("#tracks")).to_be_focused()
    await page.keyboard.press(keys)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    title = await library.active.text_content()
    assert await library.calls() == [["next", [title]]]
    await expect(page.locator("#tracks")).to_be_focused()


async def test_a_long_press_opens_the_menu_with_the_name_in_full_and_a_tap_plays(
    browser: Browser, songs: ServerProcess, token: Token
) -> None:
    library = await LibraryPage.open(
        browser, songs.url, token("demo"), viewport=PHONE, has_touch=True
    )
    page = library.page
    await page.get_by_label("Search title").fill("in the house")
    await expect(library.rows).to_have_count(1)
    finger = {"pointerType": "touch", "bubbles": True, "clientX": 100, "clientY": 300}
    await library.rows.first.dispatch_event("pointerdown", finger)
    await expect(page.locator("#row-menu-title")).to_be_visible()
    await library.rows.first.dispatch_event("pointerup", finger)
    await library.rows.first.dispatch_event("click")
    assert await library.calls() == []
    assert await page.locator("#row-menu-title").text_content() == LONG.strip()
    await expect(page.locator("#row-menu")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Escape")
    await library.rows.first.tap()
    assert await library.calls() == [["chosen", LONG.strip(), [LONG.strip()]]]
    cut_off = "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)"
    assert not await library.active.evaluate(cut_off)
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert library.problems == []
    await library.context.close()


async def test_a_row_that_shows_a_long_name_in_full_moves_the_rows_after_it(
    library: LibraryPage,
) -> None:
    page = library.page
    await page.set_viewport_size(PHONE)
    row = library.rows.filter(has_text="A title of so many words")
    usual = (await row.bounding_box())["height"]
    height = await page.evaluate("tracks.getBoundingClientRect().height")
    await row.click()
    taller = "document.querySelector('#tracks .active').getBoundingClientRect().height"
    await becomes(page, f"{taller} > {usual + 15}")
    grown = f"tracks.getBoundingClientRect().height - {height}"
    await becomes(page, f"Math.abs({grown} - ({taller} - {usual})) < 1")
    await page.keyboard.press("End")
    await expect(library.rows.last).to_be_in_viewport(ratio=0.9)
    assert await page.evaluate("tracks.getBoundingClientRect().height") == height


async def test_names_from_right_to_left_are_isolated_and_emoji_are_shown(
    library: LibraryPage,
) -> None:
    direction = "(element) => getComputedStyle(element).direction"
    for name, expected in ((ARABIC, "rtl"), ("🎉🌊", "ltr")):
        await library.page.get_by_label("Search title").fill(name)
        await expect(library.rows).to_have_count(1)
        assert await library.row(name).locator(".title").evaluate(direction) == expected


async def test_a_search_without_a_hit_offers_to_clear_it(library: LibraryPage) -> None:
    page = library.page
    for view in ("Tracks", "Albums", "Artists"):
        await library.view(view)
        await page.get_by_label("Search title").fill("no such thing")
        await expect(page.get_by_text("Nothing matches “no such thing”")).to_be_visible()
        await page.get_by_role("button", name="Clear the search").click()
        await expect(library.rows.first).to_be_visible()
        await expect(page.get_by_label("Search title")).to_have_value("")


async def test_a_search_that_the_server_does_not_answer_is_one_in_what_the_page_has(
    library: LibraryPage,
) -> None:
    page = library.page
    search = page.get_by_label("Search title")
    await page.route("**/api/tracks?q=*", lambda route: route.abort())
    await search.fill("blue ANCH")
    await expect(page.locator("#count")).to_have_text("1 track")
    assert await library.names() == ["Anchor"]
    await search.fill("no such thing")
    await expect(page.get_by_text("Nothing matches “no such thing”")).to_be_visible()
    await page.unroute("**/api/tracks?q=*")
    await page.route("**/api/tracks?q=*", lambda route: None)  # never answered
    await search.fill("maple")
    await expect(page.locator("#count")).to_have_text("1 track")
    assert await library.names() == ["Maple"]
    await page.unroute("**/api/tracks?q=*")
    library.problems.clear()  # the browser logs the requests that failed


async def test_loading_and_a_server_out_of_reach_are_said(library: LibraryPage) -> None:
    page = library.page
    await library.load("?slow")
    await expect(page.get_by_text("Loading the library")).to_be_visible()
    await expect(page.get_by_role("button", name="Look again")).to_be_hidden()
    await page.route("**/api/tracks", lambda route: route.abort())
    await page.goto("about:blank")
    await page.goto(f"{library.url}/#{library.token}")
    await expect(page.get_by_text("The library is out of reach")).to_be_visible()
    await page.unroute("**/api/tracks")
    await page.get_by_role("button", name="Look again").click()
    await expect(library.rows.first).to_be_visible()
    library.problems.clear()  # the browser logs the request that failed


async def test_the_keyboard_pages_through_albums_and_the_active_row_is_always_visible(
    library: LibraryPage,
) -> None:
    page = library.page
    await library.view("Albums")
    await page.get_by_label("Search title").press("ArrowDown")
    await expect(page.locator("#tracks")).to_be_focused()
    for key in ("PageDown", "PageDown", "PageUp", "End", "PageUp", "ArrowDown", "Home"):
        await page.keyboard.press(key)
        await expect(page.locator("#tracks .active")).to_be_in_viewport(ratio=0.9)
    await expect(library.active).to_have_text("Blue")


KIOSKS = [(800, 480), (1920, 1080)]


@pytest.mark.parametrize(("width", "height"), KIOSKS)
async def test_a_kiosk_has_the_same_with_large_targets_and_search(
    library: LibraryPage, width: int, height: int
) -> None:
    page = library.page
    await page.set_viewport_size({"width": width, "height": height})
    await library.load("?kiosk")
    for selector in ("#search", "#views button", "#sort", "#letters-open", "#tracks .more"):
        box = await page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["height"] >= 64, selector
    await page.get_by_label("Search title").fill("blue")
    await expect(library.rows).to_have_count(3)
    await library.view("Albums")
    await expect(library.rows).to_have_count(4)
    await library.row("Blue").get_by_role("button", name="Play Blue").click()
    assert await library.calls() == [["chosen", "Zephyr", BLUE]]
    await library.row("Anchor").get_by_role("button", name="More").click()
    await expect(page.locator("#row-menu")).to_be_in_viewport(ratio=1)
    box = await page.get_by_role("menuitem").first.bounding_box()
    assert box is not None
    assert box["height"] >= 64
    await page.keyboard.press("Escape")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


LOOKS = [("light", "", 1280), ("dark", "", 390), ("dark", "?kiosk", 1024)]


@pytest.mark.parametrize(("scheme", "query", "width"), LOOKS)
async def test_axe_finds_no_violation_in_any_view_of_the_library(
    browser: Browser,
    songs: ServerProcess,
    token: Token,
    node_modules: Path,
    scheme: str,
    query: str,
    width: int,
) -> None:
    axe = (node_modules / "axe-core" / "axe.min.js").read_text()
    looks = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    library = await LibraryPage.open(
        browser, songs.url, token("demo"), query, bypass_csp=True, **looks
    )
    page = library.page
    audit = Audit(page, axe)
    await library.row("Zephyr").click()
    await audit.look("tracks")
    await page.get_by_role("button", name="Jump to a letter").click()
    await audit.look("letters")
    await page.keyboard.press("Escape")
    await library.view("Albums")
    await library.row("Maple").click(button="right")
    await audit.look("menu")
    await page.keyboard.press("Escape")
    await library.view("Artists")
    await library.row("Ann").click()
    await audit.look("artists")
    assert audit.violations == []
    await library.context.close()
