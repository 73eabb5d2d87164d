"""The Range policy as a table, and the response against a real server and raw sockets."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from audiostream.library.formats import AUDIO_TYPES
from audiostream.library.safe_open import close_in_executor, open_regular_file
from audiostream.streaming import readahead
from audiostream.streaming import response as streaming
from audiostream.streaming.open_files import Descriptors
from audiostream.streaming.ranges import (
    ByteRange,
    Decision,
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
    Validators,
    WholeFile,
    decide,
    if_range_matches,
    parse_range,
    resolve_range,
)
from audiostream.streaming.response import AudioFileResponse

P = ParamSpec("P")
T = TypeVar("T")

CONTENT = bytes(range(256)) * 4
BIG = 64 * 1024 * 1024  # more than all socket buffers between server and client together
LONG_AGO = 1_700_000_000


# The Range policy


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        # No range, or nothing that has to be understood.
        (None, WholeFile()),
        ("", WholeFile()),
        ("bytes", WholeFile()),
        ("bytes=", WholeFile()),
        ("bytes=-", WholeFile()),
        ("bytes=--1", WholeFile()),
        ("bytes=-1-2", WholeFile()),
        ("bytes=1", WholeFile()),
        ("bytes=a-b", WholeFile()),
        ("bytes=0x0-0x4", WholeFile()),
        ("bytes=+1-4", WholeFile()),
        ("bytes=1_0-", WholeFile()),
        ("bytes=٣-٤", WholeFile()),
        ("bytes=²-", WholeFile()),
        ("bytes=5-2", WholeFile()),
        ("seconds=0-4", WholeFile()),
        ("items=0-4", WholeFile()),
        ("none", WholeFile()),
        # One range.
        ("bytes=0-4", ByteRange(0, 5)),
        ("bytes=3-7", ByteRange(3, 8)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=0-10", ByteRange(0, 11)),
        ("bytes=10-10", ByteRange(10, 11)),
        ("bytes=0-", ByteRange(0, 11)),
        ("bytes=2-", ByteRange(2, 11)),
        ("bytes=10-", ByteRange(10, 11)),
        ("bytes=-5", ByteRange(6, 11)),
        ("bytes=-11", ByteRange(0, 11)),
        # The end lies behind the end of the file.
        ("bytes=0-11", ByteRange(0, 11)),
        ("bytes=10-11", ByteRange(10, 11)),
        ("bytes=5-1000", ByteRange(5, 11)),
        ("bytes=-12", ByteRange(0, 11)),
        ("bytes=5-" + "9" * 5000, ByteRange(5, 11)),
        ("bytes=-" + "9" * 5000, ByteRange(0, 11)),
        ("bytes=" + "0" * 5000 + "3-" + "0" * 5000 + "7", ByteRange(3, 8)),
        # So does the start.
        ("bytes=11-", RangeNotSatisfiable()),
        ("bytes=11-12", RangeNotSatisfiable()),
        ("bytes=11-100", RangeNotSatisfiable()),
        ("bytes=12-12", RangeNotSatisfiable()),
        ("bytes=12-100", RangeNotSatisfiable()),
        ("bytes=20-", RangeNotSatisfiable()),
        ("bytes=100-", RangeNotSatisfiable()),
        ("bytes=100-1000", RangeNotSatisfiable()),
        ("bytes=" + "9" * 5000 + "-", RangeNotSatisfiable()),
        ("bytes=-0", RangeNotSatisfiable()),
        # Case and white space.
        ("BYTES=0-4", ByteRange(0, 5)),
        ("Bytes = 0-4", ByteRange(0, 5)),
        ("bytes= \t0-4 ", ByteRange(0, 5)),
        ("bytes=,0-4 , ", ByteRange(0, 5)),
        ("bytes=0 - 4", WholeFile()),
        # Several ranges.
        ("bytes=0-0,-2", WholeFile()),
        ("bytes=0-1,5-8", WholeFile()),
        ("bytes=0-1,5-", WholeFile()),
        ("bytes=0-,1-,2-,3-,4-", WholeFile()),
        ("bytes=0-1, bytes=5-8", WholeFile()),
        ("bytes=20-,30-", WholeFile()),
    ],
)
def test_what_a_range_gets_from_eleven_bytes(asked: str | None, outcome: Decision) -> None:
    assert resolve_range(parse_range(asked), 11) == outcome


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-9"])
def test_an_empty_file_satisfies_no_range(asked: str) -> None:
    assert resolve_range(parse_range(asked), 0) == RangeNotSatisfiable()


sizes = st.integers(0, 2**63)
range_like = st.text(alphabet="bytesBYTES=0123456789-, \t٣²x", max_size=30)


@given(st.text() | range_like | range_like.map("bytes={}".format), sizes)
@example("bytes=" + "1" * 5000 + "-" + "1" * 4999, 5)
def test_any_text_is_a_range_or_is_ignored(text: str, size: int) -> None:
    match resolve_range(parse_range(text), size):
        case ByteRange(start, stop):
            assert 0 <= start < stop <= size
        case other:
            assert other in (WholeFile(), RangeNotSatisfiable())


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_well_formed_range_is_the_slice(data: bytes, first: int, length: int) -> None:
    asked = {
        f"bytes={first}-{first + length}": data[first : first + length + 1],
        f"bytes={first}-": data[first:],
        f"bytes=-{length}": data[-length:] if length else b"",
    }
    for header, expected in asked.items():
        decision = resolve_range(parse_range(header), len(data))
        if isinstance(decision, ByteRange):
            assert data[decision.start : decision.stop] == expected
        else:
            assert (decision, expected) == (RangeNotSatisfiable(), b"")


# Preconditions

TAG = '"5f-400-1"'
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
SECOND_BEFORE = "Tue, 14 Nov 2023 22:13:19 GMT"
SECOND_AFTER = "Tue, 14 Nov 2023 22:13:21 GMT"
VERSION = Validators(TAG, LONG_AGO)
MUCH_LATER = LONG_AGO + 1e6


def decided(method: str = "GET", /, **fields: str) -> Decision:
    """Decide for a file of 1,024 bytes; ``If_Match`` stands for ``If-Match``."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return decide(method, named, VERSION, 1024, MUCH_LATER)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, WholeFile()),
        ({"If_Match": TAG}, WholeFile()),
        ({"If_Match": "*"}, WholeFile()),
        ({"If_Match": f'"x,y", {TAG}'}, WholeFile()),
        ({"If_Match": '"other"'}, PreconditionFailed()),
        ({"If_Match": f"W/{TAG}"}, PreconditionFailed()),
        ({"If_Match": TAG.strip('"')}, PreconditionFailed()),
        ({"If_Match": ""}, PreconditionFailed()),
        ({"If_Unmodified_Since": DATE}, WholeFile()),
        ({"If_Unmodified_Since": SECOND_AFTER}, WholeFile()),
        ({"If_Unmodified_Since": SECOND_BEFORE}, PreconditionFailed()),
        ({"If_Unmodified_Since": "yesterday"}, WholeFile()),
        ({"If_None_Match": TAG}, NotModified()),
        ({"If_None_Match": f"W/{TAG}"}, NotModified()),
        ({"If_None_Match": "*"}, NotModified()),
        ({"If_None_Match": f'"x", {TAG} ,"y"'}, NotModified()),
        ({"If_None_Match": '"other"'}, WholeFile()),
        ({"If_None_Match": f"{TAG} garbage"}, WholeFile()),
        ({"If_Modified_Since": DATE}, NotModified()),
        ({"If_Modified_Since": SECOND_AFTER}, NotModified()),
        ({"If_Modified_Since": SECOND_BEFORE}, WholeFile()),
        ({"If_Modified_Since": f"{DATE}, {DATE}"}, WholeFile()),
        # The two older forms of a date.
        ({"If_Modified_Since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, NotModified()),
        ({"If_Modified_Since": "Tue Nov 14 22:13:20 2023"}, NotModified()),
        # A tag outweighs a date, in either direction.
        ({"If_Match": TAG, "If_Unmodified_Since": SECOND_BEFORE}, WholeFile()),
        ({"If_None_Match": '"other"', "If_Modified_Since": DATE}, WholeFile()),
        # "Is it still this one" comes before "is there a newer one", and both before Range.
        ({"If_Match": '"other"', "If_None_Match": TAG}, PreconditionFailed()),
        ({"If_Match": TAG, "If_None_Match": TAG}, NotModified()),
        ({"If_None_Match": TAG, "Range": "bytes=0-0"}, NotModified()),
        ({"If_None_Match": TAG, "Range": "bytes=5000-"}, NotModified()),
        ({"If_Match": '"other"', "Range": "bytes=0-0"}, PreconditionFailed()),
        ({"If_Match": TAG, "Range": "bytes=0-0"}, ByteRange(0, 1)),
    ],
)
def test_preconditions_in_their_order(fields: dict[str, str], outcome: Decision) -> None:
    assert decided(**fields) == outcome


