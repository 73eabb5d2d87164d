"""Ranges that are sent by sendfile, in more than one write."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from audiostream.services import SERVICES
from audiostream.streaming.fastpath.responder import COPY_LIMIT
from audiostream.streaming.fastpath.transfer import DISCONNECT_ERRNOS
from tests.support.waiting import PATIENCE, until
from tests.system.fastpath.support import (
    IDLE_LIMIT,
    Server,
    on_linux,
    ranged,
)

pytestmark = on_linux


async def test_a_client_that_takes_nothing_is_counted_and_disconnected(
    server: Server, media: Path
) -> None:
    (media / "song.wav").write_bytes(bytes(2 * COPY_LIMIT))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", server.port))
        connections = 0
        async with asyncio.timeout(PATIENCE):
            async with server.line():
                pass
            while not server.app[SERVICES].open_streams["ada"]:
                del server.app[SERVICES].open_streams["ada"]
                deaf.send(server.get())
                connections += 1
                await asyncio.sleep(0.05)
            while server.app[SERVICES].open_streams:
                await asyncio.sleep(0.05)
        assert server.responder.answered == connections


class TestLargeRanges:
    @pytest.fixture(autouse=True)
    def song(self, server: Server, long_song: bytes) -> None:
        self.audio = long_song

    @pytest.mark.parametrize("asked", [None, "bytes=0-", "bytes=7-1048582", "bytes=-200000"])
    async def test_aiohttp_and_the_fast_path_answer_alike(
        self, server: Server, asked: str | None
    ) -> None:
        fields = ranged(asked)
        async with server.line() as short, server.line() as long:
            await long.ask(server.get("Connection: Keep-Alive, x", "Range: bytes=0-9"))
            server.responder.answered = 0
            ours = await short.ask(server.get(*fields))
            theirs = await long.ask(server.get(*fields))
            assert server.responder.answered == 1
            assert ours.without_date() == theirs.without_date()

    @pytest.mark.parametrize("asked", ["0-9", "0-65535", "0-65536", "9-200000", "9-1048582"])
    @pytest.mark.parametrize("most", [0, 5, 405, 20_000, 40_000])
    async def test_what_the_system_does_not_accept_at_once_is_sent_later(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, asked: str, most: int
    ) -> None:
        def write(file: int, text: memoryview, write: Callable[..., int] = os.write) -> int:
            if not most:
                raise BlockingIOError
            return write(file, text[:most])

        first, last = map(int, asked.split("-"))
        async with server.line() as line:
            monkeypatch.setattr("audiostream.streaming.fastpath.protocol.os.write", write)
            for answered in (1, 2):
                reply = await line.ask(server.get(f"Range: bytes={asked}"))
                assert reply.body == self.audio[first : last + 1]
                assert server.responder.answered == answered
        await until(lambda: not server.app[SERVICES].open_streams)

    @pytest.mark.parametrize(("asked", "is_ours"), [("0-9", 0), ("9-99999", 1), ("9-999999", 1)])
    async def test_a_small_body_that_is_not_in_the_page_cache_is_left_to_aiohttp(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, asked: str, is_ours: int
    ) -> None:
        first, last = map(int, asked.split("-"))
        async with server.line() as line:
            for name in ("responder.read_cached", "transfer.is_cached"):
                monkeypatch.setattr(f"audiostream.streaming.fastpath.{name}", lambda *_: False)
            reply = await line.ask(server.get(f"Range: bytes={asked}"))
            assert reply.body == self.audio[first : last + 1]
            assert server.responder.answered == is_ours

    async def test_a_slow_client_gets_the_whole_file(
        self, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "aiohttp.access")
        async with server.line(room=4096) as line:
            caplog.clear()
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            assert not caplog.records
            assert (await line.reply()).body == self.audio
            await until(lambda: not server.app[SERVICES].open_streams)
            assert int(caplog.records[0].getMessage().split()[4]) > len(self.audio)
            for _ in range(10):  # on a busy machine some come too late for an open descriptor
                assert (await line.ask(server.get("Range: bytes=4-7"))).body == self.audio[4:8]
            assert server.responder.answered > 1

    async def test_a_transfer_may_take_longer_than_the_idle_timeout(self, server: Server) -> None:
        async with server.line(room=4096) as line:
            line.writer.write(server.get())
            head = await line.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            got = bytearray()
            for _ in range(8):
                got += await line.reader.readexactly(256 * 1024)
                await asyncio.sleep(IDLE_LIMIT / 5)
            assert server.app[SERVICES].open_streams["ada"] == 1
            assert got + await line.reader.readexactly(len(self.audio) - len(got)) == self.audio

    async def test_after_a_transfer_the_idle_timeout_ends_the_connection(
        self, server: Server
    ) -> None:
        async with server.line(room=4096) as line:
            assert (await line.ask(server.get())).body == self.audio
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_a_request_that_arrives_during_a_transfer_is_answered_after_it(
        self, server: Server
    ) -> None:
        async with server.line(room=4096) as line:
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            line.writer.write(server.get("Range: bytes=4-7"))
            assert (await line.reply()).body == self.audio
            assert (await line.reply()).body == self.audio[4:8]

    async def test_a_client_that_has_ended_its_side_gets_the_whole_file(
        self, server: Server
    ) -> None:
        async with server.line(room=4096) as line:
            line.writer.write(server.get())
            line.writer.write_eof()
            assert (await line.reply()).body == self.audio
            assert await line.reader.read() == b""

    async def test_a_client_that_leaves_during_a_transfer_leaves_nothing_open(
        self, server: Server
    ) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with server.line(room=4096) as line:
                line.writer.write(server.get())
                await until(lambda: server.app[SERVICES].open_streams)
            await until(lambda: not server.app[SERVICES].open_streams)
        assert server.responder.answered == 1
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    async def test_a_client_that_takes_nothing_is_disconnected(self, server: Server) -> None:
        async with server.line(room=4096) as line:
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            await until(lambda: not server.app[SERVICES].open_streams)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.reader.readexactly(len(self.audio))

    async def test_a_file_that_is_truncated_during_a_transfer_ends_the_connection(
        self, server: Server, media: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with server.line(room=4096) as line:
            line.writer.write(server.get())
            await until(lambda: server.app[SERVICES].open_streams)
            os.truncate(media / "song.wav", 1000)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.reader.readexactly(len(self.audio))
            assert not server.app[SERVICES].open_streams
            assert "bytes early" in caplog.text

    @pytest.mark.parametrize(
        "why", sorted(DISCONNECT_ERRNOS | {errno.EIO}), ids=errno.errorcode.get
    )
    async def test_a_failing_sendfile_ends_one_connection_and_is_logged_if_the_server_is_the_cause(
        self,
        server: Server,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        why: int,
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(why, os.strerror(why))

        async with server.line() as line:
            with monkeypatch.context() as patch:
                patch.setattr(os, "sendfile", refuse)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                    await line.ask(server.get())
            assert server.responder.answered == 1
        assert ("stopped sending" in caplog.text) == (why == errno.EIO)
        async with server.line() as line:
            assert (await line.ask(server.get())).body == self.audio
            assert server.responder.answered == 1

    async def test_aiohttp_copies_where_the_system_has_no_sendfile(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        async with server.line() as line:
            monkeypatch.setattr(os, "sendfile", refuse)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.ask(server.get())
        async with server.line() as line:
            assert (await line.ask(server.get())).body == self.audio
            assert server.responder.answered == 0
