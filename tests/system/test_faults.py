"""What goes wrong by itself, against the real server process: disks, networks, kills, restarts.

Two faults have to be made inside the server, a disk that hangs and a heartbeat that takes half a
minute: these run in the test's process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from audiostream.app import FILE_THREADS
from audiostream.library.safe_open import open_regular_file
from audiostream.playback import lifecycle
from audiostream.playback.model import State
from audiostream.services import SERVICES
from audiostream.storage.playback_store import PendingWrite, PlaybackStore
from audiostream.streaming import response as streaming
from audiostream.websocket import heartbeat
from tests.conftest import Serve
from tests.support.long_tests import times
from tests.support.raw_http import Answer, bearer, request, upgrade
from tests.support.raw_websocket import RawWebSocket
from tests.support.server_process import SECRET, START_TIMEOUT, UNLIMITED, Launch, ServerProcess
from tests.support.waiting import PATIENCE, until
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]

"""Seconds to wait for what must come."""
MIB = 2**20
LONG = 16 * MIB
"""Bytes of a track that no socket's buffers hold."""
SMALL_BUFFER = 4096
"""Bytes that a device which reads nothing lets its system take in."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# Means


@dataclass
class Hand:
    """One user's hand on REST."""

    session: ClientSession
    url: str
    token: str

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        url = f"{self.url}/tracks/{path}"
        async with self.session.post(url, json=body, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def state(self) -> dict[str, Any]:
        status, state = await self.get("/tracks/current-state")
        assert status == 200
        return dict(state)

    async def health(self) -> str:
        status, health = await self.get("/healthz")
        assert status == 200
        return str(health["status"])

    async def health_becomes(self, wanted: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.health() != wanted:
                await asyncio.sleep(0.05)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@asynccontextmanager
async def hand(server: ServerProcess, token: str) -> AsyncIterator[Hand]:
    async with ClientSession() as session:
        yield Hand(session, server.url, token)


def unlimited_session() -> ClientSession:
    """For as many connections at once as a test wants."""
    return ClientSession(connector=TCPConnector(limit=0))


@asynccontextmanager
async def raw_connection(
    port: int, buffer: int = 0
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection whose reader takes nothing unasked; with a ``buffer`` nor does its system."""
    line = socket.socket()
    if buffer:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=line, limit=SMALL_BUFFER)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def sleeper(port: int, token: str) -> AsyncIterator[RawWebSocket]:
    """A device that shakes hands and from then on reads nothing, and answers no ping."""
    async with raw_connection(port, SMALL_BUFFER) as (reader, writer):
        writer.write(upgrade("/ws", bearer(token)))
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield RawWebSocket(reader, writer, [])


class Download:
    """One stream, read as slowly as the test wants."""

    def __init__(self, reader: asyncio.StreamReader, answer: Answer) -> None:
        self.answer = answer
        self._reader = reader
        self._body = bytearray()

    async def read(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            self._body += await self._reader.readexactly(count)

    async def rest(self) -> bytes:
        """Everything from the first byte on, to the end or to where the connection was cut."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while data := await self._reader.read(MIB):
                    self._body += data
        return bytes(self._body)


@asynccontextmanager
async def download(
    port: int, track_id: str, token: str, behind: bytes = b""
) -> AsyncIterator[Download]:
    """A stream under way; a request ``behind`` it waits for its answer on the same connection."""
    headers = bearer(token) | {"Connection": "keep-alive" if behind else "close"}
    async with raw_connection(port, 16 * SMALL_BUFFER) as (reader, writer):
        writer.write(request("GET", f"/tracks/stream/{track_id}", headers) + behind)
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        yield Download(reader, Answer.of(head))


def descriptors(server: ServerProcess) -> set[int]:
    """The numbers of the files that a server has open."""
    return {int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd")}


def resident(server: ServerProcess) -> int:
    """Bytes of memory that a server has resident."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def unsent(server: ServerProcess) -> dict[str, int]:
    """Bytes that the system has taken from a server and no device yet, by the device's address."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ours = f":{server.port:04X}"
    return {
        remote: int(queues.partition(":")[0], 16)
        for _, local, remote, _, queues, *_ in lines
        if local.endswith(ours)
    }


def add_track(media: Path, track_id: str, content: bytes = b"", duration: float = 600.0) -> Path:
    """Put one more track on the shelf, or say another duration of one that is there."""
    manifest = media / "tracks.json"
    entries = {entry["id"]: entry for entry in json.loads(manifest.read_text())}
    entry = entries.setdefault(track_id, {"id": track_id, "audioUrl": f"{track_id}.webm"})
    entry["duration"] = duration
    manifest.write_text(json.dumps(list(entries.values())))
    path = media / str(entry["audioUrl"])
    if content:
        path.write_bytes(content)
    return path


async def ready(launch: Launch, *arguments: str, **environ: str) -> ServerProcess:
    """A server whose library has been scanned."""
    server = await asyncio.to_thread(launch, *arguments, **environ)
    await server.logs("the library has")
    return server


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "state"


# Descriptors


@contextmanager
def few_descriptors(server: ServerProcess, spare: int) -> Iterator[int]:
    """Let a server open ``spare`` more files and no more; answers how many it may have then."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    taken = set[int]()
    while taken != (taken := descriptors(server)):  # something may just be being closed
        time.sleep(0.3)
    free = (number for number in itertools.count() if number not in taken)
    lowest = next(itertools.islice(free, spare, None))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield len(taken) + spare
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


@on_linux
class TestOpenFileLimit:
    async def test_a_stream_without_a_free_descriptor_is_503_and_other_routes_work(
        self, launch: Launch, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        async with (
            hand(server, token()) as ada,
            connect(ada.session, f"{server.url}/ws", token()) as phone,
        ):
            url = f"{server.url}/tracks/stream/song"
            assert await ada.health() == "ok"
            with few_descriptors(server, 0):
                async with ada.session.get(url, headers=ada.headers) as refused:
                    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                    assert (await refused.json())["error"]["code"] == "internal"
                played = await phone.ask("playTrack", trackId="song", currentTime=7)
                assert played["event"] == "trackPlaying"
                assert (await ada.get("/tracks"))[0] == 200
                assert (await ada.state())["rev"] == 1
            async with ada.session.get(url, headers=ada.headers) as served:
                assert (served.status, len(await served.read())) == (200, served.content_length)
            await ada.health_becomes("ok")

    async def test_a_connection_without_a_free_descriptor_waits_until_one_is_free(
        self, launch: Launch, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        ask = request("GET", "/healthz", {"Connection": "keep-alive"})
        async with AsyncExitStack() as stack:
            ada = await stack.enter_async_context(hand(server, token()))
            assert await ada.health() == "ok"
            with few_descriptors(server, 4) as most:
                callers = [
                    await stack.enter_async_context(raw_connection(server.port)) for _ in range(12)
                ]
                for _, writer in callers:
                    writer.write(ask)
                await until(lambda: len(descriptors(server)) == most)
                assert await ada.health() == "ok"
                for reader, writer in callers:  # one leaves, the next comes in
                    async with asyncio.timeout(PATIENCE):
                        head = await reader.readuntil(b"\r\n\r\n")
                    assert Answer.of(head).status == 200
                    writer.transport.abort()
            assert await ada.health() == "ok"


# Disks and files


class SlowDisk:
    """A disk on which some files cannot be opened until it is ``mended``."""

    def __init__(self, slow: Collection[str]) -> None:
        self.mended = threading.Event()
        self.waiting = 0
        self._slow = slow
        self._open = open_regular_file

    def open(self, path: str) -> Any:
        if Path(path).stem in self._slow:
            self.waiting += 1
            self.mended.wait(PATIENCE * 3)
        return self._open(path)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk({"other"})
    monkeypatch.setattr(streaming, "open_regular_file", disk.open)
    yield disk
    disk.mended.set()


class TestSlowDisk:
    async def test_a_stream_is_served_while_other_files_hang(
        self, serve: Serve, token: Token, slow_disk: SlowDisk
    ) -> None:
        client = await serve()
        headers = {"Authorization": f"Bearer {token()}"}

        async def fetch(track_id: str) -> tuple[int, int]:
            async with client.get(f"/tracks/stream/{track_id}", headers=headers) as answer:
                return answer.status, len(await answer.read())

        whole = (200, 60 * 16_000 + 44)
        hanging = [asyncio.create_task(fetch("other")) for _ in range(FILE_THREADS - 1)]
        await until(lambda: slow_disk.waiting == FILE_THREADS - 1)
        for _ in range(20):
            assert await fetch("song") == whole
        assert not any(task.done() for task in hanging)
        slow_disk.mended.set()
        assert await asyncio.gather(*hanging) == [whole] * len(hanging)

    async def test_only_streams_wait_while_all_file_threads_hang(
        self, serve: Serve, token: Token, slow_disk: SlowDisk
    ) -> None:
        client = await serve()
        headers = {"Authorization": f"Bearer {token()}"}

        async def fetch(track_id: str, method: str = "GET") -> int:
            path = f"/tracks/stream/{track_id}"
            async with client.request(method, path, headers=headers) as answer:
                return answer.status

        hanging = [asyncio.create_task(fetch("other", "HEAD")) for _ in range(FILE_THREADS)]
        await until(lambda: slow_disk.waiting == FILE_THREADS)
        late = asyncio.create_task(fetch("song"))
        url = str(client.make_url("/ws"))
        async with asyncio.timeout(PATIENCE), connect(client.session, url, token()) as phone:
            for path in ("/healthz", "/tracks", "/tracks/song", "/tracks/current-state", "/"):
                async with client.get(path, headers=headers) as answer:
                    assert answer.status == 200
            played = await phone.ask("playTrack", trackId="song", currentTime=3)
            assert played["event"] == "trackPlaying"
        assert not any(task.done() for task in (*hanging, late))
        slow_disk.mended.set()
        assert await asyncio.gather(*hanging, late) == [200] * (FILE_THREADS + 1)


class TestFileChangedDuringItsStream:
    """Each begins a stream longer than all buffers, changes the file, and reads on."""

    @pytest.fixture
    def audio(self) -> bytes:
        return random.Random(1).randbytes(LONG)  # noqa: S311 - repeatable on purpose

    async def test_an_unlinked_file_is_sent_to_its_end(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path = add_track(media, "long", audio)
        server = await ready(launch)
        async with download(server.port, "long", token()) as stream:
            await stream.read(1000)
            path.unlink()
            assert await stream.rest() == audio
        async with download(server.port, "long", token()) as stream:
            assert stream.answer.status == 404

    async def test_a_replaced_file_is_sent_with_its_old_bytes(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path, other = add_track(media, "long", audio), audio[::-1]
        server = await ready(launch)
        async with download(server.port, "long", token()) as stream:
            await stream.read(1000)
            new = path.with_suffix(".new")
            new.write_bytes(other)
            new.replace(path)
            assert await stream.rest() == audio
        async with download(server.port, "long", token()) as again:
            assert again.answer.headers["etag"] != stream.answer.headers["etag"]
            assert await again.rest() == other

    async def test_a_truncated_file_aborts_the_connection_and_no_other_bytes_are_sent(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path = add_track(media, "long", audio)
        server = await ready(launch)
        behind = request("GET", "/healthz")
        async with download(server.port, "long", token(), behind) as stream:
            await stream.read(1000)
            os.truncate(path, LONG - 4 * MIB)
            received = await stream.rest()
            assert int(stream.answer.headers["content-length"]) == LONG
        assert 1000 <= len(received) <= LONG - 4 * MIB
        assert received == audio[: len(received)]
        await server.logs("bytes early")
        async with download(server.port, "long", token()) as again:
            assert await again.rest() == audio[: LONG - 4 * MIB]


# Devices that are no longer there


EVENTS = 8000
ROUNDS = 3
TURN = 200
"""Events of one user in a row, before the other's turn."""
WIDE = "x" * 128
"""A device's label; with it a frame has half a kilobyte."""


@dataclass
class Person:
    """Somebody who acts on one device, event by event, and receives of each."""

    phone: Peer
    rev: int = 0
    took: list[float] = field(default_factory=list)

    async def act(self, count: int) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await self.phone.send("playTrack", trackId="song", currentTime=self.rev % 50)
            heard = await self.phone.receives("trackPlaying")
            self.took.append(time.perf_counter() - began)
            self.rev += 1
            assert heard["rev"] == self.rev


@asynccontextmanager
async def person(
    session: ClientSession, server: ServerProcess, token: str
) -> AsyncIterator[Person]:
    async with connect(session, f"{server.url}/ws?deviceId={WIDE}", token) as phone:
        yield Person(phone)


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
                    person(session, server, token(f"ada-{number}")) as ada,
                    person(session, server, token(f"bob-{number}")) as bob,
                ):
                    ratios.append(await self.compare(server, ada, bob, token(f"ada-{number}")))
                if ratios[-1] <= 1.5:
                    break
        with capsys.disabled():
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"\nevent latency beside a device that stopped reading, ratio: {shown}")
        assert min(ratios) <= 1.5

    async def compare(self, server: ServerProcess, ada: Person, bob: Person, token: str) -> float:
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


# Stopping


@on_linux
class TestShutdown:
    async def test_a_shutdown_closes_devices_with_1001_and_ends_within_5_s(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        add_track(media, "long", bytes(LONG))
        server = await ready(launch, "--state", str(state), **UNLIMITED)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(unlimited_session())
            idle = [
                await stack.enter_async_context(
                    connect(session, f"{server.url}/ws", token(f"user-{number}"))
                )
                for number in range(50)
            ]
            stream = await stack.enter_async_context(download(server.port, "long", token()))
            assert stream.answer.status == 200
            ada = await stack.enter_async_context(person(session, server, token()))
            for _ in range(5):
                await stack.enter_async_context(sleeper(server.port, token()))
            await self.fill(server, ada)
            server.process.send_signal(signal.SIGTERM)
            exit_code, *codes = await asyncio.gather(
                asyncio.to_thread(server.process.wait, 5.0),
                ada.phone.closed(),
                *(device.closed() for device in idle),
            )
        assert (exit_code, set(codes)) == (0, {1001})
        assert "reason=slow_reader" not in "".join(server.log)

    async def fill(self, server: ServerProcess, person: Person) -> None:
        """Act until the system takes no more for those who do not read, but before they are cut."""
        before: list[int] = []
        while (now := sorted(unsent(server).values())[-6:]) != before:
            assert person.rev < 3 * EVENTS
            before = now
            await person.act(100)
        assert min(now) > 0


# What systemd receives


@pytest.fixture(params=["path", "abstract"])
def notify(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Where systemd listens, and the name of that."""
    name = f"audiostream-faults-{os.getpid()}"
    is_abstract = request.param == "abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}" if is_abstract else str(tmp_path / "notify"))
        line.settimeout(PATIENCE)
        yield line, f"@{name}" if is_abstract else str(tmp_path / "notify")


@on_linux
def test_systemd_is_notified_of_ready_watchdog_and_stopping(
    launch: Launch, notify: tuple[socket.socket, str]
) -> None:
    line, name = notify
    period = 1.0
    server = launch(NOTIFY_SOCKET=name, WATCHDOG_USEC=str(round(period * 1e6)))
    heard = [line.recv(100)]
    while heard[-1] != b"READY=1":
        heard.append(line.recv(100))
    moments = []
    for _ in range(6):
        assert line.recv(100) == b"WATCHDOG=1"
        moments.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(gaps) < period
    assert statistics.median(gaps) == pytest.approx(period / 2, abs=0.1)
    assert server.stop() == 0
    line.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            heard.append(line.recv(100))
    assert set(heard) <= {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}
    assert heard.count(b"READY=1") == heard.count(b"STOPPING=1") == 1


# The state file


BUSY = 5.0
"""Seconds that a busy machine may take more than what is promised."""
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


class Diary:
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


class Household:
    """Four users of one server: two busy over REST, one over a socket, and one who just listens."""

    def __init__(self, lane: int, launch: Launch, state: Path, token: Token) -> None:
        self._launch = launch
        self._state = state
        self._token = token
        self._random = random.Random(lane)  # noqa: S311 - repeatable on purpose
        self.diaries = [Diary(name) for name in ("ada", "bob", "cleo", "dan")]
        self._began_at = self._killed_at = self._dead_at = 0.0

    async def live(self, shortest: float, longest: float) -> None:
        """One life of the server: look what is left of the last one, act, and be killed."""
        async with self._started() as (server, hands):
            self._began_at = time.monotonic()
            ada, bob, cleo, dan = hands
            async with connect(cleo.session, f"{server.url}/ws", cleo.token) as phone:
                acts = (self._by_rest(ada), self._by_rest(bob), self._by_socket(phone))
                await self._change(self.diaries[3], self._by_rest(dan), True)
                tasks = [
                    asyncio.create_task(self._keep_changing(diary, act))
                    for diary, act in zip(self.diaries[:3], acts, strict=True)
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
        await asyncio.to_thread(whole, self._state)

    async def rest(self) -> None:
        """Look what is left of the last life, and stop."""
        async with self._started() as (server, _):
            assert await asyncio.to_thread(server.stop) == 0

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[tuple[ServerProcess, list[Hand]]]:
        server = await ready(self._launch, "--state", str(self._state), **UNLIMITED)
        async with ClientSession() as session:
            hands = [Hand(session, server.url, self._token(diary.user)) for diary in self.diaries]
            for diary, each in zip(self.diaries, hands, strict=True):
                state = await each.state()
                diary.check(state, self._killed_at, self._dead_at, self._stood_still())
            yield server, hands

    def _stood_still(self) -> float:
        """Seconds of its life's last five in which nobody got an answer, though all kept asking."""
        since = max(self._began_at, self._killed_at - 5.0)
        answers = [
            change.acknowledged_at
            for diary in self.diaries
            for change in diary.changes.values()
            if change.acknowledged_at is not None and change.acknowledged_at > since
        ]
        moments = itertools.pairwise([*sorted(answers), self._killed_at])
        return sum(gap for before, after in moments if (gap := after - before) > 0.25)

    async def _keep_changing(self, diary: Diary, act: Act) -> None:
        for _ in range(10_000):
            await self._change(diary, act, self._random.random() < 0.7)
            await asyncio.sleep(self._random.uniform(0.0, 0.1))

    async def _change(self, diary: Diary, act: Act, playing: bool) -> None:
        change = diary.begin(playing)
        await act(playing, change.position)
        change.acknowledged_at = time.monotonic()

    def _by_rest(self, hand: Hand) -> Act:
        async def act(playing: bool, position: float) -> None:
            path = "play/song" if playing else "pause/song"
            status, _ = await hand.post(path, currentTime=position)
            assert status == 200

        return act

    def _by_socket(self, phone: Peer) -> Act:
        async def act(playing: bool, position: float) -> None:
            event = "playTrack" if playing else "pauseTrack"
            answer = await phone.ask(event, trackId="song", currentTime=position)
            assert answer["event"] in {"trackPlaying", "trackPaused"}

        return act


def whole(state: Path) -> None:
    """See that a killed server's file is readable. It looks at a copy: looking mends."""
    copy = state.with_name("copy")
    for ending in ("", "-wal"):
        if state.with_name(state.name + ending).exists():
            shutil.copy(state.with_name(state.name + ending), copy.with_name(copy.name + ending))
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA application_id").fetchone() != (0,)
    for left in copy.parent.glob("copy*"):
        left.unlink()


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

        async def lane(number: int, lives: int, shortest: float, longest: float) -> Household:
            state = folder_in_memory / f"lane-{number}" / "state"
            house = Household(number, launch, state, token)
            for _ in range(lives):
                await house.live(shortest, longest)
            await house.rest()
            return house

        short = (KILLS - LONG_LIVES) // LANES
        houses = await asyncio.gather(
            *(lane(number, short, 0.2, 1.5) for number in range(LANES)),
            lane(LANES, LONG_LIVES, 5.0, 9.0),
        )
        with capsys.disabled():
            diaries = [diary for house in houses for diary in house.diaries]
            print(f"\n{KILLS} kills amid {sum(each.acknowledged for each in diaries)} changes")


def damaged(state: Path) -> None:
    with closing(PlaybackStore(state)) as store:
        store.save(
            PendingWrite(user_id=f"user-{number}", state=PAUSED, now=0.0) for number in range(500)
        )
    content = bytearray(state.read_bytes())
    content[8192:12288] = b"\xaa" * 4096
    state.write_bytes(content)


def newer(state: Path) -> None:
    PlaybackStore(state).close()
    with closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 99")


PAUSED = State(track_id="song", duration=60.0, position=30.0, rev=5)


def refusal(media: Path, state: Path) -> tuple[int, list[str]]:
    """The exit code and all lines of a server that should not start."""
    command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", "0"]
    environ = {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(media)}
    done = subprocess.run(
        [*command, "--state", str(state)],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
    )
    return done.returncode, done.stderr.splitlines()


class TestUnusableStateFile:
    @pytest.mark.parametrize(
        ("spoil", "says"), [(damaged, "is damaged"), (newer, "is of a newer audiostream")]
    )
    def test_an_unusable_state_file_is_one_line_and_exit_code_2_and_is_left_as_it_is(
        self, media: Path, state: Path, spoil: Callable[[Path], None], says: str
    ) -> None:
        spoil(state)
        before = state.read_bytes()
        code, lines = refusal(media, state)
        assert (code, len(lines)) == (2, 1), lines
        assert says in lines[0]
        assert state.read_bytes() == before

    async def test_a_state_file_in_use_is_one_line_and_exit_code_2(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        async with hand(server, token()) as ada:
            await ada.post("pause/song", currentTime=30)
            await asyncio.sleep(1.0)  # the second in which it is on disk
            names = [state, state.with_name("state-wal")]
            before = [name.read_bytes() for name in names]
            code, lines = await asyncio.to_thread(refusal, media, state)
            assert (code, len(lines)) == (2, 1), lines
            assert "in use by another server" in lines[0]
            assert [name.read_bytes() for name in names] == before
            assert (await ada.state())["currentTime"] == 30.0


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[Path]:
    """Mount something at ``place``, or skip the test where that is not allowed."""
    done = subprocess.run(["mount", *arguments, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One mebibyte."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        yield disk


def fill(disk: Path) -> Path:
    """Leave no byte free; answers the file that takes it all."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return filler


class TestFullDisk:
    async def test_playback_goes_on_from_memory_on_a_full_disk_and_is_saved_later(
        self, small_disk: Path, launch: Launch, token: Token
    ) -> None:
        state = small_disk / "state"
        server = await ready(launch, "--state", str(state))
        async with (
            hand(server, token()) as ada,
            connect(ada.session, f"{server.url}/ws", token()) as phone,
        ):
            await ada.post("pause/song", currentTime=1)
            await phone.receives("trackPaused")
            filler = fill(small_disk)
            for position in range(2, 52):
                status, _ = await ada.post("pause/song", currentTime=position)
                assert status == 200
                assert (await phone.receives("trackPaused"))["currentTime"] == position
                await asyncio.sleep(0.05)
            await ada.health_becomes("degraded")
            assert (await ada.state())["rev"] == 51
            complaints = [line for line in server.log if "playing goes on from memory" in line]
            assert len(complaints) == 1, complaints
            filler.unlink()
            await ada.health_becomes("ok")
        server.process.kill()
        server.process.wait()
        whole(state)
        server = await ready(launch, "--state", str(state))
        async with hand(server, token()) as ada:
            after = await ada.state()
            assert (after["currentTime"], after["rev"]) == (51.0, 51)

    async def test_a_stop_or_a_kill_on_a_full_disk_leaves_the_file_intact(
        self, small_disk: Path, launch: Launch, token: Token
    ) -> None:
        state = small_disk / "state"
        for life, end in enumerate((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)):
            server = await ready(launch, "--state", str(state))
            async with hand(server, token()) as ada:
                await ada.post("pause/song", currentTime=10 + life)
                await asyncio.sleep(1.0)  # the second in which it is on disk
                filler = fill(small_disk)
                for position in range(30, 50):
                    assert (await ada.post("play/song", currentTime=position))[0] == 200
                await ada.health_becomes("degraded")
            server.process.send_signal(end)
            await asyncio.to_thread(server.process.wait, START_TIMEOUT)
            filler.unlink()
            whole(state)
            server = await ready(launch, "--state", str(state))
            async with hand(server, token()) as ada:
                after = await ada.state()
                assert (after["trackId"], after["isPlaying"]) == ("song", False)
                assert after["currentTime"] >= 10 + life
            assert server.stop() == 0


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nobody write to a file or folder; root needs a mount for that."""
    if os.geteuid() != 0:
        mode = place.stat().st_mode
        place.chmod(mode & ~0o222)
        try:
            yield
        finally:
            place.chmod(mode)
        return
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


@on_linux
class TestReadOnlyStateFile:
    @pytest.fixture
    async def before(self, launch: Launch, state: Path, token: Token) -> bytes:
        """A state file in which somebody is at 30 s; its bytes."""
        server = await ready(launch, "--state", str(state))
        async with hand(server, token()) as ada:
            await ada.post("pause/song", currentTime=30)
        assert server.stop() == 0
        return bytes_of(state)

    async def test_playback_goes_on_from_memory_with_a_read_only_state_file(
        self, launch: Launch, token: Token, state: Path, before: bytes
    ) -> None:
        with read_only(state):
            server = await ready(launch, "--state", str(state))
            async with hand(server, token()) as ada:
                assert (await ada.state())["currentTime"] == 30.0
                assert (await ada.post("play/song", currentTime=40))[0] == 200
                await ada.health_becomes("degraded")
                assert (await ada.state())["isPlaying"]
            assert server.stop() == 0
            assert bytes_of(state) == before
        whole(state)

    async def test_a_state_file_that_cannot_be_locked_refuses_the_start(
        self, media: Path, state: Path, before: bytes
    ) -> None:
        with read_only(state.parent):
            code, lines = await asyncio.to_thread(refusal, media, state)
        assert (code, len(lines)) == (2, 1), lines
        assert "cannot be used" in lines[0]
        assert bytes_of(state) == before
        whole(state)


# A restart with everybody there


USERS, DEVICES_EACH = 100, 10


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
                await self.choose(Hand(session, server.url, each), number)
                for number, each in enumerate(tokens)
            ]
            await asyncio.sleep(1.0)  # the second in which it is on disk
            server.process.kill()
            played = time.monotonic() - chosen_from
            server = await ready(launch, "--state", str(state))
            began = time.monotonic()
            told = await self.crowd(stack, session, server, tokens)
            took = time.monotonic() - began
        with capsys.disabled():
            print(f"\n{len(told)} devices after a restart: the last has its state {took:.1f} s on")
        for number, one in enumerate(told):
            was = left[number % USERS]
            assert (one["trackId"], one["isPlaying"]) == (was["trackId"], False)
            assert one["rev"] == was["rev"] + was["isPlaying"]
            assert 0.0 <= one["currentTime"] - was["currentTime"] <= max(6.0, played)

    async def choose(self, user: Hand, number: int) -> dict[str, Any]:
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
        """All devices at once, each within 10 s; answers what each was told, user by user."""
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
        told = await asyncio.gather(*(come(token) for _ in range(DEVICES_EACH) for token in tokens))
        assert not watching.done(), watching
        watching.cancel()
        return told


# Revocation


@dataclass
class Proofs:
    """All that lets one user in."""

    hand: Hand
    ticket: str
    cookie: str

    @classmethod
    async def of(cls, hand: Hand) -> Proofs:
        """What a server gives to the holder of a token."""
        _, track = await hand.get("/tracks/song")
        async with hand.session.post(f"{hand.url}/session", headers=hand.headers) as opened:
            assert opened.status == 204
            cookie = opened.headers["Set-Cookie"].partition(";")[0]
        return cls(hand, track["streamUrl"], cookie)

    async def statuses(self) -> list[int]:
        """What token, ticket and cookie are answered with."""
        tries: list[tuple[str, dict[str, str]]] = [
            ("/tracks", self.hand.headers),
            (self.ticket, {}),
            ("/tracks/stream/song", {"Cookie": self.cookie}),
        ]
        found = []
        for path, headers in tries:
            url = self.hand.url + path
            async with self.hand.session.head(url, headers=headers) as answer:
                found.append(answer.status)
        return found


class TestRevocation:
    async def test_a_revocation_closes_sockets_and_voids_all_credentials_within_a_second(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        add_track(media, "long", bytes(LONG))
        server = await ready(launch, "--state", str(state))
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
            ada = await Proofs.of(Hand(session, server.url, token("ada")))
            bob = await Proofs.of(Hand(session, server.url, token("bob")))
            phone, kiosk, radio = [
                await stack.enter_async_context(connect(session, f"{server.url}/ws", each))
                for each in (ada.hand.token, ada.hand.token, bob.hand.token)
            ]
            hers = await stack.enter_async_context(download(server.port, "long", ada.hand.token))
            his = await stack.enter_async_context(download(server.port, "long", bob.hand.token))
            await asyncio.gather(hers.read(1000), his.read(1000))
            await phone.ask("playTrack", trackId="long", currentTime=1)
            assert await ada.statuses() == [200] * 3
            assert await bob.statuses() == [200] * 3

            closing = asyncio.gather(*(device.closed() for device in (phone, kiosk)))
            await asyncio.to_thread(self.revoke, "ada", state)
            async with asyncio.timeout(1.0 + BUSY):
                assert await closing == [4401, 4401]
            assert await ada.statuses() == [401] * 3
            assert await bob.statuses() == [200] * 3
            assert len(await his.rest()) == LONG
            await radio.receives_nothing()

            await asyncio.sleep(1.0)  # a token says when it was made in whole seconds
            again = await Proofs.of(Hand(session, server.url, token("ada")))
            assert await again.statuses() == [200] * 3
            assert await ada.statuses() == [401] * 3
            async with connect(session, f"{server.url}/ws", again.hand.token) as phone:
                assert (await phone.ask("getCurrentState"))["data"]["trackId"] == "long"

    def revoke(self, user: str, state: Path) -> None:
        command = [sys.executable, "-m", "audiostream", "revoke", user, "--state", str(state)]
        subprocess.run(command, check=True, capture_output=True, timeout=START_TIMEOUT)
