"""A server that is killed again and again loses no acknowledged change."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.long_tests import times
from tests.support.server_process import UNLIMITED, Launch, ServerProcess
from tests.support.ws_client import Peer, connect
from tests.system.faults.support import (
    RestClient,
    add_track,
    check_integrity,
    ready,
)

Token = Callable[..., str]


STEP = 100.0
"""Seconds between the positions of two changes, so that a position tells which change it is of."""
KILLS = times(100)
LANES = 4
"""Servers that are killed side by side, beside one that lives longer each time."""
LONG_LIVES = times(6)


@dataclass
class Change:
    """One change of a user's playback. ``acknowledged_at`` is None where no answer came."""

    number: int
    playing: bool
    sent_at: float
    acknowledged_at: float | None = None

    @property
    def position(self) -> float:
        return self.number * STEP


class ChangeLog:
    """Every change that one user made, over all lives of a server. Times are monotonic."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.changes: dict[int, Change] = {}
        self.first_of_life = 1
        self.kept = 0  # what came after it, before this life, was too young to be safe

    def begin(self, playing: bool) -> Change:
        change = Change(len(self.changes) + 1, playing, time.monotonic())
        self.changes[change.number] = change
        return change

    @property
    def acknowledged(self) -> int:
        return sum(change.acknowledged_at is not None for change in self.changes.values())

    def check(
        self, state: dict[str, Any], killed_at: float, dead_at: float, stood_still: float
    ) -> None:
        """Hold the state after a restart against what was acknowledged before the kill.

        ``killed_at`` is just before it and ``dead_at`` just behind: the machine may let others run
        between the two. ``stood_still``: seconds before it in which it let the server do nothing.
        """
        assert state["isPlaying"] is False
        safe = [
            change.number
            for change in self.changes.values()
            if change.number >= self.first_of_life
            and change.acknowledged_at is not None
            and change.acknowledged_at <= killed_at - 1.0 - stood_still
        ]
        newest = max(safe, default=self.kept)
        first_of_life, self.first_of_life = self.first_of_life, len(self.changes) + 1
        if state["trackId"] is None:
            assert newest == 0, self.changes[newest]
            return
        found = self.changes[int(state["currentTime"] // STEP)]
        assert found.number >= newest, (found, self.changes[newest], killed_at)
        self.kept = found.number
        went_on = state["currentTime"] - found.position
        assert 0.0 <= went_on <= (dead_at - found.sent_at + 0.1 if found.playing else 0.001)
        if found.playing and found.number == len(self.changes) >= first_of_life:
            lost = killed_at - (found.acknowledged_at or killed_at) - went_on
            assert lost <= 6.0 + stood_still, found


Act = Callable[[bool, float], Awaitable[None]]
"""Plays or pauses at a position in seconds; returns when the server has acknowledged it."""


class KilledServer:
    """Four users of one server: two busy over REST, one over a socket, and one who just listens."""

    def __init__(self, lane: int, launch: Launch, state: Path, token: Token) -> None:
        self._launch = launch
        self._state = state
        self._token = token
        self._random = random.Random(lane)  # noqa: S311 - repeatable on purpose
        self.logs = [ChangeLog(name) for name in ("ada", "bob", "cleo", "dan")]
        self._began_at = self._killed_at = self._dead_at = 0.0

    async def live(self, shortest: float, longest: float) -> None:
        """One life of the server: look what is left of the last one, act, and be killed."""
        async with self._started() as (server, clients):
            self._began_at = time.monotonic()
            ada, bob, cleo, dan = clients
            async with connect(cleo.session, f"{server.url}/ws", cleo.token) as phone:
                acts = (self._by_rest(ada), self._by_rest(bob), self._by_socket(phone))
                await self._change(self.logs[3], self._by_rest(dan), True)
                tasks = [
                    asyncio.create_task(self._keep_changing(log, act))
                    for log, act in zip(self.logs[:3], acts, strict=True)
                ]
                await asyncio.wait(tasks, timeout=self._random.uniform(shortest, longest))
                assert not any(task.done() for task in tasks), tasks
                self._killed_at = time.monotonic()
                server.process.kill()
                self._dead_at = time.monotonic()
                await asyncio.to_thread(server.process.wait)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(check_integrity, self._state)

    async def rest(self) -> None:
        """Look what is left of the last life, and stop."""
        async with self._started() as (server, _):
            assert await asyncio.to_thread(server.stop) == 0

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[tuple[ServerProcess, list[RestClient]]]:
        server = await ready(self._launch, "--state", str(self._state), **UNLIMITED)
        async with ClientSession() as session:
            clients = [RestClient(session, server.url, self._token(log.user)) for log in self.logs]
            for log, each in zip(self.logs, clients, strict=True):
                state = await each.state()
                log.check(state, self._killed_at, self._dead_at, self._stood_still())
            yield server, clients

    def _stood_still(self) -> float:
        """Seconds of its life's last five in which nobody got an answer, though all kept asking."""
        since = max(self._began_at, self._killed_at - 5.0)
        answers = [
            change.acknowledged_at
            for log in self.logs
            for change in log.changes.values()
            if change.acknowledged_at is not None and change.acknowledged_at > since
        ]
        moments = itertools.pairwise([*sorted(answers), self._killed_at])
        return sum(gap for before, after in moments if (gap := after - before) > 0.25)

    async def _keep_changing(self, log: ChangeLog, act: Act) -> None:
        for _ in range(10_000):
            await self._change(log, act, self._random.random() < 0.7)
            await asyncio.sleep(self._random.uniform(0.0, 0.1))

    async def _change(self, log: ChangeLog, act: Act, playing: bool) -> None:
        change = log.begin(playing)
        await act(playing, change.position)
        change.acknowledged_at = time.monotonic()

    def _by_rest(self, client: RestClient) -> Act:
        async def act(playing: bool, position: float) -> None:
            path = "play/song" if playing else "pause/song"
            status, _ = await client.post(path, currentTime=position)
            assert status == 200

        return act

    def _by_socket(self, phone: Peer) -> Act:
        async def act(playing: bool, position: float) -> None:
            event = "playTrack" if playing else "pauseTrack"
            answer = await phone.ask(event, trackId="song", currentTime=position)
            assert answer["event"] in {"trackPlaying", "trackPaused"}

        return act


@pytest.fixture
def folder_in_memory(tmp_path: Path) -> Iterator[Path]:
    """Where there is one, a folder that no disk is behind.

    A kill takes nothing from the system that was written, disk or not, and other programs that
    keep a disk busy for a second are no loss of ours.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


class TestKills:
    async def test_a_kill_loses_no_acknowledged_change_and_playback_is_paused_after(
        self,
        launch: Launch,
        media: Path,
        folder_in_memory: Path,
        token: Token,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        add_track(media, "song", duration=1e9)

        async def lane(number: int, lives: int, shortest: float, longest: float) -> KilledServer:
            state = folder_in_memory / f"lane-{number}" / "state"
            server = KilledServer(number, launch, state, token)
            for _ in range(lives):
                await server.live(shortest, longest)
            await server.rest()
            return server

        short = (KILLS - LONG_LIVES) // LANES
        servers = await asyncio.gather(
            *(lane(number, short, 0.2, 1.5) for number in range(LANES)),
            lane(LANES, LONG_LIVES, 5.0, 9.0),
        )
        with capsys.disabled():
            logs = [log for server in servers for log in server.logs]
            print(f"\n{KILLS} kills amid {sum(each.acknowledged for each in logs)} changes")
