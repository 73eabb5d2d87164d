"""One user's devices on different processes, for tests that look at each frame."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import ClientSession

from audiostream.auth.access_tokens import Tokens
from audiostream.storage.redis_store import RedisStore
from tests.support.cluster import Cluster
from tests.support.server_process import SECRET
from tests.support.waiting import PATIENCE
from tests.support.ws_client import Peer, connect

TESTS = count(1)
"""The numbers of the tests of this process, so that each has a user of its own."""


def access_token(user_id: str, age: float = 0.0) -> str:
    """Return a token that was issued ``age`` seconds ago."""
    return Tokens(SECRET).mint(user_id, time.time() - age, None)


def bearer(user_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token(user_id)}"}


async def revoke(cluster: Cluster, user_id: str) -> None:
    """Do what the command ``revoke`` does, without the time that it takes to start."""
    store = RedisStore(cluster.redis.url, max_history=1)
    await store.open()
    await store.revoke(user_id, time.time())
    await store.close()


@dataclass(eq=False)
class Device:
    """A device that reads all that it is sent; ``rev`` is the last one, which never falls.

    ``told``: the last state that it was sent.
    """

    name: str
    peer: Peer
    rev: int = 0
    told: dict[str, Any] = field(default_factory=dict)

    async def frame(self) -> dict[str, Any]:
        frame = await self.peer.frame()
        rev = frame["data"].get("rev", self.rev)
        assert rev >= self.rev, (self.name, frame)
        self.rev = rev
        if "trackId" in frame["data"]:
            self.told = frame["data"]
        return frame

    async def ask(self, event: str, **data: Any) -> dict[str, Any]:
        """Send a frame with an id, and return the frame that answers it; others are read too."""
        frame_id = f"{self.name}-{next(TESTS)}"
        await self.peer.send(event, frame_id, **data)
        while (frame := await self.frame()).get("id") != frame_id:
            pass
        return frame

    async def reaches(self, rev: int) -> dict[str, Any]:
        """Read until a state of this ``rev`` or a later one is told; return it."""
        while self.told.get("rev", -1) < rev:
            await self.frame()
        return self.told

    async def state(self) -> dict[str, Any]:
        """Return what the device's process says the state is."""
        answer = await self.ask("getCurrentState")
        assert answer["event"] == "trackState", answer
        data: dict[str, Any] = answer["data"]
        return data


@dataclass(eq=False)
class Household:
    """A user with a device on each process, named by its number, and REST on any of them."""

    user_id: str
    cluster: Cluster
    session: ClientSession
    devices: list[Device]

    async def post(self, number: int, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """Send a REST command to one of the processes."""
        url = f"{self.cluster.members[number].url}/api/tracks/{path}"
        async with self.session.post(url, json=body, headers=bearer(self.user_id)) as answer:
            return answer.status, await answer.json()

    async def lists(self, number: int, *device_ids: str) -> None:
        """Wait until a device is told that just these are connected."""
        async with asyncio.timeout(PATIENCE):
            while await self.listed(number) != list(device_ids):
                await asyncio.sleep(0.05)

    async def listed(self, number: int) -> list[str]:
        """Return the ``deviceId`` of each device that one of them is told of, in order."""
        answer = await self.devices[number].ask("getDevices")
        return sorted(row["deviceId"] for row in answer["data"]["devices"])


@asynccontextmanager
async def household(cluster: Cluster) -> AsyncIterator[Household]:
    """A new user's devices, connected and told the state; each process knows all of them."""
    user_id = f"ada{next(TESTS)}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        home = Household(user_id, cluster, session, [])
        for member in cluster.living:
            name = f"device{member.number}"
            url = f"{member.url}/ws?deviceId={name}"
            peer = await stack.enter_async_context(connect(session, url, access_token(user_id)))
            home.devices.append(Device(name, peer))
            await home.devices[-1].state()
        names = [device.name for device in home.devices]
        for number in range(len(names)):
            await home.lists(number, *names)
        yield home