@pytest.mark.parametrize(
    ("if_range", "outcome"),
    [
        (TAG, ByteRange(0, 1)),
        (f" {TAG}\t", ByteRange(0, 1)),
        (f"W/{TAG}", WholeFile()),
        ('"other"', WholeFile()),
        (f'{TAG}, "other"', WholeFile()),
        (TAG.strip('"'), WholeFile()),
        ("*", WholeFile()),
        ("", WholeFile()),
        (DATE, ByteRange(0, 1)),
        (SECOND_BEFORE, WholeFile()),
        (SECOND_AFTER, WholeFile()),
        (DATE.replace("GMT", "+0200"), WholeFile()),
        ("Tue, 99 Nov 2023 22:13:20 GMT", WholeFile()),
    ],
)
def test_a_resume_needs_exactly_this_version(if_range: str, outcome: Decision) -> None:
    assert decided(Range="bytes=0-0", If_Range=if_range) == outcome


def test_a_date_stands_for_a_version_once_its_second_is_safely_over() -> None:
    assert not if_range_matches(DATE, VERSION, LONG_AGO + 0.9)
    assert not if_range_matches(DATE, VERSION, LONG_AGO + 1.9)
    assert if_range_matches(DATE, VERSION, LONG_AGO + 2.0)
    assert if_range_matches(TAG, VERSION, LONG_AGO + 0.9)
    assert if_range_matches(None, VERSION, LONG_AGO + 0.9)


