"""Many users for many minutes: ``python -m tests.soak --minutes 10 --users 500``.

A real server on 127.0.0.1, and users with several devices each that play, seek, change the track,
lose their connection, reconnect, and stream. In two pauses, after a warm-up and at the end,
nothing is sent: memory and open files must be the same in both, and every device must be where its
user's state is. The exit code is 1 where one of this does not hold.

Times are in seconds, memory in bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from audiostream.auth.access_tokens import Tokens
from tests.support.audio_files import write_wav
from tests.support.server_process import SECRET, START_TIMEOUT, ServerProcess

TRACKS = 8
DURATION = 120.0
REPORT_EVERY = 1.0
"""Seconds between two reports of a device that plays."""
ACT_EVERY = 2.0
"""Seconds between two acts of one user, on average."""
WARM_UP = 0.5
"""The part of the time that counts as warm-up: garbage in cycles waits for minutes until the
interpreter looks for it, and only once it has done so a few times memory has its size."""
REST = 8.0
"""Seconds without acts after which everybody should agree."""
APART = 1.25
"""Seconds that a device and its user's state may be apart then: the tolerance, and the way."""
GROWTH = 0.05
"""By how much memory may have grown since the warm-up, as a part of it."""
PATIENCE = 10.0
"""Seconds to wait for what must come."""


@dataclass
class World:
    """The server, what is streamed from it, and what has happened so far."""

    server: ServerProcess
    audio: dict[str, bytes]
    random: random.Random
    rest: ClientSession
    sockets: ClientSession
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    is_open: bool = True

    def fail(self, sentence: str) -> None:
        self.failures.append(sentence)


@dataclass(eq=False)
class Device:
    """A player on a socket: follows what it is told, and says where it is while it plays."""

    world: World
    name: str
    token: str
    socket: ClientWebSocketResponse | None = None
    track: str | None = None
    playing: bool = False
    anchor: float = 0.0
    anchored_at: float = 0.0
    is_leaving: bool = False

    @property
    def position(self) -> float:
        went_on = time.monotonic() - self.anchored_at if self.playing else 0.0
        return min(self.anchor + went_on, DURATION)

    async def live(self) -> None:
        """Be connected, and come back after each cut, until the world closes."""
        while self.world.is_open:
            try:
                await self._be_connected()
            except (ClientError, ConnectionError) as error:
                self.world.fail(f"{self.name} could not connect: {error!r}")
            self.socket = None
            await asyncio.sleep(self.world.random.uniform(0.0, 2.0))

    async def _be_connected(self) -> None:
        url, headers = f"{self.world.server.url}/ws", {"Authorization": f"Bearer {self.token}"}
        async with self.world.sockets.ws_connect(url, headers=headers) as self.socket:
            self.is_leaving = False
            await self.send("getCurrentState")
            reporting = asyncio.create_task(self._report())
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(json.loads(message.data))
            reporting.cancel()
        if not self.is_leaving:
            self.world.fail(f"{self.name} was closed with {self.socket.close_code}")

    async def send(self, event: str, **data: Any) -> None:
        if self.socket is not None and not self.is_leaving:
            with suppress(ConnectionError):
                await self.socket.send_str(json.dumps({"event": event, "data": data}))

    async def report(self) -> None:
        if self.track is not None:
            where = {"trackId": self.track, "currentTime": self.position}
            await self.send("updateStreaming", isPlaying=self.is_sounding, **where)

    @property
    def is_sounding(self) -> bool:
        return self.playing and self.position < DURATION

    async def leave(self, *, politely: bool) -> None:
        """Close, or be cut off in the middle of whatever it is."""
        line = self.socket
        if line is None:
            return
        self.is_leaving = True
        if politely:
            await line.close()
        else:
            connection = line.get_extra_info("socket")
            with suppress(OSError, AttributeError):  # closed meanwhile, it has none
                connection.shutdown(socket.SHUT_RDWR)

    def move(self, position: float, *, playing: bool) -> None:
        self.anchor, self.anchored_at, self.playing = position, time.monotonic(), playing

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY * self.world.random.uniform(0.9, 1.1))
            if self.is_sounding:
                await self.report()

    def _hear(self, frame: dict[str, Any]) -> None:
        event, data = frame["event"], frame["data"]
        self.world.done[f"heard {event}"] += 1
        if event == "error":
            if data["code"] != "conflict":  # pausing a track that is no longer current
                self.world.fail(f"{self.name} heard {data}")
        elif data["trackId"] is not None:
            self.track = data["trackId"]
            self.move(data["currentTime"], playing=data["isPlaying"])


