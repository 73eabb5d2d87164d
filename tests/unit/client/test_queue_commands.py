"""The Python client's commands for queues and devices, on a server that is a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from audiostream.client import QueuePlace, Report, Volume, connect
from audiostream.errors import Conflict, DeviceNotFound

TRACK = {"id": "two", "title": "Two", "streamUrl": "/two"}
STATE = {
    "trackId": "one",
    "currentTime": 5.0,
    "isPlaying": True,
    "playbackRate": 1,
    "rev": 7,
    "deviceId": "phone",
    "updatedAt": 1_000,
    "serverTime": 2_000,
    "queue": {"index": 0, "length": 2, "repeat": "off"},
}
QUEUE = {
    "trackIds": ["one", "two"],
    "index": 0,
    "repeat": "all",
    "rev": 8,
    "updatedAt": 1_001,
    "nextTrack": TRACK,
}
ANSWERS = {
    "auth": ("authenticated", {"version": "2.0", "features": ["queue"], "syncTolerance": 0.5}),
    "setQueue": ("queueUpdated", QUEUE),
    "setRepeat": ("queueUpdated", QUEUE),
    "shuffleQueue": ("queueUpdated", QUEUE),
    "getQueue": ("queue", QUEUE),
    "setVolume": ("volume", {"deviceId": "phone", "volume": 0.5}),
    "deviceUpdate": ("devices", {"devices": []}),
    "getDevices": ("devices", {"devices": []}),
    "nextTrack": ("trackPlaying", {**STATE, "rev": 8, "track": TRACK, "nextTrack": None}),
    "previousTrack": ("trackPlaying", {**STATE, "rev": 8}),
    "transferPlayback": ("trackUpdated", {**STATE, "rev": 8, "deviceId": "kitchen"}),
}


@dataclass
class Server:
    """Answers frames as ANSWERS has it; breaks the connection once at each event of ``lost``."""

    answers: dict[str, tuple[str, Any]] = field(default_factory=lambda: dict(ANSWERS))
    lost: set[str] = field(default_factory=set)
    later: dict[str, Any] = field(default_factory=lambda: dict(STATE))
    """The state after a connection has broken."""
    frames: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    def sent(self, event: str) -> list[dict[str, Any]]:
        """The data of all frames of an event."""
        return [each["data"] for each in self.frames if each["event"] == event]

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.sockets.append(ws)
        state = STATE if len(self.sockets) == 1 else self.later
        async for message in ws:
            frame = json.loads(message.data)
            self.frames.append(frame)
            if frame["event"] in self.lost:
                self.lost.remove(frame["event"])
                await ws.close()
                break
            name, data = self.answers.get(frame["event"], ("trackState", state))
            await ws.send_json({"event": name, "id": frame["id"], "data": data})
        return ws

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/ws", self.handle)
        async with TestServer(app) as server:
            yield str(server.make_url(""))


async def test_commands_are_sent_as_they_are_given() -> None:
    server = Server()
    async with server.running() as url, connect(url, "token", device_id="kitchen") as player:
        await player.state()
        await player.play("two", queue=["one", "two"], queue_index=1, device_id="phone")
        queue = await player.set_queue(["one", "two"], 0)
        assert (queue.track_ids, queue.repeat, queue.rev) == (("one", "two"), "all", 8)
        assert (await player.set_repeat("all")).repeat == "all"
        assert (await player.shuffle()).index == 0
        assert (await player.queue()).next_track is not None
        assert (await player.next()).rev == 8
        assert (await player.previous()).rev == 8
        assert (await player.transfer("kitchen", play=False)).device_id == "kitchen"
        await player.set_volume(0.5, device_id="phone")
        await player.update_device(device_name="Bath", muted=True)
        assert await player.devices() == []
    [play] = server.sent("playTrack")
    assert (play["queue"], play["queueIndex"], play["deviceId"]) == (["one", "two"], 1, "phone")
    [queue_data] = server.sent("setQueue")
    assert (queue_data["trackIds"], queue_data["queueIndex"]) == (["one", "two"], 0)
    assert server.sent("setRepeat")[0]["repeat"] == "all"
    transfer = server.sent("transferPlayback")[0]
    assert (transfer["deviceId"], transfer["play"]) == ("kitchen", False)
    assert server.sent("setVolume") == [{"deviceId": "phone", "volume": 0.5}]
    assert server.sent("deviceUpdate") == [{"deviceName": "Bath", "muted": True}]


async def test_what_the_server_tells_of_itself_is_kept() -> None:
    server = Server()
    async with server.running() as url, connect(url, "token") as player:
        await player.state()
        assert player.server is not None
        assert (player.server.version, player.server.sync_tolerance) == ("2.0", 0.5)


async def test_a_changed_queue_and_a_volume_are_events() -> None:
    server = Server()
    async with server.running() as url, connect(url, "token") as player:
        await player.state()
        await server.sockets[0].send_json({"event": "queueUpdated", "data": QUEUE})
        await server.sockets[0].send_json({"event": "volume", "data": {"volume": 0.2}})
        await anext(player)
        event = await anext(player)
        assert event.queue is not None
        assert event.state.queue == QueuePlace(0, 2, "all")
        assert (event.state.rev, event.next_track and event.next_track.id) == (8, "two")
        assert player.last == event.state
        assert (await anext(player)).volume == Volume(0.2)


async def test_a_device_sounds_while_it_is_the_active_one_or_none_is() -> None:
    server = Server()
    async with server.running() as url:
        async with connect(url, "token", device_id="kitchen") as player:
            assert not player.sounds_here
            await player.state()
            assert not player.sounds_here
            server.answers["getCurrentState"] = ("trackState", {**STATE, "deviceId": None})
            await player.state()
            assert player.sounds_here
            await player.transfer("kitchen")
            assert player.sounds_here
        async with connect(url, "token", sounds="always") as player:
            assert player.sounds_here


async def test_another_word_for_sounds_is_refused() -> None:
    with pytest.raises(ValueError, match="'active' or 'always'"):
        async with connect("http://server", "token", sounds="never"):  # type: ignore[arg-type]
            pass


async def test_a_device_that_is_not_connected_is_an_exception() -> None:
    server = Server()
    error = {"code": "device_not_found", "message": "there is no such device"}
    server.answers["transferPlayback"] = ("error", error)
    async with server.running() as url, connect(url, "token") as player:
        with pytest.raises(DeviceNotFound):
            await player.transfer("attic")


async def test_a_next_whose_answer_was_lost_is_sent_again_under_its_id() -> None:
    server = Server(lost={"nextTrack"}, later={**STATE, "rev": 8, "updatedAt": 1_500})
    async with server.running() as url, connect(url, "token") as player:
        await player.state()
        assert (await player.next()).rev == 8
    first, second = server.sent("nextTrack")
    assert first == second
    assert first["ifRev"] == 7


async def test_a_queue_whose_answer_was_lost_is_asked_for() -> None:
    server = Server(lost={"setQueue"})
    async with server.running() as url, connect(url, "token") as player:
        await player.state()
        server.answers["setQueue"] = ("trackPlaying", STATE)  # as the server answers a repeated id
        assert (await player.set_queue(["one", "two"])).rev == 8
    assert len(server.sent("getQueue")) == 1


async def test_a_command_with_a_rev_is_sent_with_no_other() -> None:
    server = Server()
    server.answers["nextTrack"] = ("error", {"code": "conflict", "message": "no", "state": STATE})
    async with server.running() as url, connect(url, "token") as player:
        await player.state()
        with pytest.raises(Conflict):
            await player.next(if_rev=3)
    assert [each["ifRev"] for each in server.sent("nextTrack")] == [3]


async def test_where_the_player_is_comes_before_the_state_is_asked_for() -> None:
    server = Server()
    async with server.running() as url, connect(url, "token") as player:
        player.on_connect = lambda: Report("one", 6.0, True)
        await player.state()
    events = [each["event"] for each in server.frames[:3]]
    assert events == ["auth", "updateStreaming", "getCurrentState"]
