"""The users of a fleet and their devices: what they do, and what they were told.

A device is the specification's client on a raw WebSocket: it follows what it is told, reports where
it is, and reconnects to a process chosen by chance.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType

from audiostream.auth.access_tokens import Tokens
from audiostream.playback.commands import NextTrack, Report, SetQueue, ShuffleQueue
from audiostream.protocol.decode import Command, GetCurrentState
from tests.support.server_process import SECRET
from tests.support.simulated_player import TRACKS, SimulatedPlayer, frame_of

if TYPE_CHECKING:
    from tests.support.fleet import Fleet

APART = 1.75
"""Seconds that a player and its user's state may be apart: the tolerance, and a busy machine."""
BACKOFF, MAX_BACKOFF = 0.1, 1.0
"""Seconds until the second attempt to connect, and the longest; twice the last one each time."""
EXPECTED_REFUSALS = {"conflict", "unavailable"}
"""A pause of a track that is no longer current; and what a server without Redis answers."""


@dataclass(eq=False)
class User:
    """A person with several devices. ``truths``: track and playing by ``rev``, as anybody heard."""

    fleet: Fleet
    name: str
    random: random.Random
    devices: list[FleetDevice] = field(default_factory=list)
    truths: dict[int, tuple[tuple[str, bool], str]] = field(default_factory=dict)
    acknowledged: int = 0
    """The highest ``rev`` that answered a command."""

    def __post_init__(self) -> None:
        token = Tokens(SECRET).mint(self.name, time.time(), None)
        self.headers = {"Authorization": f"Bearer {token}"}

    async def act(self, end: float, interval: float) -> int:
        acts = 0
        while (pause := self.random.expovariate(1 / interval)) < end - time.monotonic():
            await asyncio.sleep(pause)
            acts += self.random.choice(self.devices).act()
        return acts

    async def states(self) -> list[dict[str, Any]]:
        """Return the state as each process tells it, or the error that it answers with."""
        found = []
        for url in self.fleet.urls():
            async with self.fleet.session.get(
                f"{url}/api/tracks/current-state", headers=self.headers
            ) as answer:
                found.append(await answer.json())
        return found

    async def disagreement(self) -> str | None:
        """Return in what processes and devices differ, None where they agree."""
        states = await self.states()
        state, others = states[0], states[1:]
        if any("error" in each for each in states):
            return f"{self.name}: {states}"
        apart = [other for other in others if not _are_equal(state, other)]
        if apart:
            return f"{self.name}: processes differ: {state}, {apart}"
        if state["rev"] < self.acknowledged:
            return f"{self.name}: {self.acknowledged} was acknowledged, and is lost: {state}"
        for device in self.devices:
            if (sentence := device.disagreement(state)) is not None:
                return f"{sentence}, not {state}"
        return None

    def note(self, state: dict[str, Any], where: str) -> None:
        """Remember what a ``rev`` stands for; another state with the same one is a failure.

        At the end of a track and beyond playing and not playing are the same (R13, R19).
        """
        if state["trackId"] is None or state["currentTime"] >= state.get("duration", 0.0) - APART:
            return
        told = (state["trackId"], state["isPlaying"])
        known, first = self.truths.setdefault(state["rev"], (told, f"{where} {state}"))
        if known != told:
            self.fleet.failures.append(f"the same rev: {first}; {where} {state}")


