"""The proxy with a switch does to connections what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.conftest import ProxyTo
from tests.support.proxy import HOST, Mode, Proxy
from tests.support.waiting import PATIENCE

SILENCE = 0.3
"""Seconds after which nothing is taken to have come."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def line(proxy_to: ProxyTo) -> AsyncIterator[Proxy]:
    """A proxy in front of a server that says everything back."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    yield await proxy_to(server.sockets[0].getsockname()[1])
    server.close()


async def connected(proxy: Proxy) -> Ends:
    return await asyncio.open_connection(HOST, proxy.port)


async def receives(ends: Ends, what: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        assert await ends[0].readexactly(len(what)) == what


async def receives_nothing(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SILENCE):
            await ends[0].read(1)


async def test_the_proxy_passes_bytes_and_the_end_in_both_directions(line: Proxy) -> None:
    ends = await connected(line)
    ends[1].write(b"one")
    await receives(ends, b"one")
    ends[1].write_eof()
    async with asyncio.timeout(PATIENCE):
        assert await ends[0].read() == b""
    ends[1].close()


async def test_a_holding_proxy_delays_bytes_and_closes_nothing(line: Proxy) -> None:
    ends = await connected(line)
    ends[1].write(b"one")
    await receives(ends, b"one")
    await line.switch(Mode.HOLD)
    ends[1].write(b"two")
    new = await connected(line)
    new[1].write(b"three")
    await receives_nothing(ends)
    await receives_nothing(new)
    await line.switch(Mode.PASS)
    await receives(ends, b"two")
    await receives(new, b"three")
    for _, writer in (ends, new):
        writer.close()


async def test_a_refusing_proxy_holds_open_connections_and_refuses_new_ones(line: Proxy) -> None:
    ends = await connected(line)
    ends[1].write(b"one")
    await receives(ends, b"one")
    await line.switch(Mode.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        await connected(line)
    ends[1].write(b"two")
    await receives_nothing(ends)
    await line.switch(Mode.PASS)
    await receives(ends, b"two")
    ends[1].close()


async def test_a_cutting_proxy_aborts_connections_and_listens_again_on_its_port(
    line: Proxy,
) -> None:
    ends, idle = await connected(line), await connected(line)
    ends[1].write(b"one")
    await receives(ends, b"one")
    await line.switch(Mode.CUT)
    for reader, writer in (ends, idle):
        with suppress(ConnectionResetError):
            async with asyncio.timeout(PATIENCE):
                assert await reader.read(1) == b""
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await connected(line)
    await line.switch(Mode.PASS)
    again = await connected(line)
    again[1].write(b"two")
    await receives(again, b"two")
    again[1].close()
    assert line.accepted == 3


async def test_a_slow_proxy_delivers_late_and_in_order(line: Proxy) -> None:
    line.delays = (0.1, 0.2)
    ends = await connected(line)
    now = asyncio.get_running_loop().time
    began = now()
    for number in range(20):
        ends[1].write(bytes([number]))
        await asyncio.sleep(0.01)
    await receives(ends, bytes(range(20)))
    assert now() - began >= 0.2  # there and back
    ends[1].close()
