"""What users meet where Redis, or the link of one process to it, is slow or gone.

Users act all the time. None of their devices may be disconnected, told a ``rev`` that falls, or be
apart from the others 10 s later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio

from tests.support.cluster import Cluster, Member, running_processes
from tests.support.fleet import Fleet, running_fleet
from tests.support.long_tests import IS_LONG
from tests.support.proxy import Mode
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import until

from .devices import Device, Household, access_token, household

pytestmark = pytest.mark.asyncio(loop_scope="module")

USERS, DEVICES = (50, 3) if IS_LONG else (8, 3)
ACT_INTERVAL = 1.0
"""Seconds between two actions of a user, on average."""
FOREVER = 3600.0
"""Seconds, longer than any test: until cancelled."""
REDIS_OUTAGE = 5.0
LINK_OUTAGE = 20.0 if IS_LONG else 6.0
"""Seconds in which a connection that answers nothing has to be noticed."""
REFUSED_AFTER = 4.0
"""Seconds by which a change is refused: 2.5 s, and what a busy machine needs."""
CHANGES = 8
"""Changes that one device sends at once."""
SOON = 1.5
"""Seconds by which something is answered that waits for nothing."""
AGREED_AFTER = 10.0
"""Seconds after an outage by which everyone has to agree."""
DELAY = 0.15
"""Seconds in each direction: 300 ms there and back."""
COUNTED_FOR = 3.0
OPERATIONS, USER_OPERATIONS = 36, 3
"""Operations of a process in that time while its users rest: renewals, revocations, limits, pings
and the clock take about 12; and of each user: a comparison, and what limits exchange."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that writes its data where it is told to, or stopped; killed it forgets the rest."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(redis: RedisServer, shared_media: Path) -> AsyncIterator[Cluster]:
    async with running_processes(shared_media, redis, has_links=True) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(cluster: Cluster) -> AsyncIterator[Fleet]:
    async with running_fleet(cluster.urls, USERS, DEVICES) as fleet:
        await fleet.play()
        yield fleet


@pytest_asyncio.fixture(loop_scope="module")
async def home(cluster: Cluster, fleet: Fleet) -> AsyncIterator[Household]:
    """A user who does what a test says, while those of the fleet act; all must agree afterwards."""
    connections = fleet.heard["connection"] - fleet.heard["cut"]
    async with household(cluster) as home:
        await home.devices[0].ask("playTrack", trackId="song", queue=["song", "other"])
        acting = asyncio.create_task(fleet.act(FOREVER, ACT_INTERVAL))
        try:
            yield home
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
        await _all_are_well(cluster, range(3))
        assert await fleet.disagreements(AGREED_AFTER) == []
        assert fleet.heard["connection"] - fleet.heard["cut"] == connections
        assert not [device.name for device in home.devices if device.peer.socket.closed]
        await _agree(home)
    await _rests(cluster)


async def _all_are_well(cluster: Cluster, numbers: range) -> None:
    """Wait until these processes say that they are well."""
    async with asyncio.timeout(AGREED_AFTER):
        while {await cluster.health(number) for number in numbers} != {"ok"}:
            await asyncio.sleep(0.1)


async def _agree(home: Household) -> None:
    """Wait until all devices of a user are told the same."""
    async with asyncio.timeout(AGREED_AFTER):
        while len({_told(await device.state()) for device in home.devices}) > 1:
            await asyncio.sleep(0.1)


def _told(state: dict[str, object]) -> tuple[object, ...]:
    return state["rev"], state["trackId"], state["isPlaying"], state["deviceId"]


async def _rests(cluster: Cluster) -> None:
    """Count what processes ask of Redis while nobody acts."""
    async with cluster.redis.monitor() as monitor:
        await asyncio.sleep(COUNTED_FOR)
    most = len(cluster.living) * (OPERATIONS + USERS * USER_OPERATIONS)
    assert len(monitor.commands) <= most, monitor.commands


async def _is_degraded(cluster: Cluster, *numbers: int) -> None:
    async with asyncio.timeout(REDIS_OUTAGE):
        while {await cluster.health(number) for number in numbers} != {"degraded"}:
            await asyncio.sleep(0.1)


