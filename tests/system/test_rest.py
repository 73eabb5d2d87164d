"""The JSON routes: what they answer, and how they refuse."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, web

from audiostream import Settings, create_app
from audiostream.api import tracks
from audiostream.auth.tickets import TICKET_LIFETIME
from audiostream.errors import StoreError, TrackNotFound
from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Client, Serve, write_wav
from tests.support.fakes import FakeClock

Token = Callable[..., str]


@pytest.fixture
def ada(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token('ada')}"}


async def get(client: Client, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with client.get(path, headers=headers) as answer:
        return answer.status, await answer.json()


async def post(client: Client, path: str, headers: dict[str, str], **body: Any) -> tuple[int, Any]:
    async with client.post(path, headers=headers, json=body) as answer:
        return answer.status, await answer.json()


class TestTracks:
    async def test_the_list_is_what_this_user_may_play(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        status, body = await get(await serve(), "/tracks", ada)
        assert status == 200
        assert [track["id"] for track in body["tracks"]] == ["hers", "other", "song"]

    async def test_a_track_says_what_it_is_and_not_where_its_file_is(
        self, serve: Serve, ada: dict[str, str], media: Path
    ) -> None:
        status, track = await get(await serve(), "/tracks/hers", ada)
        path, _, ticket = track.pop("streamUrl").partition("?ticket=")
        assert (status, path) == (200, "/api/tracks/stream/hers")
        assert ticket
        assert track == {"id": "hers", "title": "Hers", "duration": 60, "ownerId": "ada"}
        assert str(media) not in json.dumps(track)

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("?q=song", ["song"]),
            ("?q=SOMEBODY", ["song"]),
            ("?q=his", []),
            ("?limit=1", ["hers"]),
            ("?limit=1&offset=1", ["other"]),
            ("?offset=5", []),
            ("?limit=0", []),
            ("?q=", ["hers", "other", "song"]),
        ],
    )
    async def test_search_and_pages(
        self, serve: Serve, ada: dict[str, str], query: str, ids: list[str]
    ) -> None:
        _, body = await get(await serve(), f"/tracks{query}", ada)
        assert [track["id"] for track in body["tracks"]] == ids

    @pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1.5", "limit=", "limit=²"])
    async def test_pages_that_are_no_numbers(
        self, serve: Serve, ada: dict[str, str], query: str
    ) -> None:
        status, body = await get(await serve(), f"/tracks?{query}", ada)
        assert (status, body["error"]["code"]) == (400, "invalid_message")

    async def test_the_total_is_in_a_header(self, serve: Serve, ada: dict[str, str]) -> None:
        async with (await serve()).get("/tracks?limit=1", headers=ada) as answer:
            assert answer.headers["X-Total-Count"] == "3"

    async def test_an_unchanged_list_is_not_sent_again(
        self, serve: Serve, ada: dict[str, str], media: Path
    ) -> None:
        client = await serve()
        async with client.get("/tracks", headers=ada) as first:
            etag = first.headers["ETag"]
            assert first.headers["Cache-Control"] == "private, no-cache"
            assert first.headers["Vary"] == "Authorization, Origin, Accept-Encoding"
        async with client.get("/tracks", headers=ada | {"If-None-Match": etag}) as again:
            assert (again.status, await again.read()) == (304, b"")
            assert again.headers["ETag"] == etag
        write_wav(media / "new.wav", 1.0)
        client.app[SERVICES].library.scan()
        async with client.get("/tracks", headers=ada | {"If-None-Match": etag}) as changed:
            assert changed.status == 200

    async def test_a_long_list_is_written_beside_the_event_loop(
        self, serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tracks, "LONG_LIST", 2)
        _, body = await get(await serve(), "/tracks", ada)
        assert len(body["tracks"]) == 3


class TestDescriptions:
    """They are kept, until something about them changes."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock(1_700_000_100.0)  # some minutes after the full hour

    @pytest.fixture
    def app(self, settings: Settings, clock: FakeClock) -> web.Application:
        app = create_app(settings, wall_clock=clock)
        app[SERVICES].library.scan()
        return app

    def test_within_an_hour_it_is_the_same_one(
        self, app: web.Application, clock: FakeClock
    ) -> None:
        first = app[SERVICES].catalogue.describe("ada", "song")
        clock.advance(60.0)
        assert app[SERVICES].catalogue.describe("ada", "song") is first

    def test_the_next_hour_gets_a_ticket_of_its_own(
        self, app: web.Application, clock: FakeClock
    ) -> None:
        first = app[SERVICES].catalogue.describe("ada", "song")
        clock.advance(3600.0)
        second = app[SERVICES].catalogue.describe("ada", "song")
        assert second["streamUrl"] != first["streamUrl"]
        app[SERVICES].tokens.verify_ticket(ticket_of(second), "song", clock.now + TICKET_LIFETIME)

    def test_after_a_revocation_the_ticket_is_one_that_opens(
        self, app: web.Application, clock: FakeClock
    ) -> None:
        before = {user: app[SERVICES].catalogue.describe(user, "song") for user in ("ada", "bob")}
        app[SERVICES].tokens.revoked = {"ada": clock.now}
        renewed = app[SERVICES].catalogue.describe("ada", "song")
        assert renewed["streamUrl"] != before["ada"]["streamUrl"]
        assert (
            app[SERVICES].tokens.verify_ticket(ticket_of(renewed), "song", clock.now).user_id
            == "ada"
        )
        assert app[SERVICES].catalogue.describe("bob", "song") is before["bob"]

    def test_a_rescan_that_finds_another_title_is_heard_of(
        self, app: web.Application, media: Path
    ) -> None:
        assert app[SERVICES].catalogue.describe("ada", "song")["title"] == "Song"
        manifest = media / "tracks.json"
        manifest.write_text(manifest.read_text().replace('"Song"', '"Hymn"'))
        app[SERVICES].library.scan()
        assert app[SERVICES].catalogue.describe("ada", "song")["title"] == "Hymn"

    def test_what_was_taken_off_the_shelf_is_not_described(
        self, app: web.Application, media: Path
    ) -> None:
        app[SERVICES].catalogue.describe("ada", "song")
        (media / "tracks.json").write_text("[]")
        app[SERVICES].library.scan()
        with pytest.raises(TrackNotFound):
            app[SERVICES].catalogue.describe("ada", "song")

    def test_each_user_gets_his_own(self, app: web.Application, clock: FakeClock) -> None:
        app[SERVICES].catalogue.describe("ada", "hers")
        with pytest.raises(TrackNotFound):
            app[SERVICES].catalogue.describe("bob", "hers")
        for user in ("ada", "bob"):
            ticket = ticket_of(app[SERVICES].catalogue.describe(user, "song"))
            assert app[SERVICES].tokens.verify_ticket(ticket, "song", clock.now).user_id == user


