"""A library that is read, and changes, while a page is open: the page shows it by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch

from .engines import Engine, Tab, wait_for

Token = Callable[..., str]
TITLES = "[...document.querySelectorAll('#tracks .title')].map((each) => each.textContent)"
IS_OPEN = "document.querySelector('#connection').dataset.status === 'open'"
SLOW_TRACKS = 20_000


async def opened(engine: Engine, address: str, token: str) -> Tab:
    tab = await engine.tab()
    await tab.goto(f"{address}/#token={token}")
    await wait_for(tab, IS_OPEN)
    return tab


async def test_new_files_appear_without_a_reload_and_lost_ones_go(
    engine: Engine, launch: Launch, token: Token, tmp_path: Path
) -> None:
    folder = tmp_path / "growing"
    for name in ("one", "two"):
        write_wav(folder / f"{name}.wav", 30.0)
    server = launch("--media", str(folder))
    server.wait_for_log("the library has 2 tracks")
    tab = await opened(engine, server.url, token("demo"))
    await wait_for(tab, f"{TITLES}.join() === 'one,two'")
    write_wav(folder / "three.wav", 30.0)
    server.process.send_signal(signal.SIGHUP)
    await wait_for(tab, f"{TITLES}.join() === 'one,three,two'")
    (folder / "one.wav").unlink()
    server.process.send_signal(signal.SIGHUP)
    await wait_for(tab, f"{TITLES}.join() === 'three,two'")
    assert await tab.evaluate("count.textContent") == "2 tracks"
    assert await tab.evaluate("notice.hidden")
    assert tab.problems == []


async def test_an_empty_library_fills_by_itself(
    engine: Engine, launch: Launch, token: Token, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    server = launch("--media", str(folder))
    tab = await opened(engine, server.url, token("demo"))
    await wait_for(tab, "empty.innerText.includes('No audio yet')")
    write_wav(folder / "first.wav", 30.0)
    server.process.send_signal(signal.SIGHUP)
    await wait_for(tab, f"{TITLES}.join() === 'first' && empty.hidden")


async def test_a_page_that_is_opened_during_the_first_scan_says_so_and_fills_by_itself(
    engine: Engine, launch: Launch, token: Token, tmp_path: Path
) -> None:
    folder = tmp_path / "slow"
    write_wav(folder / "0000.wav", 30.0)
    for number in range(1, SLOW_TRACKS):
        os.link(folder / "0000.wav", folder / f"{number:04}.wav")
    tab = await engine.tab()
    await tab.goto("about:blank")  # the browser is up before the scan begins
    address = launch("--media", str(folder)).url
    await tab.goto(address)
    # Everything that is ever said, also between two looks at the page.
    await tab.evaluate(
        "(window.said = new Set(), new MutationObserver(() => {"
        "  said.add(empty.hidden ? count.textContent : empty.querySelector('h2').textContent);"
        "}).observe(document.body, { subtree: true, childList: true, characterData: true }))"
        " ?? null"
    )
    await tab.evaluate(f"(location.hash = 'token={token('demo')}') && null")
    await wait_for(tab, "count.textContent === '20,000 tracks' && empty.hidden", 120.0)
    said = await tab.evaluate("[...said]")
    assert not any("No audio" in words for words in said)
    assert any("Reading the library" in words or "so far" in words for words in said), said
    assert await tab.evaluate("document.querySelectorAll('#tracks li').length") > 5
