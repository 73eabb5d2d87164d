"""Sending a file's bytes: pipelining, truncation, lost clients, failing disks."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.stream_server import (
    BIG,
    CONTENT,
    Connection,
    Server,
    Start,
    descriptors_of,
    prepare_early,
    warnings,
)


async def test_a_response_that_a_middleware_prepares_is_sent_once(
    start: Start, track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await (await start(track, middlewares=(prepare_early,))).connect()
    connection.send("GET /track HTTP/1.1", "Host: x")
    connection.send("GET /track HTTP/1.1", "Host: x", "Connection: close")
    assert await connection.read_answer() == ("200", CONTENT)
    assert await connection.read_answer() == ("200", CONTENT)
    assert await connection.read_to_end() == b""
    assert warnings(caplog) == []
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_requests_on_one_connection_are_answered_in_order(start: Start, track: Path) -> None:
    server = await start(track)
    connection = await server.connect()
    for asked in ("bytes=0-3", "bytes=4-7", "bytes=9999-", "bytes=8-11"):
        connection.send("GET /track HTTP/1.1", "Host: x", f"Range: {asked}")
    connection.send("HEAD /track HTTP/1.1", "Host: x", "Connection: close")
    assert await connection.read_answer() == ("206", CONTENT[0:4])
    assert await connection.read_answer() == ("206", CONTENT[4:8])
    assert await connection.read_answer() == ("416", b"")
    assert await connection.read_answer() == ("206", CONTENT[8:12])
    assert (await connection.read_head())["status"] == "200"
    assert await connection.read_to_end() == b""
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_http_1_0_clients_get_ranges_and_keep_alive(start: Start, track: Path) -> None:
    server = await start(track)
    connection = await server.connect()
    connection.send("GET /track HTTP/1.0", "Connection: keep-alive", "Range: bytes=0-3")
    head = await connection.read_head()
    assert (head["status"], head["Connection"]) == ("206", "keep-alive")
    assert await connection.reader.readexactly(4) == CONTENT[:4]
    connection.send("GET /track HTTP/1.0")
    assert await connection.read_answer() == ("200", CONTENT)
    assert await connection.read_to_end() == b""
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_the_access_log_counts_the_bytes_of_the_body(start: Start, track: Path) -> None:
    server = await start(track)
    await server.ask("HEAD")
    _, head_only = await server.wait_finished()
    await server.ask()
    assert await server.wait_finished() == (200, head_only + len(CONTENT))


async def begin(server: Server, *lines: str) -> Connection:
    """Ask for the long track and stop reading after the headers; the server has to wait."""
    connection = await server.connect()
    connection.send("GET /track HTTP/1.1", "Host: x", *lines)
    head = await connection.read_head()
    assert head["status"] in ("200", "206")
    return connection


@pytest.mark.usefixtures("each_way")
async def test_a_file_deleted_while_it_is_sent_is_sent_to_its_end(
    start: Start, executor: ThreadPoolExecutor, long_track: Path
) -> None:
    identity = os.stat(long_track)
    server = await start(long_track)
    connection = await begin(server, "Connection: close")
    os.unlink(long_track)
    assert len(await connection.read_to_end()) == BIG
    await server.wait_finished()
    connection.close()
    executor.shutdown()
    assert descriptors_of(identity) == 0


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("middlewares", [(), (prepare_early,)], ids=["", "swallowed"])
async def test_a_file_cut_short_while_it_is_sent_closes_the_connection(
    start: Start, long_track: Path, caplog: pytest.LogCaptureFixture, middlewares: tuple[Any, ...]
) -> None:
    server = await start(long_track, middlewares=middlewares)
    connection = await server.connect()
    for _ in range(2):
        connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=1-")
    await connection.read_head()
    os.truncate(long_track, 1000)
    received = await connection.read_to_end()
    assert 0 < len(received) < BIG - 1
    assert b"HTTP/1.1" not in received
    status, counted = await server.wait_finished()
    assert status == 206
    assert len(received) <= counted < BIG
    assert len(warnings(caplog)) == 1
    assert "bytes early" in warnings(caplog)[0]
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_a_client_that_disconnects_is_logged_without_a_warning(
    start: Start,
    executor: ThreadPoolExecutor,
    long_track: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await start(long_track)
    connection = await begin(server)
    connection.close()
    status, counted = await server.wait_finished()
    assert status == 200
    assert 0 < counted < BIG
    assert warnings(caplog) == []
    executor.shutdown()
    assert descriptors_of(os.stat(long_track)) == 0


@pytest.mark.usefixtures("each_way")
async def test_a_shutdown_ends_the_stream_and_closes_the_file(
    start: Start,
    executor: ThreadPoolExecutor,
    long_track: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await start(long_track)
    connection = await begin(server)
    await server.runner.cleanup()
    assert len(await connection.read_to_end()) < BIG
    connection.close()
    executor.shutdown()
    assert descriptors_of(os.stat(long_track)) == 0
    assert warnings(caplog) == []


async def test_a_disk_that_fails_while_a_file_is_sent_closes_the_connection(
    start: Start,
    long_track: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def sendfile(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", sendfile)
    server = await start(long_track)
    connection = await begin(server)
    assert await connection.read_to_end() == b""
    assert [text.partition(" ")[0] for text in warnings(caplog)] == ["stopped"]
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_concurrent_requests_for_one_file_get_their_own_bytes(
    start: Start, folder: Path
) -> None:
    path, content = folder / "long.flac", os.urandom(3 * 1024 * 1024)
    path.write_bytes(content)
    server = await start(path)
    starts = range(0, len(content), 300_000)
    answers = await asyncio.gather(*(server.ask(Range=f"bytes={first}-") for first in starts))
    assert [answer.body for answer in answers] == [content[first:] for first in starts]


def refuse(*_: object) -> int:
    """Fail as ``preadv`` does where the system does not report what is in the page cache."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


async def test_a_disk_that_fails_before_a_small_body_is_sent_gets_503(
    start: Start, track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "preadv", refuse)
    monkeypatch.setattr(os, "pread", fail)
    answer = await (await start(track)).ask(Range="bytes=0-9")
    assert (answer.status, answer.error) == (503, "internal")
    assert not answer.headers.keys() & {"ETag", "Content-Range", "Last-Modified"}


async def test_a_small_file_cut_short_while_it_is_read_closes_the_connection(
    start: Start, track: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pread = os.pread

    def truncate_and_read(file: int, count: int, start: int) -> bytes:
        os.truncate(track, 100)
        return pread(file, count, start)

    monkeypatch.setattr(os, "preadv", refuse)
    monkeypatch.setattr(os, "pread", truncate_and_read)
    server = await start(track)
    connection = await server.connect()
    for _ in range(2):
        connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=50-")
    received = await connection.read_to_end()
    assert received.count(b"HTTP/1.1") == 1
    assert received.partition(b"\r\n\r\n")[2] in (b"", CONTENT[50:100])
    assert [text.partition("ended ")[2] for text in warnings(caplog)] == ["924 bytes early"]
    connection.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system does not tell")
async def test_a_client_that_takes_no_small_response_is_disconnected(
    start: Start, long_track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await start(long_track, stall_timeout=0.2)
    connection = await server.connect()
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=0-99999")
    async with asyncio.timeout(20):
        while "takes no bytes" not in caplog.text:
            await asyncio.sleep(0.05)
    connection.close()
    assert server.finished.qsize() < 400