def test_range_means_nothing_to_head() -> None:
    assert decided("HEAD", Range="bytes=0-0") == WholeFile()
    assert decided("HEAD", Range="bytes=5000-") == WholeFile()
    assert decided("HEAD", If_None_Match=TAG) == NotModified()


header_like = st.text() | st.sampled_from([TAG, DATE, "*", "bytes=0-0"])
headers_like = st.dictionaries(
    st.sampled_from(
        [
            "If-Match",
            "If-Unmodified-Since",
            "If-None-Match",
            "If-Modified-Since",
            "If-Range",
            "Range",
        ]
    ),
    header_like,
)


@given(headers_like, sizes, st.floats(0, 1e11))
def test_no_header_makes_the_policy_fail(headers: dict[str, str], size: int, now: float) -> None:
    decision = decide("GET", headers, VERSION, size, now)
    if "If-Range" in headers and headers["If-Range"] not in (TAG, DATE):
        assert not isinstance(decision, ByteRange | RangeNotSatisfiable)


def test_validators_follow_content_and_never_name_the_future(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, LONG_AGO * 10**9 + 999_999_999))
    first = Validators.from_stat(path.stat(), MUCH_LATER)
    assert first.last_modified == DATE
    assert first.etag.startswith('"')
    os.utime(path, ns=(0, LONG_AGO * 10**9 + 999_999_998))
    assert Validators.from_stat(path.stat(), MUCH_LATER).etag != first.etag
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(0, before.st_mtime_ns))
    after = Validators.from_stat(path.stat(), MUCH_LATER)
    assert after.etag != Validators.from_stat(before, MUCH_LATER).etag
    assert Validators.from_stat(path.stat(), LONG_AGO - 1.5).last_modified == (
        "Tue, 14 Nov 2023 22:13:18 GMT"
    )


@pytest.mark.parametrize("seconds", [-(2**62), -(10**11), -62_135_596_801, -1, 0, 10**11, 2**62])
def test_a_file_of_any_date_has_validators(seconds: int) -> None:
    status = SimpleNamespace(
        st_mtime_ns=seconds * 10**9, st_ctime_ns=1, st_size=5, st_ino=2**64 - 1
    )
    validators = Validators.from_stat(cast(os.stat_result, status), MUCH_LATER)
    assert re.fullmatch('"[-0-9a-f]+"', validators.etag)
    assert len(validators.last_modified) == len("Thu, 01 Jan 1970 00:00:00 GMT")
    assert validators.last_modified.endswith(" GMT")
    assert parsedate_to_datetime(validators.last_modified).timestamp() == validators.mtime
    assert (
        decide("GET", {"If-None-Match": validators.etag}, validators, 5, MUCH_LATER).status == 304
    )


# The response


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def error(self) -> str:
        code = json.loads(self.body)["error"]["code"]
        assert isinstance(code, str)
        return code


