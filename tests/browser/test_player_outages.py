"""The player page on a network that holds, refuses and cuts: it keeps its place, and says so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import ProxyTo
from tests.support.audio_files import write_wav
from tests.support.long_tests import only_long
from tests.support.proxy import Mode, Proxy
from tests.support.server_process import Launch, ServerProcess

from .bad_network import write_loud
from .engines import Engine, Tab, wait_for
from .listening import Heard, choose, heard, listen, mute
from .player_page import RestClient

Token = Callable[..., str]
SEEK = """(() => {
  const seek = document.getElementById("seek");
  seek.value = %s;
  for (const event of ["input", "change"]) seek.dispatchEvent(new Event(event));
})()"""
DENSE = 192_000
"""Samples a second of a file of which a browser holds a quarter of a minute, not a whole one."""
PLACE = 1.0
"""Seconds by which the position may differ after an outage: what the product promises."""
SILENCE = 3.0
"""Seconds that a busy machine may take from audio that plays on."""
NOTICED = 10.0
"""Seconds in which a dead connection is noticed."""
SLACK = 10.0
"""Seconds more for a busy machine."""
BACK = 5.0
"""Seconds after an outage in which audio plays again."""
OUTAGE = 8.0
"""Seconds that an outage lasts in which a track begins."""
STATUS = "document.getElementById('connection').textContent.trim()"
TITLE = "document.getElementById('now-title').textContent"


@dataclass
class Site:
    """A page that plays behind a proxy, and its user's other ways to the server."""

    server: ServerProcess
    proxy: Proxy
    token: str
    tab: Tab
    session: aiohttp.ClientSession

    @property
    def rest(self) -> RestClient:
        """The server itself: this connection is good."""
        return RestClient(self.server, self.token)

    async def sounds(self, title: str, patience: float) -> Heard:
        """Wait until a track sounds that is the last one that did; what was heard until then."""
        deadline = time.monotonic() + patience
        begin = (await heard(self.tab)).now.at
        while True:
            all_heard = await heard(self.tab)
            stretches = all_heard.since(begin).stretches()
            if stretches and stretches[-1].title == title:
                return all_heard
            assert time.monotonic() < deadline, f"{title} is silent: {all_heard.now}"
            await asyncio.sleep(0.1)

    async def agrees(self) -> None:
        """The page and the server are at the same place of the same track, once it is back."""
        await wait_for(self.tab, f"{STATUS} === 'Connected'")
        await asyncio.sleep(1.0)  # its next report has come
        state = await self.rest.state()
        now = (await heard(self.tab)).now
        assert state["isPlaying"] is (now.button == "Pause")
        assert state["currentTime"] == pytest.approx(now.position, abs=1.5)
        assert now.shown == pytest.approx(now.position, abs=0.6)


@dataclass
class Second:
    """Another device of the user on a good connection, without audio: what it was sent."""

    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def position(self) -> float:
        """Where it is now, as far as it was told, in seconds."""
        at, state = self.told[-1]
        gone = time.monotonic() - at if state["isPlaying"] else 0.0
        position: float = state["currentTime"] + gone
        return position


@asynccontextmanager
async def second_device(site: Site) -> AsyncIterator[Second]:
    second = Second()
    async with site.session.ws_connect(f"{site.server.url}/ws") as socket:

        async def hear() -> None:
            async for message in socket:
                frame = json.loads(message.data)
                if "rev" in frame["data"]:
                    second.told.append((time.monotonic(), frame["data"]))

        await socket.send_json({"event": "getCurrentState"})
        hearing = asyncio.create_task(hear())
        yield second
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


Start = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="session")
async def start(
    launch: Launch, proxy_to: ProxyTo, engine: Engine, token: Token, tmp_path: Path
) -> AsyncIterator[Start]:
    """Open a page and play the first of an album: ``await start(a=60, b=60)``, in seconds."""
    sessions: list[aiohttp.ClientSession] = []

    async def begin(*, write: Callable[[Path, int], None] = write_wav, **tracks: int) -> Site:
        media = tmp_path / "album"
        for title, seconds in tracks.items():
            write(media / f"{title}.wav", seconds)
        entries = [{"id": t, "audioUrl": f"{t}.wav", "title": t} for t in tracks]
        (media / "tracks.json").write_text(json.dumps(entries))
        server = launch("--media", str(media))
        await server.logs(f"the library has {len(tracks)} track")
        proxy = await proxy_to(server.port)
        headers = {"Authorization": f"Bearer {token('demo')}"}
        sessions.append(aiohttp.ClientSession(headers=headers))
        tab = await engine.tab()
        await tab.goto(f"{proxy.url}/#token={token('demo')}")
        await wait_for(tab, f"{STATUS} === 'Connected'")
        await wait_for(tab, "document.querySelectorAll('#tracks li').length > 0")
        await mute(tab)
        await listen(tab)
        site = Site(server, proxy, token("demo"), tab, sessions[-1])
        first = next(iter(tracks))
        await choose(tab, first)
        await site.sounds(first, SLACK + 5)
        return site

    yield begin
    for session in sessions:
        await session.close()


