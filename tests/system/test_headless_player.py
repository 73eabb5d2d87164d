"""The headless player with a real server and mpv, whose null output takes as long as sound."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.client import Player, State, connect
from tests.conftest import ProxyTo, of_own_users
from tests.support.album import ALBUM, TITLES, write_album
from tests.support.headless import HeadlessProcess, headless
from tests.support.proxy import Mode
from tests.support.server_process import Launch, ServerProcess, module_server
from tests.support.waiting import PATIENCE, until
from tests.support.ws_client import connect as connect_raw

Token = Callable[..., str]

PLAYED = 6
"""Tracks of the album, of two seconds each."""
needs_mpv = pytest.mark.skipif(which("mpv") is None, reason="there is no mpv")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return write_album(tmp_path / "media")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with module_server(write_album(tmp_path_factory.mktemp("media"))) as server:
        yield server


@pytest.fixture
def token(token: Token) -> Token:
    return of_own_users(token)


async def reaches(remote: Player, condition: Callable[[State], bool]) -> State:
    """Ask for the state until the condition is true of it."""
    async with asyncio.timeout(6 * PATIENCE):
        while not condition(state := await remote.state()):
            await asyncio.sleep(0.1)
    return state


async def sounds(remote: Player, device_id: str) -> float:
    """Wait until a device reports that it plays, and goes on; return its position."""

    async def position() -> float | None:
        rows = [each for each in await remote.devices() if each.device_id == device_id]
        is_heard = rows and rows[0].is_playing and rows[0].report_age is not None
        return rows[0].position if is_heard else None

    async with asyncio.timeout(2 * PATIENCE):
        while (first := await position()) is None:
            await asyncio.sleep(0.1)
        while (later := await position()) is None or later <= first:
            await asyncio.sleep(0.1)
    return later


@asynccontextmanager
async def recording(server: ServerProcess, token: str) -> AsyncIterator[list[dict[str, Any]]]:
    """The frames that another device of the user is sent."""
    frames: list[dict[str, Any]] = []

    async def read(peer: Any) -> None:
        async for message in peer.socket:
            frames.append(json.loads(message.data))

    async with (
        ClientSession() as session,
        connect_raw(session, f"{server.url}/ws", token) as peer,
    ):
        reading = asyncio.create_task(read(peer))
        yield frames
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def kitchen(
    url: str, token: Token, folder: Path, *arguments: str
) -> AsyncIterator[HeadlessProcess]:
    """A player that has connected, with the device id ``kitchen``."""
    async with headless(url, token(), folder, "--device-id", "kitchen", *arguments) as player:
        await player.logs("connected to")
        yield player


@pytest.fixture
async def player(
    server: ServerProcess, token: Token, tmp_path: Path
) -> AsyncIterator[HeadlessProcess]:
    async with kitchen(server.url, token, tmp_path) as player:
        yield player


@pytest.fixture
async def phone(server: ServerProcess, token: Token) -> AsyncIterator[Player]:
    """A device that controls the player of its user."""
    async with connect(server.url, token(), device_id="phone") as phone:
        yield phone


@needs_mpv
async def test_an_album_plays_to_its_end_each_track_started_once_by_the_server(
    server: ServerProcess, token: Token, player: HeadlessProcess, phone: Player
) -> None:
    async with recording(server, token()) as frames:
        await phone.play(ALBUM[0], queue=ALBUM[:PLAYED], device_id="kitchen")
        last = ALBUM[PLAYED - 1]
        await reaches(phone, lambda state: state.track_id == last and not state.is_playing)
        played = [each["data"] for each in frames if each["event"] == "trackPlaying"]
    assert [each["trackId"] for each in played] == ALBUM[:PLAYED]
    assert [each["currentTime"] for each in played] == [0.0] * PLAYED
    assert {each["deviceId"] for each in played} == {"kitchen"}
    # The first is loaded; all others follow in mpv, which is neither stopped nor moved.
    assert player.titles("plays") == TITLES[:1]
    assert player.titles("goes on with") == TITLES[1:PLAYED]


@needs_mpv
async def test_a_file_that_is_no_audio_is_skipped(player: HeadlessProcess, phone: Player) -> None:
    await phone.play("t01", queue=["t01", "noise", "song"], device_id="kitchen")
    await reaches(phone, lambda state: state.track_id == "song" and state.position > 0.5)
    await player.logs("Noise cannot be played and is skipped")
    assert await sounds(phone, "kitchen") < 30.0


@needs_mpv
async def test_pause_seek_and_another_track_are_followed(
    player: HeadlessProcess, phone: Player
) -> None:
    await phone.play("song", 5.0, device_id="kitchen")
    assert await sounds(phone, "kitchen") > 5.0
    await phone.pause(device_id="kitchen")
    await asyncio.sleep(1.5)
    assert not (await phone.state()).is_playing
    await phone.play("song", 40.0, device_id="kitchen")
    assert await sounds(phone, "kitchen") > 40.0
    await phone.play("other", device_id="kitchen")
    await reaches(phone, lambda state: state.track_id == "other" and state.position > 1.5)
    assert 0.0 < await sounds(phone, "kitchen") < 35.0


@needs_mpv
async def test_the_volume_of_a_headless_player_is_set_by_another_device(
    server: ServerProcess, token: Token, tmp_path: Path
) -> None:
    async with (
        kitchen(server.url, token, tmp_path, "--volume", "0.4"),
        connect(server.url, token(), device_id="phone") as phone,
    ):

        async def has_volume(volume: float, muted: bool) -> None:
            async with asyncio.timeout(PATIENCE):
                while True:
                    rows = [each for each in await phone.devices() if each.device_id == "kitchen"]
                    if (rows[0].volume.volume, rows[0].volume.muted) == (volume, muted):
                        return
                    await asyncio.sleep(0.1)

        await has_volume(0.4, False)
        await phone.set_volume(0.2, device_id="kitchen")
        await has_volume(0.2, False)
        await phone.set_volume(muted=True, device_id="kitchen")
        await has_volume(0.2, True)


@needs_mpv
async def test_a_headless_player_stops_for_another_device_and_takes_over_again(
    player: HeadlessProcess, phone: Player
) -> None:
    await phone.play("song", queue=["song", "other"], device_id="kitchen")
    await sounds(phone, "kitchen")
    await phone.transfer("phone")
    await player.logs("stops")
    for _ in range(5):
        position = (await phone.state()).position
        await phone.report("song", position, is_playing=True)
        await asyncio.sleep(0.3)
    state = await phone.transfer("kitchen")
    assert state.is_playing
    await reaches(phone, lambda state: state.device_id == "kitchen")
    assert await sounds(phone, "kitchen") >= state.position
    assert player.titles("plays") == ["song", "song"]


@needs_mpv
async def test_a_killed_mpv_is_started_again(player: HeadlessProcess, phone: Player) -> None:
    await phone.play("song", 5.0, device_id="kitchen")
    before = await sounds(phone, "kitchen")
    killed = player.mpv_pid()
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await player.logs("mpv ended with -9")
    await until(lambda: player.mpv_pid() not in (None, killed))
    await until(lambda: player.titles("plays") == ["song", "song"])
    assert await sounds(phone, "kitchen") > before
    assert (await phone.state()).is_playing


@needs_mpv
async def test_another_device_goes_on_where_a_killed_player_was(
    player: HeadlessProcess, phone: Player
) -> None:
    await phone.play("t11", queue=["t11", "song", "other"], device_id="kitchen")
    await reaches(phone, lambda state: state.track_id == "song" and state.position > 1.5)
    mpv = player.mpv_pid()
    stopped = await sounds(phone, "kitchen")
    await player.ends(signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{mpv}").exists())  # it ends with the player
    await asyncio.sleep(1.0)
    state = await phone.play("song")
    assert state.track_id == "song"
    assert abs(state.position - stopped) < 5.0
    assert (await phone.queue()).index == 1


@needs_mpv
async def test_an_outage_does_not_interrupt_it(
    server: ServerProcess, proxy_to: ProxyTo, token: Token, tmp_path: Path
) -> None:
    line = await proxy_to(server.port)
    async with (
        kitchen(line.url, token, tmp_path) as player,
        connect(server.url, token(), device_id="phone") as phone,
    ):
        await phone.play("t11", queue=["t11", "song", "other"], device_id="kitchen")
        await sounds(phone, "kitchen")
        await line.switch(Mode.CUT)
        await asyncio.sleep(4.0)  # the album's track ends meanwhile
        await line.switch(Mode.PASS)
        await reaches(phone, lambda state: state.track_id == "song" and state.is_playing)
        assert await sounds(phone, "kitchen") > 2.0
        assert player.titles("plays") == ["Track 11"]
        assert player.titles("goes on with") == ["song"]


@needs_mpv
async def test_a_restart_of_the_server_does_not_interrupt_it(
    launch: Launch, token: Token, tmp_path: Path
) -> None:
    state = ("--state", str(tmp_path / "state"))  # with it, the tracks are there at once
    first = launch(*state)
    await first.logs("the library has")
    async with kitchen(first.url, token, tmp_path) as player:
        async with connect(first.url, token(), device_id="phone") as phone:
            await phone.play("song", device_id="kitchen")
            before = await sounds(phone, "kitchen")
        await asyncio.to_thread(first.stop)
        launch(*state, "--port", str(first.port))
        async with connect(first.url, token(), device_id="phone") as phone:
            assert await sounds(phone, "kitchen") > before
            assert (await phone.state()).is_playing
        assert player.titles("plays") == ["song"]
        assert not player.titles("stops")


@needs_mpv
async def test_sigterm_ends_it_and_its_mpv(player: HeadlessProcess, phone: Player) -> None:
    await phone.play("song", device_id="kitchen")
    await sounds(phone, "kitchen")
    mpv = player.mpv_pid()
    assert await player.ends(signal.SIGTERM) == 0
    assert player.mpv_pid() is None
    assert mpv is not None
    with pytest.raises(ProcessLookupError):
        os.kill(mpv, 0)
    assert [each.device_id for each in await phone.devices()] == ["phone"]


@needs_mpv
async def test_a_refused_token_is_said(server: ServerProcess, tmp_path: Path) -> None:
    async with headless(server.url, "forged", tmp_path) as player:
        assert await player.ends() == 1
        await player.logs("the server refused the token")


@needs_mpv
async def test_a_headless_player_waits_for_a_server_that_is_not_there_yet(
    launch: Launch, unused_tcp_port: int, token: Token, tmp_path: Path
) -> None:
    async with headless(f"http://127.0.0.1:{unused_tcp_port}", token(), tmp_path) as player:
        await player.logs("no connection")
        launch("--port", str(unused_tcp_port))
        await player.logs("connected to")
