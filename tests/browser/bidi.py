"""Firefox, driven by the protocol that it speaks by itself: WebDriver BiDi.

It is started with a profile of its own; the few commands that tests need are of
https://www.w3.org/TR/webdriver-bidi/.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

START_TIMEOUT = 60.0
"""Seconds until Firefox says where it listens."""
ANSWER_TIMEOUT = 120.0
"""Seconds for one command; what it waits for in the page has a shorter limit of its own."""
END_TIMEOUT = 10.0
"""Seconds for Firefox to end by itself."""
POLLING = 0.05
"""Seconds between two looks at what Firefox has said."""

PREFERENCES: Mapping[str, bool | int | str] = {
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.cache_readahead_limit": 15,  # seconds; else outages have to last for minutes
    "media.cache_resume_threshold": 10,
    "media.block-autoplay-until-in-foreground": False,
    "media.volume_scale": "0.0",
    "network.dns.disabled": True,  # this machine is called by its address, and nothing else is
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}

Listener = Callable[[str, dict[str, Any]], None]


class BidiError(Exception):
    """Raised where a command is refused, or a script throws."""


class Bidi:
    """A session: commands with their answers, and events."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.listeners: list[Listener] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def run(self) -> None:
        """Read until the socket ends."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            if said["type"] == "event":
                for listener in tuple(self.listeners):
                    listener(said["method"], said["params"])
            elif (answer := self._answers.pop(said["id"], None)) and not answer.done():
                answer.set_result(said)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What a command answers. Raises ``BidiError``."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWER_TIMEOUT):
            said = await answer
        if said["type"] == "error":
            raise BidiError(f"{method}: {said['error']}: {said['message']}")
        result: dict[str, Any] = said["result"]
        return result

    async def evaluate(self, context: str, expression: str) -> Any:
        """The value of an expression in a page, a promise's when it is kept."""
        done = await self.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": context},
            awaitPromise=True,
        )
        if done["type"] == "exception":
            raise BidiError(done["exceptionDetails"]["text"])
        value = done["result"].get("value")
        return None if value is None else json.loads(value)

    async def screenshot(self, context: str) -> bytes:
        """A PNG of what can be seen."""
        shot = await self.call("browsingContext.captureScreenshot", context=context)
        return base64.b64decode(shot["data"])

    async def click(self, context: str, selector: str) -> None:
        """Press the main button of a mouse in the middle of an element."""
        found = await self.call(
            "browsingContext.locateNodes",
            context=context,
            locator={"type": "css", "value": selector},
            maxNodeCount=1,
        )
        if not found["nodes"]:
            raise BidiError(f"there is no {selector}")
        origin = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._perform(context, "pointer", actions)

    async def press(self, context: str, key: str) -> None:
        """Press a key, named as WebDriver's code point or as the character that it makes."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        await self._perform(context, "key", actions)

    async def _perform(self, context: str, kind: str, actions: list[dict[str, Any]]) -> None:
        source = {"type": kind, "id": kind, "actions": actions}
        await self.call("input.performActions", context=context, actions=[source])


@contextmanager
def firefox(program: str, profile: Path, **environ: str) -> Iterator[str]:
    """A headless Firefox with a new profile: the address where it listens for sessions."""
    _make(profile)
    said = profile / "stderr.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, "--headless", "--no-remote", "--remote-debugging-port=0"),
                *("--profile", str(profile)),
            ],
            env={**os.environ, **environ},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield _address(said, process)
    finally:
        process.terminate()
        try:
            process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def session(address: str) -> AsyncIterator[Bidi]:
    """A session of a Firefox, which has one at a time; its users and their tabs go with it."""
    async with ClientSession() as http, http.ws_connect(f"{address}/session") as socket:
        bidi = Bidi(socket)
        reading = asyncio.create_task(bidi.run())
        try:
            await bidi.call("session.new", capabilities={})
            await bidi.call("session.subscribe", events=["log.entryAdded"])
            yield bidi
            await _remove_users(bidi)
            await bidi.call("session.end")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _remove_users(bidi: Bidi) -> None:
    users = (await bidi.call("browser.getUserContexts"))["userContexts"]
    for user in users:
        if user["userContext"] != "default":
            await bidi.call("browser.removeUserContext", userContext=user["userContext"])


def _make(profile: Path) -> None:
    profile.mkdir(parents=True)
    lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))


def _address(said: Path, process: subprocess.Popen[bytes]) -> str:
    """Where Firefox listens, from what it says."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        found = re.search(rb"BiDi listening on (ws://\S+)\n", said.read_bytes())
        if found:
            return found[1].decode()
        if process.poll() is not None:
            raise BidiError("Firefox ended before it listened")
        time.sleep(POLLING)
    raise BidiError(f"Firefox does not listen within {START_TIMEOUT:g} s")
