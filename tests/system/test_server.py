"""``audiostream.server``: a program that embeds audiostream has what the command line has."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from audiostream import Settings, create_app
from audiostream.server import serving
from tests.support.audio_files import write_wav
from tests.support.blocking_connection import BlockingConnection
from tests.support.server_process import UNLIMITED, ServerProcess, module_server

PROGRAM = """
import os
from dataclasses import replace
from audiostream import Settings, create_app
from audiostream.server import run

settings = replace(Settings.load(os.environ), host="127.0.0.1", port=0)
run(create_app(settings), settings)
"""
HEADER_TIMEOUT = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    media = tmp_path_factory.mktemp("embedded")
    write_wav(media / "song.wav", 1.0)
    limits = UNLIMITED | {"AUDIOSTREAM_HEADER_TIMEOUT": str(HEADER_TIMEOUT)}
    with module_server(media, ("-c", PROGRAM), **limits) as server:
        yield server


def ask(server: ServerProcess, request: bytes) -> bytes:
    with BlockingConnection(server.port) as line:
        line.send(request)
        line.end_sending()
        return line.read_to_end()


def test_an_embedded_server_logs_requests_without_their_credentials(server: ServerProcess) -> None:
    assert b" 401 " in ask(server, b"GET /tracks/stream/x?ticket=1.2.3 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "1.2.3" not in server.wait_for_log("/tracks/stream/x")


def test_an_embedded_server_logs_a_malformed_request_in_one_line(server: ServerProcess) -> None:
    assert b" 400 " in ask(server, b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
    server.wait_for_log("refused a malformed request")
    assert not [line for line in server.log if "Traceback" in line]


def test_an_embedded_server_ends_idle_connections(server: ServerProcess) -> None:
    with BlockingConnection(server.port) as line:
        began = time.monotonic()
        line.send(b"GET / HTTP/1.1\r\n")
        assert line.read_to_end() == b""
        assert HEADER_TIMEOUT - 0.5 < time.monotonic() - began < HEADER_TIMEOUT + 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the limits of a process")
def test_an_embedded_server_may_open_as_many_files_as_the_system_allows(
    server: ServerProcess,
) -> None:
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    soft, hard = re.findall(r"Max open files +(\w+) +(\w+)", limits)[0]
    assert soft == hard == str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


async def test_an_application_that_contains_one_is_served_inside_an_event_loop(
    settings: Settings,
) -> None:
    settings = replace(settings, host="127.0.0.1", port=0)
    app = web.Application()
    app.add_subapp("/audio/", create_app(settings))
    async with (
        serving(app, settings) as sockets,
        ClientSession() as session,
        session.get(f"{sockets.describe()}/audio/healthz") as response,
    ):
        assert await response.json() == {"status": "ok"}
