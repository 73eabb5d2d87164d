"""``disconnect``: a connection ends at once, whatever asyncio is sending on it."""

from __future__ import annotations

import asyncio
import io
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from audiostream.ops.connections import disconnect
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sendfile differs elsewhere")

LENGTH = 8 << 20


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[io.FileIO]:
    """More than the buffers of a connection keep."""
    (tmp_path / "large").write_bytes(bytes(LENGTH))
    with io.FileIO(tmp_path / "large") as file:
        yield file


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


@pytest.mark.parametrize("end", [disconnect, partial(disconnect, discard_unsent=True)])
@pytest.mark.parametrize("doing", ["nothing", "writing", "sendfile", "reading paused", "twice"])
async def test_disconnect_ends_what_is_being_sent_and_frees_the_descriptor_for_the_next_connection(
    large_file: io.FileIO,
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
                loop.sendfile(transport, large_file, 0, LENGTH, fallback=False)
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


@pytest.mark.parametrize("discard_unsent", [False, True])
async def test_what_the_system_has_not_sent_yet_is_sent_or_discarded(discard_unsent: bool) -> None:
    loop, ours = asyncio.get_running_loop(), Accepting()
    server = await loop.create_server(lambda: ours, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        transport = await ours.made
        transport.write(bytes(LENGTH))
        accepted = LENGTH - transport.get_write_buffer_size()
        disconnect(transport, discard_unsent=discard_unsent)
        received, is_reset = 0, False
        async with asyncio.timeout(PATIENCE):
            await ours.lost
            try:
                while data := await loop.sock_recv(client, 1 << 20):
                    received += len(data)
            except ConnectionResetError:
                is_reset = True
    server.close()
    assert is_reset == discard_unsent
    assert received < accepted if discard_unsent else received == accepted
