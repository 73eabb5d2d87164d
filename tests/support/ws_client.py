"""A raw WebSocket client for tests: says what it means, and waits for what it expects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient

PATIENCE = 20.0
"""Seconds to wait for what must come."""


class Peer:
    """One device on a native socket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self._asked = 0

    async def send(self, event: str, frame_id: object = None, **data: Any) -> None:
        frame: dict[str, Any] = {"event": event, "data": data}
        if frame_id is not None:
            frame["id"] = frame_id
        await self.socket.send_str(json.dumps(frame))

    async def frame(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        message = await self.socket.receive(PATIENCE)
        assert message.type is WSMsgType.TEXT, message
        frame: dict[str, Any] = json.loads(message.data)
        return frame

    async def receives(self, event: str) -> dict[str, Any]:
        """The data of the next frame, which must be ``event``."""
        frame = await self.frame()
        assert frame["event"] == event, frame
        data: dict[str, Any] = frame["data"]
        return data

    async def ask(self, event: str, **data: Any) -> dict[str, Any]:
        """Send a frame with an id and answer the frame that carries it; it must come next."""
        self._asked += 1
        await self.send(event, f"ask-{self._asked}", **data)
        frame = await self.frame()
        assert frame.get("id") == f"ask-{self._asked}", frame
        return frame

    async def receives_nothing(self) -> None:
        """Everything sent to this device before now has been read: the answer comes at once.

        One connection keeps its order, so no time needs to pass to know that nothing came.
        """
        frame = await self.ask("nothingOfTheKind")
        assert frame["event"] == "error"
        assert frame["data"]["code"] == "unknown_event"

    async def closed(self) -> int | None:
        """The close code; frames that come before it are passed over.

        That of the frame: aiohttp's own is 1006 where the server has gone before it is answered.
        """
        async with asyncio.timeout(PATIENCE):
            while not self.socket.closed:
                message = await self.socket.receive()
                if message.type is WSMsgType.CLOSE:
                    return int(message.data)
        return self.socket.close_code


@asynccontextmanager
async def connect(
    session: ClientSession, url: str, token: str | None = None, **options: Any
) -> AsyncIterator[Peer]:
    """A device at ``url``; with a ``token`` it comes authenticated by header."""
    headers = dict(options.pop("headers", {}))
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with session.ws_connect(url, headers=headers, **options) as socket:
        yield Peer(socket)


@asynccontextmanager
async def device(
    client: TestClient[web.Request, web.Application],
    token: str | None = None,
    path: str = "/ws",
    **options: Any,
) -> AsyncIterator[Peer]:
    """A device of a server that runs in the test's event loop."""
    async with connect(client.session, str(client.make_url(path)), token, **options) as peer:
        yield peer