async def _is_refused(home: Household, number: int) -> None:
    """A change is refused in time, over the socket and over REST."""
    device = home.devices[number]
    async with asyncio.timeout(REFUSED_AFTER):
        answers = await asyncio.gather(
            device.ask("pauseTrack", trackId="song"), home.post(number, "play/song")
        )
    assert answers[0]["event"] == "error", answers
    assert answers[0]["data"]["code"] == "unavailable"
    assert answers[1][0] == 503
    assert answers[1][1]["error"]["code"] == "unavailable"


async def _are_refused(device: Device) -> None:
    """Changes that one device sends at once wait at the same time, not one after the other."""
    before = await device.state()
    seek = {"trackId": "other", "currentTime": 500.0, "isPlaying": True}
    codes: dict[str, str] = {}
    async with asyncio.timeout(REFUSED_AFTER):
        for number in range(CHANGES):
            await device.peer.send("playTrack", f"change {number}", trackId="song")
            await device.peer.send("updateStreaming", **seek)
        while len(codes) < CHANGES:
            frame = await device.frame()
            if "id" in frame:
                codes[frame["id"]] = frame["data"]["code"]
    assert codes == {f"change {number}": "unavailable" for number in range(CHANGES)}
    assert _told(await device.state()) == _told(before)


async def _is_absorbed(device: Device) -> None:
    """A report that agrees with the state is answered at once."""
    async with asyncio.timeout(SOON):
        state = await device.state()
        where = {"trackId": state["trackId"], "currentTime": state["currentTime"]}
        answer = await device.ask("updateStreaming", **where, isPlaying=state["isPlaying"])
    assert answer["event"] == "trackState", answer


async def _is_told_of_changes(home: Household) -> None:
    """A change of each device reaches all of them."""
    for number, device in enumerate(home.devices):
        answer = await device.ask("playTrack", trackId="song", currentTime=100.0 * number)
        assert answer["event"] == "trackPlaying", answer
        for other in home.devices:
            if other is not device:
                state = await other.reaches(answer["data"]["rev"])
                assert 0.0 <= state["currentTime"] - 100.0 * number < AGREED_AFTER


@asynccontextmanager
async def _outage(seconds: float) -> AsyncIterator[None]:
    """Let what happens in the block last so long at least."""
    began = time.monotonic()
    yield
    await asyncio.sleep(began + seconds - time.monotonic())


async def test_while_redis_answers_nothing_reports_go_on_and_changes_are_refused(
    cluster: Cluster, home: Household
) -> None:
    cluster.redis.freeze()
    try:
        async with _outage(REDIS_OUTAGE):
            await _is_refused(home, 0)
            await _is_degraded(cluster, 0, 1, 2)
            await _are_refused(home.devices[1])
            for device in home.devices:
                await _is_absorbed(device)
    finally:
        cluster.redis.thaw()
    await _all_are_well(cluster, range(3))
    await _is_told_of_changes(home)


async def test_changes_that_a_socketio_client_sends_at_once_are_refused_at_the_same_time(
    cluster: Cluster, home: Household
) -> None:
    pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    from tests.support.socketio_client import socketio_client

    seek = {"trackId": "other", "currentTime": 500.0, "isPlaying": True}
    auth = {"token": access_token(home.user_id)}
    async with socketio_client(cluster.members[2].url, auth) as browser:
        cluster.redis.freeze()
        try:
            async with asyncio.timeout(REFUSED_AFTER):
                for _ in range(CHANGES):
                    await browser.say("updateStreaming", **seek)
                answers = await asyncio.gather(
                    *(browser.ask("playTrack", {"trackId": "song"}) for _ in range(CHANGES))
                )
            assert {answer["error"]["code"] for answer in answers} == {"unavailable"}
            assert (await browser.ask("getCurrentState"))["currentTime"] < 500.0
        finally:
            cluster.redis.thaw()


async def test_while_redis_restarts_reports_go_on_and_changes_are_refused_and_nothing_is_lost(
    cluster: Cluster, home: Household
) -> None:
    before = await home.devices[0].state()
    cluster.redis.stop()
    try:
        async with _outage(REDIS_OUTAGE):
            await _is_refused(home, 1)
            await _is_degraded(cluster, 0, 1, 2)
            for device in home.devices:
                await _is_absorbed(device)
    finally:
        await asyncio.to_thread(cluster.redis.start)
    await _all_are_well(cluster, range(3))
    assert _told(await home.devices[2].state()) == _told(before)
    await _is_told_of_changes(home)


