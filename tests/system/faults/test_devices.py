"""Devices that stop reading or vanish, and all that reconnect at once after a restart."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.playback import lifecycle
from audiostream.services import SERVICES
from audiostream.websocket import heartbeat
from tests.conftest import Serve
from tests.support.server_process import UNLIMITED, Launch, ServerProcess
from tests.support.waiting import until
from tests.support.ws_client import connect
from tests.system.faults.support import (
    EVENTS,
    MIB,
    ActingUser,
    RestClient,
    acting_user,
    on_linux,
    ready,
    resident,
    sleeper,
    unlimited_session,
)

Token = Callable[..., str]


ROUNDS = 3
TURN = 200
"""Events of one user in a row, before the other's turn."""
USERS, DEVICES_EACH = 100, 10


@on_linux
class TestDeviceThatStopsReading:
    async def test_a_device_that_stops_reading_delays_no_other_and_its_memory_is_freed(
        self, launch: Launch, token: Token, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Ada's kiosk stops reading; Bob has none. They act in turns, so that both meet the same
        machine; a busy moment of it spoils a round, not all of them.
        """
        server = await ready(launch, **UNLIMITED)
        ratios = []
        async with ClientSession() as session:
            for number in range(ROUNDS):
                async with (
                    acting_user(session, server, token(f"ada-{number}")) as ada,
                    acting_user(session, server, token(f"bob-{number}")) as bob,
                ):
                    ratios.append(await self.compare(server, ada, bob, token(f"ada-{number}")))
                if ratios[-1] <= 1.5:
                    break
        with capsys.disabled():
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"\nevent latency beside a device that stopped reading, ratio: {shown}")
        assert min(ratios) <= 1.5

    async def compare(
        self, server: ServerProcess, ada: ActingUser, bob: ActingUser, token: str
    ) -> float:
        """Ada's latency while her kiosk has stopped reading, as a ratio to Bob's."""
        cuts = self.cuts(server)
        await ada.act(TURN)
        await bob.act(TURN)
        before, stalled = resident(server), 0
        async with sleeper(server.port, token):
            for _ in range(EVENTS // TURN):
                await ada.act(TURN)
                await bob.act(TURN)
                if self.cuts(server) == cuts:
                    stalled = len(ada.took)
            await until(lambda: self.cuts(server) > cuts)
        await until(lambda: resident(server) <= before + 4 * MIB)
        assert ada.rev == bob.rev == EVENTS + TURN
        assert stalled > 5 * TURN
        hers, his = (statistics.median(each.took[TURN:stalled]) for each in (ada, bob))
        return hers / his

    def cuts(self, server: ServerProcess) -> int:
        return sum("reason=slow_reader" in line for line in server.log)


class TestVanishedDevice:
    async def test_a_vanished_device_leaves_its_room_and_the_position_freezes(
        self, serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heartbeat, "HEARTBEAT", 1.0)
        monkeypatch.setattr(lifecycle, "RESUME_GRACE", 1.0)
        client = await serve()
        assert client.port is not None
        room = client.app[SERVICES].registry.room("ada")
        url = str(client.make_url("/ws"))
        async with (
            connect(client.session, url, token()) as kiosk,
            sleeper(client.port, token()) as phone,
        ):
            await phone.say("playTrack", trackId="song", currentTime=10)
            await kiosk.receives("trackPlaying")
            await phone.say("updateStreaming", trackId="song", currentTime=10.5, isPlaying=True)
            pausing = asyncio.create_task(kiosk.receives("trackPaused"))  # and it answers pings
            assert len(room.devices) == 2
            await until(lambda: room.state.frozen_at is not None)
            assert [device.name for device in room.devices.values()] == [None]
            frozen = [room.state.position_at(client.app[SERVICES].clock() + n) for n in (0, 20)]
            assert frozen == [10.5, 10.5]
            assert room.state.is_playing
            paused = await pausing
            assert (paused["currentTime"], paused["isPlaying"]) == (10.5, False)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    needed = 2 * USERS * DEVICES_EACH + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"only {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
class TestRestart:
    async def test_a_thousand_devices_that_reconnect_at_once_get_the_right_state(
        self, launch: Launch, token: Token, state: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server = await ready(launch, "--state", str(state))
        tokens = [token(f"user-{number}") for number in range(USERS)]
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(unlimited_session())
            await self.crowd(stack, session, server, tokens)
            chosen_from = time.monotonic()
            left = [
                await self.choose(RestClient(session, server.url, each), number)
                for number, each in enumerate(tokens)
            ]
            await asyncio.sleep(1.0)  # the second in which it is on disk
            server.process.kill()
            played = time.monotonic() - chosen_from
            server = await ready(launch, "--state", str(state))
            began = time.monotonic()
            states = await self.crowd(stack, session, server, tokens)
            took = time.monotonic() - began
        with capsys.disabled():
            print(
                f"\n{len(states)} devices after a restart: the last has its state {took:.1f} s on"
            )
        for number, one in enumerate(states):
            was = left[number % USERS]
            assert (one["trackId"], one["isPlaying"]) == (was["trackId"], False)
            assert one["rev"] == was["rev"] + was["isPlaying"]
            assert 0.0 <= one["currentTime"] - was["currentTime"] <= max(6.0, played)

    async def choose(self, user: RestClient, number: int) -> dict[str, Any]:
        """Leave every user somewhere else, and every second of them playing."""
        act, track_id = ("play", "pause")[number % 2], ("song", "other")[number % 3 == 0]
        status, state = await user.post(f"{act}/{track_id}", currentTime=number / 2)
        assert status == 200
        return dict(state)

    async def crowd(
        self,
        stack: AsyncExitStack,
        session: ClientSession,
        server: ServerProcess,
        tokens: list[str],
    ) -> list[dict[str, Any]]:
        """All devices at once, each within 10 s; answers what each was states, user by user."""
        url = f"{server.url}/ws"

        async def come(token: str) -> dict[str, Any]:
            async with asyncio.timeout(10.0):
                device = await stack.enter_async_context(connect(session, url, token))
                await device.send("getCurrentState")
                return await device.receives("trackState")

        async def watch() -> None:
            for _ in range(10_000):
                async with session.get(f"{server.url}/healthz") as answer:
                    assert (answer.status, await answer.json()) == (200, {"status": "ok"})
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        states = await asyncio.gather(
            *(come(token) for _ in range(DEVICES_EACH) for token in tokens)
        )
        assert not watching.done(), watching
        watching.cancel()
        return states
