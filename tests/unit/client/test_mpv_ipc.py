"""mpv's JSON IPC over a pair of sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from audiostream.client.mpv_ipc import DISCONNECTED, MpvConnection, MpvError, MpvEvent, MpvGone


class Pair:
    """A connection, and mpv's end of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.events: list[MpvEvent] = []
        self.connection: MpvConnection

    async def answer(self, **content: object) -> object:
        """Answer the next command; return it."""
        asked = json.loads(await self.reader.readline())
        self.write({"request_id": asked["request_id"], **content})
        return asked["command"]

    def write(self, message: object) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def connected() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    pair = Pair(*await asyncio.open_unix_connection(sock=theirs))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    pair.connection = MpvConnection(reader, writer, pair.events.append)
    running = asyncio.create_task(pair.connection.run())
    try:
        yield pair
    finally:
        pair.writer.close()
        await running
        writer.close()


async def test_answers_reach_their_commands() -> None:
    async with connected() as pair:
        asking = asyncio.create_task(pair.connection.command("get_property", "time-pos"))
        assert await pair.answer(error="success", data=1.5) == ["get_property", "time-pos"]
        assert await asking == 1.5
        calling = asyncio.create_task(pair.connection.call("loadfile", url="u"))
        assert await pair.answer(error="success") == {"name": "loadfile", "url": "u"}
        assert await calling is None


async def test_a_refusal_is_an_exception_and_no_property_is_none() -> None:
    async with connected() as pair:
        asking = asyncio.create_task(pair.connection.command("seek", 1))
        await pair.answer(error="error running command")
        with pytest.raises(MpvError, match="error running command"):
            await asking
        getting = asyncio.create_task(pair.connection.get("time-pos"))
        await pair.answer(error="property unavailable")
        assert await getting is None


async def test_what_is_no_message_is_passed_over() -> None:
    async with connected() as pair:
        pair.writer.write(b"\xff\xfe\n[1]\n{\n")
        pair.write({"request_id": 99, "error": "success"})
        pair.write({"event": "idle"})
        asking = asyncio.create_task(pair.connection.get("volume"))
        await pair.answer(error="success", data=7)
        assert await asking == 7
        assert pair.events == [{"event": "idle"}]


async def test_the_end_of_mpv_ends_its_commands() -> None:
    async with connected() as pair:
        asking = asyncio.create_task(pair.connection.get("volume"))
        await pair.reader.readline()
        pair.writer.close()
        with pytest.raises(MpvGone):
            await asking
        with pytest.raises(MpvGone):
            await pair.connection.get("volume")
        assert pair.events == [DISCONNECTED]
