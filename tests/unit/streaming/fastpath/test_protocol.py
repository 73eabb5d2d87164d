"""Plain ranges on the short way: answered as aiohttp would, and never more than that."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from audiostream import Settings, create_app
from audiostream.auth.access_tokens import Tokens
from audiostream.auth.cookies import SessionCookie
from audiostream.library.library import Catalogue
from audiostream.ops.access_log import AccessLogger
from audiostream.ops.proxies import Client
from audiostream.services import LIBRARY, SESSION_COOKIE, STREAMS, TOKENS
from audiostream.settings import Limits
from audiostream.streaming.fastpath.protocol import (
    LONGEST_HEAD,
    Answer,
    Desk,
    Question,
    Shortcut,
    plain_request,
)
from audiostream.streaming.open_files import TRUSTED_FOR
from audiostream.streaming.response import SMALL, Asked
from audiostream.streaming.transfer import GONE
from tests.conftest import PATIENCE, until

IDLE_LIMIT = 2.0
on_linux = pytest.mark.skipif(
    not hasattr(os, "RWF_NOWAIT"), reason="only Linux says what is in memory"
)
pytestmark = on_linux


class CountingDesk(Desk):
    """Notes how many requests it has answered."""

    answered = 0

    def answer(self, question: Question, asked: Asked, now: float) -> Answer | None:
        answer = super().answer(question, asked, now)
        self.answered += answer is not None
        return answer


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
class House:
    app: web.Application
    desk: CountingDesk
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
                self.desk.answered = 0
            yield line
        finally:
            writer.close()
            await writer.wait_closed()

    def ticket(self, user: str = "ada", track: str = "song") -> str:
        return self.app[TOKENS].ticket(user, track, 60.0, time.time())

    def get(self, *fields: str, target: str | None = None) -> bytes:
        target = target or f"/api/tracks/stream/song?ticket={self.ticket()}"
        lines = [f"GET {target} HTTP/1.1", "Host: here", *fields]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


@pytest.fixture
async def house(settings: Settings, media: Path) -> AsyncIterator[House]:
    """The server as ``python -m audiostream`` makes it, on a song of eleven thousand bytes."""
    (media / "song.wav").write_bytes(bytes(range(256)) * 43)
    app = create_app(replace(settings, limits=Limits(streams_per_user=3, stall_timeout=1)))
    app[LIBRARY].scan()
    runner = web.AppRunner(app, access_log_class=AccessLogger, keepalive_timeout=IDLE_LIMIT)
    await runner.setup()
    desk = CountingDesk(app)
    assert runner.server is not None
    behind: Callable[[], web.RequestHandler] = runner.server
    server = await asyncio.get_running_loop().create_server(
        lambda: Shortcut(desk, behind()), "127.0.0.1", 0
    )
    yield House(app, desk, server.sockets[0].getsockname()[1])
    server.close()
    await runner.cleanup()
    desk.close()


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
async def test_both_ways_answer_alike(house: House, asked: str | None) -> None:
    async with house.line() as short, house.line() as long:
        assert (await long.ask(house.get("Connection: Keep-Alive, x"))).status == 200
        ours = await short.ask(house.get(*ranged(asked)))
        is_short = ours.status != 416
        assert house.desk.answered == is_short
        theirs = await long.ask(house.get(*ranged(asked)))
        assert house.desk.answered == is_short
        assert ours.without_date() == theirs.without_date()


CHROMIUM = (
    "Connection: keep-alive",
    'sec-ch-ua-platform: "Linux"',
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    'sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156"',
    "sec-ch-ua-mobile: ?0",
    "Accept: */*",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: no-cors",
    "Sec-Fetch-Dest: audio",
    "Referer: http://127.0.0.1:8080/",
    "Accept-Encoding: identity;q=1, *;q=0",
    "Accept-Language: en-US,en;q=0.9",
)
"""What its media element sends beside the range, in front of it."""


@pytest.mark.parametrize("asked", RANGES)
async def test_one_like_the_one_before_is_answered_alike(house: House, asked: str | None) -> None:
    async with house.line() as line, house.line() as first:
        for before in ("Range: bytes=3-", "Range: bytes=0-4"):
            assert (await line.ask(house.get(*CHROMIUM, before))).status == 206
        ours = await line.ask(house.get(*CHROMIUM, *ranged(asked)))
        theirs = await first.ask(house.get(*CHROMIUM, *ranged(asked)))
        assert house.desk.answered == (4 if ours.status != 416 else 2)
        assert ours.without_date() == theirs.without_date()


class TestIfRange:
    """A browser that seeks in what it has a part of insists on the same version."""

    @pytest.fixture
    async def etag(self, house: House) -> str:
        async with house.line(warm=False) as line:
            head = (await line.ask(house.get("Range: bytes=0-4"))).head
            return head.partition(b"ETag: ")[2].partition(b"\r\n")[0].decode()

    @pytest.mark.parametrize("asked", RANGES)
    async def test_the_current_version(self, house: House, etag: str, asked: str | None) -> None:
        fields = [*ranged(asked), f"If-Range: {etag}"]
        async with house.line() as short, house.line() as long:
            assert (await long.ask(house.get("Connection: Keep-Alive, x"))).status == 200
            ours = await short.ask(house.get(*CHROMIUM, *fields))
            again = await short.ask(house.get(*CHROMIUM, *fields))
            assert house.desk.answered == (2 if ours.status != 416 else 0)
            theirs = await long.ask(house.get(*fields))
            assert ours.without_date() == again.without_date() == theirs.without_date()

    @pytest.mark.parametrize("of", ["W/{}", '"x"', "{}, {}", "x", "", "{date}", "*"])
    async def test_anything_else_is_left_to_aiohttp(
        self, house: House, media: Path, etag: str, of: str
    ) -> None:
        date = formatdate((media / "song.wav").stat().st_mtime, usegmt=True)
        held = f"If-Range: {of.format(etag, etag, date=date)}"
        async with house.line() as line:
            assert (await line.ask(house.get("Range: bytes=1-2", held))).status == 200
            assert house.desk.answered == 0

    async def test_a_version_that_was_replaced_meanwhile(
        self, house: House, media: Path, etag: str
    ) -> None:
        async with house.line() as line:
            held = f"If-Range: {etag}"
            assert (await line.ask(house.get("Range: bytes=1-2", held))).body == b"\1\2"
            (media / "new").write_bytes(b"new")
            (media / "new").replace(media / "song.wav")
            for _ in range(2):
                assert (await line.ask(house.get("Range: bytes=1-2", held))).body == b"new"


async def test_a_cookie_opens_it_too(house: House) -> None:
    identity = house.app[TOKENS].verify_ticket(house.ticket(), "song", time.time())
    value, _ = house.app[TOKENS].session(identity, time.time())
    name = house.app[SESSION_COOKIE].name("here", is_tls=False)
    theirs = "audiostream_session_01234567_3000=1.YQ.abc"
    async with house.line() as line:
        for number, cookies in enumerate((f"{name}={value}", f"{theirs}; {name}={value}; a=b")):
            request = house.get(f"Cookie: {cookies}", target="/tracks/stream/song")
            assert len((await line.ask(request)).body) == 11008
            assert house.desk.answered == 1 + number


async def test_what_it_answers_is_logged_like_the_rest(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aiohttp.access")
    async with house.line(warm=False) as line:
        await line.ask(house.get())
        await line.ask(house.get("Range: bytes=0-9"))
        assert house.desk.answered == 1
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
        ("/api/tracks/stream/song?ticket={good}", ["Authorization: Bearer nonsense"], 200),
        ("/api/tracks/stream/song?ticket={good}", ["If-None-Match: *"], 304),
        ("/api/tracks/stream/song?ticket={good}", ["If-Match: x"], 412),
        ("/api/tracks/stream/song?ticket={good}", ["Origin: https://elsewhere.example"], 200),
        ("/healthz", [], 200),
    ],
)
async def test_whatever_is_not_plain_or_not_good_is_left_to_aiohttp(
    house: House, target: str, fields: list[str], status: int
) -> None:
    tickets = {
        "good": house.ticket(),
        "other": house.ticket(track="other"),
        "bobs": house.ticket("bob"),
        "his": house.ticket(track="his"),
    }
    async with house.line() as line:
        line.writer.write(house.get(*fields, target=target.format(**tickets)))
        head = await line.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d" % status)
        assert house.desk.answered == 0


class TestWhatChanges:
    """Between two requests of one connection that are alike but for their ranges."""

    async def test_a_ticket_that_ends(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        async with house.line() as line:
            request = house.get("Range: bytes=4-5")
            assert (await line.ask(request)).status == 206
            assert house.desk.answered == 1
            monkeypatch.setattr(house.desk, "_wall_clock", lambda: time.time() + 9 * 3600)
            await line.ask(request)
            assert house.desk.answered == 1

    async def test_a_track_that_became_somebody_elses(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        library = house.app[LIBRARY]
        async with house.line() as line:
            request = house.get("Range: bytes=4-5")
            assert (await line.ask(request)).status == 206
            theirs = replace(library.find("song", "ada"), owner_id="bob")
            monkeypatch.setattr(library, "_catalogue", Catalogue({"song": theirs}))
            assert (await line.ask(request)).status == 404
            assert house.desk.answered == 1

    async def test_a_file_that_was_replaced(self, house: House, media: Path) -> None:
        async with house.line() as line:
            (media / "new").write_bytes(b"new")
            (media / "new").replace(media / "song.wav")
            assert (await line.ask(house.get())).body == b"new"

    async def test_a_user_who_was_revoked(self, house: House) -> None:
        async with house.line() as line:
            request = house.get()
            house.app[TOKENS].revoked = {"ada": time.time()}
            assert (await line.ask(request)).status == 401

    async def test_a_user_with_too_many_streams(self, house: House) -> None:
        async with house.line() as line:
            house.app[STREAMS]["ada"] += 3
            assert (await line.ask(house.get())).status == 429
            del house.app[STREAMS]["ada"]
            assert (await line.ask(house.get())).status == 200
        assert not house.app[STREAMS]

    async def test_a_file_in_use_stays_at_rest(self, house: House) -> None:
        async with house.line() as line:
            for _ in range(30):
                await asyncio.sleep(TRUSTED_FOR / 10)
                assert (await line.ask(house.get())).status == 200
            assert house.desk.answered == 30


class TestIdleTime:
    async def test_it_begins_with_the_last_answer(self, house: House) -> None:
        async with house.line() as line:
            for answered in range(1, 9):
                await asyncio.sleep(IDLE_LIMIT / 6)
                assert (await line.ask(house.get("Range: bytes=0-9"))).status == 206
                assert house.desk.answered == answered
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_a_head_that_never_ends_does_not_stop_it(self, house: House) -> None:
        async with house.line() as line:
            assert (await line.ask(house.get())).status == 200
            assert house.desk.answered == 1
            line.writer.write(b"GET /healthz HTTP/1.1\r\nX-Note: ")
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_a_request_that_is_left_to_aiohttp_is_counted_there(self, house: House) -> None:
        async with house.line() as line:
            assert (await line.ask(house.get())).status == 200
            for _ in range(4):
                reply = await line.ask(house.get("Content-Length: 1", target="/healthz") + b"x")
                assert b"ok" in reply.body
                await asyncio.sleep(IDLE_LIMIT / 3)
            assert house.desk.answered == 1


class TestWhereTheNextRequestBegins:
    async def test_not_inside_a_header(self, house: House) -> None:
        async with house.line() as line:
            begun = b"GET /healthz HTTP/1.1\r\nX-Note: "
            reply = await line.ask(begun, house.get())
            assert b"ok" in reply.body
            assert await line.is_silent()
            assert house.desk.answered == 0

    async def test_not_inside_a_body(self, house: House) -> None:
        async with house.line() as line:
            hidden = house.get()
            post = b"POST /session HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n"
            assert (await line.ask(post % len(hidden), hidden)).status == 401
            assert await line.is_silent()
            assert house.desk.answered == 0

    async def test_nor_behind_a_get_with_a_body(self, house: House) -> None:
        async with house.line() as line:
            hidden = house.get()
            begun = house.get(f"Content-Length: {len(hidden)}", target="/healthz")
            assert b"ok" in (await line.ask(begun, hidden)).body
            assert await line.is_silent()
            assert house.desk.answered == 0

    async def test_in_pieces_it_is_understood_all_the_same(self, house: House) -> None:
        async with house.line() as line:
            request = house.get("Range: bytes=0-9")
            assert len((await line.ask(request[:30], request[30:])).body) == 10
            assert house.desk.answered == 0

    async def test_two_at_once_are_answered_in_their_order(self, house: House) -> None:
        async with house.line() as line:
            first = await line.ask(house.get("Range: bytes=0-9") + house.get("Range: bytes=5-5"))
            assert (len(first.body), (await line.reply()).body) == (10, b"\x05")
            assert house.desk.answered == 0

    async def test_one_that_overtakes_waits_for_the_one_before(self, house: House) -> None:
        async with house.line() as line:
            line.writer.write(house.get(target="/healthz"))
            await asyncio.sleep(0)
            line.writer.write(house.get("Range: bytes=5-5"))
            assert b"ok" in (await line.reply()).body
            assert (await line.reply()).body == b"\x05"


async def test_a_client_that_takes_nothing_is_counted_and_cut(house: House, media: Path) -> None:
    (media / "song.wav").write_bytes(bytes(SMALL))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", house.port))
        connections = 0
        async with asyncio.timeout(PATIENCE):
            async with house.line():
                pass
            while not house.app[STREAMS]["ada"]:
                del house.app[STREAMS]["ada"]
                deaf.send(house.get())
                connections += 1
                await asyncio.sleep(0.05)
            while house.app[STREAMS]:
                await asyncio.sleep(0.05)
        assert house.desk.answered == connections


@pytest.fixture
def long_song(media: Path) -> bytes:
    """More than the buffers between a server and a client with little room keep."""
    audio = b"".join(number.to_bytes(4, "big") for number in range(2 << 20))
    (media / "song.wav").write_bytes(audio)
    return audio


class TestLargeRanges:
    @pytest.fixture(autouse=True)
    def song(self, house: House, long_song: bytes) -> None:
        self.audio = long_song

    @pytest.mark.parametrize("asked", [None, "bytes=0-", "bytes=7-1048582", "bytes=-200000"])
    async def test_both_ways_answer_alike(self, house: House, asked: str | None) -> None:
        fields = ranged(asked)
        async with house.line() as short, house.line() as long:
            await long.ask(house.get("Connection: Keep-Alive, x", "Range: bytes=0-9"))
            house.desk.answered = 0
            ours = await short.ask(house.get(*fields))
            theirs = await long.ask(house.get(*fields))
            assert house.desk.answered == 1
            assert ours.without_date() == theirs.without_date()

    @pytest.mark.parametrize("asked", ["0-9", "0-65535", "0-65536", "9-200000", "9-1048582"])
    @pytest.mark.parametrize("most", [0, 5, 405, 20_000, 40_000])
    async def test_what_the_system_does_not_take_at_once_follows(
        self, house: House, monkeypatch: pytest.MonkeyPatch, asked: str, most: int
    ) -> None:
        def write(file: int, text: memoryview, write: Callable[..., int] = os.write) -> int:
            if not most:
                raise BlockingIOError
            return write(file, text[:most])

        first, last = map(int, asked.split("-"))
        async with house.line() as line:
            monkeypatch.setattr("audiostream.streaming.fastpath.protocol.os.write", write)
            for answered in (1, 2):
                reply = await line.ask(house.get(f"Range: bytes={asked}"))
                assert reply.body == self.audio[first : last + 1]
                assert house.desk.answered == answered
        await until(lambda: not house.app[STREAMS])

    @pytest.mark.parametrize(("asked", "is_ours"), [("0-9", 0), ("9-99999", 0), ("9-999999", 1)])
    async def test_what_is_not_in_memory_is_left_to_aiohttp_unless_it_is_much(
        self, house: House, monkeypatch: pytest.MonkeyPatch, asked: str, is_ours: int
    ) -> None:
        first, last = map(int, asked.split("-"))
        async with house.line() as line:
            for name in ("read_from_memory", "is_in_memory"):
                monkeypatch.setattr(
                    f"audiostream.streaming.fastpath.protocol.{name}", lambda *_: False
                )
            reply = await line.ask(house.get(f"Range: bytes={asked}"))
            assert reply.body == self.audio[first : last + 1]
            assert house.desk.answered == is_ours

    async def test_a_client_with_little_room_gets_all_of_it(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "aiohttp.access")
        async with house.line(room=4096) as line:
            caplog.clear()
            line.writer.write(house.get())
            await until(lambda: house.app[STREAMS])
            assert not caplog.records
            assert (await line.reply()).body == self.audio
            await until(lambda: not house.app[STREAMS])
            assert int(caplog.records[0].getMessage().split()[4]) > len(self.audio)
            for _ in range(10):  # on a busy machine some come too late for an open descriptor
                assert (await line.ask(house.get("Range: bytes=4-7"))).body == self.audio[4:8]
            assert house.desk.answered > 1

    async def test_it_may_take_longer_than_a_connection_may_be_idle(self, house: House) -> None:
        async with house.line(room=4096) as line:
            line.writer.write(house.get())
            head = await line.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            got = bytearray()
            for _ in range(8):
                got += await line.reader.readexactly(256 * 1024)
                await asyncio.sleep(IDLE_LIMIT / 5)
            assert house.app[STREAMS]["ada"] == 1
            assert got + await line.reader.readexactly(len(self.audio) - len(got)) == self.audio

    async def test_after_it_the_connection_may_be_idle_as_long_as_others(
        self, house: House
    ) -> None:
        async with house.line(room=4096) as line:
            assert (await line.ask(house.get())).body == self.audio
            async with asyncio.timeout(PATIENCE):
                assert await line.reader.read() == b""

    async def test_a_request_that_came_early_waits(self, house: House) -> None:
        async with house.line(room=4096) as line:
            line.writer.write(house.get())
            await until(lambda: house.app[STREAMS])
            line.writer.write(house.get("Range: bytes=4-7"))
            assert (await line.reply()).body == self.audio
            assert (await line.reply()).body == self.audio[4:8]

    async def test_who_has_said_all_gets_all(self, house: House) -> None:
        async with house.line(room=4096) as line:
            line.writer.write(house.get())
            line.writer.write_eof()
            assert (await line.reply()).body == self.audio
            assert await line.reader.read() == b""

    async def test_who_leaves_is_forgotten(self, house: House) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with house.line(room=4096) as line:
                line.writer.write(house.get())
                await until(lambda: house.app[STREAMS])
            await until(lambda: not house.app[STREAMS])
        assert house.desk.answered == 1
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)

    async def test_who_takes_nothing_is_cut(self, house: House) -> None:
        async with house.line(room=4096) as line:
            line.writer.write(house.get())
            await until(lambda: house.app[STREAMS])
            await until(lambda: not house.app[STREAMS])
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.reader.readexactly(len(self.audio))

    async def test_a_file_that_ends_early_cuts_the_connection(
        self, house: House, media: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with house.line(room=4096) as line:
            line.writer.write(house.get())
            await until(lambda: house.app[STREAMS])
            os.truncate(media / "song.wav", 1000)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.reader.readexactly(len(self.audio))
            assert not house.app[STREAMS]
            assert "bytes early" in caplog.text

    @pytest.mark.parametrize("why", sorted(GONE | {errno.EIO}), ids=errno.errorcode.get)
    async def test_a_failure_ends_one_connection_and_is_told_where_it_is_ours(
        self,
        house: House,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        why: int,
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(why, os.strerror(why))

        async with house.line() as line:
            with monkeypatch.context() as patch:
                patch.setattr(os, "sendfile", refuse)
                with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                    await line.ask(house.get())
            assert house.desk.answered == 1
        assert ("stopped sending" in caplog.text) == (why == errno.EIO)
        async with house.line() as line:
            assert (await line.ask(house.get())).body == self.audio
            assert house.desk.answered == 1

    async def test_where_sendfile_is_ruled_out_aiohttp_copies(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        async with house.line() as line:
            monkeypatch.setattr(os, "sendfile", refuse)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await line.ask(house.get())
        async with house.line() as line:
            assert (await line.ask(house.get())).body == self.audio
            assert house.desk.answered == 0


plain_fields = st.lists(
    st.sampled_from(
        [
            "Range: bytes=0-9",
            "Range: bytes=-3",
            "Accept: */*",
            "User-Agent: x",
            "Connection: keep-alive",
            "Connection: Upgrade",
            "Transfer-Encoding: chunked",
            "Content-Length: 0",
            "Expect: 100-continue",
            "Host: there",
            "X : y",
            " folded",
            "Cookie: a=b; audiostream_session=x",
            "If-Range: x",
        ]
    ),
    max_size=4,
)


@given(fields=plain_fields, cut=st.integers(0, 400), junk=st.binary(max_size=3))
@rounds(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_plain_request_is_whole_and_ends_at_its_end(
    fields: list[str], cut: int, junk: bytes
) -> None:
    lines = ["GET /x HTTP/1.1", "Host: here", *fields]
    whole = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    for data in (whole[:cut], whole[:cut] + junk + whole[cut:], whole + junk, whole + whole):
        found = plain_request(data)
        if found is None:
            continue
        assert data.count(b"\r\n\r\n") == 1
        assert data.endswith(b"\r\n\r\n")
        names = [line.partition(b":")[0].lower() for line in data.split(b"\r\n")[1:-2]]
        assert len(set(names)) == len(names)
        assert b"host" in names
        assert not {b"content-length", b"transfer-encoding", b"upgrade", b"expect"} & set(names)
        assert found[1].get(b"connection", b"keep-alive").lower() == b"keep-alive"


class CookieOfOneName(SessionCookie):
    def name(self, host: str, *, is_tls: bool) -> str:
        return "audiostream_session"


COOKIE = CookieOfOneName(web.Application(), Tokens("secret"))
CLIENT = Client("127.0.0.1", False, "here")


def read(data: bytes) -> tuple[Question, Asked] | None:
    request = plain_request(data)
    return request and Question.read(data, *request, COOKIE, CLIENT)


def told(question: Question) -> tuple[object, ...]:
    return (
        question.target,
        question.track_id,
        question.ticket,
        question.session,
        question.if_range,
    )


positions = st.one_of(st.integers(0, 10**19).map(str), st.text("0123456789 -,=", max_size=20))
values = st.one_of(
    st.builds("bytes={}-{}".format, positions, positions),
    st.builds("bytes={}-{}".format, st.integers(0, 99), st.integers(0, 99)),
    st.sampled_from(["bytes=0-", "Bytes=1-2", " bytes=1-2", "bytes=1-2\t", "x", ""]),
)
more_fields = st.lists(
    st.one_of(
        st.sampled_from([*CHROMIUM, 'If-Range: "1-2-3"', "X: bytes=0-4", "X-Range: bytes=1-2"]),
        st.builds("Cookie: {}".format, st.sampled_from(["audiostream_session=a.b.c", "a=b"])),
        st.builds("X: {}".format, st.sampled_from(["Range: bytes=0-9", "a" * 3850])),
    ),
    max_size=4,
    unique_by=lambda field: field.partition(":")[0],
)
targets = st.sampled_from(["/tracks/stream/a", "/api/tracks/stream/a?ticket=1.2.3", "/healthz"])


@given(
    target=targets,
    before=more_fields,
    after=more_fields,
    name=st.sampled_from(["Range: ", "range:", "RANGE: \t"]),
    first=values,
    second=values,
    junk=st.tuples(st.integers(0, 400), st.integers(0, 9), st.binary(max_size=9)),
)
@rounds(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_read_of_one_like_the_one_before_is_what_all_of_it_says(
    target: str,
    before: list[str],
    after: list[str],
    name: str,
    first: str,
    second: str,
    junk: tuple[int, int, bytes],
) -> None:
    def request(value: str) -> bytes:
        lines = [f"GET {target} HTTP/1.1", "Host: here", *before, f"{name}{value}", *after, "", ""]
        return "\r\n".join(lines).encode()

    found = read(request(first))
    if found is None:
        return
    question, _ = found
    like, (place, gone, put) = request(second), junk
    for data in (like, like[:place] + put + like[place + gone :], like + put, put + like, like * 2):
        asked = question.again(data)
        if asked is not None:
            in_full = read(data)
            assert in_full is not None
            assert (told(question), asked) == (told(in_full[0]), in_full[1])
            assert len(data) <= LONGEST_HEAD


def test_of_one_like_the_one_before_nothing_but_the_range_is_read() -> None:
    def request(value: str) -> bytes:
        lines = ["GET /tracks/stream/a?ticket=1.2.3 HTTP/1.1", "Host: here", f"Range: {value}"]
        return "\r\n".join([*lines, 'If-Range: "1-2-3"', "", ""]).encode()

    found = read(request("bytes=0-"))
    assert found is not None
    assert found[0].again(request("bytes=7-")) == (7, None)
    assert found[0].again(request("bytes=00123-456")) == (123, 456)
    assert found[0].again(request("bytes=-5")) is None
    assert found[0].again(request("bytes=1-2").replace(b"1.2.3", b"1.2.4")) is None
    assert found[0].again(request("bytes=1-2").replace(b"1-2-3", b"1-2-4")) is None