@dataclass(eq=False)
class User:
    """A person with several devices, who does one thing after another."""

    world: World
    name: str
    token: str
    devices: list[Device]

    async def act(self, until: float) -> None:
        """Do something every now and then, until a moment of the monotonic clock."""
        chance = self.world.random
        acts: list[tuple[int, Callable[[Device], Awaitable[None]]]] = [
            (4, self._play),
            (2, self._pause),
            (4, self._seek),
            (2, self._toggle),
            (3, self._command),
            (2, self._browse),
            (4, self._stream),
            (2, self._leave),
        ]
        weights, choices = zip(*acts, strict=True)
        while (wait := chance.expovariate(1 / ACT_EVERY)) < until - time.monotonic():
            await asyncio.sleep(wait)
            [act] = chance.choices(choices, weights)
            self.world.done[act.__name__.strip("_")] += 1
            await act(chance.choice(self.devices))

    async def disagreement(self) -> list[str]:
        """What each device has that differs from the state, and nothing if they agree."""
        status, state = await self._rest("GET", "current-state")
        if status != 200:
            return [f"{self.name} gets {status} for the state"]
        return [
            f"{device.name} has {device.track} {device.position:.1f} {device.is_sounding}: {state}"
            for device in self.devices
            if not _agree(device, state)
        ]

    def _somewhere(self) -> float:
        return self.world.random.uniform(0.0, DURATION * 0.9)

    def _track(self) -> str:
        return self.world.random.choice(tuple(self.world.audio))

    async def _play(self, device: Device) -> None:
        await device.send("playTrack", trackId=self._track(), currentTime=self._somewhere())

    async def _pause(self, device: Device) -> None:
        if device.track is not None:
            await device.send("pauseTrack", trackId=device.track)

    async def _seek(self, device: Device) -> None:
        device.move(self._somewhere(), playing=device.playing)
        await device.report()

    async def _toggle(self, device: Device) -> None:
        """In the player's own controls."""
        device.move(device.position, playing=not device.playing)
        await device.report()

    async def _command(self, _: Device) -> None:
        chance, body = self.world.random, {"currentTime": self._somewhere()}
        verb, more = chance.choice(
            [("play", {}), ("pause", {}), ("update-state", {"isPlaying": chance.random() < 0.5})]
        )
        answered = await self._rest("POST", f"{verb}/{self._track()}", body | more)
        if answered[0] not in {200, 409}:  # pausing a track that is not current
            self.world.fail(f"{self.name} got {answered[0]} for {verb}")

    async def _browse(self, _: Device) -> None:
        status, listed = await self._rest("GET", "?q=track")
        if (status, len(listed.get("tracks", ()))) != (200, TRACKS):
            self.world.fail(f"{self.name} got {status} for the list")

    async def _stream(self, _: Device) -> None:
        """A part of a track, to its end or only begun."""
        track, chance = self._track(), self.world.random
        audio = self.world.audio[track]
        first = chance.randrange(len(audio))
        url = f"{self.world.server.url}/tracks/stream/{track}"
        headers = self._headers | {"Range": f"bytes={first}-"}
        async with self.world.rest.get(url, headers=headers) as answer:
            if chance.random() < 0.3:
                answer.close()
                return
            if (answer.status, await answer.read()) != (206, audio[first:]):
                self.world.fail(f"{self.name} got other bytes of {track} from {first} on")

    async def _leave(self, device: Device) -> None:
        await device.leave(politely=self.world.random.random() < 0.3)

    async def _rest(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        url = f"{self.world.server.url}/tracks{'' if path.startswith('?') else '/'}{path}"
        async with self.world.rest.request(method, url, json=body, headers=self._headers) as answer:
            return answer.status, await answer.json()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def _agree(device: Device, state: dict[str, Any]) -> bool:
    """Near the end playing and not playing are the same (R13)."""
    if device.track != state["trackId"]:
        return False
    if device.track is None:
        return True
    if min(device.position, state["currentTime"]) >= DURATION - APART:
        return True
    apart: float = abs(device.position - state["currentTime"])
    return apart <= APART and device.is_sounding is state["isPlaying"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a server takes: bytes of resident memory, and open files."""

    memory: int
    files: int

    @classmethod
    def of(cls, server: ServerProcess) -> Figures:
        process = Path(f"/proc/{server.process.pid}")
        pages = int((process / "statm").read_text().split()[1])
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(process / "fd")))


Row = tuple[str, object, object, bool]
"""What was looked at, what it was or should be, what it is, and whether that is good."""


async def soak(server: ServerProcess, audio: dict[str, bytes], options: argparse.Namespace) -> bool:
    """Run all of it, print the table, and answer whether everything held."""
    connector = TCPConnector(limit=0)
    async with ClientSession(connector=connector) as sockets:
        chance = random.Random(options.seed)  # noqa: S311 - repeatable on purpose
        world = World(server, audio, chance, _rest_session(), sockets)
        users = [_user(world, number) for number in range(options.users)]
        devices = [device for user in users for device in user.devices]
        empty = Figures.of(server)
        living = [asyncio.create_task(device.live()) for device in devices]
        seconds = options.minutes * 60
        await _act(users, seconds * WARM_UP)
        warm = await _pause(world, devices)
        await _act(users, seconds * (1 - WARM_UP))
        end = await _pause(world, devices)
        disagreements = [sentence for user in users for sentence in await user.disagreement()]
        await world.rest.close()
        await _leave(world, devices, living)
        left = await _settled_figures(server, empty.files)
    server.process.send_signal(signal.SIGTERM)
    exit_code = await asyncio.to_thread(server.process.wait, START_TIMEOUT)
    tracebacks = sum("Traceback" in line for line in server.log)
    growth, count, apart = end.memory / warm.memory - 1, len(devices), len(disagreements)
    rows: list[Row] = [
        ("memory, MiB", _mib(warm.memory), _mib(end.memory), growth <= GROWTH),
        ("open files, all there", warm.files, end.files, end.files <= warm.files),
        ("open files, nobody there", empty.files, left.files, left.files <= warm.files - count),
        ("devices that agree with their user", count, count - apart, apart == 0),
        ("failures", 0, len(world.failures), not world.failures),
        ("tracebacks in the log", 0, tracebacks, tracebacks == 0),
        ("exit code", 0, exit_code, exit_code == 0),
    ]
    _print(rows, world, disagreements)
    return all(held for *_, held in rows)


def _rest_session() -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=0))


def _user(world: World, number: int) -> User:
    name = f"user-{number}"
    token = Tokens(SECRET).mint(name, time.time(), None)
    count = world.random.randint(1, 3)
    devices = [Device(world, f"{name}/{each}", token) for each in range(count)]
    return User(world, name, token, devices)


async def _act(users: list[User], seconds: float) -> None:
    until = time.monotonic() + seconds
    await asyncio.gather(*(user.act(until) for user in users))


async def _pause(world: World, devices: list[Device]) -> Figures:
    """Let everybody come back and settle, hang up REST's connections, and measure."""
    async with asyncio.timeout(PATIENCE):
        while any(device.socket is None or device.is_leaving for device in devices):
            await asyncio.sleep(0.1)
    await world.rest.close()
    world.rest = _rest_session()
    await asyncio.sleep(REST)
    return Figures.of(world.server)


async def _leave(world: World, devices: list[Device], living: list[asyncio.Task[None]]) -> None:
    world.is_open = False
    await asyncio.gather(*(device.leave(politely=True) for device in devices))
    await asyncio.gather(*living)


async def _settled_figures(server: ServerProcess, files: int) -> Figures:
    """The figures once a server has closed what nobody uses; or, in the end, if it has not."""
    for _ in range(round(PATIENCE / 0.1)):
        if (figures := Figures.of(server)).files <= files:
            break
        await asyncio.sleep(0.1)
    return figures


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f}"


def _print(rows: list[Row], world: World, disagreements: list[str]) -> None:
    print(f"{'':36}{'before':>10}{'at the end':>12}")
    for name, before, after, held in rows:
        print(f"{name:36}{before!s:>10}{after!s:>12}  {'ok' if held else 'FAILED'}")
    counted = sorted(world.done.items(), key=lambda item: -item[1])
    print("; ".join(f"{name} {count}" for name, count in counted))
    for sentence in (*world.failures, *disagreements)[:20]:
        print(sentence)


@contextmanager
def running(folder: Path) -> Iterator[tuple[ServerProcess, dict[str, bytes]]]:
    """A server on a folder of its own, whose library has been scanned, and its audio."""
    names = [f"track-{number}" for number in range(TRACKS)]
    for name in names:
        path = folder / "media" / f"{name}.wav"
        write_wav(path, DURATION)
        noise = random.Random(name).randbytes(path.stat().st_size - 44)  # noqa: S311
        path.write_bytes(path.read_bytes()[:44] + noise)
    entries = [{"id": n, "audioUrl": f"{n}.wav", "title": n, "duration": DURATION} for n in names]
    (folder / "media" / "tracks.json").write_text(json.dumps(entries))
    audio = {name: (folder / "media" / f"{name}.wav").read_bytes() for name in names}
    command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", "0"]
    environ = {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(folder / "media")}
    with subprocess.Popen(
        [*command, "--state", str(folder / "state")],
        env=os.environ | environ,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        server = ServerProcess(process)
        reader = threading.Thread(target=server.read_log, daemon=True)
        reader.start()
        try:
            line = server.wait_for_log("listening at http://")
            server.port = int(re.findall(r"http://[0-9.]+:([0-9]+)", line)[0])
            server.wait_for_log("the library has")
            yield server, audio
        finally:
            process.kill()
            reader.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (server, audio):
        return 0 if asyncio.run(soak(server, audio, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
