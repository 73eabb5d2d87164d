"""What a person is told: for a while, beside the rows, in sentences; and by which device."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.support.audio_files import write_wav
from tests.support.server_process import ServerProcess

from .conftest import serving
from .engines import Engine, Tab, wait_for
from .viewports import DESKTOP, KIOSK, LANDSCAPE_PHONES, LOW_WINDOWS, PHONE, resize

pytestmark = pytest.mark.usefixtures("sound_device")
Token = Callable[..., str]
RLO = "\u202e"
"""The sign that turns what follows from right to left."""
IS_OPEN = "document.querySelector('#connection').dataset.status === 'open'"
ROWS = "document.querySelectorAll('#tracks li').length"
AUDIO = "document.querySelector('audio')"
REMOTE = "document.querySelector('#remote')"
DEVICES = "document.querySelectorAll('#devices-list li').length"

# The rows that a notice lies over, where they could be seen if there was none: not under the dock,
# nor under what stays at the top of a kiosk's tracks.
COVERED = """[...document.querySelectorAll('#tracks li')].filter((row) => {
  const one = row.getBoundingClientRect();
  const other = notice.getBoundingClientRect();
  const dock = now.getBoundingClientRect();
  const isDock = getComputedStyle(now).position === 'fixed';
  const top = Math.max(one.top, document.querySelector('.shelf').getBoundingClientRect().bottom);
  const bottom = Math.min(one.bottom, isDock && !now.hidden ? dock.top : innerHeight);
  return one.left < other.right && one.right > other.left &&
    top < bottom && top < other.bottom && bottom > other.top;
}).length"""
HIT = """(() => {
  const box = document.querySelector('%s').getBoundingClientRect();
  const isWhole = box.top >= 0 && box.left >= 0 &&
    box.bottom <= innerHeight && box.right <= innerWidth && box.width > 40;
  const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return isWhole && hit?.closest('%s') !== null;
})()"""


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with thirty tracks, some of whose names are as bad as names can be."""
    folder = tmp_path_factory.mktemp("thirty")
    entries = []
    for number in range(30):
        name = f"{number:02}.wav"
        write_wav(folder / name, 60.0)
        title = f"Track {number:02}"
        entry = {"id": f"t{number:02}", "audioUrl": name, "title": title, "duration": 60}
        entries.append(entry | {"artist": "Artist", "album": "Album"})
    (folder / "02.wav").write_bytes(b"no audio at all" * 999)
    entries[0]["title"] = "A title of many words " * 6
    entries[1] |= {"title": f"{RLO}turned", "artist": f"{RLO}artist", "album": "album"}
    (folder / "tracks.json").write_text(json.dumps(entries))
    with serving(folder) as server:
        yield server


async def opened(engine: Engine, server: ServerProcess, token: str, query: str = "") -> Tab:
    tab = await engine.tab()
    await tab.goto(f"{server.url}/{query}#token={token}")
    await wait_for(tab, IS_OPEN)
    return tab


def row_of(title: str) -> str:
    rows = "[...document.querySelectorAll('#tracks li')]"
    return f"{rows}.find((row) => row.textContent.includes('{title}'))"


async def with_notice(tab: Tab) -> None:
    """Something goes wrong: a track cannot be played, and the one after it plays."""
    await wait_for(tab, f"{ROWS} > 3")
    await tab.evaluate(f"{row_of('Track 02')}.click() ?? null")
    await wait_for(tab, "!notice.hidden && notice.textContent.includes('cannot be played')")


