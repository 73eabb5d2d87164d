"""The Python client's commands whose connection broke: sent once more only if nobody has acted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from audiostream.client import connect
from audiostream.errors import Conflict

KNOWN = {
    "trackId": "song",
    "currentTime": 5.0,
    "isPlaying": False,
    "playbackRate": 1,
    "rev": 7,
    "deviceId": "kiosk",
    "updatedAt": 1_000,
    "serverTime": 2_000,
}


@dataclass
class Server:
    """Breaks its first connection at a command, which it may have carried out before."""

    later: dict[str, Any]
    """The state on all later connections."""
    connections: int = 0
    commands: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.connections += 1
        is_first = self.connections == 1
        async for message in ws:
            frame = message.json()
            event, answer = frame["event"], {**(KNOWN if is_first else self.later)}
            if event in ("playTrack", "pauseTrack"):
                self.commands.append(frame["data"])
                if is_first:
                    await ws.close()
                    break
            names = {"auth": "authenticated", "playTrack": "trackPlaying"}
            await ws.send_json(
                {"event": names.get(event, "trackState"), "id": frame["id"], "data": answer}
            )
        return ws

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/ws", self.handle)
        async with TestServer(app) as server:
            yield str(server.make_url(""))


async def test_a_play_whose_answer_was_lost_does_not_undo_a_later_pause() -> None:
    server = Server({**KNOWN, "rev": 9, "updatedAt": 3_000})
    async with server.running() as url, connect(url, "token", device_id="kiosk") as player:
        await player.state()
        with pytest.raises(Conflict) as conflict:
            await player.play("song", 5)
        assert conflict.value.state["rev"] == 9
        assert player.last is not None
        assert not player.last.is_playing
    assert len(server.commands) == 1


async def test_a_play_whose_answer_was_lost_is_done_where_the_server_plays_it() -> None:
    server = Server({**KNOWN, "rev": 8, "updatedAt": 3_000, "isPlaying": True})
    async with server.running() as url, connect(url, "token", device_id="kiosk") as player:
        await player.state()
        assert (await player.play("song", 5)).is_playing
    assert len(server.commands) == 1


@pytest.mark.parametrize(
    "later", [KNOWN, {**KNOWN, "rev": 8}, {**KNOWN, "rev": 0, "trackId": None, "updatedAt": 0}]
)
async def test_a_play_that_was_lost_is_sent_again_where_nobody_has_acted(
    later: dict[str, Any],
) -> None:
    server = Server(later)
    async with server.running() as url, connect(url, "token", device_id="kiosk") as player:
        await player.state()
        await player.play("song", 5)
    assert [each.get("ifRev") for each in server.commands] == [KNOWN["rev"], later["rev"]]
