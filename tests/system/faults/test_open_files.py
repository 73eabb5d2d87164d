"""A server that may open no more files."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from tests.support.raw_http import Answer, request
from tests.support.server_process import Launch, ServerProcess
from tests.support.waiting import PATIENCE, until
from tests.support.ws_client import connect
from tests.system.faults.support import (
    descriptors,
    on_linux,
    raw_connection,
    ready,
    rest_client,
)

Token = Callable[..., str]


@contextmanager
def few_descriptors(server: ServerProcess, spare: int) -> Iterator[int]:
    """Let a server open ``spare`` more files and no more; answers how many it may have then."""
    limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    taken = set[int]()
    while taken != (taken := descriptors(server)):  # something may just be being closed
        time.sleep(0.3)
    free = (number for number in itertools.count() if number not in taken)
    lowest = next(itertools.islice(free, spare, None))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield len(taken) + spare
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)


@on_linux
class TestOpenFileLimit:
    async def test_a_stream_without_a_free_descriptor_is_503_and_other_routes_work(
        self, launch: Launch, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        async with (
            rest_client(server, token()) as ada,
            connect(ada.session, f"{server.url}/ws", token()) as phone,
        ):
            url = f"{server.url}/tracks/stream/song"
            assert await ada.health() == "ok"
            with few_descriptors(server, 0):
                async with ada.session.get(url, headers=ada.headers) as refused:
                    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                    assert (await refused.json())["error"]["code"] == "internal"
                played = await phone.ask("playTrack", trackId="song", currentTime=7)
                assert played["event"] == "trackPlaying"
                assert (await ada.get("/tracks"))[0] == 200
                assert (await ada.state())["rev"] == 1
            async with ada.session.get(url, headers=ada.headers) as served:
                assert (served.status, len(await served.read())) == (200, served.content_length)
            await ada.health_becomes("ok")

    async def test_a_connection_without_a_free_descriptor_waits_until_one_is_free(
        self, launch: Launch, token: Token, state: Path
    ) -> None:
        server = await ready(launch, "--state", str(state))
        ask = request("GET", "/healthz", {"Connection": "keep-alive"})
        async with AsyncExitStack() as stack:
            ada = await stack.enter_async_context(rest_client(server, token()))
            assert await ada.health() == "ok"
            with few_descriptors(server, 4) as most:
                callers = [
                    await stack.enter_async_context(raw_connection(server.port)) for _ in range(12)
                ]
                for _, writer in callers:
                    writer.write(ask)
                await until(lambda: len(descriptors(server)) == most)
                assert await ada.health() == "ok"
                for reader, writer in callers:  # one leaves, the next comes in
                    async with asyncio.timeout(PATIENCE):
                        head = await reader.readuntil(b"\r\n\r\n")
                    assert Answer.of(head).status == 200
                    writer.transport.abort()
            assert await ada.health() == "ok"
