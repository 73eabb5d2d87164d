"""A library that changes: subscribers are sent ``libraryUpdated``, lists name their version."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audiostream import Settings, background, create_app
from audiostream.library import scanner
from audiostream.library.scanner import ScanProgress
from audiostream.services import SERVICES
from tests.conftest import Client, Serve
from tests.support.audio_files import write_wav
from tests.support.waiting import until
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


@asynccontextmanager
async def page(client: Client, token: str) -> AsyncIterator[Peer]:
    async with connect(client.session, str(client.make_url("/ws")), token) as peer:
        yield peer


async def listed(client: Client, token: str, **headers: str) -> tuple[Any, list[str]]:
    """The headers of a list, and the titles in it."""
    headers |= {"Authorization": f"Bearer {token}"}
    async with client.get("/tracks", headers=headers) as answer:
        tracks = (await answer.json())["tracks"] if answer.status == 200 else []
        return answer.headers, [track["title"] for track in tracks]


async def scanned(client: Client, token: str) -> str:
    """The library's version once no scan runs."""

    async def is_over() -> bool:
        headers, _ = await listed(client, token)
        return bool(headers["X-Library-Scanning"] == "false")

    async with asyncio.timeout(10):
        while not await is_over():
            await asyncio.sleep(0.02)
    return str((await listed(client, token))[0]["X-Library-Version"])


async def test_subscribers_of_any_user_are_sent_a_new_version_and_no_other_device_is(
    serve: Serve, token: Token, media: Path
) -> None:
    client = await serve()
    version = await scanned(client, token())
    async with (
        page(client, token()) as watching,
        page(client, token("bob")) as other_user,
        page(client, token()) as silent,
    ):
        for each in (watching, other_user):
            frame = await each.ask("watchLibrary")
            assert frame["event"] == "libraryUpdated"
            assert frame["data"] == {"version": version, "isScanning": False}
        write_wav(media / "new.wav", 1.0)
        client.app[SERVICES].rescan.set()
        told = await watching.receives("libraryUpdated")
        while told["isScanning"]:
            told = await watching.receives("libraryUpdated")
        assert told["version"] != version
        headers, titles = await listed(client, token())
        assert headers["X-Library-Version"] == told["version"]
        assert "new" in titles
        assert (await other_user.receives("libraryUpdated"))["version"] == told["version"]
        await silent.receives_nothing()


async def test_a_rescan_that_finds_no_change_sends_nothing(serve: Serve, token: Token) -> None:
    client = await serve()
    version = await scanned(client, token())
    async with page(client, token()) as watching:
        await watching.ask("watchLibrary")
        client.app[SERVICES].rescan.set()
        await until(lambda: not client.app[SERVICES].rescan.is_set())
        assert await scanned(client, token()) == version
        await watching.receives_nothing()


async def test_a_device_that_subscribes_twice_is_sent_each_version_once(
    serve: Serve, token: Token, media: Path
) -> None:
    client = await serve()
    await scanned(client, token())
    async with page(client, token()) as watching:
        for _ in range(2):
            await watching.ask("watchLibrary")
        (media / "song.wav").unlink()
        client.app[SERVICES].rescan.set()
        told = await watching.receives("libraryUpdated")
        while told["isScanning"]:
            told = await watching.receives("libraryUpdated")
        await watching.receives_nothing()


async def test_a_socketio_client_subscribes_and_is_sent_new_versions(
    serve: Serve, token: Token, media: Path
) -> None:
    socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    client = await serve()
    version = await scanned(client, token())
    heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    browser = socketio.AsyncClient(reconnection=False)
    browser.on("*", lambda event, data: heard.put_nowait((event, data)))
    await browser.connect(str(client.make_url("/")), auth={"token": token()})
    try:
        state = {"version": version, "isScanning": False}
        assert await browser.call("watchLibrary") == state
        assert await heard.get() == ("libraryUpdated", state)
        write_wav(media / "new.wav", 1.0)
        client.app[SERVICES].rescan.set()
        async with asyncio.timeout(10):
            event, told = await heard.get()
        assert event == "libraryUpdated"
        assert told["version"] != version or told["isScanning"]
    finally:
        await browser.disconnect()


async def test_a_304_of_the_track_list_names_the_library_version(
    serve: Serve, token: Token
) -> None:
    client = await serve()
    version = await scanned(client, token())
    etag = (await listed(client, token()))[0]["ETag"]
    headers, titles = await listed(client, token(), **{"If-None-Match": etag})
    assert titles == []
    assert headers["X-Library-Version"] == version


async def test_two_processes_never_use_the_same_library_version(serve: Serve, token: Token) -> None:
    versions = {await scanned(await serve(), token()) for _ in range(2)}
    assert len(versions) == 2


class SlowScan:
    """A first scan that waits at its first and at its second track until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._gates = {number: (threading.Event(), threading.Event()) for number in (1, 2)}

        def wait(_: Any, progress: ScanProgress) -> None:
            if progress.found in self._gates:
                arrived, may_go_on = self._gates[progress.found]
                arrived.set()
                may_go_on.wait(30.0)

        monkeypatch.setattr(background.ProgressReporter, "__call__", wait)
        monkeypatch.setattr(scanner, "PUBLISH_INTERVAL", 0.0)

    async def arrives(self, number: int) -> None:
        assert await asyncio.to_thread(self._gates[number][0].wait, 10.0)

    def go_on(self, number: int) -> None:
        self._gates[number][1].set()


async def test_a_device_that_subscribes_during_the_first_scan_is_sent_its_progress_and_end(
    settings: Settings, token: Token, aiohttp_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = SlowScan(monkeypatch)
    try:
        client: Client = await aiohttp_client(create_app(settings))
        await scan.arrives(1)
        headers, titles = await listed(client, token())
        assert (headers["X-Library-Scanning"], titles) == ("true", [])
        async with page(client, token()) as watching:
            told = (await watching.ask("watchLibrary"))["data"]
            assert told == {"version": headers["X-Library-Version"], "isScanning": True}
            scan.go_on(1)
            await scan.arrives(2)
            partial = await watching.receives("libraryUpdated")
            assert partial["isScanning"]
            assert partial["version"] != told["version"]
            headers, titles = await listed(client, token())
            assert (headers["X-Library-Version"], len(titles)) == (partial["version"], 1)
            scan.go_on(2)
            while told["isScanning"]:
                told = await watching.receives("libraryUpdated")
        headers, titles = await listed(client, token())
        assert (headers["X-Library-Scanning"], len(titles)) == ("false", 3)
        assert headers["X-Library-Version"] == told["version"]
    finally:
        scan.go_on(1)
        scan.go_on(2)