def ticket_of(track: Mapping[str, Any]) -> str:
    ticket: str = track["streamUrl"].partition("?ticket=")[2]
    return ticket


class TestCommands:
    async def test_play_pause_and_set(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve()
        _, state = await post(client, "/tracks/play/song", ada)
        assert (state["currentTime"], state["isPlaying"], state["rev"]) == (0, True, 1)
        _, state = await post(client, "/tracks/pause/song", ada, currentTime=5)
        assert (state["currentTime"], state["isPlaying"], state["rev"]) == (5, False, 2)
        _, state = await post(
            client, "/tracks/update-state/other", ada, currentTime=7, isPlaying=False
        )
        assert (state["trackId"], state["currentTime"], state["rev"]) == ("other", 7, 3)
        _, state = await get(client, "/tracks/current-state", ada)
        assert (state["trackId"], state["duration"], state["deviceId"]) == ("other", 60, None)

    async def test_a_body_may_be_missing(self, serve: Serve, ada: dict[str, str]) -> None:
        async with (await serve()).post("/tracks/play/song", headers=ada) as answer:
            assert answer.status == 200

    async def test_the_track_is_the_paths_and_the_user_the_tokens(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        _, state = await post(client, "/tracks/play/song", ada, trackId="other", userId="bob")
        assert state["trackId"] == "song"
        assert client.app[SERVICES].registry.room("bob").state.rev == 0

    async def test_nothing_played_yet(self, serve: Serve, ada: dict[str, str]) -> None:
        _, state = await get(await serve(), "/tracks/current-state", ada)
        assert (state["trackId"], state["currentTime"], state["isPlaying"]) == (None, 0, False)

    async def test_a_conflict_shows_the_state(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve()
        await post(client, "/tracks/play/song", ada)
        status, body = await post(client, "/tracks/pause/other", ada)
        assert (status, body["error"]["code"]) == (409, "conflict")
        assert body["error"]["state"]["trackId"] == "song"
        status, _ = await post(client, "/tracks/play/song", ada, ifRev=7)
        assert status == 409

    @pytest.mark.parametrize(
        "body", [b"nonsense", b"[]", b'{"currentTime": -1}', b'{"currentTime": "5"}', b"\xff"]
    )
    async def test_bad_bodies(self, serve: Serve, ada: dict[str, str], body: bytes) -> None:
        async with (await serve()).post("/tracks/play/song", headers=ada, data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == "invalid_message"

    async def test_update_state_needs_both(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve()
        for body in ({"currentTime": 1}, {"isPlaying": True}):
            status, _ = await post(client, "/tracks/update-state/song", ada, **body)
            assert status == 400

    async def test_a_body_of_more_than_16_kib(self, serve: Serve, ada: dict[str, str]) -> None:
        body = b" " * (16 * 1024 + 1)
        async with (await serve()).post("/tracks/play/song", headers=ada, data=body) as answer:
            assert answer.status == 413
            assert (await answer.json())["error"]["code"] == "too_large"


class TestRefusals:
    ROUTES = (
        ("GET", "/tracks"),
        ("GET", "/tracks/song"),
        ("GET", "/tracks/stream/song"),
        ("GET", "/tracks/current-state"),
        ("POST", "/tracks/play/song"),
        ("POST", "/tracks/pause/song"),
        ("POST", "/tracks/update-state/song"),
        ("POST", "/session"),
    )

    @pytest.mark.parametrize("base", ["", "/api"])
    @pytest.mark.parametrize(("method", "path"), ROUTES)
    async def test_every_route_wants_a_token(
        self, serve: Serve, method: str, path: str, base: str
    ) -> None:
        client = await serve()
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer é"}):
            async with client.request(method, base + path, headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert (await answer.json())["error"]["code"] == "unauthorized"

    async def test_a_token_in_the_query_opens_no_rest_route(
        self, serve: Serve, token: Token
    ) -> None:
        status, _ = await get(await serve(), f"/tracks?token={token()}", {})
        assert status == 401

    async def test_no_such_route_and_no_such_method(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        status, body = await get(client, "/nowhere", ada)
        assert (status, body["error"]["code"]) == (404, "not_found")
        async with client.delete("/tracks", headers=ada) as answer:
            assert answer.status == 405
            assert "GET" in answer.headers["Allow"]

    async def test_our_own_mistake_says_nothing_of_itself(
        self, serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await serve()
        monkeypatch.setattr(client.app[SERVICES].storage.loader, "room", lambda user: 1 / 0)
        status, body = await get(client, "/tracks/current-state", ada)
        assert (status, body["error"]["code"]) == (500, "internal")
        assert "division" not in json.dumps(body)


class TestSession:
    async def test_a_cookie_that_opens_the_stream_and_nothing_else(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        async with client.post("/session", headers=ada) as answer:
            assert answer.status == 204
            cookie = next(iter(SimpleCookie(answer.headers["Set-Cookie"]).values()))
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert not cookie["secure"]
        assert (await get(client, "/tracks", {}))[0] == 401
        for path in ("/tracks/stream/hers", "/api/tracks/stream/song"):
            async with client.get(path) as stream:
                assert (stream.status, stream.content_type) == (200, "audio/wav")
        async with client.get("/tracks/stream/his") as stream:
            assert stream.status == 404
        async with client.delete("/session") as answer:
            assert answer.status == 204
        async with client.get("/tracks/stream/hers") as stream:
            assert stream.status == 401

    async def test_it_lives_as_long_as_its_token(self, serve: Serve, token: Token) -> None:
        headers = {"Authorization": f"Bearer {token(life=600)}", "X-Forwarded-Proto": "https"}
        client = await serve(trusted_proxies=("127.0.0.1",))
        async with client.post("/session", headers=headers) as answer:
            cookie = next(iter(SimpleCookie(answer.headers["Set-Cookie"]).values()))
        assert 590 <= int(cookie["max-age"]) <= 600
        assert cookie["secure"]


class TestStreams:
    async def test_by_bearer_by_ticket_and_by_nothing(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        _, track = await get(client, "/tracks/hers", ada)
        for path, headers, status in (
            ("/tracks/stream/hers", ada, 200),
            (track["streamUrl"], {}, 200),
            (track["streamUrl"].replace("/api", ""), {}, 200),
            (track["streamUrl"].replace("hers", "song"), {}, 401),
            ("/tracks/stream/hers?ticket=", {}, 401),
            ("/tracks/stream/hers", {}, 401),
            ("/tracks/stream/his", ada, 404),
            ("/tracks/stream/none", ada, 404),
        ):
            for method in ("GET", "HEAD"):
                async with client.request(method, path, headers=headers) as answer:
                    assert answer.status == status, path

    async def test_a_good_proof_beside_a_bad_one_is_enough(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        _, track = await get(client, "/tracks/hers", ada)
        name = client.app[SERVICES].session_cookie.name(
            f"{client.host}:{client.port}", is_tls=False
        )
        cookie = {"Cookie": f"{name}=outdated"}
        async with client.get(track["streamUrl"], headers=cookie) as answer:
            assert answer.status == 200

    async def test_a_ticket_is_no_token(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve()
        _, track = await get(client, "/tracks/hers", ada)
        ticket = track["streamUrl"].partition("ticket=")[2]
        assert (await get(client, "/tracks", {"Authorization": f"Bearer {ticket}"}))[0] == 401
        token = ada["Authorization"].removeprefix("Bearer ")
        async with client.get(f"/tracks/stream/hers?ticket={token}") as answer:
            assert answer.status == 401

    async def test_public_streams_are_the_shared_ones(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve(public_streams=True)
        for path, headers, status in (
            ("/api/tracks/stream/song", {}, 200),
            ("/api/tracks/stream/song", {"Authorization": "Bearer outdated"}, 200),
            ("/api/tracks/stream/hers", {}, 404),
            ("/api/tracks/stream/hers", ada, 200),
        ):
            async with client.get(path, headers=headers) as answer:
                assert answer.status == status


class TestLimits:
    async def test_streams_at_once(
        self, serve: Serve, ada: dict[str, str], media: Path, token: Token
    ) -> None:
        write_wav(media / "long.wav", 3000.0)
        client = await serve(limits=Limits(streams_per_user=2))
        [track] = client.app[SERVICES].library.tracks_for("ada", "long")
        path = f"/tracks/stream/{track.id}"
        async with client.get(path, headers=ada), client.get(path, headers=ada):
            async with client.get(path, headers=ada) as third:
                assert (third.status, third.headers["Retry-After"]) == (429, "1")
                assert (await third.json())["error"]["code"] == "rate_limited"
            bob = {"Authorization": f"Bearer {token('bob')}", "Range": "bytes=0-9"}
            async with client.get(path, headers=bob) as other:
                assert other.status == 206
        async with asyncio.timeout(10):
            while client.app[SERVICES].open_streams:
                await asyncio.sleep(0.01)
        for _ in range(5):
            async with client.get(path, headers=ada | {"Range": "bytes=0-9"}) as answer:
                assert (answer.status, len(await answer.read())) == (206, 10)
        assert client.app[SERVICES].open_streams["bob"] == 0

    async def test_a_reader_that_takes_nothing_is_cut(
        self, serve: Serve, ada: dict[str, str], media: Path
    ) -> None:
        write_wav(media / "long.wav", 3000.0)
        client = await serve(limits=Limits(stall_timeout=1))
        [track] = client.app[SERVICES].library.tracks_for("ada", "long")
        async with client.get(f"/tracks/stream/{track.id}", headers=ada) as answer:
            assert answer.status == 200
            async with asyncio.timeout(10):
                while client.app[SERVICES].open_streams:
                    await asyncio.sleep(0.05)
            with pytest.raises(ClientPayloadError):
                await answer.read()

    async def test_a_body_that_never_comes(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve(limits=Limits(body_timeout=1))
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(
            b"POST /tracks/play/song HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            b"Authorization: " + ada["Authorization"].encode() + b"\r\n\r\n{"
        )
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"}}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"too_slow"' in answer
        writer.close()
        await writer.wait_closed()


async def test_a_state_file_that_cannot_be_read_is_503(
    serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await serve()

    async def fails(user_id: str) -> None:
        raise StoreError("the state cannot be read now; try again")

    monkeypatch.setattr(client.app[SERVICES].storage.loader, "room", fails)
    status, body = await get(client, "/tracks/current-state", ada)
    assert (status, body["error"]["code"]) == (503, "state_unavailable")


async def test_degraded_health_is_said(serve: Serve) -> None:
    client = await serve()
    client.app[SERVICES].storage.saver.is_degraded = True
    assert await get(client, "/healthz", {}) == (200, {"status": "degraded"})


async def test_health_says_nothing_private(serve: Serve) -> None:
    client = await serve()
    for path in ("/healthz", "/api/healthz"):
        assert await get(client, path, {}) == (200, {"status": "ok"})


async def test_tickets_in_lists_are_good_for_six_hours(serve: Serve, ada: dict[str, str]) -> None:
    _, track = await get(await serve(), "/tracks/song", ada)
    expiry = int(track["streamUrl"].partition("ticket=")[2].partition(".")[0])
    assert expiry - time.time() >= 60 + 6 * 3600
