"""Minutes of the player page on a bad network: ``python -m tests.browser.bad_network``.

A network holds everything for 5 to 60 s in every minute, and an album plays over it. The exit code
is 1 where a listener loses more than the product promises. ``test_player_outages`` has single
outages.

Times are in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from audiostream.auth.access_tokens import Tokens
from tests.support.proxy import Mode, Proxy
from tests.support.server_process import SECRET, ServerProcess

from . import bidi
from .chromium import chromium
from .engines import Chromium, Engine, Firefox, Tab, wait_for
from .listening import Heard, choose, heard, listen, mute

MINUTE = 60.0
SHORTEST, LONGEST = 5.0, 60.0
"""The bounds of an outage."""
QUIET = 10.0
"""Seconds of a good network before the first minute and after the last one."""
MOST_LOST = 2.0
"""Seconds of sound that may be lost beyond the outages."""
FARTHEST = 1.0
"""Seconds that the sound may leave its place by."""
APART = 1.5
"""Seconds that page, server and second device may be apart in the end."""
TRACK = 95
"""Seconds that a track lasts."""
RATE = 48_000
"""Samples a second, each of two channels and 16 bits."""
STATUS = "document.getElementById('connection').textContent.trim()"


def write_loud(path: Path, seconds: int, rate: int = RATE) -> None:
    """A file with so many bytes a second that no browser fetches all of it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(bytes(rate * 4 * seconds))


def write_album(folder: Path, seconds: float) -> list[str]:
    """Files of ``TRACK`` seconds of silence that last that long together; their titles."""
    titles = [f"Track {number:02}" for number in range(1, int(seconds / TRACK) + 3)]
    for title in titles:
        write_loud(folder / f"{title[-2:]}.wav", TRACK)
    entries = [{"id": t[-2:], "audioUrl": f"{t[-2:]}.wav", "title": t} for t in titles]
    (folder / "tracks.json").write_text(json.dumps(entries))
    return titles


@dataclass
class Losses:
    """What a listener noticed, and where everybody was in the end."""

    outages: list[float]
    titles: list[str]
    silence: float
    jumps: list[float]
    page: float = 0.0
    states: dict[str, Any] = field(default_factory=dict)

    @property
    def beyond(self) -> float:
        """Seconds without sound that no outage explains."""
        return self.silence - sum(self.outages)

    def complaints(self, album: list[str]) -> list[str]:
        """What is not as the product promises, in sentences."""
        found = []
        if self.beyond > MOST_LOST:
            found.append(f"{self.beyond:.1f} s of sound were lost beyond the outages")
        if self.titles != album[: len(self.titles)]:
            found.append(f"the tracks were {self.titles}")
        found += [f"a jump by {jump:.2f} s" for jump in self.jumps if abs(jump) > FARTHEST]
        for name, state in self.states.items():
            is_there = state["isPlaying"] and abs(state["currentTime"] - self.page) <= APART
            if not is_there or state["title"] != self.titles[-1]:
                found.append(f"the page is at {self.page:.1f} s, the {name} at {state}")
        return found


class Second:
    """A device on a good line that makes no sound: where it is, as far as it was told."""

    def __init__(self) -> None:
        self._at = 0.0
        self._state: dict[str, Any] = {}

    async def live(self, session: ClientSession, url: str) -> None:
        async with session.ws_connect(f"{url}/ws") as socket:
            await socket.send_json({"event": "getCurrentState"})
            async for message in socket:
                data = json.loads(message.data)["data"]
                if "rev" in data:
                    self._at, self._state = time.monotonic(), data

    def state(self) -> dict[str, Any]:
        """Its state, gone on until now."""
        gone = time.monotonic() - self._at if self._state["isPlaying"] else 0.0
        return {**self._state, "currentTime": self._state["currentTime"] + gone}


