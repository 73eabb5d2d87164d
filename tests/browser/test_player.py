"""The player page, driven as a person would, with sound coming out of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Browser, Page, expect

from tests.support.server_process import Launch, ServerProcess

from .conftest import SAMPLES, watch
from .player_page import PAUSED, POSITION, becomes, choose, open_player, plays

Token = Callable[..., str]
PICTURE = Path(__file__).parent / "player.png"
RATE = "document.getElementById('audio').playbackRate"


@pytest_asyncio.fixture(loop_scope="session")
async def signed_in(page: Page, server: ServerProcess, token: Token) -> Page:
    await page.goto(f"{server.url}/#token={token('demo')}")
    await expect(page.get_by_text("Connected")).to_be_visible()
    return page


async def test_a_token_in_the_form_signs_the_page_in(
    page: Page, server: ServerProcess, token: Token
) -> None:
    await page.goto(server.url)
    await page.get_by_label("Access token").fill(token("demo"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Connected")).to_be_visible()


async def test_the_token_of_the_url_is_removed_from_the_address_bar(
    signed_in: Page, server: ServerProcess
) -> None:
    assert signed_in.url == f"{server.url}/"


async def test_a_refused_token_in_the_form_is_shown_as_refused(
    browser: object, server: ServerProcess
) -> None:
    page = await browser.new_page()  # type: ignore[attr-defined]
    await page.goto(server.url)
    await page.get_by_label("Access token").fill("nonsense")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("refused")


async def test_a_chosen_track_plays_and_is_sought_in_and_paused(signed_in: Page) -> None:
    await choose(signed_in, "First Light")
    await plays(signed_in)
    await signed_in.locator("#seek").focus()
    before = await signed_in.evaluate(POSITION)
    await signed_in.keyboard.press("ArrowRight")
    await becomes(signed_in, f"{POSITION} > {before} + 0.5")
    await plays(signed_in)
    await signed_in.get_by_role("button", name="Pause").click()
    await becomes(signed_in, PAUSED)


async def test_a_sample_of_each_format_plays_in_chromium(signed_in: Page) -> None:
    for title in ("Harbour Lights", "Late Tram", "Paper Carousel", "Wooden Rain"):
        await choose(signed_in, title)
        await expect(signed_in.locator("#now-title")).to_have_text(title)
        await plays(signed_in)


async def test_a_track_of_the_user_alone_plays(page: Page, launch: Launch, demo_token: str) -> None:
    server = launch("--media", str(SAMPLES))
    await open_player(page, server, demo_token)
    await choose(page, "Under the Stars")
    await plays(page)


async def test_a_search_shows_the_tracks_that_match(signed_in: Page) -> None:
    await signed_in.get_by_label("Search title, artist, album").fill("tram")
    await expect(signed_in.locator("#tracks li")).to_have_count(1)


async def test_a_track_plays_for_five_seconds_without_a_seek(signed_in: Page) -> None:
    await signed_in.evaluate(
        "window.seeks = 0;"
        "document.getElementById('audio').addEventListener('seeking', () => window.seeks++)"
    )
    await choose(signed_in, "Harbour Lights")
    await plays(signed_in)
    started = await signed_in.evaluate(f"window.seeks = 0, [{POSITION}, performance.now() / 1000]")
    await signed_in.wait_for_timeout(5000)
    ended = await signed_in.evaluate(f"[{POSITION}, performance.now() / 1000, window.seeks]")
    assert ended[0] - started[0] == pytest.approx(ended[1] - started[1], abs=0.3)
    assert ended[2] == 0


async def test_a_tab_that_always_sounds_follows_the_pause_and_the_track_of_another_tab(
    signed_in: Page, server: ServerProcess, token: Token
) -> None:
    await signed_in.goto(f"{server.url}/?sounds=always#token={token('demo')}")
    await choose(signed_in, "Harbour Lights")
    await plays(signed_in)
    other = await signed_in.context.new_page()
    problems = watch(other)
    await other.goto(f"{server.url}/?sounds=always#token={token('demo')}")
    await plays(other)
    await other.get_by_role("button", name="Pause").click()
    await becomes(signed_in, PAUSED)
    await other.get_by_role("button", name="Play", exact=True).click()
    await plays(signed_in)
    await choose(other, "Late Tram")
    await expect(signed_in.locator("#now-title")).to_have_text("Late Tram")
    await plays(signed_in)
    assert problems == []


async def test_at_a_phones_width_nothing_is_cut_off(signed_in: Page) -> None:
    await signed_in.set_viewport_size({"width": 360, "height": 740})
    await choose(signed_in, "First Light")
    await plays(signed_in)
    assert await signed_in.evaluate("document.documentElement.scrollWidth") <= 360
    await expect(signed_in.get_by_role("button", name="Pause")).to_be_in_viewport()


async def test_a_track_shows_its_cover_in_the_panel_and_in_its_row(signed_in: Page) -> None:
    await choose(signed_in, "First Light")
    for picture in ("#cover", "#tracks img"):
        await becomes(signed_in, f"document.querySelector('{picture}').naturalWidth > 0")


async def test_what_was_played_is_listed_as_recent_the_last_one_first(signed_in: Page) -> None:
    for title in ("First Light", "Late Tram"):
        await choose(signed_in, title)
        await expect(signed_in.locator("#now-title")).to_have_text(title)
        await plays(signed_in)
    await signed_in.get_by_role("button", name="Recent").click()
    await expect(signed_in.locator("#tracks .title")).to_have_text(["Late Tram", "First Light"])


async def test_a_track_is_found_played_sought_and_paused_by_the_keyboard_alone(
    signed_in: Page,
) -> None:
    await signed_in.keyboard.press("/")
    await signed_in.keyboard.type("light")
    await expect(signed_in.locator("#tracks li")).to_have_count(2)
    await signed_in.keyboard.press("Tab")
    await signed_in.keyboard.press("ArrowDown")
    await signed_in.keyboard.press("Enter")
    await expect(signed_in.locator("#now-title")).to_have_text("Harbour Lights")
    await plays(signed_in)
    await signed_in.evaluate("document.activeElement.blur()")
    before = await signed_in.evaluate(POSITION)
    await signed_in.keyboard.press("ArrowRight")
    await becomes(signed_in, f"{POSITION} > {before} + 4")
    await signed_in.keyboard.press("Space")
    await becomes(signed_in, PAUSED)
    await signed_in.get_by_label("Search title, artist, album").fill("")
    await expect(signed_in.locator("#tracks li")).to_have_count(6)
    await signed_in.evaluate("document.activeElement.blur()")
    await signed_in.keyboard.press("Shift+ArrowLeft")  # to the beginning, and on in the queue
    await signed_in.keyboard.press("Shift+ArrowLeft")
    await expect(signed_in.locator("#now-title")).to_have_text("First Light")


async def test_the_media_session_shows_and_controls_the_playback(
    page: Page, server: ServerProcess, token: Token
) -> None:
    await page.add_init_script(
        "window.handlers = {};"
        "MediaSession.prototype.setActionHandler = (name, act) => { handlers[name] = act; };"
        "MediaSession.prototype.setPositionState = (state) => { window.told = state; };"
    )
    await page.goto(f"{server.url}/#token={token('demo')}")
    await choose(page, "First Light")
    await plays(page)
    session = "navigator.mediaSession"
    assert await page.evaluate(f"{session}.metadata.title") == "First Light"
    assert await page.evaluate(f"fetch({session}.metadata.artwork[0].src).then((r) => r.ok)")
    assert await page.evaluate(f"{session}.playbackState") == "playing"
    await becomes(page, "told.duration > 30 && told.playbackRate === 1")
    await page.evaluate("handlers.pause({})")
    await becomes(page, f"{PAUSED} && {session}.playbackState === 'paused'")
    await page.evaluate("handlers.seekto({ seekTime: 5 })")
    await becomes(page, f"{POSITION} === 5")
    await page.evaluate("handlers.seekforward({ seekOffset: 7 })")
    await becomes(page, f"{POSITION} === 12")
    await page.evaluate("handlers.seekforward({})")
    await becomes(page, f"{POSITION} > 25")
    await page.evaluate("handlers.seekbackward({ seekOffset: 25 })")
    await becomes(page, f"{POSITION} < 7")
    await page.evaluate("handlers.play({})")
    await plays(page)
    await page.evaluate("handlers.nexttrack({})")
    await expect(page.locator("#now-title")).to_have_text("Harbour Lights")
    await page.evaluate("handlers.previoustrack({})")
    await expect(page.locator("#now-title")).to_have_text("First Light")


@pytest.mark.parametrize(("width", "height"), [(800, 480), (1024, 600), (1920, 1080)])
async def test_a_kiosk_has_large_buttons_and_one_screen_at_each_size(
    page: Page, server: ServerProcess, token: Token, width: int, height: int
) -> None:
    await page.set_viewport_size({"width": width, "height": height})
    await page.goto(f"{server.url}/?kiosk=1#token={token('demo')}")
    await page.get_by_role("button", name="Choose a track").click()
    await choose(page, "First Light")
    await plays(page)
    for name in ("Previous track", "Pause", "Next track", "Choose a track"):
        button = page.get_by_role("button", name=name)
        await expect(button).to_be_in_viewport(ratio=1)
        box = await button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 64
    await expect(page.locator("#cover")).to_be_in_viewport(ratio=1)
    await expect(page.locator("#tracks")).to_be_hidden()
    await page.locator("#seek").click()
    await becomes(page, f"{POSITION} > 10")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


STOP_TIMERS = """() => {
    window.realSetTimeout = setTimeout;
    for (let id = setTimeout(() => 0); id > 0; id--) clearTimeout(id);
    window.setTimeout = () => 0;
}"""


async def test_a_page_reconnects_to_a_restarted_server_by_its_button(
    browser: Browser, launch: Launch, token: Token
) -> None:
    first = launch("--media", str(SAMPLES))
    first.wait_for_log("the library has 6 tracks")
    page = await browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.goto(f"{first.url}/#token={token('demo')}")
    await choose(page, "First Light")
    await plays(page)
    first.process.kill()
    first.process.wait()
    await expect(page.locator("#away")).to_be_visible()
    await expect(page.get_by_text("Reconnecting")).to_be_visible()
    await page.evaluate(STOP_TIMERS)  # or it might come back before anybody can press the button
    launch("--media", str(SAMPLES), "--port", str(first.port))
    await page.evaluate("window.setTimeout = window.realSetTimeout")
    await page.get_by_role("button", name="Try now").click()
    await expect(page.get_by_text("Connected")).to_be_visible()
    await expect(page.locator("#away")).to_be_hidden()
    await plays(page)
    assert problems == []


async def test_a_page_whose_token_expires_asks_for_another(
    page: Page, server: ServerProcess, token: Token
) -> None:
    await page.goto(f"{server.url}/#token={token('demo', 8)}")
    await expect(page.get_by_text("Your sign-in ends within a minute")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("has ended")
    await page.get_by_label("Access token").fill(token("demo"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Connected")).to_be_visible()


async def test_the_pages_screenshot_is_a_png(signed_in: Page, tmp_path: Path) -> None:
    await choose(signed_in, "First Light")
    await plays(signed_in, beyond=3.0)
    picture = await signed_in.screenshot(path=tmp_path / "player.png")
    assert picture.startswith(b"\x89PNG")
    if "UPDATE_PICTURE" in os.environ:
        PICTURE.write_bytes(picture)


async def test_the_rate_stays_at_the_next_track_of_the_album_and_no_further(
    page: Page, launch: Launch, token: Token, tmp_path: Path
) -> None:
    books = tmp_path / "books"
    books.mkdir()
    albums = {"Chapter 1": "Book", "Chapter 2": "Book", "Song": "Songs"}
    sample = min(SAMPLES.rglob("*.*"), key=lambda path: path.suffix != ".mp3")
    entries = []
    for title, album in albums.items():
        shutil.copy(sample, books / f"{title}{sample.suffix}")
        url = f"{title}{sample.suffix}"
        entries.append({"id": title, "audioUrl": url, "title": title, "album": album})
    (books / "tracks.json").write_text(json.dumps(entries))
    server = launch("--media", str(books))
    server.wait_for_log("the library has 3 tracks")
    await page.goto(f"{server.url}/#token={token('demo')}")
    await choose(page, "Chapter 1")
    await plays(page)
    headers = {"Authorization": f"Bearer {token('demo')}"}
    async with ClientSession(server.url, headers=headers) as session:
        faster = {"currentTime": 1, "isPlaying": True, "playbackRate": 1.5}
        await session.post("/tracks/update-state/Chapter 1", json=faster)
        await becomes(page, f"{RATE} === 1.5")
        for title, rate in (("Chapter 2", 1.5), ("Song", 1)):
            await choose(page, title)
            await plays(page)
            assert await page.evaluate(RATE) == rate
            is_told = page.locator("#notice").filter(has_text="Speed is back to 1")
            await expect(is_told).to_have_count(int(rate == 1))
            async with session.get("/tracks/current-state") as answer:
                state = await answer.json()
            assert (state["trackId"], state["playbackRate"]) == (title, rate)
