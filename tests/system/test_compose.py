"""compose.yaml, nginx.conf and Dockerfile: three processes behind nginx, as they are deployed."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from audiostream import client
from audiostream.client import Player, State
from audiostream.client.model import Report
from audiostream.errors import Conflict
from audiostream.settings import Settings, settings_table
from tests.support import compose
from tests.support.audio_files import write_wav
from tests.support.compose import PROCESSES, Site, running_site, services
from tests.support.long_tests import IS_LONG
from tests.support.media_folder import write_manifest
from tests.support.paths import ROOT
from tests.support.waiting import until
from tests.support.ws_client import connect

socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")

Token = Callable[..., str]
REPORT_INTERVAL = 0.25
"""Seconds, as the specification's client reports."""
ROUNDS = 10 if IS_LONG else 1
"""How often all processes are restarted, each time with other devices: one that has been cut off
several times within 10 s waits for longer before it connects."""
AGREED_AFTER = 10.0
"""Seconds: as long as a lost publication may stay unnoticed, and a busy machine."""
LOST_AT_MOST = 1.0
"""Seconds of a position."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    media = tmp_path_factory.mktemp("media")
    for name in ("song", "other"):
        write_wav(media / f"{name}.wav", 60.0)
    write_manifest(media, *({"id": each, "audioUrl": f"{each}.wav"} for each in ("song", "other")))
    with running_site(tmp_path_factory.mktemp("site"), media) as site:
        yield site


@asynccontextmanager
async def requests_from(site: Site, address: str = "127.0.0.1") -> AsyncIterator[ClientSession]:
    """A client at another address of this machine."""
    connector = TCPConnector(local_addr=(address, 0), force_close=True)
    async with ClientSession(site.url, connector=connector) as session:
        yield session


# The files themselves.


def test_compose_refuses_to_start_without_a_secret_and_says_how_to_make_one() -> None:
    for name in PROCESSES:
        with pytest.raises(LookupError, match=re.escape('JWT_SECRET: make one with "openssl rand')):
            compose.environment(name)


def test_each_process_of_compose_runs_without_rights_and_cannot_write_to_the_media_folder() -> None:
    assert compose.instruction("USER") == "audiostream"
    for name in PROCESSES:
        service = services()[name]
        assert all(each.endswith(":/media:ro") for each in service["volumes"])
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "ports" not in service


def test_redis_of_compose_keeps_what_it_is_told_and_is_reached_by_the_processes_alone() -> None:
    redis = services()["redis"]
    for option in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert option in redis["command"]
    assert redis["volumes"] == ["redis:/data"]
    assert "ports" not in redis


def test_nginx_of_compose_knows_the_address_of_each_process_and_is_trusted_by_it() -> None:
    upstreams = re.findall(r"upstream (\w+) \{(.*?)\}", (ROOT / "nginx.conf").read_text(), re.S)
    wanted = [services()[name]["networks"]["default"]["ipv4_address"] for name in PROCESSES]
    assert len(upstreams) == 2
    for _, content in upstreams:
        found = re.findall(r"server ([0-9.]+):3000", content)
        assert found[:3] == found[-3:] == wanted
    nginx = services()["nginx"]["networks"]["default"]["ipv4_address"]
    for name in PROCESSES:
        assert services()[name]["environment"]["AUDIOSTREAM_TRUSTED_PROXIES"] == nginx


def test_all_variables_of_compose_and_of_the_documented_units_are_settings() -> None:
    known = {each.variable for each in settings_table(Settings).values()}
    units = (ROOT / "audiostream/DEPLOYMENT.md").read_text()
    named = re.findall(r"\b(AUDIOSTREAM_\w+)=", "".join(re.findall(r"```ini\n.*?```", units, re.S)))
    assert "AUDIOSTREAM_REDIS" in named
    given = [name for each in PROCESSES for name in services()[each]["environment"]]
    image = re.findall(r"(\w+)=", compose.instruction("ENV"))
    assert {*named, *given, *image} <= known


# What they do.


async def test_devices_on_different_processes_behind_nginx_share_one_playback(
    site: Site, token: Token
) -> None:
    bearer = {"Authorization": f"Bearer {token()}"}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(requests_from(site, "127.0.0.2"))
        forged = {"X-Forwarded-For": "192.0.2.1", "Origin": site.url}
        phone, kiosk = [
            await stack.enter_async_context(
                connect(session, f"{site.url}/ws?deviceId={name}", token(), headers=forged)
            )
            for name in ("phone", "kiosk")
        ]
        assert (await phone.ask("getCurrentState"))["event"] == "trackState"
        assert (await kiosk.ask("getCurrentState"))["event"] == "trackState"
        await until(lambda: site.places("phone") and site.places("kiosk"))
        assert site.places("phone") != site.places("kiosk")
        logs = "".join(line for server in site.servers.values() for line in server.log)
        assert "device=phone address=127.0.0.2" in logs  # the client's, whatever it claims

        async with session.post("/api/tracks/play/song", headers=bearer) as answer:
            assert answer.status == 200
        url = (await phone.receives("trackPlaying"))["track"]["streamUrl"]
        assert (await kiosk.receives("trackPlaying"))["trackId"] == "song"
        for _ in PROCESSES:  # each makes and accepts the same tickets and ETags
            async with session.get(url, headers={"Range": "bytes=10-19"}) as answer:
                assert (answer.status, len(await answer.read())) == (206, 10)
                tag = answer.headers["ETag"]
            async with session.get(url, headers={"If-None-Match": tag}) as answer:
                assert answer.status == 304
        await phone.send("pauseTrack", trackId="song", currentTime=7.0)
        assert (await kiosk.receives("trackPaused"))["currentTime"] == 7.0

        for transport in ("websocket", "polling"):
            heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            browser = socketio.AsyncClient(reconnection=False)
            browser.on("trackPlaying", heard.put_nowait)
            await browser.connect(site.url, auth={"token": token()}, transports=[transport])
            stack.push_async_callback(browser.shutdown)
            await kiosk.send("playTrack", trackId="other")
            async with asyncio.timeout(5):
                assert (await heard.get())["trackId"] == "other"


def test_the_health_check_of_compose_holds_for_a_running_process_alone(site: Site) -> None:
    kind, program, *arguments = services()[PROCESSES[0]]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    for port, code in ((site.ports[PROCESSES[0]], 0), (site.redis.port, 1)):
        command = [each.replace("127.0.0.1:3000", f"127.0.0.1:{port}") for each in arguments]
        check = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        assert check.returncode == code, check.stderr


@dataclass
class Listener:
    """A device that plays along by its own clock, and reports where it is."""

    player: Player
    rev: int = 0
    connections: int = 0

    def where(self) -> Report | None:
        state = self.player.last
        if state is None or state.track_id is None or not state.is_playing:
            return None
        return Report(state.track_id, state.position_at(time.monotonic()), True)

    async def told(self, rev: int) -> State:
        """Wait until its process knows what another has acknowledged; return the state."""
        async with asyncio.timeout(AGREED_AFTER):
            while (state := await self.player.state()).rev < rev:
                await asyncio.sleep(0.02)
        return state

    def at_connect(self) -> Report | None:
        self.connections += 1
        return self.where()

    async def follow(self) -> None:
        async for event in self.player:
            assert event.state.rev >= self.rev, event
            self.rev = event.state.rev

    async def report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            where = self.where()
            if where is not None:
                await self.player.report(where.track_id, where.position, is_playing=True)


@asynccontextmanager
async def listening(site: Site, token: str, name: str) -> AsyncIterator[Listener]:
    """A device that must not fail in the block."""
    async with client.connect(site.url, token, device_id=name, sounds="always") as player:
        listener = Listener(player)
        player.on_connect = listener.at_connect
        tasks = [asyncio.create_task(listener.follow()), asyncio.create_task(listener.report())]
        try:
            yield listener
            assert not any(task.done() for task in tasks), tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Truth:
    """Where the playback must be: by the last command that was acknowledged, and the time since."""

    position: float = 0.0
    at: float = 0.0
    rev: int = 0
    acknowledged: int = 0

    def note(self, state: State) -> None:
        self.position, self.at, self.rev = state.position, state.received, state.rev
        self.acknowledged += 1

    def now(self) -> float:
        return self.position + time.monotonic() - self.at


async def seek_until(done: asyncio.Event, listeners: list[Listener], truth: Truth) -> None:
    """Seek on one device after the other; on each at least once."""
    while listeners:
        for listener in listeners:
            await asyncio.sleep(0.2)
            with suppress(Conflict):  # the playback was changed while it had no connection
                truth.note(await listener.player.play("song", random.uniform(1, 20)))  # noqa: S311
        if done.is_set():
            return


async def ask_until(done: asyncio.Event, site: Site, token: str, stream: str) -> int:
    """Send requests that may be repeated, each over a new connection; all must succeed."""
    count = 0
    async with requests_from(site) as session:
        bearer = {"Authorization": f"Bearer {token}"}
        while not done.is_set():
            async with session.get("/api/tracks/current-state", headers=bearer) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            async with session.get(stream, headers={"Range": "bytes=0-65535"}) as answer:
                assert answer.status == 206, await answer.text()
                assert len(await answer.read()) == 65_536
            count += 2
            await asyncio.sleep(0.1)
    return count


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_a_rolling_restart_loses_no_position_no_command_and_no_request(
    site: Site, token: Token, number: int
) -> None:
    bob, truth, ended = token(f"bob{number}"), Truth(), asyncio.Event()
    async with (
        listening(site, bob, "phone") as phone,
        listening(site, bob, "kiosk") as kiosk,
    ):
        await until(lambda: phone.connections and kiosk.connections)
        truth.note(await phone.player.play("song", 3.0))
        stream = (await phone.player.find_track("song")).stream_url
        asking = asyncio.create_task(ask_until(ended, site, bob, stream))
        for name in PROCESSES:
            restarted = asyncio.Event()
            commanders = [phone, kiosk] if name != PROCESSES[0] else []  # at first it just plays
            commands = asyncio.create_task(seek_until(restarted, commanders, truth))
            assert await asyncio.to_thread(site.stop, name) == 0
            await asyncio.to_thread(site.start, name)
            restarted.set()
            await commands
            for device in (phone, kiosk):
                state = await device.told(truth.rev)
                assert state.is_playing
                assert abs(state.position - truth.now()) < LOST_AT_MOST, (name, state, truth)
        ended.set()
        assert await asking > 10
        assert phone.connections + kiosk.connections >= 3  # restarts did meet them
        assert truth.acknowledged >= 3  # others may have found that the other device was first
        assert {each.device_id for each in await phone.player.devices()} == {"phone", "kiosk"}
