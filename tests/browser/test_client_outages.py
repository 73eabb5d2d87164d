"""The specification's own player on client.js, on a connection that is held, in every browser."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from tests.conftest import ProxyTo
from tests.support.audio_files import write_wav
from tests.support.proxy import Mode, Proxy
from tests.support.server_process import Launch, ServerProcess
from tests.support.ws_client import Peer, connect

from . import pages
from .engines import Engine, Tab, wait_for

Token = Callable[..., str]

OUTAGES = (12.0, 20.0, 45.0)
"""Seconds for which a connection is held."""
NOTICED = 10.0
"""Seconds in which a dead connection is noticed."""
JUMP = 1.0
"""Seconds that a player may be thrown back."""
BACK = 8.0
"""Seconds after the outage in which everything has settled."""
PLAYED = "!audio.paused && audio.currentTime > 0.3"
WATCH = """(() => {
  window.places = [];
  setInterval(() => places.push([performance.now() / 1000, audio.currentTime]), 200);
})()"""


@pytest.fixture
def server(launch: Launch, tmp_path: Path) -> ServerProcess:
    """A server with two tracks of two minutes."""
    media = tmp_path / "long"
    for name in ("song", "other"):
        write_wav(media / f"{name}.wav", 120.0)
    entries = [
        {"id": name, "audioUrl": f"{name}.wav", "title": name, "duration": 120}
        for name in ("song", "other")
    ]
    (media / "tracks.json").write_text(json.dumps(entries))
    server = launch("--media", str(media))
    server.wait_for_log("the library has")
    return server


@dataclass
class Listener:
    """A user with a page on a connection of its own, and with other ways to the server."""

    user: str
    token: str
    server: ServerProcess
    proxy: Proxy
    tab: Tab
    session: ClientSession

    async def rest(self, method: str, path: str) -> dict[str, Any]:
        async with self.session.request(
            method,
            f"{self.server.url}/tracks/{path}",
            headers={"Authorization": f"Bearer {self.token}"},
        ) as answer:
            assert answer.ok
            state: dict[str, Any] = await answer.json()
            return state

    async def state(self) -> dict[str, Any]:
        return await self.rest("GET", "current-state")

    def kitchen(self) -> Any:
        """A second device, whose connection is good."""
        return connect(self.session, f"{self.server.url}/ws", self.token)

    async def happened(self, what: str) -> list[float]:
        """When it happened in the page, in epoch seconds."""
        happened = await self.tab.evaluate("happened")
        return [at / 1000 for at, did, _ in happened if did.startswith(what)]


Listen = Callable[[Engine, str], Any]


@pytest_asyncio.fixture(loop_scope="session")
async def listen(server: ServerProcess, proxy_to: ProxyTo, token: Token) -> Any:
    """Open a page of a user that plays: ``await listen(engine, user)``."""
    async with ClientSession() as session:

        async def start(engine: Engine, user: str) -> Listener:
            proxy, tab = await proxy_to(server.port), await engine.tab()
            await tab.provide(f"{proxy.url}/spec.html", pages.html(pages.SPECIFICATION))
            await tab.goto(f"{proxy.url}/spec.html#token={token(user)}")
            await wait_for(tab, "window.socket?.connected")
            await tab.evaluate("playTrack('song') && null")
            await wait_for(tab, PLAYED)
            await asyncio.sleep(2.0)
            await tab.evaluate(WATCH)
            return Listener(user, token(user), server, proxy, tab, session)

        yield start


async def hold(listener: Listener, seconds: float) -> None:
    await listener.proxy.switch(Mode.HOLD)
    await asyncio.sleep(seconds)
    await listener.proxy.switch(Mode.PASS)


async def lose_nothing(listener: Listener, outage: float) -> None:
    """Hold a page's connection, on which nobody acts: its position is kept."""
    rev, began = (await listener.state())["rev"], time.time()
    await hold(listener, outage)
    await asyncio.sleep(BACK)
    tab = listener.tab
    noticed = [at - began for at in await listener.happened("disconnect")]
    assert len(noticed) == 1, await tab.evaluate("happened")
    assert noticed[0] < NOTICED, noticed
    assert await tab.evaluate("socket.connected")
    places = await tab.evaluate("places")
    for (before, position), (now, later) in pairwise(places):
        assert position - 0.05 <= later <= position + now - before + JUMP, places
    (first, start), (last, end) = places[0], places[-1]
    assert end - start >= last - first - JUMP, places
    state, position = await asyncio.gather(listener.state(), tab.evaluate("audio.currentTime"))
    assert (state["isPlaying"], state["rev"]) == (True, rev), state
    assert state["currentTime"] == pytest.approx(position, abs=JUMP)


Scenario = Callable[[Listener], Awaitable[None]]


