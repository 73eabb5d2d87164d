"""Both browsers do what tests ask of them by one interface."""

from __future__ import annotations

import pytest

from tests.support.server_process import Launch

from .engines import Engine, wait_for

PNG = b"\x89PNG"

HTML = """<!doctype html>
<meta charset="utf-8">
<title>Mine</title>
<link rel="icon" href="data:,">
<button onclick="window.clicks = (window.clicks ?? 0) + 1">Click</button>
<script>addEventListener("keydown", ({ key }) => (window.key = key));</script>
"""


@pytest.fixture
def origin(launch: Launch) -> str:
    return launch().url


async def test_a_tab_loads_a_provided_page_clicks_and_evaluates(
    engine: Engine, origin: str
) -> None:
    tab = await engine.tab()
    await tab.provide(f"{origin}/mine.html", HTML)
    await tab.goto(f"{origin}/mine.html#part")
    assert await tab.evaluate("document.title") == "Mine"
    assert await tab.evaluate("fetch('/healthz').then(({ status }) => status)") == 200
    await tab.click("button")
    assert await wait_for(tab, "window.clicks") == 1
    await tab.press("ArrowRight")
    assert await wait_for(tab, "window.key") == "ArrowRight"
    assert (await tab.screenshot()).startswith(PNG)
    assert tab.problems == []
    await tab.evaluate("console.error('this is one') ?? null")
    await wait_for(tab, "true")
    assert tab.problems == ["this is one"]


async def test_two_tabs_share_no_storage(engine: Engine, origin: str) -> None:
    one, other = await engine.tab(), await engine.tab()
    for tab in (one, other):
        await tab.goto(origin)
    await one.evaluate("localStorage.setItem('mine', 'one')")
    assert await one.evaluate("localStorage.getItem('mine')") == "one"
    assert await other.evaluate("localStorage.getItem('mine')") is None
