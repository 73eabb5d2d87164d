"""A revocation ends all that a user was given."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, DummyCookieJar

from tests.support.server_process import START_TIMEOUT, Launch
from tests.support.ws_client import connect
from tests.system.faults.support import (
    LONG,
    RestClient,
    add_track,
    download,
    ready,
)

Token = Callable[..., str]


BUSY = 5.0
"""Seconds that a busy machine may take more than what is promised."""


@dataclass
class Credentials:
    """The token, ticket and cookie of one user."""

    client: RestClient
    ticket: str
    cookie: str

    @classmethod
    async def of(cls, client: RestClient) -> Credentials:
        """What a server gives to the holder of a token."""
        _, track = await client.get("/tracks/song")
        async with client.session.post(f"{client.url}/session", headers=client.headers) as opened:
            assert opened.status == 204
            cookie = opened.headers["Set-Cookie"].partition(";")[0]
        return cls(client, track["streamUrl"], cookie)

    async def statuses(self) -> list[int]:
        """What token, ticket and cookie are answered with."""
        tries: list[tuple[str, dict[str, str]]] = [
            ("/tracks", self.client.headers),
            (self.ticket, {}),
            ("/tracks/stream/song", {"Cookie": self.cookie}),
        ]
        found = []
        for path, headers in tries:
            url = self.client.url + path
            async with self.client.session.head(url, headers=headers) as answer:
                found.append(answer.status)
        return found


class TestRevocation:
    async def test_a_revocation_closes_sockets_and_voids_all_credentials_within_a_second(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        add_track(media, "long", bytes(LONG))
        server = await ready(launch, "--state", str(state))
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))
            ada = await Credentials.of(RestClient(session, server.url, token("ada")))
            bob = await Credentials.of(RestClient(session, server.url, token("bob")))
            phone, kiosk, radio = [
                await stack.enter_async_context(connect(session, f"{server.url}/ws", each))
                for each in (ada.client.token, ada.client.token, bob.client.token)
            ]
            hers = await stack.enter_async_context(download(server.port, "long", ada.client.token))
            his = await stack.enter_async_context(download(server.port, "long", bob.client.token))
            await asyncio.gather(hers.read(1000), his.read(1000))
            await phone.ask("playTrack", trackId="long", currentTime=1)
            assert await ada.statuses() == [200] * 3
            assert await bob.statuses() == [200] * 3

            closing = asyncio.gather(*(device.closed() for device in (phone, kiosk)))
            await asyncio.to_thread(self.revoke, "ada", state)
            async with asyncio.timeout(1.0 + BUSY):
                assert await closing == [4401, 4401]
            assert await ada.statuses() == [401] * 3
            assert await bob.statuses() == [200] * 3
            assert len(await his.rest()) == LONG
            await radio.receives_nothing()

            await asyncio.sleep(1.0)  # a token says when it was made in whole seconds
            again = await Credentials.of(RestClient(session, server.url, token("ada")))
            assert await again.statuses() == [200] * 3
            assert await ada.statuses() == [401] * 3
            async with connect(session, f"{server.url}/ws", again.client.token) as phone:
                assert (await phone.ask("getCurrentState"))["data"]["trackId"] == "long"

    def revoke(self, user: str, state: Path) -> None:
        command = [sys.executable, "-m", "audiostream", "revoke", user, "--state", str(state)]
        subprocess.run(command, check=True, capture_output=True, timeout=START_TIMEOUT)