@pytest.mark.parametrize(
    "seconds", [12, pytest.param(20, marks=only_long), pytest.param(45, marks=only_long)]
)
async def test_a_page_that_plays_on_through_a_held_connection_keeps_its_position(
    start: Start, seconds: int
) -> None:
    site = await start(a=120)
    await asyncio.sleep(3)
    async with second_device(site) as second:
        await site.proxy.switch(Mode.HOLD)
        await asyncio.sleep(seconds)
        await site.proxy.switch(Mode.PASS)
        await wait_for(site.tab, f"{STATUS} === 'Connected'", BACK + SLACK)
        await asyncio.sleep(3)
        everything = await heard(site.tab)
        assert max(map(abs, everything.jumps()), default=0) < PLACE
        assert everything.silence() < SILENCE
        await site.agrees()
        assert second.position() == pytest.approx((await heard(site.tab)).now.position, abs=1.5)


async def test_a_page_notices_a_dead_connection_within_ten_seconds_and_comes_back(
    start: Start,
) -> None:
    site = await start(a=120)
    await site.tab.click("#toggle")
    await site.proxy.switch(Mode.HOLD)
    await wait_for(site.tab, f"{STATUS} !== 'Connected'", NOTICED + SLACK)
    await site.proxy.switch(Mode.PASS)
    await wait_for(site.tab, f"{STATUS} === 'Connected'")
    await site.tab.click("#toggle")
    await site.sounds("a", BACK + SLACK)
    await site.agrees()


@pytest.mark.parametrize(
    "mode",
    [
        Mode.HOLD,
        pytest.param(Mode.REFUSE, marks=only_long),
        pytest.param(Mode.CUT, marks=only_long),
    ],
)
async def test_a_track_that_begins_in_an_outage_plays_after_it(start: Start, mode: Mode) -> None:
    site = await start(a=15, b=60)
    await asyncio.sleep(2)
    await site.proxy.switch(mode)
    await wait_for(site.tab, f"{TITLE} === 'b'", 15 + SLACK)
    await asyncio.sleep(OUTAGE)
    await site.proxy.switch(Mode.PASS)
    returned = (await heard(site.tab)).now.at
    everything = await site.sounds("b", 3 + SLACK)
    assert everything.titles() == ["a", "b"]
    # It has gone on without sound: at the server (R24), or where that froze (R11), in the page.
    assert everything.since(returned).stretches()[0].first < OUTAGE + SLACK
    await asyncio.sleep(3)
    await site.agrees()


@pytest.mark.parametrize("mode", [Mode.HOLD, pytest.param(Mode.CUT, marks=only_long)])
async def test_a_track_that_the_user_chooses_in_an_outage_plays_after_it(
    start: Start, mode: Mode
) -> None:
    site = await start(a=120, b=60)
    await asyncio.sleep(2)
    await site.proxy.switch(mode)
    await asyncio.sleep(4)
    await site.tab.click("#next")
    await asyncio.sleep(12)
    await site.proxy.switch(Mode.PASS)
    everything = await site.sounds("b", 3 + SLACK)
    assert everything.titles() == ["a", "b"]
    await asyncio.sleep(3)
    await site.agrees()
    state = await site.rest.state()
    assert (state["trackId"], state["isPlaying"]) == ("b", True)


@pytest.mark.parametrize("mode", [Mode.HOLD, pytest.param(Mode.CUT, marks=only_long)])
async def test_a_buffer_that_runs_dry_goes_on_where_the_audio_stopped(
    start: Start, mode: Mode
) -> None:
    site = await start(write=partial(write_loud, rate=DENSE), a=100)
    await asyncio.sleep(2)
    await site.proxy.switch(mode)
    stopped = await silent(site)
    await asyncio.sleep(6)
    still = (await heard(site.tab)).now
    assert still.shown == pytest.approx(stopped, abs=PLACE)
    await site.proxy.switch(Mode.PASS)
    returned = (await heard(site.tab)).now.at
    everything = await site.sounds("a", BACK + SLACK)
    again = everything.since(returned).stretches()[0]
    assert again.first == pytest.approx(stopped, abs=PLACE)
    await asyncio.sleep(4)
    later = (await heard(site.tab)).since(again.begin)
    assert max(map(abs, later.jumps()), default=0) < PLACE
    await site.agrees()


@pytest.mark.parametrize("mode", [Mode.HOLD, pytest.param(Mode.CUT, marks=only_long)])
async def test_a_seek_that_cannot_be_loaded_is_not_the_end_of_the_track(
    start: Start, mode: Mode
) -> None:
    site = await start(write=write_loud, a=200, b=30)
    await asyncio.sleep(2)
    await site.proxy.switch(mode)
    await site.tab.evaluate(SEEK % 150)
    await asyncio.sleep(8)
    now = (await heard(site.tab)).now
    assert now.title == "a"
    assert now.shown == pytest.approx(150, abs=PLACE)
    await site.proxy.switch(Mode.PASS)
    everything = await site.sounds("a", BACK + SLACK)
    assert everything.titles() == ["a"]
    assert everything.stretches()[-1].first == pytest.approx(150, abs=PLACE)
    await asyncio.sleep(3)
    await site.agrees()


async def silent(site: Site) -> float:
    """Wait until the page is silent; where it is then, in seconds."""
    async with asyncio.timeout(120):
        while True:
            everything = await heard(site.tab)
            last = everything.stretches()[-1]
            if everything.now.at - last.end > 2:
                return last.last
            await asyncio.sleep(0.3)