async def test_a_notice_goes_away_by_itself(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await with_notice(tab)
    await wait_for(tab, "notice.hidden")


@pytest.mark.parametrize(
    ("starting_engine", "size"),
    [
        *(("chromium", size) for size in (*LANDSCAPE_PHONES, *LOW_WINDOWS)),
        *(product(("chromium", "firefox"), (DESKTOP, PHONE, KIOSK))),
    ],
    indirect=["starting_engine"],
)
async def test_a_notice_covers_no_row_and_takes_no_clicks(
    engine: Engine, thirty: ServerProcess, token: Token, size: tuple[int, int]
) -> None:
    query = "?kiosk=1" if size == KIOSK else ""
    tab = await opened(engine, thirty, token("demo"), query)
    await resize(tab, size)
    if query:
        await tab.click("#browse")
    await with_notice(tab)
    if query:
        await tab.click("#browse")
    for place in ("0", "300", "document.documentElement.scrollHeight"):
        await tab.evaluate(f"scrollTo(0, {place}) ?? null")
        await tab.evaluate("new Promise((done) => setTimeout(done, 100))")
        assert await tab.evaluate(COVERED) == 0
    last = "#tracks li:last-child"
    await wait_for(tab, HIT % (last, last))
    words = "notice.firstElementChild.getBoundingClientRect()"
    under = f"document.elementFromPoint({words}.left + 20, {words}.top + 8)?.closest('#notice')"
    assert await tab.evaluate(f"{under} === null || {under} === undefined")
    title = await tab.evaluate(f"document.querySelector('{last} .title').textContent")
    await tab.click(last)
    await wait_for(tab, f"document.querySelector('#now-title').textContent === '{title}'")


async def test_the_play_button_is_never_cut_off_at_any_size(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await wait_for(tab, f"{ROWS} > 3")
    await tab.evaluate(f"{row_of('A title')}.click() ?? null")
    await wait_for(tab, "document.querySelector('#now-title').textContent.length > 50")
    for size in (PHONE, DESKTOP, *LANDSCAPE_PHONES, *LOW_WINDOWS):
        await tab.evaluate("scrollTo(0, 0) ?? null")
        await resize(tab, size)
        # The bar of a phone opens into a view that has the others.
        for name in ("toggle", "next") if size == PHONE else ("toggle", "next", "previous"):
            await wait_for(tab, HIT % (f"#{name}", f"#{name}"))
        await tab.evaluate("scrollTo(0, 400) ?? null")
        await wait_for(tab, HIT % ("#toggle", "#toggle"))
        assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), size


async def test_a_name_with_a_bidirectional_override_changes_no_text_beside_it(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await wait_for(tab, f"{ROWS} > 3")
    await tab.evaluate("(search.value = 'turned', search.form.requestSubmit()) ?? null")
    await wait_for(tab, f"{ROWS} === 1")
    await tab.click("#tracks li")
    by = "document.querySelector('#now-by')"
    await wait_for(tab, f"{by}.textContent.includes('artist')")
    order = """[...%s.childNodes].map((node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      const { left, right } = range.getBoundingClientRect();
      return [left, right];
    })"""
    parts = await tab.evaluate(order % by)
    assert len(parts) == 3
    assert parts == sorted(parts)
    assert RLO not in await tab.evaluate("document.title")
    await tab.evaluate(f"(search.value = '{RLO}none', search.form.requestSubmit()) ?? null")
    words = "document.querySelector('#empty h2')"
    await wait_for(tab, f"{words}.textContent.includes('none')")
    parts = await tab.evaluate(order % words)
    assert len(parts) == 3
    assert parts == sorted(parts)


async def test_a_search_for_too_much_is_explained_by_a_sentence(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await wait_for(tab, f"{ROWS} > 3")
    assert await tab.evaluate("search.maxLength") == 200
    words = " ".join(f"word{number}" for number in range(17))
    for query in (words, "x" * 201):
        await tab.evaluate(f"(search.value = '{query}', search.form.requestSubmit()) ?? null")
        await wait_for(tab, "!empty.hidden && empty.innerText.includes('Up to 16 words')")
        assert await tab.evaluate(ROWS) == 0
        await tab.evaluate("(search.value = '', search.form.requestSubmit()) ?? null")
        await wait_for(tab, f"empty.hidden && {ROWS} > 3")


async def test_started_elsewhere_is_said_as_long_as_that_device_is_there(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    one, other = [await opened(engine, thirty, token("demo")) for _ in range(2)]
    await wait_for(one, f"{ROWS} > 3")
    await one.click("#tracks li:nth-child(3)")
    await wait_for(one, f"{AUDIO}.currentTime > 0.3")
    name = f"/^Playing on (Chrome|Firefox), /.test({REMOTE}.innerText.trim())"
    await wait_for(other, f"!{REMOTE}.hidden && {name}")
    await one.goto("about:blank")
    await wait_for(other, f"{REMOTE}.hidden")
    await other.evaluate("new Promise((done) => setTimeout(done, 1500))")
    assert await other.evaluate(f"{REMOTE}.hidden")


async def test_a_tab_that_is_opened_from_another_is_a_device_of_its_own(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await wait_for(tab, f"{DEVICES} === 1")
    # The storage of a tab is copied for one that it opens, as when a person duplicates it.
    await tab.evaluate(
        "document.querySelector('header h1').addEventListener('click',"
        " () => (window.copy = window.open(location.href))) ?? null"
    )
    await tab.click("header h1")
    await wait_for(tab, f"{DEVICES} === 2")
    rows = "[...document.querySelectorAll('#devices-list li')].map((row) => row.textContent)"
    names = await tab.evaluate(rows)
    assert len([name for name in names if "This device" in name]) == 1, names
    await tab.evaluate("window.copy.close() ?? null")
    await wait_for(tab, f"{DEVICES} === 1")


async def test_a_tab_that_is_reloaded_stays_the_same_device(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"))
    await wait_for(tab, f"{ROWS} > 3")
    await tab.click("#tracks li:nth-child(3)")
    await wait_for(tab, f"{AUDIO}.currentTime > 0.3")
    await tab.goto(f"{thirty.url}/")
    await wait_for(tab, IS_OPEN)
    await wait_for(tab, f"{AUDIO}.currentTime > 0.3")
    assert await tab.evaluate(f"{REMOTE}.hidden")  # this very tab started it
    await wait_for(tab, f"{DEVICES} === 1")


async def test_a_kiosk_has_a_heading_of_level_one(
    engine: Engine, thirty: ServerProcess, token: Token
) -> None:
    tab = await opened(engine, thirty, token("demo"), "?kiosk=1")
    heading = "[...document.querySelectorAll('h1')].filter((each) => each.checkVisibility()).length"
    assert await tab.evaluate(heading) == 1
    await tab.click("#browse")
    assert await tab.evaluate(heading) == 1
