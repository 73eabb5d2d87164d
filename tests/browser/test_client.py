"""client.js in the browser: a page written for socket.io-client plays, follows and comes back.

The page is the specification's own player (``pages.SPECIFICATION``). It runs on our client, and on
the npm package itself where the server has the endpoint for it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.long_tests import times
from tests.support.server_process import Launch, ServerProcess

from . import pages
from .client_site import Site
from .conftest import SAMPLES

Token = Callable[..., str]
PROMPT = 500.0
"""Milliseconds in which an act in one tab is one in the other: what the product promises."""
SLOWEST = 5_000.0
"""The same for the slowest act of many on a busy machine."""
PAUSES = times(50)
LISTENED = times(15)
"""Seconds for which audio is measured."""
SILENT = 1.0
"""Seconds that a busy machine may take from the audio."""


async def _site(
    transport: str, server: ServerProcess, browser: Browser, token: Token, request: Any
) -> Site:
    if transport == "native":
        return Site(server, pages.CLIENT, browser, None, token)
    pytest.importorskip("socketio")
    context = await browser.new_context()
    answer = await context.request.get(f"{server.url}/socket.io/?EIO=4&transport=polling")
    await context.close()
    if answer.status == 404:
        pytest.skip("the server has no Socket.IO endpoint")
    node_modules = request.getfixturevalue("node_modules")
    return Site(server, pages.BUNDLE, browser, node_modules, token)


@pytest_asyncio.fixture(params=["native", "socketio"], loop_scope="session")
async def site(request: Any, server: ServerProcess, browser: Browser, token: Token) -> Site:
    """The sample music, for a page on our client and for one on the npm package."""
    return await _site(request.param, server, browser, token, request)


async def while_listened(page: Page) -> dict[str, float]:
    """Seconds of audio that were not played in ``LISTENED``, and the seeks."""
    measured: dict[str, float] = await page.evaluate(
        """async (seconds) => {
          const from = happened.length, position = audio.currentTime, started = performance.now();
          await wait(1000 * seconds);
          const elapsed = (performance.now() - started) / 1000;
          const seeks = happened.slice(from).filter(([, what]) => what === "seeking").length;
          return { silent: elapsed - (audio.currentTime - position), seeks };
        }""",
        LISTENED,
    )
    return measured


async def test_audio_plays_without_a_seek_in_one_tab_and_in_two(site: Site) -> None:
    alone, pair = await asyncio.gather(site.tab_that_plays("ada"), site.tabs_that_play("bob"))
    for measured in await asyncio.gather(*map(while_listened, (alone, *pair))):
        assert measured["silent"] <= SILENT
        assert measured["seeks"] <= 1


async def last_did(page: Page, what: str) -> None:
    """Wait until that is what the page's player did last."""
    await page.wait_for_function(
        "what => happened.findLast(([, did]) => did === 'play' || did === 'pause')?.[1] === what",
        arg=what,
        polling=20,
    )


async def test_a_pause_in_one_tab_pauses_the_other_and_holds(site: Site) -> None:
    acting, following = await site.tabs_that_play("demo")
    both, acts = (acting, following), []
    for _ in range(PAUSES):
        paused = await acting.evaluate("const at = now(); pauseTrack(); at")
        await asyncio.gather(*(last_did(page, "pause") for page in both))
        await asyncio.sleep(0.25)
        played = await acting.evaluate(
            "const at = now(); playTrack(current(), audio.currentTime % 20); at"
        )
        await asyncio.gather(*(last_did(page, "play") for page in both))
        acts.append((paused, played))
    for page in both:
        happened = await page.evaluate("happened")
        took = []
        for paused, played in acts:
            acted = [
                (at - paused, what)
                for at, what, _ in happened
                if paused <= at < played and what in {"play", "pause"}
            ]
            assert [what for _, what in acted] == ["pause"], acted
            took.append(acted[0][0])
        assert median(took) <= PROMPT, took
        assert max(took) <= SLOWEST, took


async def test_a_seek_in_one_tab_moves_the_other(site: Site) -> None:
    acting, following = await site.tabs_that_play("demo")
    await following.wait_for_timeout(1000)
    at = await acting.evaluate("const at = now(); audio.currentTime = 20; at")
    for page in (acting, following):
        await page.wait_for_function("!audio.paused && audio.currentTime > 20.5")
    await following.wait_for_timeout(1000)
    own, moves = [
        [
            (when - at, position)
            for when, what, position in await page.evaluate("happened")
            if what == "seeking" and when >= at
        ]
        for page in (acting, following)
    ]
    assert moves[0][0] <= SLOWEST
    assert moves[0][1] == pytest.approx(20, abs=0.5)
    assert 1 <= len(own) <= 2


async def test_sound_goes_on_while_the_server_is_killed_and_comes_back(
    launch: Launch, browser: Browser, token: Token, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("--media", str(SAMPLES), "--state", str(tmp_path / "state"), "--port", str(port))
    server = launch(*arguments)
    server.wait_for_log("the library has")
    site = Site(server, pages.CLIENT, browser, None, token)
    page = await site.tab_that_plays("demo")
    await page.evaluate(
        """() => {
          happened.length = 0;
          window.places = [];
          setInterval(() => places.push([performance.now() / 1000, audio.currentTime]), 250);
        }"""
    )
    await page.wait_for_timeout(2000)
    server.process.send_signal(signal.SIGKILL)
    await page.wait_for_function("!socket.connected")
    await page.wait_for_timeout(1000)
    launch(*arguments).wait_for_log("the library has")
    await page.wait_for_function("socket.connected")
    await page.wait_for_timeout(3000)
    events = [what for _, what, _ in await page.evaluate("happened")]
    happened = [what for what in events if what != "waiting"]  # a busy machine is late
    away = happened[: happened.index("connect")]
    assert set(away) <= {"disconnect: transport close", "connect_error: websocket error"}
    assert happened[len(away) :] == ["connect"]  # it brings its playback back unmoved (R11)
    places = await page.evaluate("places")
    assert all(later >= earlier for (_, earlier), (_, later) in pairwise(places))
    (first, start), (last, end) = places[0], places[-1]
    assert last - first - (end - start) <= SILENT
    state, here = await asyncio.gather(site.state(page, "demo"), page.evaluate("audio.currentTime"))
    assert state["isPlaying"]
    assert state["currentTime"] == pytest.approx(here, abs=1.5)
