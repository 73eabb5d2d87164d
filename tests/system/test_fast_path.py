"""The fast path: which requests it answers, that aiohttp would answer alike, and how it ends."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from audiostream import Settings, create_app
from audiostream.auth.tickets import Identity
from audiostream.library.catalogue import Catalogue
from audiostream.library.safe_open import open_regular_file
from audiostream.ops.access_log import AccessLogger
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.streaming.fastpath.open_files import TRUSTED_FOR, OpenFile
from audiostream.streaming.fastpath.protocol import FastPathProtocol
from audiostream.streaming.fastpath.request import RangeRequest
from audiostream.streaming.fastpath.responder import COPY_LIMIT, RangeResponder, RangeResponse
from audiostream.streaming.fastpath.transfer import DISCONNECT_ERRNOS
from audiostream.streaming.ranges import ByteRangeSpec
from audiostream.streaming.route import ClientAddress
from tests.support.browser_requests import CHROMIUM_FIELDS
from tests.support.waiting import PATIENCE, until

IDLE_LIMIT = 2.0
STREAM = "/tracks/stream/song"
on_linux = pytest.mark.skipif(
    not hasattr(os, "RWF_NOWAIT"), reason="only Linux says what is in memory"
)
pytestmark = on_linux


class CountingResponder(RangeResponder):
    """Counts the requests that it has answered."""

    answered = 0

    def respond(
        self, request: RangeRequest, spec: ByteRangeSpec, opened: OpenFile
    ) -> RangeResponse | None:
        response = super().respond(request, spec, opened)
        self.answered += response is not None
        return response


@dataclass
class Reply:
    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def without_date(self) -> tuple[list[bytes], bytes]:
        lines = self.head.split(b"\r\n")
        return [line for line in lines if not line.startswith(b"Date:")], self.body


@dataclass
class Line:
    """A client's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *pieces: bytes) -> Reply:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01 if len(pieces) > 1 else 0)
        return await self.reply()

    async def reply(self) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
            return Reply(head, await self.reader.readexactly(int(fields[b"content-length"])))

    async def is_silent(self) -> bool:
        try:
            async with asyncio.timeout(0.1):
                return not await self.reader.read(1)
        except TimeoutError:
            return True


@dataclass
class Server:
    app: web.Application
    responder: CountingResponder
    port: int

    @asynccontextmanager
    async def line(self, *, warm: bool = True, room: int | None = None) -> AsyncIterator[Line]:
        """A connection; a warm one finds the song's file at rest. ``room`` is for bytes unread."""
        connection = socket.socket()
        if room is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=4096)
        line = Line(reader, writer)
        try:
            if warm:
                assert (await line.ask(self.get("Range: bytes=0-4"))).status == 206
                self.responder.answered = 0
            yield line
        finally:
            writer.close()
            await writer.wait_closed()

    def ticket(self, user: str = "ada", track: str = "song") -> str:
        return self.app[SERVICES].tokens.ticket(user, track, 60.0, time.time())

    def get(self, *fields: str, target: str | None = None) -> bytes:
        target = target or f"/api{STREAM}?ticket={self.ticket()}"
        lines = [f"GET {target} HTTP/1.1", "Host: here", *fields]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


