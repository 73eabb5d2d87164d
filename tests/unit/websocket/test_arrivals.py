"""Reading for upgraded connections: over real sockets, with the kernel's own ends and errors."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from audiostream.websocket import arrivals
from audiostream.websocket.arrivals import Arrivals, Upgraded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")

PATIENCE = 5.0


class Former(asyncio.Protocol):
    """What the connection spoke before: it notes what it still hears of."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.is_lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.heard.append("data")

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return False

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append("lost")
        self.is_lost.set()


@dataclass(eq=False)
class Visitor:
    """One connection that was upgraded, with the other side of it in a test's hands."""

    other: socket.socket
    transport: asyncio.Transport
    former: Former
    upgraded: Upgraded
    taken: list[bytes] = field(default_factory=list)
    then: Callable[[bytes], object] = bytes

    def take(self, data: bytes) -> None:
        self.taken.append(data)
        self.then(data)

    @property
    def is_read_by_asyncio(self) -> bool:
        return self.transport.is_reading()


Visit = Callable[[], Any]


@pytest.fixture
async def house() -> AsyncIterator[Arrivals]:
    made = Arrivals()
    yield made
    made.close()


@pytest.fixture
async def visit(house: Arrivals) -> AsyncIterator[Visit]:
    visitors: list[Visitor] = []

    async def come() -> Visitor:
        near, other = socket.socketpair()
        loop = asyncio.get_running_loop()
        transport, former = await loop.create_connection(Former, sock=near)
        number = len(visitors)
        upgraded = house.upgrade(transport, lambda data: visitors[number].take(data))
        visitors.append(Visitor(other, transport, former, upgraded))
        return visitors[number]

    yield come
    for each in visitors:
        each.other.close()
        each.transport.abort()
        await asyncio.wait_for(each.former.is_lost.wait(), PATIENCE)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


async def test_what_arrives_is_taken_once_reading_has_begun(visit: Visit) -> None:
    visitor = await visit()
    visitor.other.send(b"early")
    await turns()
    assert visitor.taken == []
    visitor.upgraded.resume_reading()
    await turns()
    visitor.other.send(b"late")
    await turns()
    assert visitor.taken == [b"early", b"late"]
    assert visitor.former.heard == []
    assert not visitor.is_read_by_asyncio


async def test_nothing_is_read_while_it_is_paused(visit: Visit) -> None:
    visitor = await visit()
    visitor.upgraded.resume_reading()
    visitor.upgraded.pause_reading()
    visitor.other.send(b"wait")
    await turns()
    assert visitor.taken == []
    visitor.upgraded.resume_reading()
    visitor.upgraded.resume_reading()
    await turns()
    assert visitor.taken == [b"wait"]


async def test_many_are_read_and_none_is_forgotten(visit: Visit) -> None:
    visitors = [await visit() for _ in range(arrivals.READ_AT_ONCE + 5)]
    for number, each in enumerate(visitors):
        each.upgraded.resume_reading()
        each.other.send(b"%d" % number)
    await turns(5)
    assert [each.taken for each in visitors] == [[b"%d" % n] for n in range(len(visitors))]


async def test_a_half_that_ended_is_asyncios_to_end(visit: Visit) -> None:
    visitor = await visit()
    visitor.upgraded.resume_reading()
    visitor.other.send(b"bye")
    visitor.other.shutdown(socket.SHUT_WR)
    await asyncio.wait_for(visitor.former.is_lost.wait(), PATIENCE)
    assert visitor.taken == [b"bye"]
    assert visitor.former.heard == ["eof", "lost"]


async def test_a_reset_connection_ends_too(house: Arrivals) -> None:
    arrived = asyncio.Event()

    class Upgrading(Former):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            house.upgrade(cast(asyncio.Transport, transport), bytes).resume_reading()
            arrived.set()

    former = Upgrading()
    server = await asyncio.get_running_loop().create_server(lambda: former, "127.0.0.1", 0)
    other = socket.create_connection(server.sockets[0].getsockname())
    await asyncio.wait_for(arrived.wait(), PATIENCE)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    await asyncio.wait_for(former.is_lost.wait(), PATIENCE)
    assert former.heard[-1] == "lost"
    server.close()


async def test_one_that_is_closing_is_read_no_more(visit: Visit) -> None:
    visitor = await visit()
    visitor.upgraded.resume_reading()
    visitor.transport.write(b"x" * 4_000_000)  # more than is taken: it goes on closing
    visitor.transport.close()
    visitor.other.send(b"too late")
    await turns()
    assert visitor.taken == []
    assert visitor.former.heard == ["pause"]


async def test_one_that_ends_another_is_no_reason_to_stumble(visit: Visit) -> None:
    first, second = await visit(), await visit()
    first.then = lambda _: second.upgraded.pause_reading()
    second.then = lambda _: first.upgraded.pause_reading()
    for each in (first, second):
        each.upgraded.resume_reading()
        each.other.send(b"only one")
    await turns()
    assert len(first.taken) + len(second.taken) == 1


async def test_a_fault_ends_one_connection_and_no_other(
    visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = await visit(), await visit()
    broken.then = lambda _: 1 / 0
    for each in (broken, sound):
        each.upgraded.resume_reading()
        each.other.send(b"x")
    await asyncio.wait_for(broken.former.is_lost.wait(), PATIENCE)
    await turns()
    sound.other.send(b"y")
    await turns()
    assert b"".join(sound.taken) == b"xy"
    assert "ZeroDivisionError" in caplog.text


async def test_writing_stays_with_the_former_protocol(visit: Visit) -> None:
    visitor = await visit()
    visitor.upgraded.resume_reading()
    visitor.transport.write(b"x" * 4_000_000)
    assert visitor.former.heard == ["pause"]
    while "resume" not in visitor.former.heard:
        visitor.other.recv(1 << 20)
        await turns(1)
    assert visitor.taken == []


@pytest.mark.parametrize("why", ["TLS", "another system"])
async def test_elsewhere_asyncio_reads(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    visitor = await visit()
    if why == "TLS":
        visitor.upgraded.number = None  # as for a connection that has an sslcontext
    else:
        monkeypatch.setattr(sys, "platform", "darwin")
    visitor.upgraded.resume_reading()
    visitor.other.send(b"hello")
    await turns()
    assert visitor.taken == [b"hello"]
    assert visitor.is_read_by_asyncio
    visitor.upgraded.pause_reading()
    assert not visitor.is_read_by_asyncio


async def test_once_closed_connections_may_still_end(visit: Visit, house: Arrivals) -> None:
    visitor = await visit()
    visitor.upgraded.resume_reading()
    house.close()
    house.close()
    visitor.transport.abort()
    await asyncio.wait_for(visitor.former.is_lost.wait(), PATIENCE)
    assert visitor.former.heard == ["lost"]


async def test_one_that_is_gone_is_not_read_again(visit: Visit) -> None:
    gone = await visit()
    gone.transport.abort()
    await asyncio.wait_for(gone.former.is_lost.wait(), PATIENCE)
    await turns()
    newcomer = await visit()  # with a descriptor that is free again
    gone.upgraded.resume_reading()
    newcomer.upgraded.resume_reading()
    newcomer.other.send(b"mine")
    await turns()
    assert (gone.taken, newcomer.taken) == ([], [b"mine"])
