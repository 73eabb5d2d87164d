"""Clients that ask for much and read nothing cost little memory, and are disconnected."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.pictures import JPEG, mp3
from tests.support.server_process import Launch, ServerProcess
from tests.support.waiting import until

Token = Callable[..., str]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is taken")

CLIENTS = 200
MOST = 50.0
"""MiB that all of them may cost together."""
PICTURE = JPEG + bytes(9_000_000)
LONGEST = 40.0
"""Seconds after which all have been cut, or taken for idle where the system took all for them."""
LIMITS = {"AUDIOSTREAM_STALL_TIMEOUT": "2", "AUDIOSTREAM_HEADER_TIMEOUT": "3"}


def memory_of(server: ServerProcess) -> float:
    """The most MiB that the server ever had in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def descriptors_of(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def ask(server: ServerProcess, path: str, token: str | None) -> socket.socket:
    """Send a request on a connection that takes next to nothing of the answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    credential = "" if token is None else f"Authorization: Bearer {token}\r\n"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{credential}\r\n".encode())
    return connection


@contextmanager
def asking(
    server: ServerProcess, paths: Sequence[str], token: str | None = None
) -> Iterator[list[socket.socket]]:
    """Clients that do not read."""
    connections = [ask(server, path, token) for path in paths]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def get(server: ServerProcess, path: str, token: str | None = None) -> bytes:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with urlopen(Request(server.url + path, headers=headers), timeout=LONGEST) as answer:
        body: bytes = answer.read()
    return body


def pictured(media: Path, count: int) -> None:
    """That many files with large pictures, no two of them the same."""
    entries = [{"id": f"p{number}", "audioUrl": f"p{number}.mp3"} for number in range(count)]
    for entry in entries:
        (media / entry["audioUrl"]).write_bytes(mp3(PICTURE + entry["id"].encode()))
    (media / "tracks.json").write_text(json.dumps(entries))


def listed(media: Path, count: int) -> None:
    entries = []
    for number in range(count):
        (media / f"{number}.mp3").touch()
        entries.append({"id": f"t{number}", "audioUrl": f"{number}.mp3", "title": "A title " * 10})
    (media / "tracks.json").write_text(json.dumps(entries))


async def cost_little_and_are_disconnected(
    server: ServerProcess, paths: Sequence[str], token: str | None = None
) -> None:
    """The one check: of memory, of others meanwhile, and of what is left behind."""
    await server.logs("the library has")
    get(server, paths[0], token)
    await asyncio.sleep(0.5)  # the connection of that request ends
    before, open_before = memory_of(server), descriptors_of(server)
    with asking(server, paths, token):
        await asyncio.sleep(1.0)
        began = time.monotonic()
        await asyncio.to_thread(get, server, "/healthz")
        assert time.monotonic() - began < 5.0
        await until(lambda: descriptors_of(server) <= open_before + 1, LONGEST)
        assert memory_of(server) - before < MOST
    assert get(server, paths[0], token)
    assert server.stop() == 0
    server.wait_for_end()
    assert not [line for line in server.log if " ERROR " in line and "disk is slow" not in line]


async def test_two_hundred_clients_that_read_nothing_of_one_cover_cost_little_and_are_disconnected(
    media: Path, launch: Launch
) -> None:
    """Without a credential."""
    pictured(media, 1)
    server = launch(AUDIOSTREAM_STREAM_AUTH="public", **LIMITS)
    await cost_little_and_are_disconnected(server, ["/tracks/cover/p0"] * CLIENTS)


async def test_twenty_clients_that_read_nothing_of_different_covers_are_disconnected(
    media: Path, launch: Launch
) -> None:
    pictured(media, 20)
    server = launch(AUDIOSTREAM_STREAM_AUTH="public", **LIMITS)
    paths = [f"/tracks/cover/p{number}" for number in range(20)]
    await cost_little_and_are_disconnected(server, paths)


async def test_two_hundred_clients_that_read_nothing_of_a_long_list_are_disconnected(
    media: Path, launch: Launch, token: Token
) -> None:
    listed(media, 10_000)
    server = launch(**LIMITS)
    await cost_little_and_are_disconnected(server, ["/tracks"] * CLIENTS, token())


@pytest.mark.parametrize("path", ["/", "/client.js", "/openapi.json"])
async def test_two_hundred_clients_that_read_nothing_of_a_page_are_disconnected(
    launch: Launch, path: str
) -> None:
    await cost_little_and_are_disconnected(launch(**LIMITS), [path] * CLIENTS)


@pytest.mark.parametrize("path", ["/openapi.json", "/tracks/nonsense", "/nonsense"])
async def test_a_client_that_pipelines_requests_and_never_reads_is_disconnected(
    launch: Launch, path: str
) -> None:
    """What the system takes for a client ends some time, and then nothing waits for it."""
    server = launch(**LIMITS)
    get(server, "/healthz")
    await asyncio.sleep(0.5)  # the connection of that request ends
    before, open_before = memory_of(server), descriptors_of(server)
    with asking(server, [path]) as [connection]:
        await until(lambda: descriptors_of(server) > open_before)
        connection.setblocking(False)
        request, sent = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 100, 0
        began = time.monotonic()
        while descriptors_of(server) > open_before and time.monotonic() - began < LONGEST:
            try:
                sent += connection.send(request)
            except BlockingIOError:
                await asyncio.sleep(0.05)
            except OSError:
                break
        await until(lambda: descriptors_of(server) <= open_before, LONGEST)
    assert sent > len(request)
    assert memory_of(server) - before < 10.0


async def test_a_slow_reader_gets_a_whole_cover_while_others_read_nothing(
    media: Path, launch: Launch
) -> None:
    pictured(media, 1)
    server = launch(AUDIOSTREAM_STREAM_AUTH="public", **LIMITS)
    with asking(server, ["/tracks/cover/p0"] * 100):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=4096)
        writer.write(b"GET /tracks/cover/p0 HTTP/1.0\r\n\r\n")
        received, began = b"", time.monotonic()
        while data := await reader.read(65536):
            received += data
            if time.monotonic() - began < 6.0:  # three times as long as a client may stand still
                await asyncio.sleep(0.2)
        writer.close()
    assert received.endswith(PICTURE + b"p0")
