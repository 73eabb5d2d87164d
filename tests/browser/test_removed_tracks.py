"""A track whose file goes while the page plays it, or cannot be played at all, in both engines."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from tests.support.audio_files import write_wav
from tests.support.server_process import Launch, ServerProcess

from .engines import Engine, Tab, wait_for
from .listening import choose, mute
from .player_page import RestClient

Token = Callable[..., str]
STATUS = "document.getElementById('connection').textContent.trim()"
POSITION = "document.getElementById('audio').currentTime"
BUTTON = "document.getElementById('toggle').getAttribute('aria-label')"
SHOWN = "document.getElementById('seek').valueAsNumber"
NOTICE = """(() => {
  const notice = document.getElementById("notice");
  return notice.hidden ? "" : notice.textContent.trim();
})()"""


@dataclass
class ServerFixture:
    """A server on a folder that changes, and a page on it."""

    launch: Launch
    media: Path
    token: str
    tab: Tab
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
        await wait_for(self.tab, f"{STATUS} === 'Connected'")
        await wait_for(self.tab, "document.querySelectorAll('#tracks li').length > 0")

    @property
    def rest(self) -> RestClient:
        assert self.server is not None
        return RestClient(self.server, self.token)


@pytest_asyncio.fixture(loop_scope="session")
async def site(launch: Launch, engine: Engine, token: Token, tmp_path: Path) -> ServerFixture:
    media = tmp_path / "album"
    media.mkdir()
    return ServerFixture(launch, media, token("demo"), await engine.tab())


async def test_a_track_that_is_removed_while_it_plays_can_be_paused(site: ServerFixture) -> None:
    await site.serve("a", "b")
    await site.open()
    await choose(site.tab, "a")
    await wait_for(site.tab, f"{POSITION} > 1")
    await site.remove("a")
    await asyncio.sleep(1.5)
    assert await site.tab.evaluate(NOTICE) == ""
    await site.tab.click("#toggle")
    await asyncio.sleep(2.5)
    assert await site.tab.evaluate("document.getElementById('audio').paused")
    assert await site.tab.evaluate(BUTTON) == "Play"
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == ("a", False)


async def test_a_removed_track_that_is_started_again_stays_paused_and_the_page_says_why(
    site: ServerFixture,
) -> None:
    await site.serve("a", "b")
    await site.open()
    await choose(site.tab, "a")
    await wait_for(site.tab, f"{POSITION} > 1")
    await site.remove("a")
    await site.tab.click("#toggle")
    await wait_for(site.tab, f"{BUTTON} === 'Play'")
    await site.tab.click("#toggle")
    await wait_for(site.tab, f"{NOTICE} !== ''")
    assert "no longer in the library" in await site.tab.evaluate(NOTICE)
    await wait_for(site.tab, f"{BUTTON} === 'Play'")
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == ("a", False)


async def test_a_file_that_cannot_be_played_does_not_show_pause_and_a_running_clock(
    site: ServerFixture,
) -> None:
    (site.media / "a.wav").write_text("<!doctype html><p>Sign in to download</p>" * 200)
    await site.serve("a")
    await site.open()
    await choose(site.tab, "a")
    await wait_for(site.tab, f"{NOTICE} !== ''")
    assert await site.tab.evaluate(BUTTON) == "Play"
    shown = await site.tab.evaluate(SHOWN)
    await asyncio.sleep(1.5)
    assert await site.tab.evaluate(SHOWN) == shown
    assert not (await site.rest.state())["isPlaying"]


async def test_a_missing_file_is_explained_without_blaming_the_browser(site: ServerFixture) -> None:
    await site.serve("a", "b")
    await site.rest.play("a")
    await site.rest.pause("a")
    (site.media / "a.wav").unlink()
    await site.open()
    await wait_for(site.tab, f"{NOTICE} !== ''")
    said = await site.tab.evaluate(NOTICE)
    assert "“a” is no longer there" in said
    assert "browser" not in said
