"""The JSON routes: what they answer, and how they refuse."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from audiostream.api import tracks
from audiostream.errors import StoreError
from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Client, Serve
from tests.support.audio_files import write_wav

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
    async def test_the_list_of_tracks_has_shared_and_own_ones(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        status, body = await get(await serve(), "/tracks", ada)
        assert status == 200
        assert [track["id"] for track in body["tracks"]] == ["hers", "other", "song"]

    async def test_a_track_is_described_without_the_path_of_its_file(
        self, serve: Serve, ada: dict[str, str], media: Path
    ) -> None:
        status, track = await get(await serve(), "/tracks/hers", ada)
        path, _, ticket = track.pop("streamUrl").partition("?ticket=")
        assert (status, path) == (200, "/api/tracks/stream/hers")
        assert ticket
        added_at = track.pop("addedAt")  # epoch milliseconds: the file was written just now
        assert abs(added_at / 1000 - time.time()) < 60
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
    async def test_the_list_of_tracks_is_filtered_and_paged(
        self, serve: Serve, ada: dict[str, str], query: str, ids: list[str]
    ) -> None:
        _, body = await get(await serve(), f"/tracks{query}", ada)
        assert [track["id"] for track in body["tracks"]] == ids

    @pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1.5", "limit=", "limit=²"])
    async def test_a_limit_or_offset_that_is_no_number_is_400(
        self, serve: Serve, ada: dict[str, str], query: str
    ) -> None:
        status, body = await get(await serve(), f"/tracks?{query}", ada)
        assert (status, body["error"]["code"]) == (400, "invalid_message")

    async def test_the_number_of_matching_tracks_is_in_a_header(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        async with (await serve()).get("/tracks?limit=1", headers=ada) as answer:
            assert answer.headers["X-Total-Count"] == "3"

    async def test_an_unchanged_list_is_answered_with_304(
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

    async def test_a_long_list_is_made_by_a_worker_thread(
        self, serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tracks, "LONG_LIST", 2)
        _, body = await get(await serve(), "/tracks", ada)
        assert len(body["tracks"]) == 3


class TestCommands:
    async def test_play_pause_and_update_state_change_the_state(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
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

    async def test_a_command_without_a_body_is_accepted(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        async with (await serve()).post("/tracks/play/song", headers=ada) as answer:
            assert answer.status == 200

    async def test_a_command_takes_the_track_from_the_path_and_the_user_from_the_token(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        _, state = await post(client, "/tracks/play/song", ada, trackId="other", userId="bob")
        assert state["trackId"] == "song"
        assert client.app[SERVICES].registry.room("bob").state.rev == 0

    async def test_the_state_of_a_user_who_has_played_nothing_has_no_track(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        _, state = await get(await serve(), "/tracks/current-state", ada)
        assert (state["trackId"], state["currentTime"], state["isPlaying"]) == (None, 0, False)

    async def test_a_conflict_is_409_with_the_current_state(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
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
    async def test_a_malformed_body_is_400(
        self, serve: Serve, ada: dict[str, str], body: bytes
    ) -> None:
        async with (await serve()).post("/tracks/play/song", headers=ada, data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == "invalid_message"

    async def test_update_state_without_position_or_playing_is_400(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        for body in ({"currentTime": 1}, {"isPlaying": True}):
            status, _ = await post(client, "/tracks/update-state/song", ada, **body)
            assert status == 400

    async def test_a_body_of_more_than_64_kib_is_413(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        body = b" " * (64 * 1024 + 1)
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
    async def test_a_route_without_a_token_is_401(
        self, serve: Serve, method: str, path: str, base: str
    ) -> None:
        client = await serve()
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Bearer é"}):
            async with client.request(method, base + path, headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert (await answer.json())["error"]["code"] == "unauthorized"

    async def test_a_token_in_the_query_of_a_rest_route_is_401(
        self, serve: Serve, token: Token
    ) -> None:
        status, _ = await get(await serve(), f"/tracks?token={token()}", {})
        assert status == 401

    async def test_an_unknown_route_is_404_and_a_wrong_method_405(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        status, body = await get(client, "/nowhere", ada)
        assert (status, body["error"]["code"]) == (404, "not_found")
        async with client.delete("/tracks", headers=ada) as answer:
            assert answer.status == 405
            assert "GET" in answer.headers["Allow"]

    async def test_an_internal_error_is_500_without_the_exception_s_text(
        self, serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await serve()
        monkeypatch.setattr(client.app[SERVICES].storage.loader, "room", lambda user: 1 / 0)
        status, body = await get(client, "/tracks/current-state", ada)
        assert (status, body["error"]["code"]) == (500, "internal")
        assert "division" not in json.dumps(body)


class TestSession:
    async def test_the_session_cookie_authenticates_streams_and_nothing_else(
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

    async def test_the_session_cookie_expires_with_its_token(
        self, serve: Serve, token: Token
    ) -> None:
        headers = {"Authorization": f"Bearer {token(life=600)}", "X-Forwarded-Proto": "https"}
        client = await serve(trusted_proxies=("127.0.0.1",))
        async with client.post("/session", headers=headers) as answer:
            cookie = next(iter(SimpleCookie(answer.headers["Set-Cookie"]).values()))
        assert 590 <= int(cookie["max-age"]) <= 600
        assert cookie["secure"]


class TestStreams:
    async def test_a_stream_is_authenticated_by_token_or_ticket(
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

    async def test_a_stream_with_a_valid_ticket_and_an_expired_cookie_is_sent(
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

    async def test_a_ticket_is_refused_as_an_access_token(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        _, track = await get(client, "/tracks/hers", ada)
        ticket = track["streamUrl"].partition("ticket=")[2]
        assert (await get(client, "/tracks", {"Authorization": f"Bearer {ticket}"}))[0] == 401
        token = ada["Authorization"].removeprefix("Bearer ")
        async with client.get(f"/tracks/stream/hers?ticket={token}") as answer:
            assert answer.status == 401

    async def test_public_streams_are_shared_tracks_alone(
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
    async def test_one_stream_too_many_is_429_and_a_slot_is_freed_at_its_end(
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

    async def test_a_stream_whose_reader_takes_nothing_is_disconnected(
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

    async def test_a_body_that_does_not_arrive_is_408(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
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


async def test_health_is_degraded_while_the_state_file_fails(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await serve()
    monkeypatch.setattr(client.app[SERVICES].storage.saver, "is_degraded", True)
    assert await get(client, "/healthz", {}) == (200, {"status": "degraded"})


async def test_health_needs_no_token_and_has_the_status_alone(serve: Serve) -> None:
    client = await serve()
    for path in ("/healthz", "/api/healthz"):
        assert await get(client, path, {}) == (200, {"status": "ok"})


async def test_tickets_in_lists_are_valid_for_six_hours(serve: Serve, ada: dict[str, str]) -> None:
    _, track = await get(await serve(), "/tracks/song", ada)
    expiry = int(track["streamUrl"].partition("ticket=")[2].partition(".")[0])
    assert expiry - time.time() >= 60 + 6 * 3600
