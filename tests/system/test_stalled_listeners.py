"""Clients that take no bytes of a stream are disconnected in time, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from audiostream import Settings, create_app
from audiostream.cli import main
from audiostream.server import serving
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.streaming.response import AudioFileResponse
from tests.conftest import both_ways
from tests.support.audio_files import write_wav
from tests.support.live import (
    LONG,
    SMALL_BUFFER,
    Line,
    Live,
    RunLive,
    open_files,
    stream_request,
)
from tests.support.logged_errors import no_logged_errors
from tests.support.raw_http import Answer, bearer, request, upgrade
from tests.support.server_process import SECRET, Launch
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what was taken")

Token = Callable[..., str]
Ask = Callable[[Live, str], bytes]


BUSY = 5.0
"""Seconds that a busy machine may take more than what is promised."""


@pytest.fixture(autouse=True)
def long_song(media: Path) -> None:
    write_wav(media / "song.wav", LONG)


def by_header(server: Live, token: str) -> bytes:
    """The way through aiohttp."""
    return stream_request(token, Connection="keep-alive")


def by_ticket(server: Live, token: str) -> bytes:
    """The way past it, once the file is open."""
    user = server.app[SERVICES].tokens.verify(token, time.time()).user_id
    ticket = server.app[SERVICES].tokens.ticket(user, "song", 60.0, time.time())
    target = f"/api/tracks/stream/song?ticket={ticket}"
    return request("GET", target, {"Connection": "keep-alive"})


each_way = pytest.mark.parametrize("ask", [by_header, by_ticket])


async def warm(server: Live, token: str) -> None:
    """Have the song's file open for a moment: only then there are two ways."""
    async with server.line() as line:
        line.send(stream_request(token, Range="bytes=0-1"))
        await line.read_to_end()


async def stall(stack: AsyncExitStack, server: Live, asked: bytes) -> Line:
    """A listener that has taken the beginning of a stream, and takes nothing more."""
    line = await stack.enter_async_context(server.line(SMALL_BUFFER))
    line.send(asked)
    head = await line.read_head()
    assert head.startswith(b"HTTP/1.1 20"), head
    await line.read_exactly(1000)
    return line


async def answers_at_once(server: Live, token: str) -> None:
    """Twenty new connections of three kinds, each answered within seconds, and not never."""
    part = stream_request(token, "other", Range="bytes=0-99")
    for number in range(20):
        asked, status = [
            (request("GET", "/healthz", {}), 200),
            (part, 206),
            (upgrade("/ws", bearer(token)), 101),
        ][number % 3]
        async with server.line() as line:
            began = time.monotonic()
            line.send(asked)
            assert Answer.of(await line.read_head()).status == status
            assert time.monotonic() - began < 5.0


@both_ways
class TestAfterADisconnect:
    """``live`` looks for the rest: errors of asyncio, descriptors, tasks and counters."""

    @each_way
    @pytest.mark.parametrize("listeners", [5])
    async def test_connections_after_a_stalled_one_was_disconnected_are_answered_at_once(
        self, live: RunLive, token: Token, ask: Ask, listeners: int
    ) -> None:
        async with live(limits=Limits(stall_timeout=1)) as server, AsyncExitStack() as stack:
            await warm(server, token())
            for _ in range(listeners):
                await stall(stack, server, ask(server, token()))
            assert server.streams == listeners
            await until(lambda: not server.streams)
            await answers_at_once(server, token())

    async def test_a_user_whose_streams_are_disconnected_repeatedly_still_gets_streams(
        self, live: RunLive, token: Token
    ) -> None:
        async with live(limits=Limits(stall_timeout=1, streams_per_user=2)) as server:
            for _ in range(3):
                async with AsyncExitStack() as stack:
                    for _ in range(2):
                        await stall(stack, server, by_header(server, token()))
                    await until(lambda: not server.streams)
                    gc.collect()

    @each_way
    async def test_stalled_connections_that_their_clients_reset_leave_nothing_behind(
        self, live: RunLive, token: Token, ask: Ask
    ) -> None:
        async with live(limits=Limits(stall_timeout=1)) as server, AsyncExitStack() as stack:
            await warm(server, token())
            lines = [await stall(stack, server, ask(server, token())) for _ in range(6)]
            for line in lines[::2]:
                line.reset()
            await until(lambda: not server.streams)
            await answers_at_once(server, token())

    @each_way
    async def test_a_server_that_stops_with_stalled_streams_leaves_nothing_behind(
        self, settings: Settings, token: Token, ask: Ask
    ) -> None:
        before = len(open_files())
        with no_logged_errors():
            app = create_app(settings)
            async with serving(app, replace(settings, port=0)) as listener:
                await asyncio.to_thread(app[SERVICES].library.scan)
                server = Live(app, listener.tcp[0].getsockname()[1])
                await warm(server, token())
                lines = AsyncExitStack()
                for _ in range(5):
                    await stall(lines, server, ask(server, token()))
                assert server.streams == 5
            assert not server.streams
            assert len(asyncio.all_tasks()) == 1
            await lines.aclose()
            await until(lambda: len(open_files()) <= before)

    async def test_a_server_that_stops_with_twenty_stalled_streams_exits_cleanly_within_5_s(
        self, launch: Launch, token: Token
    ) -> None:
        server = await asyncio.to_thread(launch, AUDIOSTREAM_STREAMS_PER_USER="100")
        await server.logs("the library has")
        async with AsyncExitStack() as stack:
            for _ in range(20):
                line = await stack.enter_async_context(Live.at(server.port).line(SMALL_BUFFER))
                line.send(stream_request(token(), Connection="keep-alive"))
                await line.read_head()
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.process.wait, 20) == 0
            assert time.monotonic() - began < 5.0 + BUSY
        server.wait_for_end()
        assert not [line for line in server.log if " ERROR " in line], "".join(server.log)


