"""``RedisStore`` where Redis or the way to it fails, and what it costs."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audiostream.errors import StoreError, Unavailable
from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import DeviceRef, State, StopPoint
from audiostream.storage import redis_subscription
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Change, DeviceChanges, DeviceRow, StoredRoom
from tests.support.redis_server import RedisServer, running_redis
from tests.support.stored_versions import versions
from tests.support.waiting import until

BOUND = 4.0
"""Seconds within which a store that is to answer within 2 s has answered on a busy machine."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path, appendonly=True) as server:
        yield server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    """A store that leaves no connection open."""
    store = RedisStore(server.url)
    await store.open()
    yield store
    await store.close()
    if server.process is not None:
        await until(lambda: not addresses(server) | addresses(server, "PUBSUB"))


def change(version: int, user_id: str = "ada", **values: Any) -> Change:
    given: dict[str, Any] = {
        "user_id": user_id,
        "process_id": "p",
        "change_id": f"change-{version}",
        "expected_version": version - 1,
        "version": version,
        "state": State(track_id="song", rev=version),
        "writes_queue": False,
    }
    return Change(**given | values)


@asynccontextmanager
async def receiving(store: RedisStore, *user_ids: str) -> AsyncIterator[tuple[list[int], Any]]:
    """Receive versions, and -1 for a gap."""
    received: list[int] = []
    subscription = store.subscription()
    task = asyncio.create_task(
        subscription.run(
            lambda each: received.append(each.change.version if each.change else 0),
            lambda: received.append(-1),
        )
    )
    try:
        for user_id in user_ids:
            await subscription.add(user_id)
        yield received, subscription
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestOutages:
    async def test_a_server_that_is_gone_is_unavailable_within_two_seconds(
        self, server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.commit(change(1))
        server.kill()
        began = time.monotonic()
        answers = await asyncio.gather(
            store.load("ada"),
            store.commit(change(2)),
            store.announce("ada", "p", DeviceChanges(removed=(1,))),
            store.versions(["ada", "bob"]),
            store.history("ada", lambda _: True, 10),
            store.renew("p"),
            store.revoked(),
            store.exchange("p", {"ada": 1}, {}),
            return_exceptions=True,
        )
        assert time.monotonic() - began < BOUND
        assert [type(each) for each in answers] == [Unavailable] * 8
        assert caplog.text.count("cannot be used now: ") == 1
        assert "no answer" not in caplog.text
        assert "Traceback" not in caplog.text

    async def test_a_change_waits_for_a_server_that_is_restarted_and_is_stored_once(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        await store.commit(change(1))
        server.stop()
        waiting = asyncio.create_task(store.commit(change(2)))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.start)
        assert await waiting is None
        assert await store.commit(change(2)) is None
        assert await versions(store, ["ada"]) == [2]
        assert await store.stop_points("ada", "song") == []

    async def test_a_server_that_lost_everything_has_no_version(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        await store.commit(change(1))
        await asyncio.to_thread(server.restart, keeps_data=False)
        assert await store.commit(change(2)) == StoredRoom()
        assert await store.commit(change(1)) is None

    async def test_a_server_that_does_not_answer_is_unavailable_and_its_connections_are_replaced(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        await asyncio.gather(*(store.load("ada") for _ in range(8)))
        before = addresses(server)
        assert before
        server.freeze()
        began = time.monotonic()
        results = await asyncio.gather(
            store.commit(change(1)), *map(store.load, "abc"), return_exceptions=True
        )
        assert time.monotonic() - began < BOUND
        assert [type(each) for each in results] == [Unavailable] * 4
        server.thaw()
        assert await store.commit(change(1)) is None
        assert await versions(store, ["ada"]) == [1]
        await until(lambda: not before & addresses(server))

    async def test_what_is_under_way_when_a_store_is_closed_ends_and_connects_to_nothing(
        self, server: RedisServer
    ) -> None:
        store = RedisStore(server.url)
        await store.open()
        server.freeze()
        loading = [asyncio.create_task(store.load(each)) for each in "abc"]
        await asyncio.sleep(0.1)
        await store.close()
        results = await asyncio.gather(*loading, store.load("a"), return_exceptions=True)
        assert [type(each) for each in results] == [Unavailable] * 4
        server.thaw()
        await until(lambda: not addresses(server))

    async def test_a_cancelled_operation_leaves_nothing_for_the_next_one(
        self, store: RedisStore
    ) -> None:
        for number in range(20):
            await store.commit(change(1, user_id=f"user-{number}", state=State(rev=number)))
        generator = random.Random(1)  # noqa: S311
        for _ in range(60):
            tasks = [asyncio.create_task(store.load(f"user-{n}")) for n in range(20)]
            await asyncio.sleep(generator.random() * 0.004)
            for task in generator.sample(tasks, 10):
                task.cancel()
            loaded = await asyncio.gather(*tasks, return_exceptions=True)
            for number, each in enumerate(loaded):
                assert isinstance(each, asyncio.CancelledError) or (
                    isinstance(each, StoredRoom) and each.state.rev == number
                )

    async def test_revocations_that_redis_lost_are_written_again(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        await store.revoke("ada", 5.5)
        assert await store.revoked() == {"ada": 5.5}
        await asyncio.to_thread(server.restart, keeps_data=False)
        other = RedisStore(server.url)
        await other.open()
        await other.revoke("bob", 6.5)
        assert await store.revoked() == {"ada": 5.5, "bob": 6.5}
        assert await other.revoked() == {"ada": 5.5, "bob": 6.5}
        await other.close()


class TestSubscription:
    async def test_after_a_restart_it_is_made_again_and_a_gap_is_reported_once(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        async with receiving(store, "ada", "bob") as (received, subscription):
            await store.commit(change(1))
            await until(lambda: received == [1])
            server.stop()
            with pytest.raises(Unavailable):
                await subscription.add("cleo")
            await asyncio.to_thread(server.start)
            await until(lambda: received == [1, -1])
            await subscription.add("dora")
            for user_id, version in (("ada", 2), ("bob", 1), ("cleo", 1), ("dora", 1)):
                assert await store.commit(change(version, user_id=user_id)) is None
            await until(lambda: len(received) == 5)
            await asyncio.sleep(0.05)
            assert received == [1, -1, 2, 1, 1]

    async def test_a_user_who_is_added_while_redis_is_away_is_subscribed_when_it_is_back(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        async with receiving(store) as (received, subscription):
            server.stop()
            adding = asyncio.create_task(subscription.add("ada"))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(server.start)
            await adding
            await store.commit(change(1))
            await until(lambda: received[-1:] == [1])

    async def test_a_link_that_is_cut_without_a_word_is_noticed(
        self, server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis_subscription, "PING_INTERVALS", (0.2, 0.2, 0.1))
        async with receiving(store, "ada") as (received, _):
            await asyncio.sleep(1.0)  # a server that answers pings is not doubted
            before = addresses(server, "PUBSUB")
            server.freeze()
            await asyncio.sleep(0.8)
            server.thaw()
            await until(lambda: received == [-1])
            await store.commit(change(1))
            await until(lambda: received[-1] == 1)
            await until(lambda: not before & addresses(server, "PUBSUB"))

    async def test_many_users_are_subscribed_again_before_the_gap_is_reported(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        users = [f"user-{number}" for number in range(1200)]
        async with receiving(store, *users) as (received, _):
            await asyncio.to_thread(server.restart)
            await until(lambda: received == [-1])
            for user_id in (users[0], users[-1]):
                await store.commit(change(1, user_id=user_id))
            await until(lambda: received == [-1, 1, 1])

    async def test_a_publication_that_cannot_be_read_is_logged_and_left_out(
        self, server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with receiving(store, "ada") as (received, _):
            for text in ("", "{}", '{"user_id":"ada","process_id":1}', "\x01"):
                server.ask("PUBLISH", "audiostream:{ada}:events", text)
            await store.commit(change(1))
            await until(lambda: received == [1])
        assert "a publication cannot be read" in caplog.text


class TestContent:
    async def test_a_state_of_a_later_version_is_not_touched(
        self, server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.commit(change(1))
        server.ask("HSET", "audiostream:{ada}:room", "state", '{"format":2,"rev":1}')
        with pytest.raises(StoreError, match="cannot be read"):
            await store.load("ada")
        with pytest.raises(StoreError, match="cannot be read"):
            await store.commit(change(1, change_id="late"))
        assert "audiostream:{ada}:room" in caplog.text
        assert "format" in server.ask("HGET", "audiostream:{ada}:room", "state")
        assert await versions(store, ["ada"]) == [1]

    async def test_a_row_that_cannot_be_read_is_left_out_and_can_be_removed(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        row = DeviceRow(ref=DeviceRef(2, "phone"), process_id="p")
        await store.commit(change(1, devices=DeviceChanges(rows=(row,))))
        server.ask("HSET", "audiostream:{ada}:devices", "7", '{"ref":7}')
        assert (await store.load("ada")).devices == (row,)
        await store.announce("ada", "p", DeviceChanges(removed=(7,)))
        assert server.ask("HLEN", "audiostream:{ada}:devices") == ":1\r\n"

    async def test_a_key_that_another_program_took_is_unavailable(
        self, server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.ask("SET", "audiostream:{ada}:room", "x")
        with pytest.raises(Unavailable):
            await store.load("ada")
        assert "WRONGTYPE" in caplog.text

    async def test_a_full_memory_is_unavailable_and_loses_nothing(
        self, server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        await store.commit(change(1))
        server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(Unavailable):
            await store.commit(change(2))
        assert "maxmemory" in caplog.text
        assert (await store.load("ada")).version == 1
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert await store.commit(change(2)) is None


async def test_each_operation_is_one_command(
    server: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    points, played = (StopPoint("song", 1.0, 2.0),), (PlayedTrack("song", 2.0),)
    for warm_up in (True, False):
        async with server.monitor() as monitor:
            await store.commit(change(2 - warm_up, stop_points=points, played=played))
            await store.load("ada")
            await store.announce("ada", "p", DeviceChanges(removed=(1,)))
            await store.versions(["ada"])
            await store.stop_point("ada", "song")
            await store.stop_points("ada", "song")
            await store.history("ada", lambda _: True, 10)
            await store.renew("p")
            await store.revoked()
            await store.revoke("ada", 1.0)
            await store.exchange("p", {"ada": 1}, {"ada": 1})
            await store.leave("p")
    assert monitor.count() == 12
    assert monitor.count("EVALSHA") == 8
    assert monitor.count("EVAL") == 0


def addresses(server: RedisServer, kind: str = "NORMAL") -> set[str]:
    """The connections to a server but the one that asks."""
    answer = server.ask("CLIENT", "LIST", "TYPE", kind)
    lines = [line for line in answer.splitlines() if "addr=" in line and "cmd=client" not in line]
    return {word for line in lines for word in line.split() if word.startswith("addr=")}
