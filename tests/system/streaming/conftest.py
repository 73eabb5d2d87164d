"""Fixtures: a running server, its media folder, and tracks in it."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from audiostream.streaming.response import AudioFileResponse
from audiostream.streaming.stream_slots import StreamSlots
from tests.support.stream_server import (
    BIG,
    CONTENT,
    LONG_AGO,
    Server,
    Start,
)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def start(executor: ThreadPoolExecutor) -> AsyncIterator[Start]:
    """Start a server the way ``web.run_app`` does: a lost client does not cancel its handler."""
    runners: list[web.AppRunner] = []

    async def go(
        path: Path,
        *,
        executor: Executor = executor,
        stall_timeout: float | None = None,
        headers: dict[str, str] | None = None,
        middlewares: tuple[Any, ...] = (),
        prepared: Callable[[web.Request, web.StreamResponse], Awaitable[None]] | None = None,
    ) -> Server:
        slots = StreamSlots(Counter(), stall_timeout)

        async def stream(request: web.Request) -> web.StreamResponse:
            return AudioFileResponse(
                path,
                executor=executor,
                headers=headers,
                slots=slots,
                owner="ada",
            )

        class AccessLog(AbstractAccessLogger):
            def log(
                self, request: web.BaseRequest, response: web.StreamResponse, time: float
            ) -> None:
                server.finished.put_nowait((response.status, response.body_length))

        app = web.Application(middlewares=middlewares)
        app.router.add_get("/track", stream)
        if prepared is not None:
            app.on_response_prepare.append(prepared)
        runner = web.AppRunner(app, access_log_class=AccessLog, shutdown_timeout=0.01)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = Server(runner, runner.addresses[0][1])
        return server

    yield go
    for runner in runners:
        await runner.cleanup()


@pytest.fixture(params=["sendfile", "copy"])
async def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with ``sendfile``, and again as if the transport did not offer it (TLS)."""

    async def sendfile(*_: object, fallback: bool) -> int:
        assert not fallback
        raise asyncio.SendfileNotAvailableError("not here")

    if request.param == "copy":
        monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", sendfile)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A media folder, with symbolic links in its own path resolved as the library does."""
    return tmp_path.resolve()


@pytest.fixture
def track(folder: Path) -> Path:
    path = folder / "track.mp3"
    path.write_bytes(CONTENT)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def long_track(folder: Path) -> Path:
    path = folder / "long.mp3"
    path.touch()
    os.truncate(path, BIG)
    return path
