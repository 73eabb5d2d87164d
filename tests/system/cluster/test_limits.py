"""The limits of a user, revocations and replaced connections, on several processes together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientResponse, ClientSession

from tests.support.audio_files import write_wav
from tests.support.cluster import Cluster, running_processes
from tests.support.long_tests import IS_LONG
from tests.support.media_folder import write_manifest
from tests.support.proxy import Mode, Proxy
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import PATIENCE, until
from tests.support.ws_client import Peer, connect

from .devices import TESTS, access_token, bearer, revoke

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAMS, SOCKETS, COMMANDS = 3, 4, 5
WITHIN = 1.0
"""Seconds after which each process knows what the others have allowed."""
REVOKED_AFTER = 4.0
"""Seconds in which every process refuses: 1 s, and what a busy machine needs."""
REPLACED_AFTER = 15.0
"""Seconds in which a dead connection is replaced: 5 s for an answer, and as above."""
HAMMERED_FOR = 4.0
FORGOTTEN_AFTER = 25.0
"""Seconds after which streams of a killed process do not count: 15 s, and as above."""
FULL = 16 << 20
"""Bytes of a stream, more than all buffers on its way have room for."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def long_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A media folder whose one track takes a while to be sent."""
    folder = tmp_path_factory.mktemp("media")
    write_wav(folder / "song.wav", 3000.0)
    write_manifest(folder, {"id": "song", "audioUrl": "song.wav", "title": "S", "duration": 3000})
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(redis: RedisServer, long_song: Path) -> AsyncIterator[Cluster]:
    async with running_processes(
        long_song,
        redis,
        has_links=True,
        AUDIOSTREAM_STREAMS_PER_USER=str(STREAMS),
        AUDIOSTREAM_SOCKETS_PER_USER=str(SOCKETS),
        AUDIOSTREAM_COMMANDS_PER_SECOND=str(COMMANDS),
    ) as cluster:
        yield cluster


@pytest.fixture
def user() -> str:
    return f"eve{next(TESTS)}"


@pytest_asyncio.fixture(loop_scope="module")
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


class Streams:
    """The streams of one user on any of the processes."""

    def __init__(self, cluster: Cluster, session: ClientSession, user: str) -> None:
        self._cluster = cluster
        self._session = session
        self._headers = bearer(user)
        self._opened: list[ClientResponse] = []

    async def open(self, number: int) -> ClientResponse:
        """Begin one, and read nothing of its body."""
        url = f"{self._cluster.members[number].url}/tracks/stream/song"
        self._opened.append(await self._session.get(url, headers=self._headers))
        return self._opened[-1]

    async def status(self, number: int) -> int:
        """Return the status of one that ends at once."""
        response = await self.open(number)
        response.close()
        return response.status

    def close(self) -> None:
        """End all."""
        for each in self._opened:
            each.close()


@pytest.fixture
def streams(cluster: Cluster, session: ClientSession, user: str) -> Iterator[Streams]:
    streams = Streams(cluster, session, user)
    yield streams
    streams.close()


async def flows(response: ClientResponse) -> bool:
    """Return whether a stream goes on; False where the server has ended it, or refused."""
    try:
        await asyncio.wait_for(response.content.readexactly(FULL), PATIENCE)
    except (ClientError, asyncio.IncompleteReadError):
        return False
    return True


