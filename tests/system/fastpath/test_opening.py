"""A file that is opened in a thread, and the connection that waits for it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from audiostream.services import SERVICES
from tests.support.waiting import until
from tests.system.fastpath.support import (
    IDLE_LIMIT,
    Server,
    SlowDisk,
    on_linux,
)

pytestmark = on_linux


class TestOpening:
    """While a file is opened in a thread, its connection waits, and no other one."""

    @pytest.fixture
    def disk(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
        disk = SlowDisk()
        target = "audiostream.streaming.fastpath.open_files.open_regular_file"
        monkeypatch.setattr(target, disk.open)
        yield disk
        disk.is_ready.set()

    async def test_requests_at_the_same_time_wait_for_one_opening(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as one, server.line(warm=False) as other:
            for line in (one, other):
                line.writer.write(server.get("Range: bytes=4-5"))
            await until(lambda: server.app[SERVICES].open_streams["ada"] == 2)
            disk.is_ready.set()
            for line in (one, other):
                assert (await line.reply()).body == b"\4\5"
            assert (server.responder.answered, disk.opened) == (2, 1)
            assert not server.app[SERVICES].open_streams

    async def test_what_arrives_meanwhile_is_answered_in_order(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as line:
            line.writer.write(server.get("Range: bytes=4-5"))
            await until(lambda: server.app[SERVICES].open_streams)
            line.writer.write(server.get(target="/healthz"))
            assert await line.is_silent()
            disk.is_ready.set()
            assert (await line.reply()).body == b"\4\5"
            assert b"ok" in (await line.reply()).body

    async def test_a_client_that_has_ended_its_side_gets_the_answer(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as line:
            line.writer.write(server.get("Range: bytes=4-5"))
            line.writer.write_eof()
            await until(lambda: server.app[SERVICES].open_streams)
            disk.is_ready.set()
            assert (await line.reply()).body == b"\4\5"
            assert await line.reader.read() == b""

    async def test_a_connection_that_is_reset_is_not_counted_any_more(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as line:
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            reset = struct.pack("ii", 1, 0)
            client = line.writer.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        await until(lambda: not server.app[SERVICES].open_streams)
        disk.is_ready.set()
        await until(lambda: disk.opened)
        assert server.responder.answered == 0

    async def test_a_user_who_is_revoked_meanwhile_is_refused(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as line:
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            server.app[SERVICES].tokens.revoked = {"ada": time.time()}
            disk.is_ready.set()
            assert (await line.reply()).status == 401

    async def test_the_time_that_the_disk_takes_is_no_idle_time(
        self, server: Server, disk: SlowDisk
    ) -> None:
        async with server.line(warm=False) as line:
            line.writer.write(server.get("Range: bytes=4-5"))
            await asyncio.sleep(IDLE_LIMIT * 1.5)
            disk.is_ready.set()
            assert (await line.reply()).body == b"\4\5"
            await asyncio.sleep(IDLE_LIMIT / 2)
            assert (await line.ask(server.get("Range: bytes=6-7"))).body == b"\6\7"
