"""The Python client on servers that do not keep to the protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from audiostream.client import connect
from audiostream.errors import (
    InvalidMessage,
)

Behaviour = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def odd_server(*behaviours: Behaviour) -> AsyncIterator[str]:
    """A server whose connections behave like this, one after the other, then like the last."""
    left = list(behaviours)

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        await behaviour(ws)
        return ws

    app = web.Application()
    app.router.add_get("/ws", handle)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def behave(ws: web.WebSocketResponse) -> None:
    state = {
        "trackId": None,
        "currentTime": 0,
        "isPlaying": False,
        "playbackRate": 1,
        "rev": 0,
        "deviceId": None,
        "updatedAt": 0,
        "serverTime": 0,
    }
    async for message in ws:
        frame = json.loads(message.data)
        event = "authenticated" if frame["event"] == "auth" else "trackState"
        await ws.send_json({"event": event, "id": frame["id"], "data": state})


@pytest.mark.parametrize(
    "garbage",
    [
        "{",
        "[]",
        "7",
        "[" * 100_000,
        '{"event": 1}',
        '{"event": "authenticated", "data": []}',
        '{"event": "trackPaused", "data": {}}',
        '{"event": "trackState", "id": [], "data": {"currentTime": 1e999, "rev": 1e999}}',
        '{"event": "error"}',
        '{"event": "hello"}',
    ],
)
async def test_a_server_that_does_not_authenticate_properly_is_tried_again(garbage: str) -> None:
    async def send_garbage(ws: web.WebSocketResponse) -> None:
        await ws.send_str(garbage)
        await ws.receive()

    async with odd_server(send_garbage, behave) as url, connect(url, "any") as player:
        assert (await player.state()).track_id is None


async def test_a_server_that_sends_a_binary_frame_is_tried_again() -> None:
    async def send_garbage(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_json({"event": "authenticated"})
        await ws.receive()
        await ws.send_bytes(b"\0")
        await ws.receive()

    async with odd_server(send_garbage, behave) as url, connect(url, "any") as player:
        assert (await player.state()).track_id is None


async def test_an_answer_that_is_no_state_is_an_error() -> None:
    async def answer_everything(ws: web.WebSocketResponse) -> None:
        async for message in ws:
            number = json.loads(message.data)["id"]
            await ws.send_json({"event": "authenticated", "id": number, "data": {}})

    async with odd_server(answer_everything) as url, connect(url, "any") as player:
        with pytest.raises(InvalidMessage):
            await player.state()
