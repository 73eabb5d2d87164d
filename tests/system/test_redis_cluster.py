"""``RedisStore`` where slots of a Redis Cluster move, and where nodes fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from audiostream.errors import Unavailable
from audiostream.playback.model import State, StopPoint
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Change, Publication
from tests.support.redis_server import HOST, RedisCluster, RedisServer, running_cluster
from tests.support.stored_versions import versions
from tests.support.waiting import until

USERS = [f"user-{number}" for number in range(30)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def store(cluster: RedisCluster) -> AsyncIterator[RedisStore]:
    """A store that knows all nodes, and keeps some users on each."""
    for node in cluster.nodes:
        node.ask("FLUSHALL")
    store = RedisStore(cluster.url)
    await store.open()
    for user_id in USERS:
        assert await store.commit(change(1, user_id)) is None
    yield store
    await store.close()


def change(version: int, user_id: str = "ada") -> Change:
    return Change(
        user_id=user_id,
        process_id="p",
        change_id=f"change-{version}",
        expected_version=version - 1,
        version=version,
        state=State(track_id="song", rev=version),
        writes_queue=False,
        stop_points=(StopPoint("song", 1.0, float(version)),),
    )


class Move:
    """A user's slot on its way from the node that has it to another one."""

    def __init__(self, cluster: RedisCluster, user_id: str) -> None:
        self.slot = plain(cluster.nodes[0], "CLUSTER", "KEYSLOT", f"{{{user_id}}}")
        held = [each.ask("GET", f"x{{{user_id}}}").startswith("$") for each in cluster.nodes]
        self.source = cluster.nodes[held.index(True)]
        self.target = cluster.nodes[held.index(False)]
        self.ids = [plain(each, "CLUSTER", "MYID") for each in (self.source, self.target)]
        self.nodes = cluster.nodes

    def begin(self) -> None:
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.ids[0])
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.ids[1])

    def move_keys(self, number: int = 100) -> None:
        answer = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, str(number))
        keys = answer.split("\r\n")[2::2]
        port = str(self.target.port)
        answer = self.source.ask("MIGRATE", HOST, port, "", "0", "5000", "KEYS", *keys)
        assert answer == "+OK\r\n", answer

    def end(self) -> None:
        for node in (self.target, self.source, *self.nodes):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.ids[1])


def plain(node: RedisServer, *command: str) -> str:
    """The text or number that a node answers."""
    return node.ask(*command).strip().split("\r\n")[-1].lstrip(":")


async def test_a_user_whose_slot_has_moved_is_found_on_the_other_node(
    cluster: RedisCluster, store: RedisStore
) -> None:
    move = Move(cluster, USERS[0])
    move.begin()
    move.move_keys()
    move.end()
    assert await versions(store, USERS) == [1] * len(USERS)
    assert (await store.load(USERS[0])).version == 1
    assert await store.commit(change(2, USERS[0])) is None
    assert len(await store.stop_points(USERS[0], "song")) == 2
    assert await store.exchange("p", dict.fromkeys(USERS, 1), {}) == dict.fromkeys(USERS, (0, 0))


async def test_a_user_whose_slot_is_moving_waits_for_no_longer_than_that(
    cluster: RedisCluster, store: RedisStore
) -> None:
    move = Move(cluster, USERS[1])
    move.begin()
    move.move_keys(2)
    half_moved = asyncio.create_task(store.commit(change(2, USERS[1])))
    move.move_keys()
    assert await versions(store, USERS[:3]) == [1, 1, 1]
    assert len(await store.stop_points(USERS[1], "song")) == 1
    await asyncio.sleep(0.3)
    assert not half_moved.done()
    move.end()
    assert await half_moved is None
    assert (await store.load(USERS[1])).version == 2


async def test_users_of_other_nodes_do_not_notice_one_that_fails(
    cluster: RedisCluster, store: RedisStore
) -> None:
    received: list[Publication] = []
    gaps: list[None] = []
    subscription = store.subscription()
    receiving = asyncio.create_task(subscription.run(received.append, lambda: gaps.append(None)))
    for user_id in USERS:
        await subscription.add(user_id)
    seed = cluster.nodes[0]
    lost = {user_id for user_id in USERS if Move(cluster, user_id).source is seed}
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
    seed.kill()
    try:
        results = await asyncio.gather(
            *(store.commit(change(2, user_id)) for user_id in USERS), return_exceptions=True
        )
        failed = {
            user_id
            for user_id, result in zip(USERS, results, strict=True)
            if isinstance(result, Unavailable)
        }
        assert failed == lost
        assert 0 < len(lost) < len(USERS)
        await until(lambda: gaps)
        received.clear()
        alive = sorted(set(USERS) - lost)
        for user_id in alive:
            assert await store.commit(change(3, user_id)) is None
        await until(lambda: len(received) == len(alive))
    finally:
        seed.start()
        await asyncio.to_thread(cluster.wait_until_complete)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert await versions(store, sorted(lost)) == [0] * len(lost)