@asynccontextmanager
async def serve(
    settings: Settings, media: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A server with the fast path, whose song has eleven thousand bytes."""
    (media / "song.wav").write_bytes(bytes(range(256)) * 43)
    app = create_app(replace(settings, limits=Limits(streams_per_user=3, stall_timeout=1)))
    app[SERVICES].library.scan()
    runner = web.AppRunner(app, access_log_class=AccessLogger, keepalive_timeout=IDLE_LIMIT)
    await runner.setup()
    responder = CountingResponder(app)
    assert runner.server is not None
    fallback: Callable[[], web.RequestHandler] = runner.server
    listener = await asyncio.get_running_loop().create_server(
        lambda: FastPathProtocol(responder, fallback()), "127.0.0.1", 0, ssl=tls
    )
    yield Server(app, responder, listener.sockets[0].getsockname()[1])
    listener.close()
    await runner.cleanup()
    responder.close()


@pytest.fixture
async def server(settings: Settings, media: Path) -> AsyncIterator[Server]:
    async with serve(settings, media) as server:
        yield server


@pytest.fixture
async def public_server(settings: Settings, media: Path) -> AsyncIterator[Server]:
    async with serve(replace(settings, public_streams=True), media) as server:
        yield server


RANGES = [
    None,
    "bytes=0-",
    "bytes=100-199",
    "bytes=-5",
    "bytes=-0",
    "bytes=11007-",
    "bytes=11008-",
    "bytes=5-4",
    "bytes=0-0,2-3",
    "bytes=0-99999999999999999999999",
    "bytes = 1-2",
    "lines=1-2",
    "nonsense",
    "",
]


def ranged(asked: str | None) -> list[str]:
    return [] if asked is None else [f"Range: {asked}"]


@pytest.mark.parametrize("asked", RANGES)
async def test_aiohttp_and_the_fast_path_answer_alike(server: Server, asked: str | None) -> None:
    async with server.line() as short, server.line() as long:
        assert (await long.ask(server.get("Connection: Keep-Alive, x"))).status == 200
        ours = await short.ask(server.get(*ranged(asked)))
        is_short = ours.status != 416
        assert server.responder.answered == is_short
        theirs = await long.ask(server.get(*ranged(asked)))
        assert server.responder.answered == is_short
        assert ours.without_date() == theirs.without_date()


@pytest.mark.parametrize("asked", RANGES)
async def test_a_repeated_request_gets_the_same_answer_as_a_first_one(
    server: Server, asked: str | None
) -> None:
    async with server.line() as line, server.line() as first:
        for before in ("Range: bytes=3-", "Range: bytes=0-4"):
            assert (await line.ask(server.get(*CHROMIUM_FIELDS, before))).status == 206
        ours = await line.ask(server.get(*CHROMIUM_FIELDS, *ranged(asked)))
        theirs = await first.ask(server.get(*CHROMIUM_FIELDS, *ranged(asked)))
        assert server.responder.answered == (4 if ours.status != 416 else 2)
        assert ours.without_date() == theirs.without_date()


class TestIfRange:
    """A browser that seeks in what it has a part of insists on the same version."""

    @pytest.fixture
    async def etag(self, server: Server) -> str:
        async with server.line(warm=False) as line:
            head = (await line.ask(server.get("Range: bytes=0-4"))).head
            return head.partition(b"ETag: ")[2].partition(b"\r\n")[0].decode()

    @pytest.mark.parametrize("asked", RANGES)
    async def test_the_current_version_gets_the_range(
        self, server: Server, etag: str, asked: str | None
    ) -> None:
        fields = [*ranged(asked), f"If-Range: {etag}"]
        async with server.line() as short, server.line() as long:
            assert (await long.ask(server.get("Connection: Keep-Alive, x"))).status == 200
            ours = await short.ask(server.get(*CHROMIUM_FIELDS, *fields))
            again = await short.ask(server.get(*CHROMIUM_FIELDS, *fields))
            assert server.responder.answered == (2 if ours.status != 416 else 0)
            theirs = await long.ask(server.get(*fields))
            assert ours.without_date() == again.without_date() == theirs.without_date()

    @pytest.mark.parametrize("of", ["W/{}", '"x"', "{}, {}", "x", "", "{date}", "*"])
    async def test_any_other_version_gets_the_whole_file(
        self, server: Server, media: Path, etag: str, of: str
    ) -> None:
        date = formatdate((media / "song.wav").stat().st_mtime, usegmt=True)
        held = f"If-Range: {of.format(etag, etag, date=date)}"
        async with server.line() as short, server.line() as long:
            assert (await long.ask(server.get("Connection: Keep-Alive, x"))).status == 200
            ours = await short.ask(server.get("Range: bytes=1-2", held))
            assert (ours.status, server.responder.answered) == (200, 1)
            theirs = await long.ask(server.get("Range: bytes=1-2", held))
            assert ours.without_date() == theirs.without_date()
            assert server.responder.answered == 1

    async def test_a_replaced_version_gets_the_whole_new_file(
        self, server: Server, media: Path, etag: str
    ) -> None:
        async with server.line() as line:
            held = f"If-Range: {etag}"
            assert (await line.ask(server.get("Range: bytes=1-2", held))).body == b"\1\2"
            (media / "new").write_bytes(b"new")
            (media / "new").replace(media / "song.wav")
            for _ in range(2):
                assert (await line.ask(server.get("Range: bytes=1-2", held))).body == b"new"


class TestCredentials:
    def session(self, server: Server, user: str = "ada") -> str:
        value, _ = server.app[SERVICES].tokens.session(Identity(user, None), time.time())
        return f"{server.app[SERVICES].session_cookie.name('here', is_tls=False)}={value}"

    def bearer(self, server: Server, user: str = "ada") -> str:
        return f"Authorization: Bearer {server.app[SERVICES].tokens.mint(user, time.time(), None)}"

    async def whole(self, server: Server, line: Line, *fields: str, target: str) -> int:
        """Return how many requests have been answered, after one more for the whole song."""
        assert len((await line.ask(server.get(*fields, target=target))).body) == 11008
        return server.responder.answered

    async def test_a_session_cookie_is_a_credential(self, server: Server) -> None:
        ours, theirs = self.session(server), "audiostream_session_01234567_3000=1.YQ.abc"
        async with server.line() as line:
            for answered, cookies in enumerate((ours, f"{theirs}; {ours}; a=b"), 1):
                cookie = f"Cookie: {cookies}"
                assert await self.whole(server, line, cookie, target=STREAM) == answered

    async def test_a_bearer_token_is_a_credential(self, server: Server) -> None:
        async with server.line() as line:
            for answered in (1, 2):
                bearer = self.bearer(server)
                assert await self.whole(server, line, bearer, target=STREAM) == answered

    async def test_one_valid_credential_is_enough(self, server: Server) -> None:
        ticket = f"{STREAM}?ticket={server.ticket()}"
        async with server.line() as line:
            for answered, (target, fields) in enumerate(
                [
                    (ticket, ["Authorization: Bearer nonsense"]),
                    (ticket, ["Authorization: Basic YTpi", "Cookie: a=b"]),
                    (f"{STREAM}?ticket=1.2.3", [self.bearer(server)]),
                    (f"{STREAM}?ticket=1.2.3", [f"Cookie: {self.session(server)}"]),
                    (STREAM, ["Authorization: Bearer x", f"Cookie: {self.session(server)}"]),
                ],
                1,
            ):
                assert await self.whole(server, line, *fields, target=target) == answered

    async def test_a_public_stream_needs_none(self, public_server: Server) -> None:
        async with public_server.line() as line:
            assert await self.whole(public_server, line, target=STREAM) == 1
            assert await self.whole(public_server, line, "Cookie: a=b", target=STREAM) == 2
            his = "/tracks/stream/his"
            assert (await line.ask(public_server.get(target=his))).status == 404
            bobs = self.bearer(public_server, "bob")
            assert (await line.ask(public_server.get(bobs, target=his))).status == 200

    async def test_public_streams_are_counted_by_address(self, public_server: Server) -> None:
        async with public_server.line() as line:
            public_server.app[SERVICES].open_streams[ClientAddress("127.0.0.1")] += 3
            assert (await line.ask(public_server.get(target=STREAM))).status == 429
            assert (await line.ask(public_server.get())).status == 200
            del public_server.app[SERVICES].open_streams[ClientAddress("127.0.0.1")]

    async def test_a_revoked_token_is_refused(self, server: Server) -> None:
        async with server.line() as line:
            request = server.get(self.bearer(server), target=STREAM)
            assert (await line.ask(request)).status == 200
            server.app[SERVICES].tokens.revoked = {"ada": time.time() + 1}
            assert (await line.ask(request)).status == 401


async def test_the_access_log_has_the_answers_of_the_fast_path(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aiohttp.access")
    async with server.line(warm=False) as line:
        await line.ask(server.get())
        await line.ask(server.get("Range: bytes=0-9"))
        assert server.responder.answered == 2
    first, second = [record.getMessage().split() for record in caplog.records]
    assert first[:3] == second[:3] == ["127.0.0.1", '"GET', '/api/tracks/stream/song"']
    assert (first[3], second[3]) == ("200", "206")
    assert 10 < int(second[4]) < int(first[4])


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("/api/tracks/stream/song", [], 401),
        ("/api/tracks/stream/song?ticket=1.2.3", [], 401),
        ("/api/tracks/stream/song?ticket={other}", [], 401),
        ("/api/tracks/stream/song?ticket={bobs}&x=1", [], 200),
        ("/api/tracks/stream/his?ticket={his}", [], 404),
        ("/api/tracks/stream/%73ong?ticket={good}", [], 200),
        ("/api/tracks/stream/song?ticket={good}", ["If-None-Match: *"], 304),
        ("/api/tracks/stream/song?ticket={good}", ["If-Match: x"], 412),
        ("/api/tracks/stream/song?ticket={good}", ["Origin: https://elsewhere.example"], 200),
        ("/healthz", [], 200),
    ],
)
async def test_a_request_that_is_not_plain_or_not_authorized_is_left_to_aiohttp(
    server: Server, target: str, fields: list[str], status: int
) -> None:
    tickets = {
        "good": server.ticket(),
        "other": server.ticket(track="other"),
        "bobs": server.ticket("bob"),
        "his": server.ticket(track="his"),
    }
    async with server.line() as line:
        line.writer.write(server.get(*fields, target=target.format(**tickets)))
        head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d" % status)
        assert server.responder.answered == 0


class TestChangesBetweenRequests:
    """Between two requests of one connection that are alike but for their ranges."""

    async def test_an_expired_ticket_is_refused(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with server.line() as line:
            request = server.get("Range: bytes=4-5")
            assert (await line.ask(request)).status == 206
            assert server.responder.answered == 1
            monkeypatch.setattr(server.responder, "_wall_clock", lambda: time.time() + 9 * 3600)
            await line.ask(request)
            assert server.responder.answered == 1

    async def test_a_track_that_another_user_owns_now_is_not_found(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library = server.app[SERVICES].library
        async with server.line() as line:
            request = server.get("Range: bytes=4-5")
            assert (await line.ask(request)).status == 206
            theirs = replace(library.find("song", "ada"), owner_id="bob")
            monkeypatch.setattr(library, "_catalogue", Catalogue({"song": theirs}))
            assert (await line.ask(request)).status == 404
            assert server.responder.answered == 1

    async def test_a_replaced_file_is_sent_as_it_is_now(self, server: Server, media: Path) -> None:
        async with server.line() as line:
            (media / "new").write_bytes(b"new")
            (media / "new").replace(media / "song.wav")
            assert (await line.ask(server.get())).body == b"new"

    async def test_a_revoked_user_is_refused(self, server: Server) -> None:
        async with server.line() as line:
            request = server.get()
            server.app[SERVICES].tokens.revoked = {"ada": time.time()}
            assert (await line.ask(request)).status == 401

    async def test_a_user_with_too_many_streams_is_refused(self, server: Server) -> None:
        async with server.line() as line:
            server.app[SERVICES].open_streams["ada"] += 3
            assert (await line.ask(server.get())).status == 429
            del server.app[SERVICES].open_streams["ada"]
            assert (await line.ask(server.get())).status == 200
        assert not server.app[SERVICES].open_streams

    async def test_a_file_in_use_stays_open(self, server: Server) -> None:
        async with server.line() as line:
            for _ in range(30):
                await asyncio.sleep(TRUSTED_FOR / 10)
                assert (await line.ask(server.get())).status == 200
            assert server.responder.answered == 30


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


class SlowDisk:
    """Opens files only when a test says so."""

    def __init__(self) -> None:
        self.is_ready = threading.Event()
        self.opened = 0

    def open(self, path: str) -> tuple[io.FileIO, os.stat_result]:
        assert self.is_ready.wait(PATIENCE)
        self.opened += 1
        return open_regular_file(path)


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


@pytest.fixture
def long_song(media: Path) -> bytes:
    """More than the buffers between a server and a client with little room keep."""
    audio = b"".join(number.to_bytes(4, "big") for number in range(2 << 20))
    (media / "song.wav").write_bytes(audio)
    return audio


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