@dataclass(slots=True)
class Server:
    """A running server with one route, ``/track``."""

    runner: web.AppRunner
    port: int
    finished: asyncio.Queue[tuple[int, int]] = field(default_factory=asyncio.Queue)
    """(status, bytes sent with the headers) of every response, in order."""

    async def ask(self, method: str = "GET", **fields: str) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        url = f"http://127.0.0.1:{self.port}/track"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers) as response,
        ):
            return Answer(response.status, CIMultiDict(response.headers), await response.read())

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port))

    async def wait_finished(self) -> tuple[int, int]:
        async with asyncio.timeout(20):
            return await self.finished.get()


@dataclass(frozen=True, slots=True)
class Connection:
    """A client that sees every byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    async def read_head(self) -> dict[str, str]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.strip().split("\r\n")
        return {"status": status_line.split()[1], **dict(line.split(": ", 1) for line in lines)}

    async def read_answer(self) -> tuple[str, bytes]:
        head = await self.read_head()
        return head["status"], await self.reader.readexactly(int(head["Content-Length"]))

    async def read_to_end(self) -> bytes:
        received = bytearray()
        try:
            async with asyncio.timeout(20):
                while chunk := await self.reader.read(1 << 20):
                    received += chunk
        except ConnectionResetError:
            pass  # A cut is a cut, with or without a reset.
        return bytes(received)

    def close(self) -> None:
        self.writer.transport.abort()


Start = Callable[..., Awaitable[Server]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def start(executor: ThreadPoolExecutor) -> AsyncIterator[Start]:
    """Start a server the way ``web.run_app`` does: a lost client does not cancel its handler."""
    runners: list[web.AppRunner] = []

    async def go(
        path: Path,
        *,
        executor: Executor = executor,
        descriptors: Descriptors | None = None,
        stall_timeout: float | None = None,
        headers: dict[str, str] | None = None,
        middlewares: tuple[Any, ...] = (),
        prepared: Callable[[web.Request, web.StreamResponse], Awaitable[None]] | None = None,
    ) -> Server:
        async def stream(request: web.Request) -> web.StreamResponse:
            return AudioFileResponse(
                path,
                executor=executor,
                descriptors=descriptors,
                headers=headers,
                stall_timeout=stall_timeout,
            )

        class AccessLog(AbstractAccessLogger):
            def log(
                self, request: web.BaseRequest, response: web.StreamResponse, time: float
            ) -> None:
                server.finished.put_nowait((response.status, response.body_length))

        app = web.Application(middlewares=middlewares)
        app.router.add_get("/track", stream)
        if prepared is not None:
            app.on_response_prepare.append(prepared)
        runner = web.AppRunner(app, access_log_class=AccessLog, shutdown_timeout=0.01)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server = Server(runner, runner.addresses[0][1])
        return server

    yield go
    for runner in runners:
        await runner.cleanup()


@pytest.fixture(params=["sendfile", "copy"])
async def each_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with ``sendfile``, and again as if the transport did not offer it (TLS)."""

    async def sendfile(*_: object, fallback: bool) -> int:
        assert not fallback
        raise asyncio.SendfileNotAvailableError("not here")

    if request.param == "copy":
        monkeypatch.setattr(asyncio.get_running_loop(), "sendfile", sendfile)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A media folder, with symbolic links in its own path resolved as the library does."""
    return tmp_path.resolve()


@pytest.fixture
def track(media: Path) -> Path:
    path = media / "track.mp3"
    path.write_bytes(CONTENT)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def long_track(media: Path) -> Path:
    path = media / "long.mp3"
    path.touch()
    os.truncate(path, BIG)
    return path


def descriptors_of(identity: os.stat_result) -> int:
    """How many descriptors of this process lead to that file."""
    count = 0
    for descriptor in range(1024):
        try:
            count += os.path.samestat(os.fstat(descriptor), identity)
        except OSError:
            continue
    return count


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a problem, or with a traceback."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING or record.exc_info
    ]


@pytest.mark.usefixtures("each_way")
async def test_the_whole_file_and_its_headers(start: Start, track: Path) -> None:
    answer = await (await start(track)).ask()
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == "1024"
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Last-Modified"] == DATE
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"].startswith('"')
    assert "Content-Range" not in answer.headers
    assert "Content-Encoding" not in answer.headers


@pytest.mark.usefixtures("each_way")
async def test_a_part_and_its_headers(start: Start, track: Path) -> None:
    server = await start(track)
    whole = await server.ask()
    answer = await server.ask(Range="bytes=1000-2000")
    assert (answer.status, answer.body) == (206, CONTENT[1000:])
    assert answer.headers["Content-Range"] == "bytes 1000-1023/1024"
    assert answer.headers["Content-Length"] == "24"
    for name in ("Content-Type", "ETag", "Last-Modified", "Cache-Control", "Accept-Ranges"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "asked", ["bytes=0-0,5-9", "seconds=1-2", "bytes=5-2", "bytes=٣-", "bytes=0-" + "," * 9 + "1-"]
)
async def test_what_is_not_one_range_gets_the_whole_file(
    start: Start, track: Path, asked: str
) -> None:
    answer = await (await start(track)).ask(Range=asked)
    assert (answer.status, answer.body) == (200, CONTENT)


async def test_two_range_fields_get_the_whole_file(start: Start, track: Path) -> None:
    connection = await (await start(track)).connect()
    connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=0-1", "Range: bytes=0-1")
    assert await connection.read_answer() == ("200", CONTENT)
    connection.close()


async def test_an_unsatisfiable_range_learns_the_size(start: Start, track: Path) -> None:
    server = await start(track)
    for asked in ("bytes=1024-", "bytes=-0"):
        answer = await server.ask(Range=asked)
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["Content-Range"] == "bytes */1024"
        assert answer.headers["Content-Length"] == "0"


async def test_a_current_copy_is_not_sent_again(start: Start, track: Path) -> None:
    server = await start(track)
    whole = await server.ask()
    for condition in (
        {"If_None_Match": whole.headers["ETag"]},
        {"If_Modified_Since": whole.headers["Last-Modified"]},
    ):
        answer = await server.ask(**condition)
        assert (answer.status, answer.body) == (304, b"")
        for name in ("ETag", "Last-Modified", "Cache-Control"):
            assert answer.headers[name] == whole.headers[name]
        assert "Content-Length" not in answer.headers
        assert "Content-Type" not in answer.headers


async def test_another_version_than_the_one_insisted_on(start: Start, track: Path) -> None:
    answer = await (await start(track)).ask(If_Match='"other"')
    assert (answer.status, answer.body) == (412, b"")


async def test_head_is_get_without_range_and_body(start: Start, track: Path) -> None:
    server = await start(track)
    whole = await server.ask()
    answer = await server.ask("HEAD", Range="bytes=0-0")
    assert (answer.status, answer.body) == (200, b"")
    for name in whole.headers.keys() - {"Date"}:
        assert answer.headers[name] == whole.headers[name]
    assert answer.headers.keys() == whole.headers.keys()


async def test_an_empty_file(start: Start, media: Path) -> None:
    path = media / "empty.flac"
    path.touch()
    server = await start(path)
    answer = await server.ask()
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    answer = await server.ask(Range="bytes=0-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize("by", ["ETag", "Last-Modified"])
async def test_a_resume_continues_the_same_file_and_restarts_a_replaced_one(
    start: Start, track: Path, by: str
) -> None:
    server = await start(track)
    held = (await server.ask()).headers[by]
    answer = await server.ask(Range="bytes=1000-", If_Range=held)
    assert (answer.status, answer.body) == (206, CONTENT[1000:])

    replacement = track.with_suffix(".new")
    replacement.write_bytes(CONTENT[::-1])
    os.utime(replacement, (LONG_AGO - 1, LONG_AGO - 1))  # older, and yet another version
    replacement.replace(track)
    answer = await server.ask(Range="bytes=1000-", If_Range=held)
    assert (answer.status, answer.body) == (200, CONTENT[::-1])


async def test_a_compressed_neighbour_is_never_served(start: Start, track: Path) -> None:
    for suffix in (".mp3.gz", ".mp3.br"):
        track.with_suffix(suffix).write_bytes(b"something else")
    answer = await (await start(track)).ask(Accept_Encoding="gzip, br")
    assert answer.body == CONTENT
    assert "Content-Encoding" not in answer.headers


async def test_a_compressing_middleware_changes_nothing(start: Start, track: Path) -> None:
    @web.middleware
    async def compress(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    answer = await (await start(track, middlewares=(compress,))).ask(Range="bytes=0-3")
    assert (answer.status, answer.body) == (206, CONTENT[:4])


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        *((f"x{suffix}", media_type) for suffix, media_type in AUDIO_TYPES.items()),
        ("LOUD.MP3", "audio/mpeg"),
        ("two.dots.FlaC", "audio/flac"),
        ("page.html", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
async def test_the_suffix_names_the_type(
    start: Start, media: Path, name: str, media_type: str
) -> None:
    path = media / name
    path.write_bytes(b"x")
    answer = await (await start(path)).ask()
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_headers_of_the_caller(start: Start, track: Path) -> None:
    ours = {"Cache-Control": "no-store", "ETag": '"forged"', "X-Track": "7"}
    answer = await (await start(track, headers=ours)).ask()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Track"] == "7"
    assert answer.headers["ETag"] != '"forged"'


def a_missing_file(media: Path) -> Path:
    return media / "missing.mp3"


def a_file_below_a_file(media: Path) -> Path:
    (media / "file.mp3").touch()
    return media / "file.mp3" / "x.mp3"


def a_directory(media: Path) -> Path:
    (media / "directory.mp3").mkdir()
    return media / "directory.mp3"


def a_link(media: Path) -> Path:
    (media / "target.mp3").write_bytes(CONTENT)
    (media / "link.mp3").symlink_to(media / "target.mp3")
    return media / "link.mp3"


def a_file_behind_a_link(media: Path) -> Path:
    (media / "album").mkdir()
    (media / "album" / "target.mp3").write_bytes(CONTENT)
    (media / "linked").symlink_to(media / "album")
    return media / "linked" / "target.mp3"


def a_circle_of_links(media: Path) -> Path:
    (media / "circle.mp3").symlink_to(media / "circle.mp3")
    return media / "circle.mp3"


def a_path_with_dots(media: Path) -> Path:
    (media / "album").mkdir()
    (media / "target.mp3").write_bytes(CONTENT)
    return media / "album" / ".." / "target.mp3"


def a_named_pipe(media: Path) -> Path:
    os.mkfifo(media / "pipe.mp3")
    return media / "pipe.mp3"


def a_socket(media: Path) -> Path:
    path = media / "s.mp3"
    here = Path.cwd()
    os.chdir(media)  # A socket's path is limited to about a hundred bytes.
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)
    return path


def a_name_that_is_too_long(media: Path) -> Path:
    return media / ("x" * 300 + ".mp3")


@pytest.mark.parametrize(
    "make",
    [
        a_missing_file,
        a_file_below_a_file,
        a_directory,
        a_link,
        a_file_behind_a_link,
        a_circle_of_links,
        a_path_with_dots,
        a_named_pipe,
        a_socket,
        a_name_that_is_too_long,
    ],
)
async def test_what_is_not_a_regular_file_is_not_found(
    start: Start, media: Path, make: Callable[[Path], Path]
) -> None:
    server = await start(make(media))
    async with asyncio.timeout(10):
        answer = await server.ask(Range="bytes=0-3")
        head = await server.ask("HEAD")
    assert (answer.status, answer.error) == (404, "track_not_found")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert str(media) not in answer.body.decode()
    assert "ETag" not in answer.headers
    assert (head.status, head.body) == (404, b"")
    assert head.headers["Content-Length"] == answer.headers["Content-Length"]


class FailingExecutor(Executor):
    """Fails every job."""

    def __init__(self, number: int) -> None:
        self.error = OSError(number, os.strerror(number), "/secret/path")

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        job: Future[T] = Future()
        job.set_exception(self.error)
        return job


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.EACCES, 404, "track_not_found"),
        (errno.EMFILE, 503, "internal"),
        (errno.ENFILE, 503, "internal"),
        (errno.EIO, 503, "internal"),
    ],
)
async def test_a_file_that_cannot_be_opened(
    start: Start, track: Path, number: int, status: int, code: str
) -> None:
    answer = await (await start(track, executor=FailingExecutor(number))).ask()
    assert (answer.status, answer.error) == (status, code)
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert answer.headers["Cache-Control"] == "no-store"
    assert b"/secret/path" not in answer.body


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Range": "bytes=0-0"},
        {"Range": "bytes=9999-"},
        {"If_None_Match": "*"},
        {"If_Match": "x"},
    ],
)
@pytest.mark.parametrize("name", ["track.mp3", "missing.mp3"])
async def test_every_answer_passes_the_prepare_signal_once(
    start: Start, track: Path, name: str, fields: dict[str, str]
) -> None:
    async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
        assert "X-Seen" not in response.headers
        response.headers["X-Seen"] = str(response.status)

    server = await start(track.with_name(name), prepared=allow_origin)
    answer = await server.ask(**fields)
    assert answer.headers["X-Seen"] == str(answer.status)


@web.middleware
async def prepare_early(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send the response from inside, and think nothing of a lost connection."""
    response = await handler(request)
    with suppress(ConnectionError):
        await response.prepare(request)
    return response


