"""Where a request ends, idle time, TLS."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from audiostream import Settings
from audiostream.services import SERVICES
from tests.support.waiting import PATIENCE, until
from tests.system.fastpath.support import (
    IDLE_LIMIT,
    Line,
    Server,
    SlowDisk,
    on_linux,
    serve,
)

pytestmark = on_linux


class TestIdleTimeout:
    async def test_idle_time_begins_with_the_last_answer(self, server: Server) -> None:
        async with server.line() as line:
            for answered in range(1, 9):
                await asyncio.sleep(IDLE_LIMIT / 6)
                assert (await line.ask(server.get("Range: bytes=0-9"))).status == 206
                assert server.responder.answered == answered
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_an_unfinished_head_does_not_extend_the_idle_time(self, server: Server) -> None:
        async with server.line() as line:
            assert (await line.ask(server.get())).status == 200
            assert server.responder.answered == 1
            line.writer.write(b"GET /healthz HTTP/1.1\r\nX-Note: ")
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_a_request_that_aiohttp_answers_restarts_the_idle_time(
        self, server: Server
    ) -> None:
        async with server.line() as line:
            assert (await line.ask(server.get())).status == 200
            for _ in range(4):
                reply = await line.ask(server.get("Content-Length: 1", target="/healthz") + b"x")
                assert b"ok" in reply.body
                await asyncio.sleep(IDLE_LIMIT / 3)
            assert server.responder.answered == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
async def test_a_tls_connection_is_left_to_aiohttp(
    settings: Settings, media: Path, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=here"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serve(settings, media, context) as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=trusting, server_hostname="here"
        )
        line = Line(reader, writer)
        for _ in range(2):
            assert (await line.ask(server.get("Range: bytes=4-5"))).body == b"\4\5"
        assert server.responder.answered == 0
        writer.close()
        await writer.wait_closed()


class TestRequestBoundaries:
    async def test_bytes_inside_a_header_are_no_request(self, server: Server) -> None:
        async with server.line() as line:
            begun = b"GET /healthz HTTP/1.1\r\nX-Note: "
            reply = await line.ask(begun, server.get())
            assert b"ok" in reply.body
            assert await line.is_silent()
            assert server.responder.answered == 0

    async def test_bytes_inside_a_body_are_no_request(self, server: Server) -> None:
        async with server.line() as line:
            hidden = server.get()
            post = b"POST /session HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
            assert (await line.ask(post % len(hidden), hidden)).status == 401
            assert await line.is_silent()
            assert server.responder.answered == 0

    async def test_bytes_of_the_body_of_a_get_are_no_request(self, server: Server) -> None:
        async with server.line() as line:
            hidden = server.get()
            begun = server.get(f"Content-Length: {len(hidden)}", target="/healthz")
            assert b"ok" in (await line.ask(begun, hidden)).body
            assert await line.is_silent()
            assert server.responder.answered == 0

    async def test_a_request_in_two_pieces_is_answered_by_aiohttp(self, server: Server) -> None:
        async with server.line() as line:
            request = server.get("Range: bytes=0-9")
            assert len((await line.ask(request[:30], request[30:])).body) == 10
            assert server.responder.answered == 0

    async def test_two_requests_in_one_read_are_answered_in_order(self, server: Server) -> None:
        async with server.line() as line:
            first = await line.ask(server.get("Range: bytes=0-9") + server.get("Range: bytes=5-5"))
            assert (len(first.body), (await line.reply()).body) == (10, b"\x05")
            assert server.responder.answered == 0

    async def test_a_request_waits_for_the_answer_to_the_one_before(self, server: Server) -> None:
        async with server.line() as line:
            line.writer.write(server.get(target="/healthz"))
            await asyncio.sleep(0)
            line.writer.write(server.get("Range: bytes=5-5"))
            assert b"ok" in (await line.reply()).body
            assert (await line.reply()).body == b"\x05"

    async def test_a_request_waits_while_aiohttp_opens_the_file_of_the_one_before(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk = SlowDisk()
        monkeypatch.setattr("audiostream.streaming.response.open_regular_file", disk.open)
        async with server.line() as line:
            line.writer.write(server.get('If-None-Match: "another"'))
            await until(lambda: server.app[SERVICES].open_streams)
            line.writer.write(server.get("Range: bytes=5-5"))
            assert await line.is_silent()
            disk.is_ready.set()
            assert len((await line.reply()).body) == 43 * 256
            assert (await line.reply()).body == b"\x05"