def outages(minutes: int, seed: int) -> list[tuple[float, float]]:
    """One outage in every minute: when in it, and for how long."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    lengths = [chance.uniform(SHORTEST, LONGEST) for _ in range(minutes)]
    return [(chance.uniform(0.0, MINUTE - length), length) for length in lengths]


async def suffer(
    tab: Tab, server: ServerProcess, album: list[str], token: str, minutes: int, seed: int
) -> Losses:
    """Play the album in a page that comes over the bad network, and measure."""
    plan = outages(minutes, seed)
    proxy, second = Proxy(server.port), Second()
    await proxy.switch(Mode.PASS)
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with ClientSession(headers=headers) as session:
            await _begin(tab, proxy, album[0], token)
            living = asyncio.create_task(second.live(session, server.url))
            await asyncio.sleep(QUIET)
            for before, length in plan:
                await asyncio.sleep(before)
                await proxy.switch(Mode.HOLD)
                await asyncio.sleep(length)
                await proxy.switch(Mode.PASS)
                await asyncio.sleep(MINUTE - before - length)
            await asyncio.sleep(QUIET)
            everything = await heard(tab)
            states = {"server": await _state(session, server.url), "second device": second.state()}
            now = (await heard(tab)).now
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
    finally:
        await proxy.close()
    for state in states.values():
        state["title"] = f"Track {state['trackId']}"
    return _losses(everything, [length for _, length in plan], now.position, states)


def _losses(everything: Heard, lengths: list[float], page: float, states: dict[str, Any]) -> Losses:
    titles, jumps = everything.titles(), everything.jumps()
    return Losses(lengths, titles, everything.silence(), jumps, page, states)


async def _begin(tab: Tab, proxy: Proxy, first: str, token: str) -> None:
    await tab.goto(f"{proxy.url}/#token={token}")
    await wait_for(tab, f"{STATUS} === 'Connected'")
    await wait_for(tab, "document.querySelectorAll('#tracks li').length > 0")
    await mute(tab)
    await listen(tab)
    await choose(tab, first)
    await wait_for(tab, "document.getElementById('audio').currentTime > 0.5")


async def _state(session: ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/api/tracks/current-state") as answer:
        state: dict[str, Any] = await answer.json()
        return state


async def _run(options: argparse.Namespace, folder: Path) -> bool:
    """Start a server and a browser, suffer, print what was lost, answer whether it is little."""
    album = write_album(folder / "media", options.minutes * MINUTE + 2 * QUIET)
    with _server(folder) as (process, server):
        await server.logs("the library has")
        async with _engine(options.engine, folder) as engine:
            token = Tokens(SECRET).mint("listener", time.time(), None)
            tab = await engine.tab()
            losses = await suffer(tab, server, album, token, options.minutes, options.seed)
        process.kill()
    complaints = losses.complaints(album)
    lengths = ", ".join(f"{length:.0f}" for length in losses.outages)
    print(f"outages: {lengths} s, {sum(losses.outages):.1f} s together")
    print(f"without sound: {losses.silence:.1f} s, beyond the outages {losses.beyond:.1f} s")
    farthest = max(map(abs, losses.jumps), default=0.0)
    print(f"tracks: {len(losses.titles)}, the farthest jump {farthest:.2f} s")
    print(f"in the end: page {losses.page:.2f} s, {losses.states}")
    print("\n".join(complaints) or "as promised")
    return not complaints


@contextmanager
def _server(folder: Path) -> Iterator[tuple[subprocess.Popen[str], ServerProcess]]:
    command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", "0"]
    environ = {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(folder / "media")}
    with subprocess.Popen(
        [*command, "--state", ":memory:"],
        env=os.environ | environ,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        server = ServerProcess(process)
        threading.Thread(target=server.read_log, daemon=True).start()
        try:
            line = server.wait_for_log("listening at http://")
            server.port = int(re.findall(r"http://[0-9.]+:([0-9]+)", line)[0])
            yield process, server
        finally:
            process.kill()


@asynccontextmanager
async def _engine(name: str, folder: Path) -> AsyncIterator[Engine]:
    if name == "firefox":
        with bidi.firefox("firefox-esr", folder / "profile") as address:
            async with bidi.session(address) as session:
                yield Firefox(session)
    else:
        async with chromium() as browser:
            yield Chromium(browser)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.bad_network", description=__doc__
    )
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=("chromium", "firefox"), default="chromium")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(_run(parser.parse_args(), Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
