"""Streams over TLS, as a program that embeds the server may have it: without ``sendfile``."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from audiostream.streaming.response import AudioFileResponse
from audiostream.streaming.stream_slots import StreamSlots
from tests.support.stream_server import BIG, CONTENT, warnings

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@dataclass
class TlsServer:
    """A server with one route for a short and one for a long track. ``streams`` counts them."""

    port: int
    streams: Counter[Hashable]

    def url(self, name: str) -> str:
        return f"https://127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=here"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
async def server(
    context: ssl.SSLContext, track: Path, long_track: Path, executor: ThreadPoolExecutor
) -> AsyncIterator[TlsServer]:
    streams: Counter[Hashable] = Counter()
    slots = StreamSlots(streams, 0.5)

    async def stream(request: web.Request) -> web.StreamResponse:
        path = track if request.match_info["name"] == "short" else long_track
        return AudioFileResponse(path, executor=executor, slots=slots, owner="ada")

    app = web.Application()
    app.router.add_get("/{name}", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield TlsServer(runner.addresses[0][1], streams)
    await runner.cleanup()


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("short", "bytes=5-9", CONTENT[5:10]),
        ("short", "bytes=0-", CONTENT),
        ("long", "bytes=1-2000000", bytes(2_000_000)),
    ],
)
async def test_a_range_is_sent_over_tls(
    server: TlsServer, name: str, asked: str, expected: bytes
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url(name), ssl=False, headers={"Range": asked}) as answer,
    ):
        assert (answer.status, await answer.read()) == (206, expected)


@pytest.mark.parametrize("leaves", [False, True], ids=["stalls", "leaves"])
async def test_a_tls_client_that_stalls_or_leaves_is_disconnected_without_a_warning(
    server: TlsServer, caplog: pytest.LogCaptureFixture, leaves: bool
) -> None:
    caplog.set_level(logging.INFO)
    async with aiohttp.ClientSession() as session:
        answer = await session.get(server.url("long"), ssl=False)
        assert answer.content_length == BIG
        assert server.streams == {"ada": 1}
        if leaves:
            answer.close()
        async with asyncio.timeout(20):
            while server.streams:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert warnings(caplog) == []
        assert ("takes no bytes" in caplog.text) is not leaves
        answer.close()
