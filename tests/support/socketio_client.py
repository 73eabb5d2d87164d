"""Socket.IO clients: python-socketio's, and one that polls by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.waiting import PATIENCE

socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")

TRANSPORTS = ("websocket", "polling")
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


class SocketioClient:
    """A python-socketio client that keeps what it receives."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.disconnect_reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.client.on("*", lambda event, data: self.events.put_nowait((event, data)))
        self.client.on("disconnect", lambda reason: self.disconnect_reason.set_result(reason))

    async def receives(self, event: str) -> dict[str, Any]:
        """The payload of the next event, which must be this one."""
        async with asyncio.timeout(PATIENCE):
            found, data = await self.events.get()
        assert found == event, (found, data)
        return dict(data)

    async def say(self, event: str, **data: Any) -> None:
        await self.client.emit(event, data)

    async def ask(self, event: str, data: Any = None) -> Any:
        """Emit with an acknowledgement, and answer that."""
        return await self.client.call(event, data, timeout=PATIENCE)

    async def receives_nothing(self) -> None:
        assert "error" in await self.ask("nothingOfTheKind")
        assert (await self.receives("error"))["code"] == "unknown_event"
        assert self.events.empty()


@asynccontextmanager
async def socketio_client(
    url: str, auth: Any, transport: str = "websocket", **options: Any
) -> AsyncIterator[SocketioClient]:
    connected = SocketioClient()
    await connected.client.connect(url, auth=auth, transports=[transport], **options)
    try:
        yield connected
    finally:
        await connected.client.disconnect()
        await connected.client.shutdown()


class Poller:
    """A polling client written by hand, for what no library sends."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url + HANDSHAKE

    async def __aenter__(self) -> Poller:
        self._url += f"&sid={json.loads((await self.poll())[1:])['sid']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Just be gone."""

    async def poll(self) -> str:
        async with self._session.get(self._url) as answer:
            return await answer.text()

    async def post(self, body: str | bytes) -> int:
        async with self._session.post(self._url, data=body) as answer:
            return answer.status
