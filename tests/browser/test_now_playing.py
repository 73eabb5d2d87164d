"""The controls of the panel of the current track: skipping, speed, sleep, volume, keys, the bar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.support.album import write_titles
from tests.support.server_process import ServerProcess

from .conftest import serving
from .player_page import (
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
AUDIO = "document.getElementById('audio')"
LONG_TITLE = "Over so many words goes this title that no panel shows it all " * 5
CLOCK = """{
  const now = performance.now.bind(performance);
  performance.now = () => now() + (window.later ?? 0);
}"""
"""Lets a test move the page's monotonic clock on by ``window.later`` milliseconds."""
TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with three tracks of five minutes, one with a long title."""
    folder = tmp_path_factory.mktemp("three")
    with serving(write_titles(folder, "One", LONG_TITLE, "Three")) as server:
        yield server


@pytest.fixture
def user(request: pytest.FixtureRequest) -> str:
    name: str = request.node.name
    return name[:60]


@pytest_asyncio.fixture(loop_scope="session")
async def desktop(
    browser: Browser, three: ServerProcess, token: Token, user: str
) -> AsyncIterator[Page]:
    page = await new_page(browser, 1280, 800)
    await page.add_init_script(CLOCK)
    await open_player(page, three, token(user))
    await choose(page, "One")
    await plays(page)
    yield page
    await page.context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(
    browser: Browser, three: ServerProcess, token: Token, user: str
) -> AsyncIterator[Page]:
    page = await new_page(browser, 390, 844)
    await open_player(page, three, token(user))
    await choose(page, "One")
    await plays(page)
    yield page
    await page.context.close()


async def test_the_skip_buttons_and_keys_move_the_position_by_their_seconds(desktop: Page) -> None:
    await desktop.get_by_role("button", name="Pause").click()
    await becomes(desktop, PAUSED)
    start = await desktop.evaluate(POSITION)
    steps: list[tuple[int, Callable[[], Awaitable[None]]]] = [
        (30, desktop.get_by_role("button", name="Forward 30 seconds").click),
        (60, lambda: desktop.keyboard.press("l")),
        (45, desktop.get_by_role("button", name="Back 15 seconds").click),
        (30, lambda: desktop.keyboard.press("J")),
        (35, lambda: desktop.keyboard.press("ArrowRight")),
    ]
    for step, act in steps:
        await act()
        await becomes(desktop, f"Math.abs({POSITION} - {start + step}) < 0.2")


async def test_keys_pause_skip_mute_and_search_but_not_while_typing(desktop: Page) -> None:
    await desktop.keyboard.press("k")
    await becomes(desktop, PAUSED)
    await desktop.keyboard.press("k")
    await plays(desktop)
    await desktop.keyboard.press("m")
    await becomes(desktop, f"{AUDIO}.muted")
    await expect(desktop.locator("#mute")).to_have_attribute("aria-pressed", "true")
    await desktop.keyboard.press("m")
    await becomes(desktop, f"!{AUDIO}.muted")
    await desktop.keyboard.press("/")
    await desktop.keyboard.type("kmn?")
    await expect(desktop.locator("#search")).to_have_value("kmn?")
    await expect(desktop.locator("#keys")).to_be_hidden()
    await plays(desktop)
    await desktop.locator("#search").fill("")
    await desktop.evaluate("document.activeElement.blur()")
    await desktop.keyboard.press("n")
    await expect(desktop.locator("#now-title")).to_have_text(LONG_TITLE.strip())
    await desktop.keyboard.press("p")
    await expect(desktop.locator("#now-title")).to_have_text("One")


async def test_a_question_mark_lists_the_keys_and_escape_closes_the_list(desktop: Page) -> None:
    await desktop.keyboard.press("?")
    dialog = desktop.get_by_role("dialog", name="Keys")
    await expect(dialog).to_contain_text("Forward 30 seconds")
    await desktop.keyboard.press("k")  # acts on nothing behind the list
    await desktop.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await plays(desktop)
    await desktop.get_by_role("button", name="Menu").click()
    await desktop.get_by_role("button", name="Keys").click()
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_be_hidden()


async def test_a_chosen_speed_is_that_of_the_audio_and_of_the_users_playback(
    desktop: Page, three: ServerProcess, token: Token, user: str
) -> None:
    rest = RestClient(three, token(user))
    for rate in ("1.5", "0.5", "3"):
        await desktop.get_by_label("Speed").select_option(rate)
        await becomes(desktop, f"{AUDIO}.playbackRate === {rate}")
        await expect(desktop.locator("#speed-shown")).to_have_text(f"{rate}{TIMES}")
        assert (await rest.state())["playbackRate"] == float(rate)
    state = await rest.state()
    change = {"currentTime": state["currentTime"], "isPlaying": False, "playbackRate": 1.33}
    await rest.request(f"/update-state/{state['trackId']}", "POST", change)
    await expect(desktop.locator("#speed-shown")).to_have_text(f"1.33{TIMES}")
    await expect(desktop.get_by_label("Speed")).to_have_value("1.33")


async def test_a_sleep_timer_shows_what_is_left_fades_and_pauses(desktop: Page) -> None:
    sleep = desktop.locator("#sleep")
    shown = desktop.locator("#sleep-shown")
    await sleep.select_option("15")
    await expect(shown).to_have_text("15:00")
    await expect(sleep).to_have_accessible_name("Sleep timer: pauses in 15 minutes")
    await desktop.evaluate("window.later = 60_000")
    await expect(shown).to_contain_text("13:5")
    await sleep.select_option("off")
    await expect(shown).to_have_text("Sleep")
    await sleep.select_option("5")
    await desktop.evaluate("window.later += 295_000")
    await becomes(desktop, f"{AUDIO}.volume < 0.6 && !{PAUSED}")
    await expect(desktop.locator("#volume")).to_have_value("100")
    await becomes(desktop, PAUSED)
    await becomes(desktop, f"{AUDIO}.volume === 1")
    await expect(shown).to_have_text("Sleep")
    await expect(desktop.locator("#notice")).to_contain_text("sleep timer has paused")
    await desktop.get_by_role("button", name="Play on").click()
    await plays(desktop)
    await expect(desktop.locator("#notice")).to_be_hidden()


async def test_a_sleep_timer_of_the_track_pauses_at_its_end(desktop: Page) -> None:
    await desktop.locator("#sleep").select_option("track")
    await expect(desktop.locator("#sleep-shown")).to_contain_text("4:5")
    await desktop.evaluate("seek.value = 298, seek.dispatchEvent(new Event('change'))")
    await becomes(desktop, f"{PAUSED} && {POSITION} > 299")
    await expect(desktop.locator("#now-title")).to_have_text("One")
    await expect(desktop.locator("#sleep-shown")).to_have_text("Sleep")


async def test_the_seek_bar_shows_the_time_under_the_pointer_and_what_is_buffered(
    desktop: Page,
) -> None:
    box = await desktop.locator("#seek").bounding_box()
    assert box is not None
    await desktop.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await expect(desktop.locator("#pointed")).to_have_text("2:30")
    await desktop.mouse.down()
    await desktop.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2, steps=4)
    await expect(desktop.locator("#pointed")).to_have_text("0:00")
    await desktop.mouse.up()
    await desktop.mouse.move(0, 0)
    await expect(desktop.locator("#pointed")).to_be_hidden()
    await becomes(desktop, "parseFloat(seek.style.getPropertyValue('--buffered')) > 5")


async def test_volume_and_mute_are_remembered_by_the_device(desktop: Page) -> None:
    await desktop.locator("#volume").fill("40")
    await desktop.get_by_role("button", name="Mute").click()
    other = await desktop.context.new_page()
    await other.goto(desktop.url)
    await becomes(other, f"{AUDIO}.volume === 0.4 && {AUDIO}.muted")


async def test_a_long_title_is_shown_in_full_on_request(desktop: Page) -> None:
    await desktop.keyboard.press("n")
    title = desktop.locator("#now-title")
    is_cut = "document.querySelector('#now-title').scrollHeight > " + (
        "document.querySelector('#now-title').clientHeight + 2"
    )
    await becomes(desktop, is_cut)
    await desktop.get_by_role("button", name="Show the whole title").click()
    assert not await desktop.evaluate(is_cut)
    await desktop.get_by_role("button", name="Show less of the title").click()
    assert await desktop.evaluate(is_cut)
    await desktop.keyboard.press("p")
    await expect(title).to_have_text("One")
    await expect(desktop.locator("#whole-title")).to_be_hidden()


async def test_a_page_without_a_track_shows_a_plain_place_for_its_cover(
    browser: Browser, three: ServerProcess, token: Token, user: str
) -> None:
    page = await new_page(browser)
    await open_player(page, three, token(user))
    await expect(page.locator("#cover")).to_be_hidden()
    frame = "getComputedStyle(document.querySelector('.cover'))"
    assert await page.evaluate(f"{frame}.backgroundImage") == "none"
    await page.context.close()


async def test_the_bar_of_a_phone_opens_into_a_full_view_and_closes_again(phone: Page) -> None:
    view = phone.get_by_role("dialog", name="Now playing")
    close = phone.get_by_role("button", name="Close the player")
    opener = phone.get_by_role("button", name="Open the player")
    await expect(phone.get_by_role("button", name="Forward 30 seconds")).to_be_hidden()
    for closing in ("button", "Escape", "back"):
        await opener.click()
        await expect(view).to_be_visible()
        await expect(close).to_be_focused()
        await expect(phone.locator("#library")).to_have_attribute("inert", "")
        for name in ("Forward 30 seconds", "Back 15 seconds", "Previous track", "Mute this tab"):
            await expect(phone.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
        for name in ("Position", "Volume of this tab", "Speed", "Sleep timer"):
            await expect(phone.get_by_label(name, exact=True)).to_be_in_viewport()
        if closing == "button":
            await close.click()
        elif closing == "Escape":
            await phone.keyboard.press("Escape")
        else:
            await phone.go_back()
        await expect(view).to_be_hidden()
        await expect(opener).to_be_focused()
        assert await phone.locator("#library").get_attribute("inert") is None
    await plays(phone)


async def swipe(page: Page, selector: str, x: int, y: int) -> None:
    """Move a finger from the middle of an element by pixels."""
    box = await page.locator(selector).bounding_box()
    assert box is not None
    begin = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    session = await page.context.new_cdp_session(page)
    for kind, share in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0)):
        point = {"x": begin[0] + x * share, "y": begin[1] + y * share}
        await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    await session.detach()


async def test_swipes_open_and_close_the_full_view_and_change_the_track(phone: Page) -> None:
    view = phone.get_by_role("dialog", name="Now playing")
    await swipe(phone, "#open-full", 0, -200)
    await expect(view).to_be_visible()
    await swipe(phone, "#cover-frame", -150, 0)
    await expect(phone.locator("#now-title")).to_have_text(LONG_TITLE.strip())
    await swipe(phone, "#cover-frame", 150, 0)
    await expect(phone.locator("#now-title")).to_have_text("One")
    await swipe(phone, "#cover-frame", 0, 200)
    await expect(view).to_be_hidden()
    await expect(phone.locator("#now-title")).to_have_text("One")


async def test_a_kiosk_is_legible_and_shows_volume_and_what_is_next(
    browser: Browser, three: ServerProcess, token: Token, user: str
) -> None:
    page = await new_page(browser, 1920, 1080)
    await open_player(page, three, token(user), "?kiosk=1")
    await page.get_by_role("button", name="Choose a track").click()
    await choose(page, "One")
    await plays(page)
    await expect(page.locator("#now-next")).to_contain_text("Next: Over so many words")
    for selector in ("#elapsed", "#remaining", "#now-by", "#now-next", "#browse"):
        size = f"parseFloat(getComputedStyle(document.querySelector('{selector}')).fontSize)"
        assert await page.evaluate(size) >= 28, selector
    await expect(page.get_by_label("Volume of this tab")).to_be_in_viewport(ratio=1)
    for selector in ("#back", "#forward", "#mute", "#browse"):
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 64, selector
    await page.context.close()
