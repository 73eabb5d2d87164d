"""Which requests the fast path answers, and that aiohttp would answer alike."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from audiostream.auth.tickets import Identity
from audiostream.library.catalogue import Catalogue
from audiostream.services import SERVICES
from audiostream.streaming.fastpath.open_files import TRUSTED_FOR
from audiostream.streaming.route import ClientAddress
from tests.support.browser_requests import CHROMIUM_FIELDS
from tests.system.fastpath.support import (
    STREAM,
    Line,
    Server,
    on_linux,
    ranged,
)

pytestmark = on_linux


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
