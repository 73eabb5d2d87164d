"""Bytes on their way to clients that take their time: sent whole, told once, cut where nobody takes
them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from audiostream.library.safe_open import open_regular_file
from audiostream.ops.connections import disconnect
from audiostream.streaming.file_transfer import FileTransfer, WritabilityWatcher
from audiostream.streaming.open_files import OpenFile
from audiostream.streaming.stall_timeout import StallTimeout
from tests.conftest import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ships files this way")

LENGTH = 8 << 20


class Line:
    """A transport that has nothing of its own to send."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unsent = 0
        self.is_cut = False

    def get_extra_info(self, name: str) -> socket.socket:
        return self.connection

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.is_cut = True


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's connection and its client's, which has little room."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        ours, _ = listener.accept()
        ours.setblocking(False)
        client.setblocking(False)
        with ours:
            yield ours, client


@pytest.fixture
def line(pair: tuple[socket.socket, socket.socket]) -> Any:
    return Line(pair[0])


@pytest.fixture
def song(tmp_path: Path) -> Iterator[OpenFile]:
    path = tmp_path / "song"
    path.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(LENGTH // 4)))
    file, status = open_regular_file(str(path))
    with file:
        yield OpenFile(str(path), file, status, 0.0)


@pytest.fixture
async def watch() -> AsyncIterator[WritabilityWatcher]:
    watch = WritabilityWatcher()
    yield watch
    watch.close()


async def test_all_of_a_part_arrives_and_nobody_waits_with_a_descriptor_of_his_own(
    pair: tuple[socket.socket, socket.socket], line: Any, song: OpenFile, watch: WritabilityWatcher
) -> None:
    ours, client = pair
    shipment = FileTransfer(line, ours.fileno(), song, range(100, LENGTH - 100))
    done = asyncio.Event()

    def go_on() -> None:
        if shipment.send():
            watch.once(ours.fileno(), go_on)
        else:
            done.set()

    descriptors = len(os.listdir("/proc/self/fd"))
    go_on()
    assert not done.is_set()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    got, loop = bytearray(), asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while len(got) < LENGTH - 200:
            got += await loop.sock_recv(client, 1 << 20)
        await done.wait()
    assert shipment.is_whole
    song.file.seek(100)
    assert got == song.file.read(LENGTH - 200)


async def test_nothing_overtakes_what_the_transport_has_to_send(
    pair: tuple[socket.socket, socket.socket], line: Any, song: OpenFile
) -> None:
    ours, client = pair
    shipment = FileTransfer(line, ours.fileno(), song, range(10))
    line.unsent = 1
    assert shipment.send()
    assert shipment.sent == 0
    line.unsent = 0
    assert not shipment.send()
    async with asyncio.timeout(PATIENCE):
        assert len(await asyncio.get_running_loop().sock_recv(client, 100)) == 10


class Accepting(asyncio.Protocol):
    """Keeps the transport of the one connection, and how it ended."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.made: asyncio.Future[asyncio.Transport] = loop.create_future()
        self.lost: asyncio.Future[BaseException | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.set_result(cast(asyncio.Transport, transport))

    def connection_lost(self, error: BaseException | None) -> None:
        self.lost.set_result(error)


class TestDisconnect:
    @pytest.mark.parametrize("end", [disconnect, partial(disconnect, discard_unsent=True)])
    @pytest.mark.parametrize("doing", ["nothing", "writing", "sendfile", "reading paused", "twice"])
    async def test_whatever_is_being_sent_ends_and_the_descriptor_is_free_for_the_next(
        self,
        song: OpenFile,
        caplog: pytest.LogCaptureFixture,
        doing: str,
        end: Callable[[asyncio.BaseTransport], None],
    ) -> None:
        loop, ours = asyncio.get_running_loop(), Accepting()
        server = await loop.create_server(lambda: ours, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address) as client:
            transport = await ours.made
            number = transport.get_extra_info("socket").fileno()
            sending = None
            if doing == "writing":
                transport.write(bytes(LENGTH))
                assert transport.get_write_buffer_size()
            elif doing in ("sendfile", "twice"):
                sending = asyncio.create_task(
                    loop.sendfile(transport, song.file, 0, LENGTH, fallback=False)
                )
                await asyncio.sleep(0.1)
                assert not sending.done()
            elif doing == "reading paused":
                transport.pause_reading()
            end(transport)
            if doing == "twice":
                end(transport)
            async with asyncio.timeout(PATIENCE):
                await ours.lost
                if sending is not None:
                    with pytest.raises(ConnectionError):
                        await sending
        await asyncio.sleep(0.05)
        ours = Accepting()
        with socket.create_connection(address) as client:
            client.setblocking(False)
            transport = await ours.made
            assert transport.get_extra_info("socket").fileno() <= number
            transport.write(b"welcome")
            async with asyncio.timeout(PATIENCE):
                assert await loop.sock_recv(client, 100) == b"welcome"
            transport.abort()
            await ours.lost
        server.close()
        assert not caplog.records


class TestWritabilityWatcher:
    @pytest.fixture(autouse=True)
    def nothing_told(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self.connection = pair[0].fileno()
        self.told: list[str] = []

    async def test_it_is_told_once_for_each_time_that_it_was_asked(
        self, watch: WritabilityWatcher
    ) -> None:
        watch.once(self.connection, lambda: self.told.append("first"))
        await until(lambda: self.told)
        await asyncio.sleep(0.02)
        assert self.told == ["first"]
        watch.once(self.connection, lambda: self.told.append("second"))
        await until(lambda: self.told == ["first", "second"])

    async def test_what_is_forgotten_is_told_nothing_and_may_come_back_as_another(
        self, watch: WritabilityWatcher
    ) -> None:
        watch.once(self.connection, lambda: self.told.append("the one before"))
        watch.forget(self.connection)
        watch.forget(self.connection)
        await asyncio.sleep(0.02)
        assert not self.told
        watch.once(self.connection, lambda: self.told.append("another"))
        await until(lambda: self.told == ["another"])

    async def test_a_connection_may_end_after_it(self) -> None:
        watch = WritabilityWatcher()
        watch.once(self.connection, lambda: self.told.append("too late"))
        watch.close()
        watch.forget(self.connection)
        await asyncio.sleep(0.02)
        assert not self.told


class TestStallTimeout:
    async def test_a_client_that_takes_nothing_is_cut(self, line: Any) -> None:
        StallTimeout(line, 0.04)
        await until(lambda: line.is_cut)

    async def test_one_that_takes_something_is_not_until_it_stops(
        self, pair: tuple[socket.socket, socket.socket], line: Any
    ) -> None:
        ours, client = pair
        StallTimeout(line, 0.4)
        loop = asyncio.get_running_loop()
        for _ in range(30):
            ours.send(b"x")
            await loop.sock_recv(client, 10)
            await asyncio.sleep(0.02)
            assert not line.is_cut
        await until(lambda: line.is_cut)

    @pytest.mark.parametrize("patience", [None, 0.04])
    async def test_nobody_is_cut_without_patience_or_once_it_is_stopped(
        self, line: Any, patience: float | None
    ) -> None:
        StallTimeout(line, patience).stop()
        await asyncio.sleep(0.1)
        assert not line.is_cut