@dataclass(eq=False)
class FleetDevice(SimulatedPlayer):
    """A player on a WebSocket. ``rev``: the last that it was told."""

    user: User
    name: str
    rev: int = 0
    is_settled: bool = False
    """Whether it is connected, and was told the state since."""
    socket: ClientWebSocketResponse | None = None
    url: str = ""
    _asked: int = 0
    _unsent: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    @property
    def now(self) -> float:
        return time.monotonic()

    @property
    def random(self) -> random.Random:
        return self.user.random

    @property
    def fleet(self) -> Fleet:
        return self.user.fleet

    def send(self, command: Command) -> None:
        """Send soon; commands carry an id, so that they are answered."""
        if self.socket is None:
            return
        frame = frame_of(command)
        if not isinstance(command, Report):
            self._asked += 1
            frame["id"] = f"{self.name}/{self._asked}"
        self._unsent.put_nowait(json.dumps(frame))

    def act(self) -> int:
        """Do something; return 1, or 0 where the device is not connected."""
        acts: tuple[Callable[[], None], ...] = (
            *(self.press_play, self.choose, self.press_pause, self.seek, self.toggle, self.stall),
            *(self.set_queue, self.skip, self.shuffle, self.reconnect),
        )
        if not self.is_settled:
            return 0
        self.random.choice(acts)()
        return 1

    def set_queue(self) -> None:
        self.send(SetQueue(tuple(self.random.choices(TRACKS, k=6))))

    def skip(self) -> None:
        self.send(NextTrack())

    def shuffle(self) -> None:
        self.send(ShuffleQueue())

    def reconnect(self) -> None:
        """Cut the connection without a goodbye."""
        assert self.socket is not None
        connection = self.socket.get_extra_info("socket")
        if connection is not None:  # None: it was closed meanwhile
            self.fleet.heard["cut"] += 1
            connection.shutdown(socket.SHUT_RDWR)

    async def live(self) -> None:
        """Be connected, and come back to any process, until the fleet closes."""
        backoff = BACKOFF
        while self.fleet.is_open:
            try:
                await self._be_connected()
            except (ClientError, ConnectionError, TimeoutError):
                self.fleet.heard["refused connection"] += 1
            if self.is_settled:
                backoff = BACKOFF
            self.is_settled, self.socket = False, None
            await asyncio.sleep(self.random.uniform(0.0, backoff))
            backoff = min(MAX_BACKOFF, 2 * backoff)

    async def _be_connected(self) -> None:
        living = self.fleet.urls()
        if not living:
            raise ConnectionError
        self.url = self.random.choice(living)
        async with self.fleet.session.ws_connect(
            f"{self.url}/ws?deviceId={self.name}", headers=self.user.headers
        ) as line:
            self.fleet.heard["connection"] += 1
            self.socket, self._unsent = line, asyncio.Queue()
            self.send(GetCurrentState())
            tasks = [asyncio.create_task(each) for each in (self._write(), self._report())]
            try:
                async for message in line:
                    if message.type is WSMsgType.TEXT:
                        self._hear(json.loads(message.data))
            finally:
                for task in tasks:
                    task.cancel()
        self.fleet.heard[f"close {line.close_code}"] += 1

    async def _write(self) -> None:
        assert self.socket is not None
        with suppress(ConnectionError, ClientError):
            while True:
                await self.socket.send_str(await self._unsent.get())

    async def _report(self) -> None:
        await asyncio.sleep(self.random.uniform(0.0, self.fleet.report_interval))
        while True:
            self.report_regularly()
            await asyncio.sleep(self.fleet.report_interval)

    def _hear(self, frame: dict[str, Any]) -> None:
        event, data, is_answer = frame["event"], frame["data"], "id" in frame
        self.fleet.heard[f"{'answer' if is_answer else 'event'} {event}"] += 1
        if event == "error":
            self.fleet.heard[f"error {data['code']}"] += 1
            if data["code"] not in EXPECTED_REFUSALS:
                self.fleet.failures.append(f"{self.name} at {self.url} heard {data}")
            return
        self._note_rev(data["rev"])
        if is_answer and event != "trackState":
            self.user.acknowledged = max(self.user.acknowledged, data["rev"])
        if "trackId" in data:
            self.user.note(data, f"{event} to {self.name} at {self.url}")
            self.is_settled = True
            self._receive(frame)

    def _note_rev(self, rev: int) -> None:
        if rev < self.rev:
            self.fleet.failures.append(f"{self.name} at {self.url}: rev fell {self.rev} to {rev}")
        self.rev = max(self.rev, rev)

    def disagreement(self, state: dict[str, Any]) -> str | None:
        """Return in what this device differs from its user's state, None where it agrees."""
        if not self.is_settled:
            return f"{self.name} is not connected"
        is_active = (
            state["deviceId"] == self.name
        )  # what it reports moves the others alone (R4, R11)
        if self.rev != state["rev"] and not is_active:
            return f"{self.name} at {self.url} has rev {self.rev}"
        if state["trackId"] is None or self.stopped_elsewhere(state["trackId"], state["isPlaying"]):
            return None
        is_apart = abs(self.position - state["currentTime"]) > APART
        if (self.track, self.playing) != (state["trackId"], state["isPlaying"]) or is_apart:
            playing = "playing" if self.playing else "paused"
            return f"{self.name} at {self.url} has {self.track} {playing} at {self.position:.2f}"
        return None


def _are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two processes told the same state, one a moment later."""
    names = ("trackId", "isPlaying", "rev", "deviceId", "queue")
    if any(one[name] != other[name] for name in names):
        return False
    if one["trackId"] is None:
        return True
    went_on = (other["serverTime"] - one["serverTime"]) / 1000 if one["isPlaying"] else 0.0
    return bool(abs(other["currentTime"] - one["currentTime"] - went_on) < 0.1)