async def test_a_response_prepared_by_hand_is_sent_once(
    start: Start, track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await (await start(track, middlewares=(prepare_early,))).connect()
    connection.send("GET /track HTTP/1.1", "Host: x")
    connection.send("GET /track HTTP/1.1", "Host: x", "Connection: close")
    assert await connection.read_answer() == ("200", CONTENT)
    assert await connection.read_answer() == ("200", CONTENT)
    assert await connection.read_to_end() == b""
    assert complaints(caplog) == []
    connection.close()


# One connection, several requests


@pytest.mark.usefixtures("each_way")
async def test_the_next_request_follows_a_part(start: Start, track: Path) -> None:
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
async def test_the_oldest_clients(start: Start, track: Path) -> None:
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
async def test_the_access_log_counts_the_body(start: Start, track: Path) -> None:
    server = await start(track)
    await server.ask("HEAD")
    _, head_only = await server.wait_finished()
    await server.ask()
    assert await server.wait_finished() == (200, head_only + len(CONTENT))


# In the middle of a stream


async def begin(server: Server, *lines: str) -> Connection:
    """Ask for the long track and stop reading after the headers; the server has to wait."""
    connection = await server.connect()
    connection.send("GET /track HTTP/1.1", "Host: x", *lines)
    head = await connection.read_head()
    assert head["status"] in ("200", "206")
    return connection


@pytest.mark.usefixtures("each_way")
async def test_a_deleted_track_plays_to_its_end(
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
async def test_a_shrinking_track_cuts_the_connection(
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
    assert len(complaints(caplog)) == 1
    assert "bytes early" in complaints(caplog)[0]
    connection.close()


@pytest.mark.usefixtures("each_way")
async def test_a_client_that_goes_away_is_no_news(
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
    assert complaints(caplog) == []
    executor.shutdown()
    assert descriptors_of(os.stat(long_track)) == 0


@pytest.mark.usefixtures("each_way")
async def test_a_shutdown_cuts_the_stream_and_closes_the_file(
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
    assert complaints(caplog) == []


async def test_a_disk_that_fails_cuts_the_connection(
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
    assert [text.partition(" ")[0] for text in complaints(caplog)] == ["stopped"]
    connection.close()


async def test_a_client_lost_between_headers_and_body(
    executor: ThreadPoolExecutor, track: Path
) -> None:
    request = make_mocked_request("GET", "/")
    request.protocol.transport = None
    with pytest.raises(ConnectionResetError):
        await AudioFileResponse(track, executor=executor).prepare(request)
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0


# Cancelled while the file is being opened


class GatedExecutor(ThreadPoolExecutor):
    """One thread; its jobs begin, and then wait for the gate to open."""

    def __init__(self) -> None:
        super().__init__(1)
        self.begun = threading.Event()
        self.gate = threading.Event()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def job() -> T:
            self.begun.set()
            self.gate.wait(10)
            return fn(*args, **kwargs)

        return super().submit(job)


class InlineExecutor(Executor):
    """Has done each job by the time it is submitted; refuses all after the first ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.done = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self.done == self.limit:
            raise RuntimeError("shut down")
        self.done += 1
        job: Future[T] = Future()
        job.set_result(fn(*args, **kwargs))
        return job


def prepare(path: Path, executor: Executor) -> asyncio.Task[object]:
    response = AudioFileResponse(path, executor=executor)
    return asyncio.create_task(_prepare(response))


async def _prepare(response: AudioFileResponse) -> object:
    return await response.prepare(make_mocked_request("GET", "/"))


async def test_what_a_thread_opens_for_a_cancelled_request_is_closed(track: Path) -> None:
    executor = GatedExecutor()
    task = prepare(track, executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    executor.gate.set()
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0


async def test_a_failure_to_open_for_a_cancelled_request_is_nobodys(
    media: Path, caplog: pytest.LogCaptureFixture
) -> None:
    executor = GatedExecutor()
    task = prepare(media / "missing.mp3", executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task.cancel()
    await asyncio.wait([task])
    executor.gate.set()
    executor.shutdown()
    assert complaints(caplog) == []


async def test_a_request_cancelled_in_the_queue_opens_nothing(track: Path) -> None:
    executor = GatedExecutor()
    before = prepare(track, executor)
    await asyncio.to_thread(executor.begun.wait, 10)
    task = prepare(track, executor)
    await asyncio.sleep(0)
    for cancelled in (task, before):
        cancelled.cancel()
        await asyncio.wait([cancelled])
    executor.gate.set()
    executor.shutdown()
    assert descriptors_of(os.stat(track)) == 0


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_request_cancelled_just_as_its_file_was_opened(track: Path, limit: int) -> None:
    task = prepare(track, InlineExecutor(limit))
    await asyncio.sleep(0)
    assert descriptors_of(os.stat(track)) == 1
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert descriptors_of(os.stat(track)) == 0


# Files that wait open for the next request, and little answers from memory


class StoppedClock:
    """Seconds that pass when a test says so: a descriptor is trusted until then."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def descriptors(executor: ThreadPoolExecutor) -> AsyncIterator[Descriptors]:
    pool = Descriptors(partial(close_in_executor, executor), clock=StoppedClock())
    yield pool
    pool.shut()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were opened, in order."""
    paths: list[str] = []

    def noted(path: str) -> Any:
        paths.append(path)
        return open_regular_file(path)

    monkeypatch.setattr(streaming, "open_regular_file", noted)
    return paths


@pytest.fixture(params=["memory", "disk"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with all in memory, and again as if nothing were."""
    if request.param == "disk":
        monkeypatch.setattr(readahead, "_RWF_NOWAIT", None)


@pytest.mark.usefixtures("small")
async def test_a_file_that_was_just_asked_for_is_not_opened_again(
    start: Start, descriptors: Descriptors, track: Path, opened: list[str]
) -> None:
    server = await start(track, descriptors=descriptors)
    for first in range(0, 1000, 100):
        answer = await server.ask(Range=f"bytes={first}-{first + 99}")
        assert (answer.status, answer.body) == (206, CONTENT[first : first + 100])
    assert (await server.ask("HEAD")).status == 200
    assert (await server.ask(Range="bytes=9999-")).status == 416
    assert opened == [str(track)]
    assert descriptors_of(os.stat(track)) == 1


@pytest.mark.usefixtures("each_way")
async def test_many_at_once_get_each_their_bytes(
    start: Start, descriptors: Descriptors, media: Path, opened: list[str]
) -> None:
    path, content = media / "long.flac", os.urandom(3 * 1024 * 1024)
    path.write_bytes(content)
    server = await start(path, descriptors=descriptors)
    starts = range(0, len(content), 300_000)
    answers = await asyncio.gather(*(server.ask(Range=f"bytes={first}-") for first in starts))
    assert [answer.body for answer in answers] == [content[first:] for first in starts]
    before = len(opened)
    assert (await server.ask()).body == content
    assert len(opened) == before


def replace(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(CONTENT[::-1])
    new.replace(path)


async def test_what_is_at_the_path_now_is_what_is_sent(
    start: Start, descriptors: Descriptors, track: Path
) -> None:
    server = await start(track, descriptors=descriptors)
    first = await server.ask()
    replace(track)
    second = await server.ask()
    assert second.body == CONTENT[::-1]
    assert second.headers["ETag"] != first.headers["ETag"]
    os.truncate(track, 10)
    assert (await server.ask()).body == CONTENT[::-1][:10]
    os.unlink(track)
    assert (await server.ask()).status == 404
    replace(track)
    assert (await server.ask()).body == CONTENT[::-1]
    os.unlink(track)
    os.symlink(__file__, track)
    assert (await server.ask()).status == 404


async def test_a_disk_that_fails_before_anything_is_sent_is_an_answer(
    start: Start, track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(readahead, "_RWF_NOWAIT", None)
    monkeypatch.setattr(streaming, "_read_all", broken)
    answer = await (await start(track)).ask(Range="bytes=0-9")
    assert (answer.status, answer.error) == (503, "internal")
    assert not answer.headers.keys() & {"ETag", "Content-Range", "Last-Modified"}


async def test_a_small_file_that_shrinks_meanwhile_cuts_the_connection(
    start: Start, track: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read_all = streaming._read_all

    def late(file: Any, body: range) -> bytes:
        os.truncate(track, 100)
        return read_all(file, body)

    monkeypatch.setattr(readahead, "_RWF_NOWAIT", None)
    monkeypatch.setattr(streaming, "_read_all", late)
    server = await start(track)
    connection = await server.connect()
    for _ in range(2):
        connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=50-")
    received = await connection.read_to_end()
    assert received.count(b"HTTP/1.1") <= 1
    assert received.partition(b"\r\n\r\n")[2] in (b"", CONTENT[50:100])
    assert [text.partition("ended ")[2] for text in complaints(caplog)] == ["924 bytes early"]
    connection.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system does not tell")
async def test_a_client_that_takes_no_small_answers_is_cut(
    start: Start, long_track: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await start(long_track, stall_timeout=0.2)
    connection = await server.connect()
    connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=0-99999")
    async with asyncio.timeout(20):
        while "stopped taking bytes" not in caplog.text:
            await asyncio.sleep(0.05)
    connection.close()
    assert server.finished.qsize() < 400
