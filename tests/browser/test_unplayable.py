"""Files that cannot be played do not silence the player page: it goes on, or says why not."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.support.audio_files import write_wav
from tests.support.long_tests import only_long
from tests.support.server_process import Launch, ServerProcess

from .conftest import SAMPLES
from .player_page import RestClient, choose, new_page, open_player

Token = Callable[..., str]
PROMISED = 5.0
"""Seconds within which the next track plays: what the product promises."""
SLACK = 15.0
"""Seconds more for a busy machine."""
AUDIO = """(() => {
  const { currentTime: position, paused, duration, error, src } = document.getElementById("audio");
  const [title, notice] = ["now-title", "notice"].map((id) => document.getElementById(id));
  return {
    title: title.textContent, notice: notice.hidden ? "" : notice.textContent.trim(),
    position, paused, duration, error: error?.message, src,
  };
})()"""
STREAMS = "**/api/tracks/stream/**"
USER = "demo"


def html(path: Path) -> None:
    path.with_suffix(".mp3").write_text("<!doctype html><p>Sign in to download</p>" * 200)


def nothing(path: Path) -> None:
    """A FLAC file whose header promises music, and which has none."""
    promise = (SAMPLES / "paper-carousel.flac").read_bytes()[8:42]
    path.with_suffix(".flac").write_bytes(b"fLaC\x80\0\0\x22" + promise + bytes(200_000))


def empty(path: Path) -> None:
    path.with_suffix(".mp3").write_bytes(b"")


def noise(path: Path) -> None:
    path.with_suffix(".ogg").write_bytes(bytes(range(256)) * 400)


def broken_inside(path: Path) -> None:
    """An MP4 file with two seconds of music, and then none."""
    whole = (SAMPLES / "wooden-rain.m4a").read_bytes().replace(b"udta", b"free")  # no tags
    kept = len(whole) // 10
    path.with_suffix(".m4a").write_bytes(whole[:kept] + bytes(len(whole) - kept))


def cut_short(path: Path) -> None:
    """A WAV file whose head says 60 s, of which 2 s have come; it is listed with these."""
    good(path)
    keep_two_seconds(path.with_suffix(".wav"))


def keep_two_seconds(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16_000])


def no_sound(path: Path) -> None:
    path = path.with_suffix(".wav")
    write_wav(path, 0.0)
    path.write_bytes(path.read_bytes() + bytes(60))


def good(path: Path) -> None:
    write_wav(path.with_suffix(".wav"), 60.0)


Make = Callable[[Path], None]
BROKEN: list[Make] = [html, nothing, empty, noise, broken_inside, cut_short, no_sound]


@dataclass
class ServerFixture:
    """A server whose library is as a test wants it, and pages of its user."""

    launch: Launch
    token: str
    browser: Browser
    media: Path
    _server: ServerProcess | None = None

    @property
    def server(self) -> ServerProcess:
        assert self._server is not None, "serve() comes first"
        return self._server

    @property
    def rest(self) -> RestClient:
        return RestClient(self.server, self.token)

    def serve(self, *makes: Make) -> None:
        """Tracks that are 'a', 'b', 'c' and so on by title and id: in this order they play."""
        self.media.mkdir()
        for name, make in zip(ascii_lowercase, makes, strict=False):
            make(self.media / name)
        self.list_tracks()
        self.start()
        self.server.wait_for_log(f"the library has {len(makes)} track")

    def list_tracks(self) -> None:
        files = sorted(self.media.glob("[a-z].*"))
        entries = [{"id": file.stem, "audioUrl": file.name, "title": file.stem} for file in files]
        (self.media / "tracks.json").write_text(json.dumps(entries))

    def start(self, *arguments: str) -> None:
        self._server = self.launch("--media", str(self.media), *arguments)

    async def page(self, query: str = "", width: int = 1200, height: int = 800) -> Page:
        """A page that is connected and shows the library."""
        page = await new_page(self.browser, width, height)
        await open_player(page, self.server, self.token, query)
        return page


@pytest_asyncio.fixture(loop_scope="session")
async def site(launch: Launch, token: Token, browser: Browser, tmp_path: Path) -> ServerFixture:
    return ServerFixture(launch, token(USER), browser, tmp_path / "library")


async def plays(page: Page, title: str, patience: float = PROMISED + SLACK) -> None:
    """Wait until the page plays that track, and its audio advances."""
    deadline = time.monotonic() + patience
    before: dict[str, Any] = {}
    now: dict[str, Any] = {}
    while time.monotonic() < deadline:
        before, now = now, await page.evaluate(AUDIO)
        is_same = before.get("title") == now["title"] == title
        if is_same and not now["paused"] and now["position"] > before["position"] > 0:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{title!r} does not play: {now}")


async def device_of(site: ServerFixture) -> str:
    """The id of the one page."""
    headers = {"Authorization": f"Bearer {site.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{site.server.url}/ws") as socket,
    ):
        await socket.send_json({"event": "getDevices", "id": 1})
        while (frame := await socket.receive_json()).get("id") != 1:
            pass
        rows = frame["data"]["devices"]
        (identity,) = [each["deviceId"] for each in rows if each["deviceName"]]
        return str(identity)


async def is_paused(site: ServerFixture, patience: float = PROMISED + SLACK) -> Any:
    """The state, once it is paused."""
    async with asyncio.timeout(patience):
        while (state := await site.rest.state())["isPlaying"]:
            await asyncio.sleep(0.1)
    return state


async def test_after_each_kind_of_unplayable_file_the_next_track_plays_within_five_seconds(
    site: ServerFixture,
) -> None:
    site.serve(*chain.from_iterable((make, good) for make in BROKEN))
    page = await site.page()
    for make, broken, following in zip(
        BROKEN, ascii_lowercase[::2], ascii_lowercase[1::2], strict=False
    ):
        heard = 2.0 if make in (broken_inside, cut_short) else 0.0
        await choose(page, broken)
        await plays(page, following, heard + PROMISED + SLACK)
        state = await site.rest.state()
        assert (state["trackId"], state["isPlaying"]) == (following, True), make


@pytest.mark.parametrize(
    "make",
    [
        *(html, broken_inside, no_sound),
        *(pytest.param(make, marks=only_long) for make in (nothing, empty, noise)),
    ],
)
async def test_where_nothing_follows_an_unplayable_file_the_state_is_paused_and_the_page_says_why(
    site: ServerFixture, make: Make
) -> None:
    site.serve(make)
    page = await site.page()
    await choose(page, "a")
    await is_paused(site)
    notice = page.locator("#notice")
    await expect(notice).to_contain_text("“a”")
    await expect(notice).to_contain_text("playback is paused")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


async def test_an_unplayable_file_that_is_repeated_alone_is_paused_and_the_page_says_so(
    site: ServerFixture,
) -> None:
    site.serve(html)
    await site.rest.request("/repeat", "PUT", {"repeat": "all"})
    page = await site.page()
    await choose(page, "a")
    await expect(page.locator("#notice")).to_contain_text("“a” cannot be played here.")
    await expect(page.locator("#notice")).to_contain_text("Playback is paused.")
    await is_paused(site)
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


async def test_where_nothing_follows_a_file_that_was_cut_short_since_its_scan_the_page_says_so(
    site: ServerFixture,
) -> None:
    site.serve(good)
    keep_two_seconds(site.media / "a.wav")
    page = await site.page()
    await choose(page, "a")
    await is_paused(site)
    await expect(page.locator("#notice")).to_contain_text("“a”")
    await expect(page.locator("#notice")).to_contain_text("playback is paused")


async def test_where_nothing_follows_a_track_that_ends_where_it_is_listed_to_end_nothing_is_said(
    site: ServerFixture,
) -> None:
    site.serve(cut_short)
    page = await site.page()
    await choose(page, "a")
    await is_paused(site)
    await expect(page.locator("#notice")).to_be_hidden()


async def test_after_a_file_that_is_gone_the_next_track_plays(site: ServerFixture) -> None:
    site.serve(good, good)
    page = await site.page()
    (site.media / "a.wav").unlink()
    await choose(page, "a")
    await plays(page, "b")
    await expect(page.locator("#notice")).to_contain_text("“a” cannot be played here. Skipped.")


async def test_a_track_that_has_left_the_library_is_skipped_when_its_turn_comes(
    site: ServerFixture,
) -> None:
    site.serve(good, good, good)
    page = await site.page()
    await choose(page, "a")
    await plays(page, "a")
    (site.media / "b.wav").unlink()
    site.list_tracks()
    site.server.process.send_signal(signal.SIGHUP)
    await site.server.logs("the library has 2 tracks")
    await page.get_by_role("button", name="Next track").click()
    await plays(page, "c")


async def test_a_current_track_that_has_left_the_library_is_paused_by_a_page_that_is_opened(
    site: ServerFixture,
) -> None:
    site.serve(good, good)
    await site.rest.play("b")
    (site.media / "b.wav").unlink()
    site.list_tracks()
    site.server.process.send_signal(signal.SIGHUP)
    await site.server.logs("the library has 1 track")
    page = await site.page()
    state = await is_paused(site)
    assert state["trackId"] == "b"
    await expect(page.locator("#notice")).to_contain_text("playback is paused")


async def test_a_kiosk_skips_an_unplayable_track_that_rest_started(site: ServerFixture) -> None:
    site.serve(html, good)
    page = await site.page("?kiosk=1", 1024, 600)
    await site.rest.play("a", queue=["a", "b"])
    await plays(page, "b")


async def test_a_page_skips_an_unplayable_track_that_a_remote_control_started(
    site: ServerFixture,
) -> None:
    site.serve(html, good)
    page = await site.page("?kiosk=1", 1024, 600)
    headers = {"Authorization": f"Bearer {site.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{site.server.url}/ws") as remote,
    ):
        data = {"trackId": "a", "queue": ["a", "b"], "deviceId": await device_of(site)}
        await remote.send_json({"event": "playTrack", "data": data})
        await plays(page, "b")


async def test_several_unplayable_files_in_a_row_are_all_skipped(site: ServerFixture) -> None:
    site.serve(html, noise, empty, nothing, good)
    page = await site.page()
    await choose(page, "a")
    await plays(page, "e")
    await expect(page.locator("#notice")).to_contain_text("Skipped.")


async def test_where_all_files_are_unplayable_the_page_pauses_and_says_so(
    site: ServerFixture,
) -> None:
    site.serve(*[html] * 4)
    page = await site.page()
    await choose(page, "a")
    state = await is_paused(site, 4 * (PROMISED + SLACK))
    assert state["trackId"] == "d"
    await expect(page.locator("#notice")).to_contain_text(
        "4 tracks in a row cannot be played here."
    )
    await asyncio.sleep(2.0)
    assert (await site.rest.state())["rev"] == state["rev"]


async def test_a_library_of_unplayable_files_is_tried_twenty_files_far(site: ServerFixture) -> None:
    site.serve(*[html] * 26)
    page = await site.page()
    await choose(page, "a")
    await expect(page.locator("#notice")).to_contain_text("20 tracks in a row", timeout=60_000)
    state = await is_paused(site)
    assert state["trackId"] == "t"


async def test_an_unplayable_file_plays_when_it_is_chosen_again_once_mended(
    site: ServerFixture,
) -> None:
    site.serve(html)
    page = await site.page()
    await choose(page, "a")
    await is_paused(site)
    shutil.copy(SAMPLES / "first-light.mp3", site.media / "a.mp3")
    await page.get_by_role("button", name="Play", exact=True).click()
    await plays(page, "a")


async def test_two_tabs_skip_an_unplayable_file_once(site: ServerFixture) -> None:
    site.serve(html, good, good)
    pages = [await site.page(), await site.page()]
    before = (await site.rest.state())["rev"]
    await choose(pages[0], "a")
    await plays(pages[0], "b")
    await expect(pages[1].locator("#now-title")).to_have_text("b")
    await asyncio.sleep(3.0)
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == ("b", True)
    assert state["rev"] == before + 2  # the play, and one skip


async def test_a_tab_that_alone_cannot_play_a_track_leaves_it_to_the_others(
    site: ServerFixture,
) -> None:
    site.serve(good, good)
    playing, deaf = await site.page(), await site.page("?sounds=always")
    await deaf.context.route(STREAMS, lambda route: route.abort())
    await choose(playing, "a")
    await expect(deaf.locator("#notice")).to_contain_text("plays elsewhere")
    await asyncio.sleep(2.0)
    await plays(playing, "a")
    assert (await site.rest.state())["trackId"] == "a"


@pytest.mark.parametrize("failure", ["refused", "error"])
async def test_a_stream_that_keeps_failing_while_the_server_answers_is_skipped(
    site: ServerFixture, failure: str
) -> None:
    site.serve(good, good)
    page = await site.page()
    broken = "a"

    async def fail(route: Route) -> None:
        if f"/stream/{broken}" not in route.request.url:
            await route.continue_()
        elif failure == "refused":
            await route.abort()
        else:
            await route.fulfill(status=502)

    await page.context.route(STREAMS, fail)
    await choose(page, "a")
    await plays(page, "b")


async def test_a_stream_that_fails_once_is_loaded_again(site: ServerFixture) -> None:
    site.serve(good, good)
    page = await site.page()
    failures = 2

    async def fail(route: Route) -> None:
        nonlocal failures
        failures -= 1
        await (route.continue_() if failures < 0 else route.abort())

    await page.context.route(STREAMS, fail)
    await choose(page, "a")
    await plays(page, "a")


async def test_a_network_outage_is_not_taken_for_an_unplayable_file(site: ServerFixture) -> None:
    site.serve(good, good)
    page = await site.page()
    is_out = True

    async def out(route: Route) -> None:
        await (route.abort("internetdisconnected") if is_out else route.continue_())

    await page.context.route("**/api/**", out)
    await choose(page, "a")
    await asyncio.sleep(PROMISED + 2.0)
    assert (await site.rest.state())["trackId"] == "a"
    await expect(page.locator("#now-title")).to_have_text("a")
    is_out = False
    await plays(page, "a")


async def test_a_server_that_goes_as_a_track_begins_does_not_make_it_unplayable(
    site: ServerFixture,
) -> None:
    site.serve(good, good)
    page = await site.page()
    port = site.server.port
    site.server.process.kill()
    site.server.process.wait()
    await choose(page, "a")
    await asyncio.sleep(PROMISED)
    await expect(page.locator("#now-title")).to_have_text("a")
    site.start("--port", str(port))
    await plays(page, "a", 40.0)
