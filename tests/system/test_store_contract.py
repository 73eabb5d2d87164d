"""What every ``SharedStore`` does: in memory, on Redis, on Valkey, and on a Redis Cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from audiostream.playback.history import PlayedTrack
from audiostream.playback.model import DeviceRef, Snapshot, State, StopPoint
from audiostream.playback.queue import Queue
from audiostream.storage.play_history import HistoryEntry
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import (
    Change,
    DeviceChanges,
    DeviceRow,
    Publication,
    SharedStore,
    StoredRoom,
)
from audiostream.storage.stop_points import POSITIONS_KEPT, TRACKS_KEPT
from tests.support.memory_store import MemoryDatabase, MemoryStore
from tests.support.redis_server import running_cluster, running_redis
from tests.support.stored_versions import versions
from tests.support.waiting import until

THIRD = 1 / 3
PLAYING = State(
    track_id="song",
    duration=60.1,
    position=THIRD,
    anchored_at=1795738709.296966,
    is_playing=True,
    playback_rate=1.1,
    rev=7,
    updated_at=1795738709.123457,
    active_device=DeviceRef(2**71, "phone"),
    frozen_at=5e-324,
    is_measured=True,
    ended_at=1e300,
    queue=Queue(("song", "other", "song"), 2, "all"),
)
ODD_IDS = (
    *("}{", "{}", "{revoked}", "a:b", "%7D", "a b\r\n", "\0", "\ud800", "\udc00x", "é", "e\u0301"),
    *("\U0001f3b5" * 128, "x" * 128, "../..", "*", "[a-z]", '"\\', "0", "-1", "_", "None"),
)

Opened = Callable[..., Awaitable[SharedStore]]


@pytest.fixture(scope="module", params=["memory", "redis-server", "valkey-server", "cluster"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """Where the stores of a test keep what they share."""
    folder: Path = tmp_path_factory.mktemp("redis")
    if request.param == "memory":
        yield None
    elif request.param == "cluster":
        with running_cluster(folder) as cluster:
            yield cluster.url, cluster.nodes
    else:
        with running_redis(folder, program=request.param) as server:
            yield server.url, [server]


@pytest.fixture
async def opened(place: Any) -> AsyncIterator[Opened]:
    """Open a store, as each process has one, of what is empty at the beginning of a test."""
    database, stores = MemoryDatabase(time.time), []
    if place is not None:
        for node in place[1]:
            assert node.ask("FLUSHALL") == "+OK\r\n"

    async def open_store(max_history: int = 2000) -> SharedStore:
        if place is None:
            return MemoryStore(database, max_history=max_history)
        store = RedisStore(place[0], max_history)
        await store.open()
        stores.append(store)
        return store

    yield open_store
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Opened) -> SharedStore:
    return await opened()


_numbers = count()


def change(version: int = 1, user_id: str = "ada", **values: Any) -> Change:
    """A change to a version, with an id of its own."""
    given: dict[str, Any] = {
        "user_id": user_id,
        "process_id": "p1",
        "change_id": f"change-{next(_numbers)}",
        "expected_version": version - 1,
        "version": version,
        "state": State(track_id="song", rev=version),
        "writes_queue": False,
    }
    return Change(**given | values)


def row(key: int, **values: Any) -> DeviceRow:
    return DeviceRow(ref=DeviceRef(key, f"device-{key}"), process_id="p1", **values)


@dataclass
class Received:
    """What a subscription has received."""

    publications: list[Publication] = field(default_factory=list)
    gaps: int = 0

    def on_gap(self) -> None:
        self.gaps += 1

    async def wait(self, number: int) -> list[Publication]:
        await until(lambda: len(self.publications) >= number)
        await asyncio.sleep(0.02)
        assert len(self.publications) == number
        return self.publications


@asynccontextmanager
async def receiving(store: SharedStore, *user_ids: str) -> AsyncIterator[tuple[Received, Any]]:
    """Receive what is published of some users."""
    received, subscription = Received(), store.subscription()
    task = asyncio.create_task(subscription.run(received.publications.append, received.on_gap))
    try:
        await asyncio.sleep(0)
        for user_id in user_ids:
            await subscription.add(user_id)
        yield received, subscription
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestPlayback:
    async def test_of_a_user_who_never_played_nothing_is_stored(self, store: SharedStore) -> None:
        assert await store.load("ada") == StoredRoom()
        assert await versions(store, ["ada", "bob"]) == [0, 0]
        assert await versions(store, []) == []
        assert await store.stop_point("ada", "song") is None
        assert await store.stop_points("ada", "song") == []
        assert await store.history("ada", lambda _: True, 10) == []

    async def test_a_change_is_loaded_as_it_was_committed(
        self, store: SharedStore, opened: Opened
    ) -> None:
        devices = DeviceChanges(rows=(row(1, connected_at=THIRD), row(2**70, connected_at=1.0)))
        sent = change(
            state=PLAYING, writes_queue=True, applied_ids=("a", "\ud800"), devices=devices
        )
        assert await store.commit(sent) is None
        stored = await (await opened()).load("ada")
        assert stored == StoredRoom(
            version=1,
            change_id=sent.change_id,
            state=PLAYING,
            applied_ids=("a", "\ud800"),
            devices=devices.rows,
        )
        assert repr(stored.state) == repr(PLAYING)
        assert await store.versions(["bob", "ada"]) == [(0, ""), (1, sent.change_id)]

    async def test_a_change_that_is_late_stores_nothing_and_returns_what_is_stored(
        self, store: SharedStore
    ) -> None:
        await store.commit(change(state=PLAYING, writes_queue=True))
        stored = await store.load("ada")
        late = change(
            state=State(queue=Queue(("x",))),
            writes_queue=True,
            stop_points=(StopPoint("song", 1.0, 2.0),),
            played=(PlayedTrack("song", 2.0),),
            devices=DeviceChanges(rows=(row(1),)),
        )
        async with receiving(store, "ada") as (received, _):
            assert await store.commit(late) == stored
            assert await store.commit(replace(late, expected_version=7, version=8)) == stored
            assert await store.load("ada") == stored
            assert await store.stop_points("ada", "song") == []
            assert await store.history("ada", lambda _: True, 10) == []
            await asyncio.sleep(0.02)
            changes = [each.change for each in received.publications]  # in a cluster the first, too
            assert late.change_id not in {each and each.change_id for each in changes}

    async def test_a_change_that_does_not_write_the_queue_keeps_its_tracks(
        self, store: SharedStore
    ) -> None:
        await store.commit(change(1, state=PLAYING, writes_queue=True))
        moved = replace(PLAYING, queue=Queue((), 0, "one"))
        await store.commit(change(2, state=moved))
        queue = (await store.load("ada")).state.queue
        assert queue == Queue(("song", "other", "song"), 0, "one")
        await store.commit(change(3, state=State(), writes_queue=True))
        assert (await store.load("ada")).state.queue == Queue()

    async def test_a_change_that_is_sent_again_is_stored_and_published_once(
        self, store: SharedStore, opened: Opened
    ) -> None:
        sent = change(
            played=(PlayedTrack("song", 1.0),), stop_points=(StopPoint("song", 2.0, 3.0),)
        )
        other = await opened()
        async with receiving(store, "ada") as (received, _):
            assert await store.commit(sent) is None
            assert await other.commit(sent) is None
            assert await store.commit(change(2)) is None
            assert await store.commit(sent) is None
            assert await versions(store, ["ada"]) == [2]
            assert len(await store.stop_points("ada", "song")) == 1
            assert [each.change and each.change.version for each in await received.wait(2)] == [
                1,
                2,
            ]

    async def test_a_user_does_not_see_what_is_anothers(self, store: SharedStore) -> None:
        points, played = (StopPoint("song", 1.0, 2.0),), (PlayedTrack("song", 2.0),)
        async with receiving(store, "bob") as (received, _):
            await store.commit(change(stop_points=points, played=played))
            await store.announce("ada", "p1", DeviceChanges(rows=(row(1),)))
            assert await store.load("bob") == StoredRoom()
            assert await store.stop_points("bob", "song") == []
            assert await store.history("bob", lambda _: True, 10) == []
            assert await received.wait(0) == []

    async def test_odd_user_track_and_device_ids_are_kept_apart_and_unchanged(
        self, store: SharedStore
    ) -> None:
        async with receiving(store, *ODD_IDS) as (received, _):
            for number, odd in enumerate(ODD_IDS):
                sent = change(
                    user_id=odd,
                    process_id=odd.encode("utf-8", "replace").decode(),
                    state=State(track_id=odd, rev=number, active_device=DeviceRef(1, odd)),
                    stop_points=tuple(StopPoint(each, number, 1.0) for each in ODD_IDS),
                    played=tuple(PlayedTrack(each, number) for each in ODD_IDS),
                )
                assert await store.commit(sent) is None
            published = await received.wait(len(ODD_IDS))
        assert {each.user_id for each in published} == {*ODD_IDS}
        assert await versions(store, ODD_IDS) == [1] * len(ODD_IDS)
        for number, odd in enumerate(ODD_IDS):
            state = (await store.load(odd)).state
            assert state == State(track_id=odd, rev=number, active_device=DeviceRef(1, odd))
            assert await store.stop_points(odd, odd) == [StopPoint(odd, number, 1.0)]
            history = await store.history(odd, lambda _: True, 99)
            assert history == [HistoryEntry(each, number, number) for each in reversed(ODD_IDS)]

    async def test_two_processes_that_change_a_user_at_once_lose_no_change(
        self, store: SharedStore, opened: Opened
    ) -> None:
        stored: list[Change] = []

        async def change_often(store: SharedStore) -> None:
            version = 0
            for _ in range(100):
                while True:
                    sent = change(version + 1)
                    lost = await store.commit(sent)
                    version = sent.version if lost is None else lost.version
                    if lost is None:
                        stored.append(sent)
                        break

        async with receiving(store, "ada") as (received, _):
            await asyncio.gather(change_often(store), change_often(await opened()))
            published = [each.change for each in await received.wait(200)]
        assert [each.version for each in published if each] == list(range(1, 201))
        assert {each.change_id for each in published if each} == {each.change_id for each in stored}


class TestDevices:
    async def test_rows_are_added_replaced_and_removed(self, store: SharedStore) -> None:
        at = Snapshot("song", THIRD, True, 1.1, 1795738709.296966)
        full = row(
            3,
            name="Kitchen \ud800",
            connected_at=3.0,
            reports_playing=True,
            current=at,
            volume=THIRD,
            muted=False,
        )
        await store.announce("ada", "p1", DeviceChanges(rows=(row(1), row(2, connected_at=2.0))))
        await store.commit(change(devices=DeviceChanges(rows=(full,), removed=(1, 99))))
        assert (await store.load("ada")).devices == (row(2, connected_at=2.0), full)
        renamed = row(2, connected_at=2.0, name="Bath")
        await store.announce("ada", "p1", DeviceChanges(rows=(renamed,)))
        lost = await store.commit(change())
        assert lost is not None
        assert lost.devices == (renamed, full)
        await store.announce("ada", "p2", DeviceChanges(removed=(2, 3)))
        assert (await store.load("ada")).devices == ()


class TestPublications:
    async def test_all_processes_receive_a_change_without_its_stop_points_and_history(
        self, store: SharedStore, opened: Opened
    ) -> None:
        devices = DeviceChanges(
            rows=(row(1),), removed=(2,), frames=((2**70, '{"event":"\ud800"}'),), checked=(3,)
        )
        sent = change(
            state=PLAYING,
            writes_queue=True,
            applied_ids=("a",),
            stop_points=(StopPoint("song", 1.0, 2.0),),
            played=(PlayedTrack("song", 2.0),),
            event="queueUpdated",
            recipients="OTHERS",
            devices=devices,
        )
        async with (
            receiving(store, "ada") as (own, _),
            receiving(await opened(), "bob", "ada") as (others, _),
        ):
            await store.commit(sent)
            published = Publication(
                user_id="ada",
                process_id="p1",
                change=replace(sent, stop_points=(), played=()),
                devices=devices,
            )
            assert await own.wait(1) == [published]
            assert await others.wait(1) == [published]
            moved = replace(PLAYING, queue=Queue(("song", "other", "song"), 0, "one"))
            await store.commit(change(2, state=moved))
            last = (await others.wait(2))[-1].change
            assert last is not None
            assert not last.writes_queue
            assert last.state == replace(moved, queue=Queue((), 0, "one"))

    async def test_what_is_announced_is_received_without_a_change(self, store: SharedStore) -> None:
        devices = DeviceChanges(frames=((1, "{}"),), checked=(2,))
        async with receiving(store, "ada") as (received, _):
            await store.announce("ada", "p9", devices)
            assert await received.wait(1) == [
                Publication(user_id="ada", process_id="p9", change=None, devices=devices)
            ]

    async def test_a_user_who_was_removed_and_added_again_is_received_once(
        self, store: SharedStore
    ) -> None:
        async with receiving(store, "ada", "bob") as (received, subscription):
            await subscription.remove("ada")
            await store.commit(change(1))
            await store.commit(change(1, user_id="bob"))
            assert [each.user_id for each in await received.wait(1)] == ["bob"]
            await subscription.add("ada")
            await subscription.add("ada")
            await store.commit(change(2))
            assert [each.user_id for each in await received.wait(2)] == ["bob", "ada"]
            await subscription.remove("nobody")
        assert received.gaps == 0

    async def test_a_callback_that_fails_does_not_end_the_subscription(
        self, store: SharedStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        if isinstance(store, MemoryStore):
            pytest.skip("of the store in memory tests want to see the failure")
        received: list[int] = []

        def on_publication(publication: Publication) -> None:
            assert publication.change is not None
            received.append(publication.change.version)
            raise RuntimeError("a bug")

        subscription = store.subscription()
        task = asyncio.create_task(subscription.run(on_publication, lambda: None))
        await subscription.add("ada")
        await store.commit(change(1))
        await store.commit(change(2))
        await until(lambda: received == [1, 2])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert "a bug" in caplog.text


class TestStopPoints:
    async def test_they_are_returned_the_newest_first_with_exact_numbers(
        self, store: SharedStore
    ) -> None:
        points = [StopPoint("song", THIRD, 1795738709.296966), StopPoint("other", 0.1 + 0.2, 1e-9)]
        await store.commit(change(1, stop_points=tuple(points)))
        await store.commit(change(2, stop_points=(StopPoint("song", 5e-324, 1795738710.1),)))
        assert await store.stop_points("ada", "song") == [
            StopPoint("song", 5e-324, 1795738710.1),
            points[0],
        ]
        assert await store.stop_point("ada", "song") == 5e-324
        assert await store.stop_points("ada", "other") == [points[1]]

    async def test_the_last_one_is_the_latest_where_a_clock_ran_back(
        self, store: SharedStore
    ) -> None:
        times = (1795738709.296966, 10.0, 10.0, 1795738709.296966, 1795738709.5)
        for number, at in enumerate(times):
            await store.commit(
                change(number + 1, stop_points=(StopPoint("song", float(number), at),))
            )
        points = await store.stop_points("ada", "song")
        assert [each.position for each in points] == [4.0, 3.0, 2.0, 1.0, 0.0]
        assert points[0].at == 1795738709.5
        assert points[-1].at == 1795738709.296966
        assert [each.at for each in points] == sorted({each.at for each in points}, reverse=True)
        assert points[1].at < 1795738709.31

    async def test_the_oldest_ones_of_a_track_are_dropped(self, store: SharedStore) -> None:
        points = [StopPoint("song", float(n), float(n)) for n in range(POSITIONS_KEPT + 3)]
        await store.commit(change(1, stop_points=tuple(points[:5])))
        await store.commit(change(2, stop_points=tuple(points[5:])))
        assert await store.stop_points("ada", "song") == points[:2:-1]

    async def test_those_of_the_tracks_stopped_in_longest_ago_are_dropped(
        self, store: SharedStore
    ) -> None:
        points = [StopPoint(f"track-{n}", 9.0, 1000.0 - n) for n in range(TRACKS_KEPT)]
        again = (StopPoint("track-0", 10.0, 1.0), StopPoint("new", 11.0, 1.0))
        await store.commit(change(1, stop_points=tuple(points)))
        await store.commit(change(2, stop_points=again))
        assert await store.stop_point("ada", "track-1") is None
        assert await store.stop_point("ada", "track-2") == 9.0
        assert await store.stop_point("ada", "track-0") == 10.0
        assert await store.stop_point("ada", "new") == 11.0


class TestHistory:
    @staticmethod
    async def listed(store: SharedStore, limit: int = 10_000) -> list[str]:
        return [each.track_id for each in await store.history("ada", lambda _: True, limit)]

    async def test_each_track_is_in_it_once_the_last_one_first_with_its_stop_point(
        self, store: SharedStore
    ) -> None:
        played = [PlayedTrack("a", 3.0), PlayedTrack("b", THIRD), PlayedTrack("a", 1.0)]
        point = StopPoint("b", 0.1 + 0.2, 9.0)
        await store.commit(change(1, played=tuple(played), stop_points=(point,)))
        assert await store.history("ada", lambda _: True, 10) == [
            HistoryEntry("a", 1.0, None),
            HistoryEntry("b", THIRD, 0.1 + 0.2),
        ]
        await store.commit(change(2, played=(PlayedTrack("b", 0.5),)))
        assert await self.listed(store) == ["b", "a"]

    async def test_it_is_limited_to_tracks_that_the_user_has(self, store: SharedStore) -> None:
        names = [f"track-{n}" for n in range(1500)]
        await store.commit(change(played=tuple(PlayedTrack(each, 1.0) for each in names)))
        found = await store.history("ada", lambda each: each.endswith("7"), 120)
        assert [each.track_id for each in found] == [
            each for each in reversed(names) if each.endswith("7")
        ][:120]
        assert await self.listed(store) == names[::-1]
        assert await self.listed(store, 3) == names[:-4:-1]
        assert await self.listed(store, 0) == []
        assert await store.history("ada", lambda _: False, 10) == []

    async def test_the_tracks_played_longest_ago_are_dropped(self, opened: Opened) -> None:
        store = await opened(max_history=3)
        for version, name in enumerate("abcade", 1):
            await store.commit(change(version, played=(PlayedTrack(name, 1.0),)))
        assert await self.listed(store) == ["e", "d", "a"]
        assert await self.listed(await opened(max_history=2)) == ["e", "d"]

    async def test_it_is_forgotten_where_none_is_kept(self, opened: Opened) -> None:
        kept, none = await opened(), await opened(max_history=0)
        await kept.commit(change(1, played=(PlayedTrack("a", 1.0),)))
        assert await self.listed(none) == []
        await none.commit(change(2, played=(PlayedTrack("b", 1.0),)))
        assert await self.listed(kept) == []


class TestProcesses:
    async def test_the_clock_of_the_store_runs(self, store: SharedStore) -> None:
        before = (await store.renew("own")).now
        assert abs(before - time.time()) < 5.0
        assert before <= (await store.renew("own")).now

    async def test_each_process_sees_when_all_were_last_renewed(
        self, store: SharedStore, opened: Opened
    ) -> None:
        first = await store.renew("p1")
        assert first.renewed_at == {"p1": first.now}
        second = await (await opened()).renew("p2")
        assert second.renewed_at == {"p1": first.now, "p2": second.now}
        third = await store.renew("p1")
        assert first.now <= second.now <= third.now
        assert third.renewed_at == {"p1": third.now, "p2": second.now}
        await store.leave("p1")
        await store.leave("p1")
        assert (await store.renew("p3")).renewed_at.keys() == {"p2", "p3"}


class TestRevocations:
    async def test_all_processes_see_them_once(self, store: SharedStore, opened: Opened) -> None:
        other = await opened()
        assert await store.revoked() == {}
        assert await store.revoked() is None
        for number, odd in enumerate(ODD_IDS):
            await store.revoke(odd, number + THIRD)
        expected = {odd: number + THIRD for number, odd in enumerate(ODD_IDS)}
        assert await other.revoked() == expected
        assert await store.revoked() == expected
        assert await other.revoked() is None

    async def test_one_at_an_earlier_time_counts_from_just_after_the_last(
        self, store: SharedStore
    ) -> None:
        await store.revoke("ada", 1795738709.296966)
        await store.revoke("ada", 5.0)
        revoked = await store.revoked()
        assert revoked is not None
        assert 1795738709.296966 < revoked["ada"] < 1795738709.31
        await store.revoke("ada", 1795738710.5)
        assert await store.revoked() == {"ada": 1795738710.5}


class TestExchange:
    async def test_each_process_learns_what_a_user_has_in_all_others(
        self, store: SharedStore, opened: Opened
    ) -> None:
        second, third = await opened(), await opened()
        assert await store.exchange("p1", {}, {}) == {}
        assert await store.exchange("p1", {"ada": 2, "b{}b": 1}, {"ada": 5}) == {
            "ada": (0, 0),
            "b{}b": (0, 0),
        }
        assert await second.exchange("p2", {"ada": 1}, {"ada": 1}) == {"ada": (2, 5)}
        assert await third.exchange("p3", {"ada": 0}, {"b{}b": 0}) == {
            "ada": (3, 6),
            "b{}b": (1, 0),
        }
        assert await store.exchange("p1", {"ada": 2}, {"ada": 3}) == {"ada": (1, 1)}
        assert await second.exchange("p2", {"ada": 0}, {}) == {"ada": (2, 3)}
        assert await store.exchange("p1", {"ada": 0}, {}) == {"ada": (0, 0)}
        assert await third.exchange("p3", {"ada": 0}, {}) == {"ada": (0, 3)}
        assert await third.exchange("p3", {"ada": 0}, {}) == {"ada": (0, 0)}
