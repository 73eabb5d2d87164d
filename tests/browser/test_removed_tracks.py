"""A track whose file goes while the page plays it, or cannot be played at all, in both engines."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ..conftest import Launch, ServerProcess, write_wav
from .engines import Engine, Tab, wait_for
from .listening import choose, mute

Token = Callable[..., str]
LINE = "document.getElementById('line').textContent.trim()"
POSITION = "document.getElementById('audio').currentTime"
BUTTON = "document.getElementById('toggle').getAttribute('aria-label')"
SHOWN = "document.getElementById('seek').valueAsNumber"
NOTICE = """(() => {
  const notice = document.getElementById("notice");
  return notice.hidden ? "" : notice.textContent.trim();
})()"""


@dataclass
class House:
    """A server on a folder that changes, and a page on it."""

    launch: Launch
    media: Path
    token: str
    tab: Tab
    session: aiohttp.ClientSession
    server: ServerProcess | None = None

    async def serve(self, *titles: str) -> None:
        for title in titles:
            if not (self.media / f"{title}.wav").exists():
                write_wav(self.media / f"{title}.wav", 60)
        self.list_tracks()
        self.server = self.launch("--media", str(self.media))
        await self.server.logs(f"the library has {len(titles)} track")

    def list_tracks(self) -> None:
        names = sorted(path.name for path in self.media.glob("*.*") if path.suffix != ".json")
        entries = [{"id": n[0], "audioUrl": n, "title": n[0]} for n in names]
        (self.media / "tracks.json").write_text(json.dumps(entries))

    async def remove(self, title: str) -> None:
        """Take a track's file and its entry away, and let the server notice."""
        assert self.server is not None
        (self.media / f"{title}.wav").unlink()
        self.list_tracks()
        self.server.process.send_signal(signal.SIGHUP)
        left = len(json.loads((self.media / "tracks.json").read_text()))
        await self.server.logs(f"the library has {left} track")

    async def open(self) -> None:
        assert self.server is not None
        await self.tab.goto(f"{self.server.url}/#token={self.token}")
        await mute(self.tab)
        await wait_for(self.tab, f"{LINE} === 'Connected'")
        await wait_for(self.tab, "document.querySelectorAll('#tracks li').length > 0")

    async def ask(self, path: str, body: Any = None) -> Any:
        assert self.server is not None
        url = f"{self.server.url}/api/tracks{path}"
        method = "GET" if body is None else "POST"
        async with self.session.request(method, url, json=body) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()


@pytest.fixture
async def house(
    launch: Launch, engine: Engine, token: Token, tmp_path: Path
) -> AsyncIterator[House]:
    headers = {"Authorization": f"Bearer {token('demo')}"}
    media = tmp_path / "album"
    media.mkdir()
    async with aiohttp.ClientSession(headers=headers) as session:
        yield House(launch, media, token("demo"), await engine.tab(), session)


async def test_a_track_that_is_removed_while_it_plays_can_be_paused(house: House) -> None:
    await house.serve("a", "b")
    await house.open()
    await choose(house.tab, "a")
    await wait_for(house.tab, f"{POSITION} > 1")
    await house.remove("a")
    await asyncio.sleep(1.5)
    assert await house.tab.evaluate(NOTICE) == ""
    await house.tab.click("#toggle")
    await asyncio.sleep(2.5)
    assert await house.tab.evaluate("document.getElementById('audio').paused")
    assert await house.tab.evaluate(BUTTON) == "Play"
    state = await house.ask("/current-state")
    assert (state["trackId"], state["isPlaying"]) == ("a", False)


async def test_a_removed_track_that_is_started_again_stays_paused_and_the_page_says_why(
    house: House,
) -> None:
    await house.serve("a", "b")
    await house.open()
    await choose(house.tab, "a")
    await wait_for(house.tab, f"{POSITION} > 1")
    await house.remove("a")
    await house.tab.click("#toggle")
    await wait_for(house.tab, f"{BUTTON} === 'Play'")
    await house.tab.click("#toggle")
    await wait_for(house.tab, f"{NOTICE} !== ''")
    assert "no longer in the library" in await house.tab.evaluate(NOTICE)
    await wait_for(house.tab, f"{BUTTON} === 'Play'")
    state = await house.ask("/current-state")
    assert (state["trackId"], state["isPlaying"]) == ("a", False)


async def test_a_file_that_cannot_be_played_does_not_show_pause_and_a_running_clock(
    house: House,
) -> None:
    (house.media / "a.wav").write_text("<!doctype html><p>Sign in to download</p>" * 200)
    await house.serve("a")
    await house.open()
    await choose(house.tab, "a")
    await wait_for(house.tab, f"{NOTICE} !== ''", 10)
    assert await house.tab.evaluate(BUTTON) == "Play"
    shown = await house.tab.evaluate(SHOWN)
    await asyncio.sleep(1.5)
    assert await house.tab.evaluate(SHOWN) == shown
    assert not (await house.ask("/current-state"))["isPlaying"]


async def test_a_missing_file_is_not_said_to_be_the_browsers_fault(house: House) -> None:
    await house.serve("a", "b")
    await house.ask("/play/a", {})
    await house.ask("/pause/a", {})
    (house.media / "a.wav").unlink()
    await house.open()
    await wait_for(house.tab, f"{NOTICE} !== ''")
    said = await house.tab.evaluate(NOTICE)
    assert "“a” is no longer there" in said
    assert "browser" not in said
