"""The list of ten thousand tracks: few rows in the document, any place at once, by any hand."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch, ServerProcess

from .conftest import serving
from .engines import Engine, Tab, wait_for
from .viewports import DESKTOP, KIOSK, PHONE, resize

Token = Callable[..., str]
TRACKS = 10_000
MOST_ROWS = 200
ANY_PLACE_TIME = 200.0
"""Milliseconds."""

# What is not covered by rows between the list's edges as they can be seen.
UNCOVERED = """(() => {
  const list = document.querySelector('#tracks').getBoundingClientRect();
  const [top, bottom] = [Math.max(0, list.top), Math.min(innerHeight, list.bottom)];
  const rows = [...document.querySelectorAll('#tracks li')].map((row) =>
    row.getBoundingClientRect());
  let covered = top;
  for (const row of rows.sort((one, other) => one.top - other.top)) {
    if (row.top <= covered + 17) covered = Math.max(covered, row.bottom);
  }
  return Math.max(0, bottom - 17 - covered);
})()"""
TO_PLACE = """(async () => {
  const began = performance.now();
  scrollTo(0, %f * (document.documentElement.scrollHeight - innerHeight));
  do await new Promise(requestAnimationFrame);
  while (%s > 0 && performance.now() - began < 5000);
  return performance.now() - began;
})()"""
ROWS = "document.querySelectorAll('#tracks li').length"
ACTIVE = "document.getElementById(tracks.getAttribute('aria-activedescendant') ?? '')"
IN_VIEW = f"""(() => {{
  const row = {ACTIVE}?.getBoundingClientRect();
  return Boolean(row) && row.top >= 0 && row.bottom <= innerHeight;
}})()"""
HEADING = "document.querySelector('#now-title').textContent"


def write_many(folder: Path) -> None:
    """Ten thousand tracks, all of one file's data."""
    first = folder / "00000.wav"
    write_wav(first, 60.0)
    entries = []
    for number in range(TRACKS):
        name = f"{number:05}.wav"
        if number:
            os.link(first, folder / name)
        entries.append(
            {
                "id": f"t{number:05}",
                "audioUrl": name,
                "title": f"{'Even' if number % 2 == 0 else 'Odd'} song {number:05}",
                "artist": f"Artist {number // 100:03}",
                "album": f"Album {number // 10:04}",
                "duration": 60,
            }
        )
    entries[9_000]["title"] = "Zither tune"
    (folder / "tracks.json").write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with ten thousand tracks."""
    folder = tmp_path_factory.mktemp("many")
    write_many(folder)
    with serving(folder) as server:
        yield server


async def opened(engine: Engine, server: ServerProcess, token: str, query: str = "") -> Tab:
    tab = await engine.tab()
    await tab.goto(f"{server.url}/{query}#token={token}")
    await wait_for(tab, "document.querySelector('#connection').dataset.status === 'open'")
    return tab


async def test_a_long_list_has_few_rows_in_the_document_and_shows_any_place_at_once(
    engine: Engine, many: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, many, token("demo"))
    for size in (DESKTOP, PHONE):
        await resize(tab, size)
        await wait_for(tab, f"{ROWS} > 5 && {UNCOVERED} === 0")
        times = []
        for place in range(20):
            times.append(await tab.evaluate(TO_PLACE % (place * 7 % 20 / 19, UNCOVERED)))
            assert await tab.evaluate(UNCOVERED) == 0
            assert await tab.evaluate(ROWS) < MOST_ROWS
        assert median(times) < ANY_PLACE_TIME
    middle = await tab.evaluate(f"({TO_PLACE % (0.5, UNCOVERED)}).then(() => place.textContent)")
    assert middle in {"Artist 049", "Artist 050"}
    await wait_for(tab, "place.hidden")
    for view, count in (("albums", "1,000 albums"), ("tracks", "10,000 tracks")):
        await tab.evaluate("scrollTo(0, 0) ?? null")
        await tab.click(f"#views [value={view}]")
        await wait_for(tab, f"count.textContent === '{count}'")
        for share in (0.5, 1.0, 0.25):
            await tab.evaluate(TO_PLACE % (share, UNCOVERED))
            assert await tab.evaluate(UNCOVERED) == 0
            assert await tab.evaluate(ROWS) < MOST_ROWS
    await tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    await wait_for(tab, "tracks.lastElementChild.textContent.includes('09999')")
    assert tab.problems == []


async def test_a_long_list_on_a_kiosk_has_few_cards_in_the_document(
    engine: Engine, many: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, many, token("demo"), "?kiosk=1")
    await resize(tab, KIOSK)
    await tab.click("#browse")
    await wait_for(tab, f"{ROWS} > 5 && {UNCOVERED} === 0")
    for place in (0.5, 1.0, 0.25):
        await tab.evaluate(TO_PLACE % (place, UNCOVERED))
        assert await tab.evaluate(UNCOVERED) == 0
        assert await tab.evaluate(ROWS) < MOST_ROWS
    assert tab.problems == []


async def test_the_keyboard_goes_anywhere_in_a_long_list(
    engine: Engine, many: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, many, token("demo"))
    await wait_for(tab, f"{ROWS} > 5")
    assert await tab.evaluate("tracks.getAttribute('role')") == "tree"
    await tab.evaluate("search.focus() ?? null")
    await tab.press("ArrowDown")
    assert await tab.evaluate("document.activeElement.id") == "tracks"
    await tab.press("ArrowDown")
    await tab.press("ArrowDown")
    await wait_for(tab, f"{ACTIVE}?.getAttribute('aria-posinset') === '3'")
    assert await tab.evaluate(f"{ACTIVE}.getAttribute('aria-setsize')") == str(TRACKS)
    await tab.press("End")
    await wait_for(tab, f"{ACTIVE}?.getAttribute('aria-posinset') === '{TRACKS}'")
    assert await tab.evaluate(IN_VIEW)
    await tab.press("ArrowUp")
    await wait_for(tab, f"{ACTIVE}?.getAttribute('aria-posinset') === '{TRACKS - 1}'")
    await tab.press("z")
    await wait_for(tab, f"{ACTIVE}?.textContent.includes('Zither')")
    assert await tab.evaluate(IN_VIEW)
    place = int(await tab.evaluate(f"{ACTIVE}.getAttribute('aria-posinset')"))
    await tab.evaluate("scrollTo(0, 0) ?? null")
    await wait_for(tab, f"{ACTIVE} === null")
    assert await tab.evaluate("document.activeElement.id") == "tracks"
    await tab.press("Enter")
    await wait_for(tab, f"{HEADING} === 'Zither tune'")
    await tab.press("ArrowDown")
    await wait_for(tab, f"{ACTIVE}?.getAttribute('aria-posinset') === '{place + 1}'")
    assert await tab.evaluate(IN_VIEW)
    assert tab.problems == []


async def test_a_search_begins_at_its_first_hit(
    engine: Engine, many: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, many, token("demo"))
    await wait_for(tab, f"{ROWS} > 5")
    await tab.evaluate(TO_PLACE % (0.8, UNCOVERED))
    await tab.evaluate("(search.value = 'odd', search.form.requestSubmit()) ?? null")
    await wait_for(tab, "count.textContent === '5,000 tracks'")
    first = "document.querySelector('[aria-posinset=\"1\"]')"
    await wait_for(tab, f"{first}?.textContent.includes('00001')")
    top = await tab.evaluate(f"{first}.getBoundingClientRect().top")
    assert 0 < top < 400


async def test_rows_that_are_added_above_do_not_move_the_visible_ones(
    engine: Engine, launch: Launch, token: Token, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    write_many(folder)
    many = launch("--media", str(folder))
    many.wait_for_log("the library has 10000 tracks", 120.0)
    tab = await opened(engine, many, token("demo"))
    await wait_for(tab, f"{ROWS} > 5")
    await tab.evaluate(TO_PLACE % (0.5, UNCOVERED))
    at = "document.elementFromPoint(innerWidth / 2, 300).closest('li')?.textContent"
    before = await tab.evaluate(at)
    for name in (folder / f"new{number}.wav" for number in range(3)):
        os.link(folder / "00000.wav", name)  # no artist: sorted first
    many.process.send_signal(1)
    many.wait_for_log("the library has 10003 tracks", 120.0)
    await tab.evaluate("document.querySelector('#search-form').requestSubmit() ?? null")
    await wait_for(tab, "count.textContent === '10,003 tracks'")
    assert await tab.evaluate(at) == before
