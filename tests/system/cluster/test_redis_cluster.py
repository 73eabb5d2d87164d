"""Two server processes on a Redis Cluster of three nodes, of which one dies and comes back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.auth.access_tokens import Tokens
from audiostream.storage.redis_keys import PROCESSES, user_key
from tests.support.audio_files import write_wav
from tests.support.media_folder import write_manifest
from tests.support.redis_server import START_TIMEOUT, RedisCluster, running_cluster
from tests.support.server_process import SECRET, ServerProcess
from tests.support.waiting import until
from tests.support.ws_client import Peer, connect

crc = pytest.importorskip("redis.crc", reason="the [redis] extra is not installed")

NUMBERS = count(1)
PER_NODE = 3
"""Users of each node."""
OPTIONS = ("--cluster-require-full-coverage", "no", "--cluster-node-timeout", "2000")
"""As DEPLOYMENT.md has them: the slots of the other nodes are served while one is away."""
AGREED_AFTER = 10.0
"""Seconds: publications may be lost while nodes connect again; versions are compared every 5 s."""
IS_LONG = "AUDIOSTREAM_LONG_TESTS" in os.environ


@pytest.fixture(scope="module")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        for node in cluster.nodes:
            node.options = (*node.options, *OPTIONS)  # when it is started again
            for name, value in zip(OPTIONS[::2], OPTIONS[1::2], strict=True):
                assert node.ask("CONFIG", "SET", name.removeprefix("--"), value) == "+OK\r\n"
        yield cluster


@pytest.fixture(scope="module")
def servers(
    redis_cluster: RedisCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[ServerProcess]]:
    media = tmp_path_factory.mktemp("media")
    write_wav(media / "song.wav", 60.0)
    write_manifest(media, {"id": "song", "audioUrl": "song.wav"})
    servers = [
        ServerProcess.start(media, environ={"AUDIOSTREAM_REDIS": redis_cluster.url})
        for _ in range(2)
    ]
    try:
        for server in servers:
            server.wait_for_start()
            server.wait_for_log("the library has")
        yield servers
    finally:
        for server in servers:
            server.close()
            assert not [line for line in server.log if "Traceback" in line], "".join(server.log)


def node_of(key: str) -> int:
    """Return the number of the node that has a key: each has a third of the slots."""
    return int(crc.key_slot(key.encode())) * 3 // 16_384


def new_users() -> dict[int, list[str]]:
    """Return names of new users of each node."""
    found: dict[int, list[str]] = {0: [], 1: [], 2: []}
    while any(len(users) < PER_NODE for users in found.values()):
        user = f"user {{{next(NUMBERS)}}}"  # ids with braces have one tag, too
        users = found[node_of(user_key(user, "room"))]
        if len(users) < PER_NODE:
            users.append(user)
    return found


def bearer(user_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {Tokens(SECRET).mint(user_id, time.time(), None)}"}


@dataclass
class Device:
    """A device, whose ``rev`` never falls."""

    peer: Peer
    rev: int = 0

    async def frame(self) -> dict[str, Any]:
        frame = await self.peer.frame()
        rev = frame["data"].get("rev", self.rev)
        assert rev >= self.rev, frame
        self.rev = rev
        return frame

    async def ask(self, event: str, **data: Any) -> dict[str, Any]:
        """Send a frame with an id, and return its answer; other frames are read, too."""
        frame_id = next(NUMBERS)
        await self.peer.send(event, frame_id, **data)
        while (frame := await self.frame()).get("id") != frame_id:
            pass
        return frame

    async def receives(self, event: str) -> dict[str, Any]:
        """Read up to an event, and return its data."""
        while (frame := await self.frame())["event"] != event:
            pass
        data: dict[str, Any] = frame["data"]
        return data

    async def state(self) -> dict[str, Any]:
        data: dict[str, Any] = (await self.ask("getCurrentState"))["data"]
        return data


@dataclass
class Household:
    """A user with a device on each process."""

    user_id: str
    session: ClientSession
    servers: list[ServerProcess]
    devices: tuple[Device, Device]

    async def plays(self, position: float) -> None:
        """Let one device play; the other follows."""
        answer = await self.devices[0].ask("playTrack", trackId="song", currentTime=position)
        assert answer["event"] == "trackPlaying", answer
        while (await self.devices[1].frame())["data"].get("currentTime", 0.0) < position:
            pass  # trackPlaying, or trackUpdated where the publication was lost

    async def post(self, path: str) -> tuple[int, dict[str, Any]]:
        url = f"{self.servers[1].url}/api/tracks/{path}"
        async with self.session.post(url, headers=bearer(self.user_id)) as answer:
            return answer.status, await answer.json()

    async def agrees(self, is_right: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until both devices have one state, which ``is_right``."""
        async with asyncio.timeout(AGREED_AFTER):
            while True:
                ours, theirs = [await device.state() for device in self.devices]
                if ours["rev"] == theirs["rev"] and is_right(ours) and is_right(theirs):
                    return
                await asyncio.sleep(0.1)

    async def has_both_devices(self) -> None:
        """Wait until each process knows the device of the other."""
        async with asyncio.timeout(AGREED_AFTER):
            for device in self.devices:
                names: set[str] = set()
                while names != {"device0", "device1"}:
                    rows = (await device.ask("getDevices"))["data"]["devices"]
                    names = {row["deviceId"] for row in rows}
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def households(
    servers: list[ServerProcess],
) -> AsyncIterator[dict[int, list[Household]]]:
    """New users of each node."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())

        async def connected(user_id: str) -> Household:
            devices = []
            for number, server in enumerate(servers):
                url = f"{server.url}/ws?deviceId=device{number}"
                peer = await stack.enter_async_context(
                    connect(session, url, headers=bearer(user_id))
                )
                devices.append(Device(peer))
                await devices[-1].state()
            return Household(user_id, session, servers, (devices[0], devices[1]))

        found: dict[int, list[Household]] = {}
        for node, users in new_users().items():
            found[node] = [await connected(user) for user in users]
        yield found


async def test_users_of_all_nodes_are_served_by_both_processes(
    servers: list[ServerProcess],
) -> None:
    async def walk(home: Household) -> None:
        await home.plays(5.0)
        status, state = await home.post("pause/song")
        assert (status, state["isPlaying"]) == (200, False)
        for device in home.devices:
            assert not (await device.receives("trackPaused"))["isPlaying"]
        await home.has_both_devices()
        await home.devices[1].ask("transferPlayback", deviceId="device1", play=True)
        assert (await home.devices[0].receives("trackUpdated"))["deviceId"] == "device1"
        url = f"{servers[1].url}/api/tracks/history"
        async with home.session.get(url, headers=bearer(home.user_id)) as answer:
            assert "song" in await answer.text()

    async with households(servers) as homes:
        await asyncio.gather(*(walk(home) for node in homes.values() for home in node))


@pytest.mark.parametrize("keeps_data", [True, False], ids=["with its data", "empty"])
@pytest.mark.parametrize("number", range(3 if IS_LONG else 1))
async def test_a_node_that_dies_stops_its_users_alone_until_it_is_back(
    redis_cluster: RedisCluster, servers: list[ServerProcess], number: int, keeps_data: bool
) -> None:
    dies = (node_of(PROCESSES) + number) % 3  # at first the one that all processes need
    node = redis_cluster.nodes[dies]
    node.appendonly = keeps_data
    assert node.ask("CONFIG", "SET", "appendonly", "yes" if keeps_data else "no") == "+OK\r\n"
    async with households(servers) as homes:
        its = homes.pop(dies)
        others = [home for each in homes.values() for home in each]
        await asyncio.gather(*(home.plays(5.0) for home in (*its, *others)))
        if keeps_data:  # at most a second is not on the disk yet
            await asyncio.sleep(1.1)
        await asyncio.to_thread(node.kill)

        async def is_refused(home: Household) -> None:
            device = home.devices[0]
            answer, (status, body) = await asyncio.gather(
                device.ask("playTrack", trackId="song", currentTime=40.0), home.post("play/song")
            )
            assert (answer["event"], answer["data"].get("code")) == ("error", "unavailable")
            assert (status, body["error"]["code"]) == (503, "unavailable")
            assert (await device.state())["isPlaying"]  # as far as this process knows

        goes_on = [home.plays(20.0) for home in others]
        await asyncio.gather(*goes_on, *map(is_refused, its))
        await asyncio.to_thread(node.start)
        await until(redis_cluster.is_complete, START_TIMEOUT)

        async def goes_on_after_it(home: Household) -> None:
            await home.agrees(lambda state: state["isPlaying"] and 5 < state["currentTime"] < 30)
            await home.devices[1].ask("playTrack", trackId="song", currentTime=40.0)
            await home.agrees(lambda state: state["currentTime"] >= 40.0)
            await home.has_both_devices()

        await asyncio.gather(*map(goes_on_after_it, its))
        await asyncio.gather(*(home.plays(30.0) for home in others))
