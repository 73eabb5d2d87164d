"""Two server processes on a Redis Cluster of three nodes, of which one dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from audiostream.storage.redis_keys import PROCESSES, user_key
from tests.support.cluster import Cluster
from tests.support.long_tests import IS_LONG
from tests.support.redis_server import SLOTS, START_TIMEOUT, RedisCluster, running_cluster
from tests.support.waiting import until

from .devices import Household, bearer, household

crc = pytest.importorskip("redis.crc", reason="the [redis] extra is not installed")

PER_NODE = 2
"""Users of each node, at least."""
OPTIONS = {"cluster-require-full-coverage": "no", "cluster-node-timeout": "2000"}
"""As DEPLOYMENT.md has the first: slots of the other nodes are served while one is away."""
AGREED_AFTER = 10.0
"""Seconds: publications may be lost while nodes connect again; versions are compared every 5 s."""
DEVICES = ["device0", "device1"]


@pytest.fixture(scope="module")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with running_cluster(tmp_path_factory.mktemp("redis")) as redis_cluster:
        for node in redis_cluster.nodes:
            for name, value in OPTIONS.items():
                assert node.ask("CONFIG", "SET", name, value) == "+OK\r\n"
                node.options = (*node.options, f"--{name}", value)  # when it is started again
        yield redis_cluster


@pytest.fixture(scope="module")
def cluster(redis_cluster: RedisCluster, shared_media: Path) -> Iterator[Cluster]:
    """Two processes, which are told of one node alone."""
    cluster = Cluster(shared_media, redis_cluster.nodes[0])
    try:
        asyncio.run(cluster.start(len(DEVICES)))
        yield cluster
    finally:
        asyncio.run(cluster.close())


def node_of(key: str) -> int:
    """Return the number of the node that has a key: each has a third of the slots."""
    return int(crc.key_slot(key.encode())) * 3 // SLOTS


@asynccontextmanager
async def households(cluster: Cluster) -> AsyncIterator[dict[int, list[Household]]]:
    """New users by the node that has their playback."""
    homes: dict[int, list[Household]] = {0: [], 1: [], 2: []}
    async with AsyncExitStack() as stack:
        while any(len(each) < PER_NODE for each in homes.values()):
            home = await stack.enter_async_context(household(cluster))
            homes[node_of(user_key(home.user_id, "room"))].append(home)
        yield homes


async def play(home: Household, position: float, by: int = 0) -> None:
    """Let one device play; wait until the other is told, on the other process."""
    answer = await home.devices[by].ask("playTrack", trackId="song", currentTime=position)
    assert answer["event"] == "trackPlaying", answer
    told = await home.devices[1 - by].reaches(answer["data"]["rev"])
    assert abs(told["currentTime"] - position) < AGREED_AFTER


async def agree(home: Household) -> None:
    """Wait until both processes have one state, which plays, and know both devices."""
    async with asyncio.timeout(AGREED_AFTER):
        while True:
            ours, theirs = [await device.state() for device in home.devices]
            lists = [await home.listed(number) for number in range(len(DEVICES))]
            if ours["rev"] == theirs["rev"] and lists == [DEVICES, DEVICES]:
                break
            await asyncio.sleep(0.1)
    assert ours["isPlaying"]
    assert theirs["isPlaying"]
    assert abs(ours["currentTime"] - theirs["currentTime"]) < 1.0


async def test_users_of_all_nodes_are_served_by_both_processes(cluster: Cluster) -> None:
    async def walk(home: Household) -> None:
        first, second = home.devices
        await play(home, 5.0)
        status, state = await home.post(1, "pause/song")
        assert (status, state["isPlaying"]) == (200, False)
        for device in home.devices:
            assert not (await device.reaches(state["rev"]))["isPlaying"]
        for number in range(len(DEVICES)):
            async with asyncio.timeout(AGREED_AFTER):
                while await home.listed(number) != DEVICES:
                    await asyncio.sleep(0.05)
        answer = await second.ask("transferPlayback", deviceId="device1", play=True)
        assert (await first.reaches(answer["data"]["rev"]))["deviceId"] == "device1"
        url = f"{cluster.members[0].url}/api/tracks/history"
        async with home.session.get(url, headers=bearer(home.user_id)) as history:
            assert '"song"' in await history.text()

    async with households(cluster) as homes:
        await asyncio.gather(*(walk(home) for each in homes.values() for home in each))


@pytest.mark.parametrize("keeps_data", [True, False], ids=["with its data", "empty"])
@pytest.mark.parametrize("number", range(3 if IS_LONG else 1))
async def test_a_node_that_dies_stops_its_users_alone_until_it_is_back(
    redis_cluster: RedisCluster, cluster: Cluster, number: int, keeps_data: bool
) -> None:
    dies = (node_of(PROCESSES) + number) % 3  # at first the one that all processes need
    node = redis_cluster.nodes[dies]
    node.appendonly = keeps_data
    assert node.ask("CONFIG", "SET", "appendonly", "yes" if keeps_data else "no") == "+OK\r\n"

    async def is_refused(home: Household) -> None:
        answer, (status, body) = await asyncio.gather(
            home.devices[0].ask("playTrack", trackId="song", currentTime=40.0),
            home.post(1, "play/song"),
        )
        assert (answer["event"], answer["data"].get("code")) == ("error", "unavailable")
        assert (status, body["error"]["code"]) == (503, "unavailable")
        assert (await home.devices[0].state())["isPlaying"]  # as far as its process knows

    async def goes_on(home: Household) -> None:
        await agree(home)
        await play(home, 40.0, by=1)
        await agree(home)

    async with households(cluster) as homes:
        its = homes.pop(dies)
        others = [home for each in homes.values() for home in each]
        await asyncio.gather(*(play(home, 5.0) for home in (*its, *others)))
        await asyncio.to_thread(node.kill)
        await asyncio.gather(*(play(home, 20.0) for home in others), *map(is_refused, its))
        await asyncio.to_thread(node.start)
        await until(redis_cluster.is_complete, START_TIMEOUT)
        await asyncio.gather(*map(goes_on, (*its, *others)))
