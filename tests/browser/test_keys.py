"""Keys act where a person expects it, and "next" goes on in the list of the choice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pytest_asyncio

from tests.support.server_process import ServerProcess

from .engines import Engine, Tab, wait_for

pytestmark = pytest.mark.usefixtures("sound_device")
Token = Callable[..., str]
TITLE = "document.querySelector('#now-title').textContent"
AUDIO = "document.querySelector('audio')"


@pytest_asyncio.fixture(loop_scope="session")
async def tab(engine: Engine, server: ServerProcess, token: Token) -> Tab:
    tab = await engine.tab()
    await tab.goto(f"{server.url}/#token={token('demo')}")
    await wait_for(tab, "document.querySelectorAll('#tracks li').length === 6")
    return tab


async def plays(tab: Tab, title: str) -> None:
    await wait_for(tab, f"{TITLE} === '{title}' && !{AUDIO}.paused && {AUDIO}.currentTime > 0.2")


async def found(tab: Tab, query: str, count: int) -> None:
    await tab.evaluate(f"(search.value = '{query}', search.form.requestSubmit()) ?? null")
    await wait_for(tab, f"document.querySelectorAll('#tracks li').length === {count}")


async def test_space_after_a_click_on_next_pauses_and_does_not_skip_again(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "First Light")
    await tab.click("#next")
    await plays(tab, "Harbour Lights")
    for _ in range(2):
        await tab.press("Space")
        await wait_for(tab, f"{AUDIO}.paused")
        assert await tab.evaluate(TITLE) == "Harbour Lights"
        await tab.press("Space")
        await plays(tab, "Harbour Lights")


async def test_space_pauses_after_any_click(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "First Light")
    for clicked in ("#tracks li:nth-child(2)", "#seek", "#mute", "#open-devices"):
        await tab.click(clicked)
        await plays(tab, "Harbour Lights")
        await tab.press("Space")
        await wait_for(tab, f"{AUDIO}.paused")
        assert await tab.evaluate(TITLE) == "Harbour Lights", clicked
        await tab.press("Space")
        await plays(tab, "Harbour Lights")


async def test_space_on_a_button_that_the_keyboard_has_come_to_presses_it(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "First Light")
    await tab.click("#next")
    await plays(tab, "Harbour Lights")
    await tab.press("Tab")
    assert await tab.evaluate("document.activeElement.id") == "mute"
    await tab.press("Space")
    await wait_for(tab, "mute.getAttribute('aria-pressed') === 'true'")
    assert not await tab.evaluate(f"{AUDIO}.paused")


async def test_arrows_move_the_position_while_a_button_has_the_focus(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "First Light")
    await tab.click("#next")
    await plays(tab, "Harbour Lights")
    await tab.press("Space")
    await wait_for(tab, f"{AUDIO}.paused")
    start = await tab.evaluate(f"{AUDIO}.currentTime")
    await tab.press("ArrowRight")
    await wait_for(tab, f"{AUDIO}.currentTime > {start} + 4")
    await tab.press("Tab")  # a button, by the keyboard
    await tab.press("ArrowRight")
    await wait_for(tab, f"{AUDIO}.currentTime > {start} + 9")
    await tab.press("ArrowLeft")
    await wait_for(tab, f"{AUDIO}.currentTime < {start} + 6")
    assert await tab.evaluate(TITLE) == "Harbour Lights"


async def test_a_space_in_the_search_box_is_a_space(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "First Light")
    await tab.click("#search")
    for key in ("a", "Space", "/", "b"):
        await tab.press(key)
    await wait_for(tab, "search.value === 'a /b'")
    assert not await tab.evaluate(f"{AUDIO}.paused")


async def test_what_was_chosen_in_a_search_goes_on_in_what_it_showed(tab: Tab) -> None:
    await found(tab, "ra", 2)
    await tab.click("#tracks li:nth-child(1)")
    await plays(tab, "Late Tram")
    await tab.click("#next")
    await plays(tab, "Wooden Rain")
    await wait_for(tab, "document.querySelector('#next').disabled")
    await tab.click("#previous")
    await plays(tab, "Late Tram")
    await found(tab, "", 6)  # the queue stays
    await tab.click("#next")
    await plays(tab, "Wooden Rain")


async def test_a_search_without_the_current_track_does_not_change_what_follows(tab: Tab) -> None:
    await tab.click("#tracks li:nth-child(2)")
    await plays(tab, "Harbour Lights")
    await found(tab, "wooden", 1)
    await tab.click("#next")
    await plays(tab, "Late Tram")
