"""Devices whose connection was lost, and players that know more than tags, on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.conftest import of_own_users
from tests.support.server_process import ServerProcess
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


@dataclass
class Room:
    """A user's devices at one server."""

    server: ServerProcess
    session: ClientSession
    token: str
    sockets: list[Any] = field(default_factory=list)

    def device(self) -> Any:
        return connect(self.session, f"{self.server.url}/ws", self.token)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        url = f"{self.server.url}/tracks/{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.post(url, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            state: dict[str, Any] = await answer.json()
            return state


@pytest.fixture
async def room(shared_server: ServerProcess, token: Token) -> AsyncIterator[Room]:
    async with ClientSession() as session:
        yield Room(shared_server, session, of_own_users(token)())


async def report(device: Peer, track: str, at: float, playing: bool = True, **more: Any) -> None:
    await device.send("updateStreaming", trackId=track, currentTime=at, isPlaying=playing, **more)


async def cut(device: Peer) -> None:
    """End a connection without a close frame, as a network does."""
    connection = device.socket._conn  # no public way ends it without a close frame
    assert connection is not None
    assert connection.transport is not None
    connection.transport.abort()
    await asyncio.sleep(0.2)


@pytest.mark.parametrize("is_paused", [False, True], ids=["plays on", "is paused"])
async def test_a_reconnected_device_with_an_old_state_changes_nothing(
    room: Room, is_paused: bool
) -> None:
    async with room.device() as phone:
        async with room.device() as laptop:
            await laptop.send("playTrack", trackId="song", currentTime=10)
            await laptop.receives("trackPlaying")
            await phone.receives("trackPlaying")
            await cut(laptop)
        await phone.ask("playTrack", trackId="song", currentTime=50)
        if is_paused:
            await phone.ask("pauseTrack", trackId="song", currentTime=51)
        before = (await phone.ask("getCurrentState"))["data"]
        async with room.device() as laptop:
            for at in (11.0, 11.25, 11.5):
                await report(laptop, "song", at)
            told = await laptop.receives("trackUpdated")
            await laptop.receives_nothing()
            await phone.receives_nothing()
        after = (await phone.ask("getCurrentState"))["data"]
    assert (told["rev"], told["isPlaying"]) == (before["rev"], not is_paused)
    assert 50 <= told["currentTime"] < 55
    assert (after["rev"], after["isPlaying"]) == (before["rev"], not is_paused)
    assert after["currentTime"] - before["currentTime"] < 5


@pytest.mark.parametrize(("is_paused", "event"), [(False, "trackPlaying"), (True, "trackPaused")])
async def test_a_reconnected_device_on_another_track_is_sent_track_playing(
    room: Room, is_paused: bool, event: str
) -> None:
    async with room.device() as phone, room.device() as laptop:
        await phone.send("playTrack", trackId="song", currentTime=50)
        await phone.receives("trackPlaying")
        await laptop.receives("trackPlaying")
        await cut(laptop)
        if is_paused:
            await phone.ask("pauseTrack", trackId="song")
        async with room.device() as laptop:
            await report(laptop, "other", 11.0)
            told = await laptop.receives(event)
            assert told["trackId"] == "song"
            assert ("track" in told) is not is_paused
            await phone.receives_nothing()


async def test_a_command_of_a_reconnected_device_takes_effect_and_leaves_a_stop_point(
    room: Room,
) -> None:
    async with room.device() as phone:
        await phone.ask("playTrack", trackId="song", currentTime=50)
        async with room.device() as laptop:
            await laptop.ask("playTrack", trackId="other", currentTime=0)
            assert (await phone.receives("trackPlaying"))["trackId"] == "other"
            state = (await laptop.ask("playTrack", trackId="song", resume=True))["data"]
    assert 50 <= state["currentTime"] < 55


async def test_a_reported_track_change_reaches_the_others_as_track_playing(
    room: Room,
) -> None:
    async with room.device() as phone, room.device() as laptop:
        await phone.send("playTrack", trackId="song", currentTime=5)
        await phone.receives("trackPlaying")
        await laptop.receives("trackPlaying")
        await report(laptop, "song", 5.0)
        await report(laptop, "other", 7.0)
        assert (await phone.receives("trackPlaying"))["trackId"] == "other"
        assert (await laptop.receives("trackUpdated"))["trackId"] == "other"


async def test_a_seek_while_paused_moves_the_stop_point(room: Room) -> None:
    await room.post("play/song", currentTime=10)
    await room.post("pause/song")
    await room.post("pause/song", currentTime=20)
    await room.post("play/other")
    assert (await room.post("play/song", resume=True))["currentTime"] == pytest.approx(20, abs=1)


@pytest.mark.parametrize("way", ["command", "REST", "report"])
async def test_a_position_beyond_the_listed_duration_is_kept_and_resumed(
    room: Room, way: str
) -> None:
    async with room.device() as phone, room.device() as tab:
        await phone.send("playTrack", trackId="song", currentTime=59)
        await phone.receives("trackPlaying")
        await tab.receives("trackPlaying")
        if way == "command":
            await phone.ask("playTrack", trackId="song", currentTime=300)
        elif way == "REST":
            await room.post("update-state/song", currentTime=300, isPlaying=True)
            await phone.frame()
        else:
            await report(phone, "song", 59.1)
            await report(phone, "song", 300.0)
            await phone.receives("trackUpdated")
        told = await tab.frame()
        assert 300 <= told["data"]["currentTime"] < 302
        assert told["data"]["isPlaying"]
        await report(phone, "song", 300.3)
        await phone.ask("playTrack", trackId="other")
        state = (await phone.ask("playTrack", trackId="song", resume=True))["data"]
    assert 300 <= state["currentTime"] < 302


async def test_a_reported_duration_replaces_the_listed_one(room: Room) -> None:
    async with room.device() as phone:
        await phone.ask("playTrack", trackId="song", currentTime=0)
        await report(phone, "song", 0.1, duration=123.5)
        assert (await phone.ask("getCurrentState"))["data"]["duration"] == 123.5


@pytest.mark.parametrize("duration", [0, -3, "long", True, [1]])
async def test_an_invalid_duration_is_refused_with_a_reason(room: Room, duration: object) -> None:
    async with room.device() as phone:
        answer = await phone.ask(
            "updateStreaming", trackId="song", currentTime=1, isPlaying=True, duration=duration
        )
        assert answer["data"]["code"] == "invalid_message"
        assert '"duration"' in answer["data"]["message"]


async def test_a_position_just_under_zero_is_zero(room: Room) -> None:
    async with room.device() as phone:
        state = (await phone.ask("playTrack", trackId="song", currentTime=-0.02))["data"]
        assert 0 <= state["currentTime"] < 1
        await report(phone, "song", -0.02)
        await phone.receives_nothing()
        answer = await phone.ask("playTrack", trackId="song", currentTime=-5)
        assert answer["data"]["code"] == "invalid_message"
    state = await room.post("play/song", currentTime=-0.02)
    assert 0 <= state["currentTime"] < 1
