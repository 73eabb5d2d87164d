"""The library of the page alone, in Chromium: without a player, its hooks recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from tests.support.audio_files import id3_of, mpeg_frames

from .conftest import watch

LONG: Final = "A title of so many words that no screen in the house can show it on one line " * 2
ARABIC: Final = "نسم علينا الهوى"
SONGS: Final[Sequence[Mapping[str, str]]] = (
    {"TIT2": "Zephyr", "TPE1": "Ann", "TALB": "Blue", "TRCK": "1"},
    {"TIT2": "Anchor", "TPE1": "Ann", "TALB": "Blue", "TRCK": "2"},
    {"TIT2": "Maple", "TPE1": "Ann", "TALB": "Blue", "TRCK": "3"},
    {"TIT2": "Side One", "TPE1": "Bea", "TALB": "Discs", "TRCK": "1", "TPOS": "1"},
    {"TIT2": "Side Two", "TPE1": "Bea", "TALB": "Discs", "TRCK": "1", "TPOS": "2"},
    {"TIT2": "Guest", "TPE1": "Cid", "TALB": "Both", "TRCK": "1"},
    {"TIT2": "Visitor", "TPE1": "Dee", "TALB": "Both", "TRCK": "2"},
    {"TIT2": LONG, "TPE1": "Eve"},
    {"TIT2": ARABIC, "TPE1": "فيروز"},
    {"TIT2": "🎉🌊", "TPE1": "Fox"},
    *({"TIT2": f"Many {number:02}", "TPE1": "Gil", "TRCK": str(number)} for number in range(1, 31)),
)
"""Frames of ID3v2 of each track, in the order in which they were added."""
HARNESS: Final = """
import { Api } from "./api.js";
import { find } from "./dom.js";
import { TrackList } from "./track-list.js";

const query = new URLSearchParams(location.search);
const titles = (tracks) => tracks.map(({ title }) => title);
const calls = (window.calls = []);
const list = new TrackList({
  onChosen: (track, tracks) => {
    calls.push(["chosen", track.title, titles(tracks)]);
    list.mark(track.id, true);
  },
  onPlayNext: (tracks) => calls.push(["next", titles(tracks)]),
  onAdd: (tracks) => calls.push(["add", titles(tracks)]),
  onShown: (tracks) => (window.shown = titles(tracks)),
  onLibrary: () => {},
  onRequestFailed: ({ status }) => {
    calls.push(["failed", status]);
    list.showUnreachable();
  },
});
document.documentElement.classList.toggle("kiosk", query.has("kiosk"));
find("player").hidden = false;
find("now-title").textContent = "Nothing playing";
find("now").hidden = query.has("kiosk");
list.open(new Api(location.hash.slice(1)));
if (query.has("history")) list.setFeatures(["history"]);
if (!query.has("slow")) list.load();
"""


def write_songs(folder: Path) -> None:
    """Write ``SONGS`` as MP3 files of half a second."""
    for number, texts in enumerate(SONGS):
        sound = mpeg_frames(20)
        (folder / f"{number:02}.mp3").write_bytes(id3_of(3, 1, **texts) + sound)


@dataclass
class LibraryPage:
    """A page with the library alone."""

    page: Page
    url: str
    token: str
    problems: list[str]

    @classmethod
    async def open(
        cls, browser: Browser, url: str, token: str, query: str = "", **context: Any
    ) -> LibraryPage:
        """Open the page in a context of its own, and wait for its rows."""
        view = {"viewport": {"width": 1280, "height": 800}} | context
        page = await (await browser.new_context(**view)).new_page()
        await page.route("**/js/main.js", cls._fulfill)
        library = cls(page, url, token, watch(page))
        await library.load(query)
        return library

    async def load(self, query: str = "") -> None:
        """Load the page again, with another query."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.url}/{query}#{self.token}")
        if "slow" not in query:
            await expect(self.rows.first).to_be_attached()

    @staticmethod
    async def _fulfill(route: Route) -> None:
        await route.fulfill(body=HARNESS, content_type="text/javascript")

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    @property
    def rows(self) -> Any:
        return self.page.locator("#tracks li")

    def row(self, title: str) -> Any:
        """The row with this name."""
        return self.rows.filter(has=self.page.get_by_text(title, exact=True))

    @property
    def active(self) -> Any:
        return self.page.locator("#tracks .active .title")

    async def view(self, name: str) -> None:
        """Choose a view."""
        await self.page.get_by_role("button", name=name, exact=True).click()
        await expect(self.rows.first).to_be_attached()

    async def names(self) -> list[str]:
        """The names of the rows in the document."""
        names: list[str] = await self.page.locator("#tracks .title").all_text_contents()
        return names

    async def calls(self) -> list[Any]:
        """What the hooks were called with since the last time."""
        calls: list[Any] = json.loads(await self.page.evaluate("JSON.stringify(calls.splice(0))"))
        return calls