async def play_everywhere(
    engines: list[Engine], listen: Listen, scenarios: Mapping[str, Scenario]
) -> None:
    """Play all scenarios in all browsers at once, as each has to wait: every one has a user."""

    async def play(engine: Engine, name: str) -> str | None:
        user = f"{engine.name}: {name}"
        try:
            await scenarios[name](await listen(engine, user))
        except Exception as error:
            return f"{user}: {type(error).__name__} {error}"
        return None

    cases = [(engine, name) for engine in engines for name in scenarios]
    found = await asyncio.gather(*(play(engine, name) for engine, name in cases))
    failures = [each for each in found if each is not None]
    assert not failures, "\n".join(failures)


async def test_a_held_connection_is_noticed_and_the_position_is_kept(
    engines: list[Engine], listen: Listen
) -> None:
    scenarios = {f"{outage:g} s": partial(lose_nothing, outage=outage) for outage in OUTAGES}
    await play_everywhere(engines, listen, scenarios)


async def heard(kitchen: Peer) -> list[tuple[str, bool, int]]:
    """What a device was sent until now: the events, whether it was to play, and the revs."""
    await kitchen.send("nothingOfTheKind", "last")
    events = []
    while (frame := await kitchen.frame()).get("id") != "last":
        data = frame["data"]
        events.append((frame["event"], data["isPlaying"], data["rev"]))
    return events


async def pause_on_a_held_line(phone: Listener, outage: float) -> None:
    async with phone.kitchen() as kitchen:
        rev = (await phone.state())["rev"]
        held = asyncio.create_task(hold(phone, outage))
        await asyncio.sleep(0.5)
        await phone.tab.evaluate("pauseTrack() ?? null")
        await held
        await wait_for(phone.tab, "audio.paused && socket.connected")
        await asyncio.sleep(2.0)
        first, *others = await heard(kitchen)
        assert first == ("trackPaused", False, rev + 1)
        # A page that is slow to apply the pause may correct its position (R4), no more.
        assert all(each == ("trackUpdated", False, rev + 1) for each in others), others
        state = await phone.state()
        assert (state["isPlaying"], state["rev"]) == (False, rev + 1)
        assert await phone.tab.evaluate("audio.paused")
        assert len(await phone.happened("disconnect")) == (outage > 5)


async def choose_on_a_held_line(phone: Listener) -> None:
    async with phone.kitchen() as kitchen:
        rev = (await phone.state())["rev"]
        held = asyncio.create_task(hold(phone, 7.0))
        await asyncio.sleep(0.5)
        await phone.tab.evaluate("playTrack('other', 30) && null")
        await held
        await wait_for(phone.tab, "current() === 'other' && audio.currentTime > 30.3")
        await asyncio.sleep(2.0)
        assert [event for event, *_ in await heard(kitchen)].count("trackPlaying") == 1
        state, here = await asyncio.gather(phone.state(), phone.tab.evaluate("audio.currentTime"))
        assert (state["trackId"], state["isPlaying"], state["rev"]) == ("other", True, rev + 1)
        assert state["currentTime"] == pytest.approx(here, abs=JUMP)


async def act_late_on_a_held_line(phone: Listener) -> None:
    """A person acts here, then one elsewhere: the later act holds, though it arrives first."""
    held = asyncio.create_task(hold(phone, 7.0))
    await asyncio.sleep(0.5)
    await phone.tab.evaluate("playTrack('other', 30) && null")
    await asyncio.sleep(2.0)
    rev = (await phone.rest("POST", "pause/song"))["rev"]
    await held
    await wait_for(phone.tab, "audio.paused && socket.connected")
    await asyncio.sleep(3.0)
    state = await phone.state()
    assert (state["trackId"], state["isPlaying"], state["rev"]) == ("song", False, rev)
    assert await phone.tab.evaluate("audio.paused")


async def follow_a_pause_behind_a_held_line(phone: Listener) -> None:
    held = asyncio.create_task(hold(phone, 12.0))
    await asyncio.sleep(2.0)
    rev = (await phone.rest("POST", "pause/song"))["rev"]
    await held
    await wait_for(phone.tab, "audio.paused && socket.connected")
    await asyncio.sleep(3.0)
    state, here = await asyncio.gather(phone.state(), phone.tab.evaluate("audio.currentTime"))
    assert (state["isPlaying"], state["rev"]) == (False, rev)
    assert state["currentTime"] == pytest.approx(here, abs=JUMP)


async def test_a_command_on_a_held_connection_takes_effect_once_and_is_not_undone(
    engines: list[Engine], listen: Listen
) -> None:
    await play_everywhere(
        engines,
        listen,
        {
            "a pause, the line lasts": partial(pause_on_a_held_line, outage=2.5),
            "a pause, the line is given up": partial(pause_on_a_held_line, outage=7.0),
            "a track is chosen": choose_on_a_held_line,
            "a track is chosen, then a pause elsewhere": act_late_on_a_held_line,
            "a pause elsewhere": follow_a_pause_behind_a_held_line,
        },
    )