async def test_a_redis_that_restarts_empty_is_given_what_the_processes_know(
    cluster: Cluster, home: Household
) -> None:
    before, version = await home.devices[0].state(), cluster.version(home.user_id)
    await asyncio.to_thread(cluster.redis.restart, keeps_data=False)
    await _all_are_well(cluster, range(3))
    await until(lambda: cluster.version(home.user_id) >= version)
    for device in home.devices:
        state = await device.state()
        assert _told(state) == _told(before)
        assert state["queue"] == before["queue"]
    await _is_told_of_changes(home)
    await home.lists(1, "device0", "device1", "device2")


async def test_a_redis_that_forgot_the_last_changes_does_not_take_them_back(
    cluster: Cluster, home: Household
) -> None:
    assert cluster.redis.ask("SAVE") == "+OK\r\n"
    for position in range(5):
        await home.devices[0].ask("playTrack", trackId="other", currentTime=position)
    before, version = await home.devices[0].state(), cluster.version(home.user_id)
    cluster.redis.kill()
    await asyncio.to_thread(cluster.redis.start)
    await _all_are_well(cluster, range(3))
    await until(lambda: cluster.version(home.user_id) >= version)
    for device in home.devices:
        assert (await device.state())["rev"] >= before["rev"]
    await _is_told_of_changes(home)


async def test_a_redis_that_can_only_be_read_refuses_changes_and_is_no_good_health(
    cluster: Cluster, home: Household
) -> None:
    assert cluster.redis.ask("REPLICAOF", "127.0.0.1", "1") == "+OK\r\n"
    try:
        await _is_refused(home, 2)
        await _is_degraded(cluster, 0, 1, 2)
        for _ in range(int(REDIS_OUTAGE)):
            assert {await cluster.health(number) for number in range(3)} == {"degraded"}
            await _is_absorbed(home.devices[0])
            await asyncio.sleep(0.5)
    finally:
        assert cluster.redis.ask("REPLICAOF", "NO", "ONE") == "+OK\r\n"
    await _all_are_well(cluster, range(3))
    await _is_told_of_changes(home)


async def test_a_process_whose_link_is_cut_or_half_open_refuses_changes_and_others_notice_nothing(
    cluster: Cluster, home: Household
) -> None:
    broken = cluster.members[:2]
    for member, mode in zip(broken, (Mode.CUT, Mode.HOLD), strict=True):
        await _switch(member, mode)
    try:
        async with _outage(LINK_OUTAGE):
            await asyncio.gather(_is_refused(home, 0), _is_refused(home, 1))
            await _is_degraded(cluster, 0, 1)
            assert await cluster.health(2) == "ok"
            for device in home.devices[:2]:
                await _is_absorbed(device)
            async with asyncio.timeout(SOON):
                answer = await home.devices[2].ask("playTrack", trackId="other", currentTime=70)
            assert answer["event"] == "trackPlaying"
    finally:
        for member in broken:
            await _switch(member, Mode.PASS)
    async with asyncio.timeout(AGREED_AFTER):
        for device in home.devices[:2]:
            assert (await device.reaches(answer["data"]["rev"]))["trackId"] == "other"
    await _all_are_well(cluster, range(3))
    for member in broken:
        member.is_balanced = True
    await _is_told_of_changes(home)


async def _switch(member: Member, mode: Mode) -> None:
    """Break or mend a link. A balancer chooses a process again once it is well."""
    assert member.link is not None
    member.is_balanced = False
    await member.link.switch(mode)


async def test_with_a_slow_link_changes_take_one_round_trip_and_keep_their_order(
    cluster: Cluster, home: Household
) -> None:
    link = cluster.members[0].link
    assert link is not None
    link.delays = (DELAY, DELAY)
    try:
        slow, other = home.devices[:2]
        seconds = []
        for position in range(5):
            began = time.monotonic()
            answer = await slow.ask("playTrack", trackId="song", currentTime=position)
            seconds.append(time.monotonic() - began)
        assert 2 * DELAY <= median(seconds) < 6 * DELAY
        await other.reaches(answer["data"]["rev"])
        first = answer["data"]["rev"] + 1
        for number in range(10):
            await slow.peer.send("playTrack", trackId="song", currentTime=1000 + 100 * number)
        for device in (other, slow):
            states = [await device.reaches(first + number) for number in range(10)]
            assert [state["rev"] for state in states] == list(range(first, first + 10))
            assert [state["currentTime"] // 100 for state in states] == list(range(10, 20))
    finally:
        link.delays = (0.0, 0.0)
    assert await cluster.health(0) == "ok"