class TestStreams:
    async def test_a_stream_too_many_is_refused_by_the_processes_that_have_none(
        self, streams: Streams
    ) -> None:
        opened = [await streams.open(number) for number in (0, 0, 1)]
        assert [each.status for each in opened] == [200, 200, 200]
        await asyncio.sleep(WITHIN)
        assert [await streams.status(number) for number in (2, 1, 0)] == [429, 429, 429]
        opened[0].close()
        async with asyncio.timeout(PATIENCE):
            while await streams.status(2) != 200:
                await asyncio.sleep(0.1)
        assert all([await flows(each) for each in opened[1:]])

    async def test_of_streams_that_begin_everywhere_at_once_the_limit_goes_on(
        self, streams: Streams
    ) -> None:
        opened = await asyncio.gather(
            *(streams.open(number) for _ in range(STREAMS) for number in range(3))
        )
        assert {each.status for each in opened} <= {200, 429}
        await asyncio.sleep(WITHIN)
        async with asyncio.timeout(PATIENCE):  # on a busy machine the exchange is late
            while sum(await asyncio.gather(*map(flows, opened))) > STREAMS:
                await asyncio.sleep(0.1)
        assert sum(await asyncio.gather(*map(flows, opened))) == STREAMS

    async def test_another_user_s_streams_and_a_user_s_next_ones_are_not_refused(
        self, cluster: Cluster, session: ClientSession, streams: Streams, user: str
    ) -> None:
        opened = [await streams.open(0) for _ in range(STREAMS)]
        other = Streams(cluster, session, f"not-{user}")
        assert await other.status(0) == 200
        for each in opened:
            each.close()
        await asyncio.sleep(WITHIN + 0.5)
        for number in (1, 2, 0, 1):
            assert await streams.status(number) == 200

    async def test_without_redis_the_limit_holds_for_each_process(
        self, cluster: Cluster, streams: Streams
    ) -> None:
        link = cluster.members[1].link
        assert link is not None
        opened = [await streams.open(0) for _ in range(STREAMS)]
        await asyncio.sleep(WITHIN)
        await link.switch(Mode.CUT)
        try:
            opened += [await streams.open(1) for _ in range(STREAMS + 1)]
            assert [each.status for each in opened] == 2 * STREAMS * [200] + [429]
        finally:
            await link.switch(Mode.PASS)
        await asyncio.sleep(2 * WITHIN)
        assert all([await flows(each) for each in opened[:STREAMS]])
        assert not any([await flows(each) for each in opened[STREAMS:]])  # what came later ends

    @pytest.mark.skipif(not IS_LONG, reason="it takes 20 s; a unit test does the same")
    async def test_what_a_killed_process_had_open_does_not_count_for_long(
        self, cluster: Cluster, streams: Streams
    ) -> None:
        for _ in range(STREAMS):
            await streams.open(2)
        await asyncio.sleep(WITHIN)
        await cluster.kill(2)
        try:
            assert await streams.status(0) == 429
            async with asyncio.timeout(FORGOTTEN_AFTER):
                while await streams.status(0) != 200:
                    await asyncio.sleep(0.5)
        finally:
            await cluster.restart(2)

    async def test_nothing_of_a_user_stays_in_redis_for_longer_than_a_minute(
        self, cluster: Cluster, session: ClientSession, streams: Streams, user: str
    ) -> None:
        opened = [await streams.open(number) for number in range(3)]
        await _command(session, cluster, 0, user)
        await until(lambda: _keys(cluster, user) == {"streams", "commands"})
        for each in opened:
            each.close()
        await until(lambda: _keys(cluster, user) == {"commands"})
        answer = cluster.redis.ask("TTL", f"audiostream:{{{user}}}:commands")
        assert 0 < int(answer[1:]) <= 60


def _keys(cluster: Cluster, user: str) -> set[str]:
    """Return what Redis keeps of the limits of a user."""
    names = ("streams", "commands")
    return {n for n in names if "1" in cluster.redis.ask("EXISTS", f"audiostream:{{{user}}}:{n}")}


async def _command(session: ClientSession, cluster: Cluster, number: int, user: str) -> int:
    url = f"{cluster.members[number].url}/api/tracks/current-state"
    async with session.get(url, headers=bearer(user)) as answer:
        return answer.status


