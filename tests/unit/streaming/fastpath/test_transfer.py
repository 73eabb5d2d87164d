"""``FileTransfer``: all of a part is sent, in order, and without a second descriptor."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from audiostream.library.safe_open import open_regular_file
from audiostream.streaming.stall_timeout import StallTimeout
from tests.support.waiting import PATIENCE

if sys.platform != "linux":
    pytest.skip("the fast path is for Linux", allow_module_level=True)

from audiostream.streaming.fastpath.open_files import OpenFile, OpenFileCache
from audiostream.streaming.fastpath.transfer import FileTransfer
from audiostream.streaming.fastpath.writability import WritabilityWatcher

LENGTH = 8 << 20


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def song(tmp_path: Path) -> Iterator[OpenFile]:
    path = tmp_path / "song"
    path.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(LENGTH // 4)))
    file, status = open_regular_file(str(path))
    with file:
        yield OpenFile(str(path), file, status, 0.0)


async def test_all_of_a_part_arrives_and_waiting_takes_no_descriptor(
    pair: tuple[socket.socket, socket.socket],
    transport: Any,
    song: OpenFile,
    executor: ThreadPoolExecutor,
) -> None:
    ours, client = pair
    watcher = WritabilityWatcher()
    transfer = FileTransfer(transport, ours.fileno(), song, range(100, LENGTH - 100))
    descriptors = len(os.listdir("/proc/self/fd"))
    assert transfer.send()
    slot, files = StallTimeout(transport, None), OpenFileCache(executor)
    rest = asyncio.create_task(transfer.send_rest(slot, files, watcher))
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    got, loop = bytearray(), asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while len(got) < LENGTH - 200:
            got += await loop.sock_recv(client, 1 << 20)
        await rest
    watcher.close()
    assert transfer.is_complete
    song.file.seek(100)
    assert got == song.file.read(LENGTH - 200)


async def test_a_transfer_waits_until_the_transport_has_sent_what_it_has(
    pair: tuple[socket.socket, socket.socket], transport: Any, song: OpenFile
) -> None:
    ours, client = pair
    transfer = FileTransfer(transport, ours.fileno(), song, range(10))
    transport.unsent = 1
    assert transfer.send()
    assert transfer.sent == 0
    transport.unsent = 0
    assert not transfer.send()
    async with asyncio.timeout(PATIENCE):
        assert len(await asyncio.get_running_loop().sock_recv(client, 100)) == 10


async def test_the_stall_timeout_stands_still_while_the_disk_is_read(
    pair: tuple[socket.socket, socket.socket],
    transport: Any,
    song: OpenFile,
    executor: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, _ = pair
    slot, watcher, files = (
        StallTimeout(transport, None),
        WritabilityWatcher(),
        OpenFileCache(executor),
    )
    stalled_since = []
    read_ahead = files.read_ahead

    async def read(opened: OpenFile, part: range) -> None:
        stalled_since.append(slot.stalled_since)
        await read_ahead(opened, part)

    monkeypatch.setattr(files, "read_ahead", read)
    with monkeypatch.context() as cold:
        cold.setattr("audiostream.streaming.fastpath.transfer.is_cached", lambda *_: False)
        transfer = FileTransfer(transport, ours.fileno(), song, range(1000))
        assert transfer.send()
    async with asyncio.timeout(PATIENCE):
        await transfer.send_rest(slot, files, watcher)
    watcher.close()
    assert transfer.is_complete
    assert stalled_since == [math.inf]
    assert slot.stalled_since < math.inf
