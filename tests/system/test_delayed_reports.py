"""Reports that an outage delayed undo no command and move no position back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.conftest import Client, ProxyTo, Serve
from tests.support.proxy import Mode, Proxy
from tests.support.scenario import Scenario
from tests.support.waiting import PATIENCE
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]

OUTAGE = 3.0
"""Seconds."""
FOUR_HERTZ = 0.25


def at_song(position: float) -> dict[str, Any]:
    """A report of a player in the song."""
    return {"trackId": "song", "currentTime": position, "isPlaying": True}


class Player:
    """A device that reports four times a second where it is, as long as it plays."""

    def __init__(self, peer: Peer, position: float) -> None:
        self.peer = peer
        self.paused_at: float | None = None
        self.heard: list[dict[str, Any]] = []
        self._start = asyncio.get_running_loop().time() - position
        self._tasks = [asyncio.create_task(self._report()), asyncio.create_task(self._listen())]

    @property
    def position(self) -> float:
        if self.paused_at is not None:
            return self.paused_at
        return asyncio.get_running_loop().time() - self._start

    async def _report(self) -> None:
        while not self.peer.socket.closed:
            await asyncio.sleep(FOUR_HERTZ)
            if self.paused_at is None:
                await self.report()

    async def report(self) -> None:
        await self.peer.send("updateStreaming", **at_song(self.position))

    async def _listen(self) -> None:
        """Obey as the specification's player does, and pong."""
        async for message in self.peer.socket:
            frame = json.loads(message.data)
            self.heard.append(frame)
            if frame["event"] == "trackPaused":
                self.paused_at = self.position

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class ServerFixture:
    """A server, and a line to it that can be held."""

    def __init__(self, client: Client, proxy: Proxy, token: str) -> None:
        self.client = client
        self.proxy = proxy
        self.token = token

    def device(self, url: str | None = None) -> Any:
        return connect(self.client.session, f"{url or self.proxy.url}/ws", self.token)

    def other(self) -> Any:
        """A device whose line is always good."""
        return self.device(str(self.client.make_url("")).rstrip("/"))

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[Player]:
        """A device behind the line that has played and reported for a second."""
        async with self.device() as peer:
            await peer.send("playTrack", trackId="song", currentTime=10)
            await peer.receives("trackPlaying")
            player = Player(peer, 10.0)
            await asyncio.sleep(1.0)
            yield player
            await player.stop()

    async def post(self, path: str, **data: Any) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.client.post(f"/tracks/{path}", headers=headers, json=data) as answer:
            assert answer.status == 200

    async def state(self) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.client.get("/tracks/current-state", headers=headers) as answer:
            state: dict[str, Any] = await answer.json()
            return state


@pytest.fixture
async def server(serve: Serve, proxy_to: ProxyTo, token: Token) -> ServerFixture:
    client = await serve()
    assert client.port is not None
    return ServerFixture(client, await proxy_to(client.port), token())


async def test_reports_delayed_by_an_outage_do_not_move_the_position_back(
    server: ServerFixture,
) -> None:
    async with server.other() as kitchen, server.playing() as phone:
        rev = (await kitchen.receives("trackPlaying"))["rev"]
        await server.proxy.switch(Mode.HOLD)
        await asyncio.sleep(OUTAGE)
        await server.proxy.switch(Mode.PASS)
        await asyncio.sleep(1.0)
        before, state = phone.position, await server.state()
        assert before - 0.9 <= state["currentTime"] <= phone.position + 0.9
        assert (state["isPlaying"], state["rev"]) == (True, rev)
        assert phone.heard == []
        await kitchen.receives_nothing()


async def test_a_pause_during_an_outage_is_not_undone_by_delayed_reports(
    server: ServerFixture,
) -> None:
    async with server.playing() as phone:
        await server.proxy.switch(Mode.HOLD)
        await server.post("pause/song")
        await asyncio.sleep(OUTAGE)
        await server.proxy.switch(Mode.PASS)
        for _ in range(30):
            assert not (await server.state())["isPlaying"]
            await asyncio.sleep(0.1)
        assert phone.paused_at is not None
        assert phone.heard[0]["event"] == "trackPaused"


def test_a_pause_is_not_undone_by_the_last_report_of_a_player_that_sends_none_when_paused() -> None:
    scene = Scenario()
    scene.connect("phone")
    scene.play("phone", at=10)
    scene.report_for(5, phone=0.0)
    scene.pause(None)
    scene.report("phone", 15.2, True)  # it was on its way
    scene.wait(10)
    assert not scene.room.state.is_playing
    assert 15 <= scene.position <= 15.2
    assert [event for event, _ in scene.received("phone")][:2] == ["trackPlaying", "trackPaused"]


async def test_a_player_that_reconnects_after_an_outage_is_followed_to_its_own_position(
    server: ServerFixture,
) -> None:
    async with server.other() as kitchen:
        async with server.playing() as phone:
            await server.proxy.switch(Mode.HOLD)
            await asyncio.sleep(OUTAGE)
            position, now = phone.position, asyncio.get_running_loop().time
            at = now()
        await server.proxy.switch(Mode.PASS)
        async with server.device() as again:
            for _ in range(8):
                here = position + now() - at
                await again.send(
                    "updateStreaming", trackId="song", currentTime=here, isPlaying=True
                )
                await asyncio.sleep(FOUR_HERTZ)
            await again.receives_nothing()
            before, state = position + now() - at, await server.state()
            assert state["isPlaying"]
            assert before - 0.9 <= state["currentTime"] <= position + now() - at + 0.9
        assert (await kitchen.receives("trackPlaying"))["currentTime"] == 10
        told = await kitchen.receives("trackUpdated")  # R11: the playback has its player again
        assert told["currentTime"] >= position


async def test_a_delayed_report_with_an_id_is_answered(server: ServerFixture) -> None:
    async with server.device() as peer:
        await peer.ask("playTrack", trackId="song", currentTime=10)
        await asyncio.sleep(2.2)
        answer = await peer.ask("updateStreaming", **at_song(12.2))
        assert answer["event"] == "trackState"
        await server.proxy.switch(Mode.HOLD)
        await server.post("pause/song", currentTime=14)
        await asyncio.sleep(2.2)
        await peer.send("updateStreaming", 7, **at_song(14.4))
        await server.proxy.switch(Mode.PASS)
        assert (await peer.receives("trackPaused"))["currentTime"] == 14
        frame = await peer.frame()
        assert (frame["id"], frame["data"]["isPlaying"]) == (7, False)


async def test_a_seek_after_a_gap_is_applied_for_a_device_that_answers_no_pings(
    server: ServerFixture,
) -> None:
    async with server.other() as kitchen, server.device() as deaf:
        await deaf.ask("playTrack", trackId="song", currentTime=10)
        await kitchen.receives("trackPlaying")
        await deaf.send("updateStreaming", **at_song(10.1))
        await asyncio.sleep(2.2)
        await deaf.send("updateStreaming", **at_song(40))
        async with asyncio.timeout(PATIENCE):
            assert (await kitchen.receives("trackUpdated"))["currentTime"] == pytest.approx(
                40, abs=1
            )