async def test_commands_sent_to_all_processes_have_the_rate_of_one(
    cluster: Cluster, session: ClientSession, user: str
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + HAMMERED_FOR

    async def hammer(number: int) -> int:
        allowed = 0
        while loop.time() < end:
            status = await _command(session, cluster, number, user)
            assert status in {200, 429}
            allowed += status == 200
            await asyncio.sleep(0.05)
        return allowed

    allowed = sum(await asyncio.gather(*(hammer(number) for number in range(3))))
    burst, rate = 2 * COMMANDS, COMMANDS
    # Each process allows a burst and goes on until it knows of the others, for a second at most.
    assert burst + rate * HAMMERED_FOR - rate <= allowed <= 3 * (burst + rate) + 1
    async with asyncio.timeout(PATIENCE):
        while await _command(session, cluster, 0, user) != 200:
            await asyncio.sleep(0.1)


class TestSockets:
    async def test_of_devices_that_connect_everywhere_at_once_the_limit_stays(
        self, cluster: Cluster, session: ClientSession, user: str
    ) -> None:
        token, devices = access_token(user), 3 * SOCKETS
        async with AsyncExitStack() as stack:

            async def is_closed(number: int) -> bool:
                url = f"{cluster.members[number % 3].url}/ws?deviceId=device{number}"
                peer = await stack.enter_async_context(connect(session, url, token))
                try:
                    await asyncio.wait_for(peer.closed(), 2 * WITHIN)
                except TimeoutError:
                    return False
                return True

            closed = sum(await asyncio.gather(*map(is_closed, range(devices))))
            assert closed == devices - SOCKETS
        log = [line for each in cluster.members for line in each.server.log if user in line]
        assert sum("code=4429 reason=too_many_devices" in line for line in log) == closed

    async def test_a_device_that_reconnects_elsewhere_at_the_limit_stays(
        self, cluster: Cluster, session: ClientSession, user: str
    ) -> None:
        token = access_token(user)
        async with AsyncExitStack() as stack:

            async def device(number: int, name: str) -> Peer:
                url = f"{cluster.members[number].url}/ws?deviceId={name}"
                return await stack.enter_async_context(connect(session, url, token))

            names = [f"device{number}" for number in range(SOCKETS)]
            former = [await device(0, name) for name in names]
            await asyncio.sleep(WITHIN)
            new = [await device(1, name) for name in names]
            await asyncio.sleep(2 * WITHIN)
            for each in (*former, *new):
                await each.receives_nothing()
            assert await (await device(2, "another")).closed() == 4429


class TestRevocation:
    async def test_it_ends_streams_and_sockets_and_every_credential_on_each_process(
        self, cluster: Cluster, session: ClientSession, streams: Streams, user: str
    ) -> None:
        credentials = [await _credentials(session, each.url, user) for each in cluster.members]
        async with AsyncExitStack() as stack:
            devices = []
            for member in cluster.members:
                url = f"{member.url}/ws"
                token = access_token(user, age=60.0)
                devices.append(await stack.enter_async_context(connect(session, url, token)))
            opened = [await streams.open(number) for number in range(3)]
            reading = [asyncio.create_task(device.closed()) for device in devices]
            await revoke(cluster, user)
            async with asyncio.timeout(REVOKED_AFTER):
                assert await asyncio.gather(*reading) == [4401, 4401, 4401]
                for member, (token, ticket, cookie) in zip(
                    cluster.members, credentials, strict=True
                ):
                    for path, headers in _requests(token, ticket, cookie):
                        async with session.get(f"{member.url}{path}", headers=headers) as answer:
                            assert answer.status == 401, path
            assert not any(await asyncio.gather(*map(flows, opened)))

    async def test_a_process_that_redis_was_cut_from_refuses_once_it_is_back(
        self, cluster: Cluster, session: ClientSession, user: str
    ) -> None:
        member = cluster.members[1]
        assert member.link is not None
        token, ticket, cookie = await _credentials(session, member.url, user)
        async with connect(session, f"{member.url}/ws", token) as device:
            await device.receives_nothing()
            await member.link.switch(Mode.CUT)
            try:
                await revoke(cluster, user)
                await asyncio.sleep(2 * WITHIN)
                await device.receives_nothing()
            finally:
                await member.link.switch(Mode.PASS)
            async with asyncio.timeout(REVOKED_AFTER):
                assert await device.closed() == 4401
        for path, headers in _requests(token, ticket, cookie):
            async with session.get(f"{member.url}{path}", headers=headers) as answer:
                assert answer.status == 401, path


async def _credentials(session: ClientSession, url: str, user: str) -> tuple[str, str, str]:
    """Return an access token, and a ticket's path and a cookie that it is good for."""
    token = access_token(user, age=60.0)
    headers = {"Authorization": f"Bearer {token}"}
    async with session.get(f"{url}/api/tracks", headers=headers) as answer:
        ticket = (await answer.json())["tracks"][0]["streamUrl"]
    async with session.post(f"{url}/api/session", headers=headers) as answer:
        [cookie] = answer.cookies.values()
    session.cookie_jar.clear()
    return token, ticket, f"{cookie.key}={cookie.value}"


def _requests(token: str, ticket: str, cookie: str) -> list[tuple[str, dict[str, str]]]:
    """Return paths and headers, one for each kind of credential."""
    return [
        ("/api/tracks", {"Authorization": f"Bearer {token}"}),
        (ticket, {"Range": "bytes=0-9"}),
        ("/api/tracks/stream/song", {"Cookie": cookie, "Range": "bytes=0-9"}),
    ]


async def test_a_dead_connection_is_replaced_by_one_of_its_device_to_another_process(
    cluster: Cluster, session: ClientSession, user: str
) -> None:
    pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    from tests.support.socketio_client import socketio_client

    token, elsewhere = access_token(user), cluster.members[1]
    async with (
        _held(cluster.members[0].server.port) as proxy,
        connect(session, f"{proxy.url}/ws?deviceId=phone", token) as phone,
        connect(session, f"{proxy.url}/ws?deviceId=tab", token) as tab,
    ):
        for each in (phone, tab):
            await each.receives_nothing()
        await proxy.switch(Mode.HOLD)
        auth = {"token": token, "deviceId": "tab"}
        async with (
            connect(session, f"{elsewhere.url}/ws?deviceId=phone", token) as again,
            socketio_client(elsewhere.url, auth),
        ):

            async def listed() -> list[str]:
                devices = (await again.ask("getDevices"))["data"]["devices"]
                return sorted(each["deviceId"] for each in devices)

            assert await listed() == ["phone", "phone", "tab", "tab"]
            async with asyncio.timeout(REPLACED_AFTER):
                while await listed() != ["phone", "tab"]:
                    await asyncio.sleep(0.2)
            await proxy.switch(Mode.CUT)
        log = [line for line in cluster.members[0].server.log if f"user={user}" in line]
        assert sum("code=4409 reason=replaced" in line for line in log) == 2, log


@asynccontextmanager
async def _held(port: int) -> AsyncIterator[Proxy]:
    """A proxy to a server, for connections that are to be held."""
    proxy = Proxy(port)
    await proxy.switch(Mode.PASS)
    try:
        yield proxy
    finally:
        await proxy.close()