class LockedExecutor(ThreadPoolExecutor):
    """Notes who wants its lock while the test holds it: the real one would wait for ever."""

    is_held = False
    asked_while_held = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked_while_held += self.is_held
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("steps", [1, 2], ids=["opening", "sending"])
async def test_a_response_ended_by_the_garbage_collector_takes_no_lock_and_releases_everything(
    media: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    async def sendfile(*_: object, **__: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", sendfile)
    path = (media / "song.wav").resolve()
    transport, writer = Mock(), Mock(output_size=0)
    writer.write_headers = AsyncMock()
    transport.get_write_buffer_size.return_value = 0
    transport.is_closing.return_value = False
    gone_while_held = []
    with LockedExecutor(1) as executor:
        slots = Mock()
        slots.acquire().stop = lambda: gone_while_held.append(executor.is_held)
        response = AudioFileResponse(path, executor=executor, slots=slots, owner="ada")
        request = make_mocked_request("GET", "/", transport=transport, writer=writer)
        unfinished = response.prepare(request)
        waits_for = unfinished.send(None)
        if steps == 2:
            await asyncio.wait([waits_for])
            unfinished.send(None)
        executor.is_held = True
        unfinished.close()  # as the collector does
        executor.is_held = False
        assert not executor.asked_while_held
        await until(lambda: gone_while_held)
        assert gone_while_held == [False]
    await until(lambda: str(path) not in open_files())


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the monotonic clock of this process go on by so many seconds at once."""
    monotonic, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + ahead[0])

    def go_on(seconds: float) -> None:
        ahead[0] += seconds

    return go_on


@each_way
@both_ways
async def test_a_stream_paused_for_14_minutes_goes_on_and_one_paused_for_15_is_disconnected(
    live: RunLive, token: Token, ask: Ask, jump: Callable[[float], None]
) -> None:
    async with live() as server, AsyncExitStack() as stack:
        await warm(server, token())
        line = await stall(stack, server, ask(server, token()))
        for _ in range(28):
            jump(30.0)
            await asyncio.sleep(0.05)
        assert server.streams == 1
        await line.read_exactly(8 << 20)
        await asyncio.sleep(1.5)  # it is seen that he goes on
        jump(840.0)
        await asyncio.sleep(0.5)
        assert server.streams == 1
        jump(90.0)
        await until(lambda: not server.streams)


@both_ways
class TestStreamSlots:
    @each_way
    async def test_one_stream_too_many_disconnects_the_user_s_longest_stalled_stream(
        self, live: RunLive, token: Token, ask: Ask, jump: Callable[[float], None]
    ) -> None:
        async with (
            live(limits=Limits(streams_per_user=3)) as server,
            AsyncExitStack() as stack,
        ):
            await warm(server, token())
            oldest = await stall(stack, server, ask(server, token()))
            bobs = await stall(stack, server, ask(server, token("bob")))
            await asyncio.sleep(1.5)
            jump(60.0)
            others = [await stall(stack, server, ask(server, token())) for _ in range(2)]
            await asyncio.sleep(1.5)
            jump(30.0)
            third = await stall(stack, server, ask(server, token()))
            assert len(await oldest.read_to_end()) < 16 << 20
            for line in (*others, third, bobs):
                await line.read_exactly(8 << 20)

    async def test_one_stream_too_many_beside_a_slow_reader_is_refused_with_429(
        self, live: RunLive, token: Token
    ) -> None:
        async with live(limits=Limits(streams_per_user=1)) as server, AsyncExitStack() as stack:
            line = await stall(stack, server, by_header(server, token()))
            for _ in range(14):
                await asyncio.sleep(0.5)
                await line.read_exactly(32 * 1024)
            async with server.line() as another:
                another.send(stream_request(token()))
                assert (await another.read_answer()).status == 429
            await line.read_exactly(8 << 20)

    async def test_without_free_descriptors_stalled_streams_are_disconnected_for_new_ones(
        self, launch: Launch, token: Token
    ) -> None:
        resource = pytest.importorskip("resource")
        server = await asyncio.to_thread(launch, AUDIOSTREAM_STREAMS_PER_USER="100")
        await server.logs("the library has")
        here = Live.at(server.port)
        async with AsyncExitStack() as stack:
            stalled = []
            for _ in range(20):
                line = await stack.enter_async_context(here.line(SMALL_BUFFER))
                line.send(stream_request(token(), Connection="keep-alive"))
                await line.read_head()
                stalled.append(line)
            await asyncio.sleep(8.0)
            used = max(int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd"))
            most = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 1, most))
            for _ in range(6):
                line = await stack.enter_async_context(here.line(SMALL_BUFFER))
                line.send(stream_request(token("bob"), Connection="keep-alive"))
                assert Answer.of(await line.read_head()).status == 200
                await line.read_exactly(1 << 20)
            await server.logs("disconnected a client that takes no bytes")
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, most))


async def test_a_user_id_that_looks_like_an_address_has_its_own_stream_slots(
    live: RunLive, token: Token
) -> None:
    limits = Limits(streams_per_user=1)
    async with live(limits=limits, public_streams=True) as server, AsyncExitStack() as stack:
        anonymous = request("GET", "/tracks/stream/song", {"Connection": "keep-alive"})
        await stall(stack, server, anonymous)
        for user in ("at 127.0.0.1", "127.0.0.1"):
            await stall(stack, server, stream_request(token(user), Connection="keep-alive"))
        again = await server.ask("/tracks/stream/song")
        assert again.status == 429


@both_ways
class TestRevocation:
    @each_way
    @pytest.mark.parametrize("is_read", [False, True], ids=["stalled", "flowing"])
    async def test_a_revocation_disconnects_the_user_s_streams_alone_within_a_second(
        self,
        live: RunLive,
        token: Token,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        ask: Ask,
        is_read: bool,
    ) -> None:
        monkeypatch.setenv("JWT_SECRET", SECRET)
        state = tmp_path / "state"
        async with live(state=state) as server, AsyncExitStack() as stack:
            await warm(server, token())
            hers = await stall(stack, server, ask(server, token()))
            his = await stall(stack, server, ask(server, token("bob")))
            assert server.streams == 2
            if is_read:
                reading = asyncio.create_task(_read_slowly(hers))
            assert await asyncio.to_thread(main, ["revoke", "ada", "--state", str(state)]) == 0
            await until(lambda: server.streams == 1, 1.0 + BUSY)
            got = len(await (reading if is_read else _read_slowly(hers)))
            assert got < 24 << 20
            await his.read_exactly(24 << 20)
            await answers_at_once(server, token("bob"))


async def _read_slowly(line: Line) -> bytes:
    got = bytearray()
    try:
        while piece := await line.read(16 * 1024):
            got += piece
            await asyncio.sleep(0.001)
    except ConnectionError:
        pass
    return bytes(got)


async def test_an_idle_connection_has_tcp_keepalive_within_60_s(launch: Launch) -> None:
    server = await asyncio.to_thread(launch)
    async with Live.at(server.port).line() as line:
        line.send(request("GET", "/healthz", {"Connection": "keep-alive"}))
        await line.read_head()
        port = line.connection.getsockname()[1]
        kind, _, left = tcp_timer(server.port, port).partition(":")
        assert kind == "02"  # keep-alive: proc(5), net/tcp
        assert 0 < int(left, 16) / os.sysconf("SC_CLK_TCK") <= 60


def tcp_timer(ours: int, theirs: int) -> str:
    """What the system waits for on a connection between two ports of this machine."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [timer] = [
        row[5]
        for row in rows
        if row[1].endswith(f":{ours:04X}") and row[2].endswith(f":{theirs:04X}")
    ]
    return timer
