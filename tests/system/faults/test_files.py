"""A disk that hangs, and a file that changes while it is streamed."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from audiostream.app import FILE_THREADS
from audiostream.library.safe_open import open_regular_file
from audiostream.streaming import response as streaming
from tests.conftest import Serve
from tests.support.raw_http import request
from tests.support.server_process import Launch
from tests.support.waiting import PATIENCE, until
from tests.support.ws_client import connect
from tests.system.faults.support import (
    LONG,
    MIB,
    add_track,
    download,
    ready,
)

Token = Callable[..., str]


class SlowDisk:
    """A disk on which some files cannot be opened until it is ``mended``."""

    def __init__(self, slow: Collection[str]) -> None:
        self.mended = threading.Event()
        self.waiting = 0
        self._slow = slow
        self._open = open_regular_file

    def open(self, path: str) -> Any:
        if Path(path).stem in self._slow:
            self.waiting += 1
            self.mended.wait(PATIENCE * 3)
        return self._open(path)


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk({"other"})
    monkeypatch.setattr(streaming, "open_regular_file", disk.open)
    yield disk
    disk.mended.set()


class TestSlowDisk:
    async def test_a_stream_is_served_while_other_files_hang(
        self, serve: Serve, token: Token, slow_disk: SlowDisk
    ) -> None:
        client = await serve()
        headers = {"Authorization": f"Bearer {token()}"}

        async def fetch(track_id: str) -> tuple[int, int]:
            async with client.get(f"/tracks/stream/{track_id}", headers=headers) as answer:
                return answer.status, len(await answer.read())

        whole = (200, 60 * 16_000 + 44)
        hanging = [asyncio.create_task(fetch("other")) for _ in range(FILE_THREADS - 1)]
        await until(lambda: slow_disk.waiting == FILE_THREADS - 1)
        for _ in range(20):
            assert await fetch("song") == whole
        assert not any(task.done() for task in hanging)
        slow_disk.mended.set()
        assert await asyncio.gather(*hanging) == [whole] * len(hanging)

    async def test_only_streams_wait_while_all_file_threads_hang(
        self, serve: Serve, token: Token, slow_disk: SlowDisk
    ) -> None:
        client = await serve()
        headers = {"Authorization": f"Bearer {token()}"}

        async def fetch(track_id: str, method: str = "GET") -> int:
            path = f"/tracks/stream/{track_id}"
            async with client.request(method, path, headers=headers) as answer:
                return answer.status

        hanging = [asyncio.create_task(fetch("other", "HEAD")) for _ in range(FILE_THREADS)]
        await until(lambda: slow_disk.waiting == FILE_THREADS)
        late = asyncio.create_task(fetch("song"))
        url = str(client.make_url("/ws"))
        async with asyncio.timeout(PATIENCE), connect(client.session, url, token()) as phone:
            for path in ("/healthz", "/tracks", "/tracks/song", "/tracks/current-state", "/"):
                async with client.get(path, headers=headers) as answer:
                    assert answer.status == 200
            played = await phone.ask("playTrack", trackId="song", currentTime=3)
            assert played["event"] == "trackPlaying"
        assert not any(task.done() for task in (*hanging, late))
        slow_disk.mended.set()
        assert await asyncio.gather(*hanging, late) == [200] * (FILE_THREADS + 1)


class TestFileChangedDuringItsStream:
    """Each begins a stream longer than all buffers, changes the file, and reads on."""

    @pytest.fixture
    def audio(self) -> bytes:
        return random.Random(1).randbytes(LONG)  # noqa: S311 - repeatable on purpose

    async def test_an_unlinked_file_is_sent_to_its_end(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path = add_track(media, "long", audio)
        server = await ready(launch)
        async with download(server.port, "long", token()) as stream:
            await stream.read(1000)
            path.unlink()
            assert await stream.rest() == audio
        async with download(server.port, "long", token()) as stream:
            assert stream.answer.status == 404

    async def test_a_replaced_file_is_sent_with_its_old_bytes(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path, other = add_track(media, "long", audio), audio[::-1]
        server = await ready(launch)
        async with download(server.port, "long", token()) as stream:
            await stream.read(1000)
            new = path.with_suffix(".new")
            new.write_bytes(other)
            new.replace(path)
            assert await stream.rest() == audio
        async with download(server.port, "long", token()) as again:
            assert again.answer.headers["etag"] != stream.answer.headers["etag"]
            assert await again.rest() == other

    async def test_a_truncated_file_aborts_the_connection_and_no_other_bytes_are_sent(
        self, launch: Launch, media: Path, token: Token, audio: bytes
    ) -> None:
        path = add_track(media, "long", audio)
        server = await ready(launch)
        behind = request("GET", "/healthz")
        async with download(server.port, "long", token(), behind) as stream:
            await stream.read(1000)
            os.truncate(path, LONG - 4 * MIB)
            received = await stream.rest()
            assert int(stream.answer.headers["content-length"]) == LONG
        assert 1000 <= len(received) <= LONG - 4 * MIB
        assert received == audio[: len(received)]
        await server.logs("bytes early")
        async with download(server.port, "long", token()) as again:
            assert await again.rest() == audio[: LONG - 4 * MIB]
