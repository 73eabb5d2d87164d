"""What a user played, and where they stopped in a track, over REST."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.api import history
from audiostream.services import SERVICES
from audiostream.storage.revocations import revoke
from tests.conftest import Client, Serve
from tests.support.audio_files import write_wav
from tests.support.fakes import FakeClock
from tests.support.server_process import Launch
from tests.support.ws_client import connect

Token = Callable[..., str]
RESERVED = ("history", "queue", "current-state", "next", "play", "stream", "cover", "positions")
"""Track ids that are also words of routes."""


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def ada(token: Token) -> dict[str, str]:
    return bearer(token("ada"))


async def get(client: Client, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    async with client.get(path, headers=headers) as answer:
        return answer.status, await answer.json()


async def post(client: Client, path: str, headers: dict[str, str], **body: Any) -> None:
    async with client.post(path, headers=headers, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def played(client: Client, headers: dict[str, str], query: str = "") -> list[str]:
    status, body = await get(client, f"/tracks/history{query}", headers)
    assert status == 200, body
    return [row["track"]["id"] for row in body["tracks"]]


def add_tracks(media: Path, *ids: str) -> None:
    entries = json.loads((media / "tracks.json").read_text())
    for track_id in ids:
        write_wav(media / f"file-{track_id}.wav", 1.0)
        entries.append({"id": track_id, "audioUrl": f"file-{track_id}.wav", "title": track_id})
    (media / "tracks.json").write_text(json.dumps(entries))


class TestHistory:
    async def test_tracks_are_listed_once_the_last_one_first_with_their_stop_points(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        clock, wall_clock = FakeClock(100.0), FakeClock(1_800_000_000.0)
        client = await serve(clock=clock, wall_clock=wall_clock)
        for track_id, seconds in (("song", 20.0), ("other", 30.0), ("song", 8.0)):
            await post(client, f"/tracks/play/{track_id}", ada)
            clock.advance(seconds)
            wall_clock.advance(seconds)
        for base in ("", "/api"):
            status, body = await get(client, f"{base}/tracks/history", ada)
            _, song = await get(client, "/tracks/song", ada)
            _, other = await get(client, "/tracks/other", ada)
            assert status == 200
            assert body == {
                "tracks": [
                    {"track": song, "playedAt": 1_800_000_050_000, "position": 20.0},
                    {"track": other, "playedAt": 1_800_000_020_000, "position": 30.0},
                ]
            }

    async def test_a_track_that_never_stopped_has_no_position(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        await post(client, "/tracks/play/song", ada)
        _, body = await get(client, "/tracks/history", ada)
        assert [row["position"] for row in body["tracks"]] == [None]

    async def test_a_history_is_one_users_alone_and_has_no_foreign_tracks(
        self, serve: Serve, ada: dict[str, str], token: Token, media: Path
    ) -> None:
        client = await serve()
        for track_id in ("song", "hers", "other"):
            await post(client, f"/tracks/play/{track_id}", ada)
        assert await played(client, bearer(token("bob"))) == []
        entries = json.loads((media / "tracks.json").read_text())
        kept = [entry for entry in entries if entry["id"] != "song"]
        for entry in kept:
            if entry["id"] == "hers":
                entry["ownerId"] = "bob"
        (media / "tracks.json").write_text(json.dumps(kept))
        (media / "song.wav").unlink()
        await asyncio.to_thread(client.app[SERVICES].library.scan)
        assert await played(client, ada) == ["other"]

    async def test_a_track_that_a_device_plays_is_listed_and_one_that_it_pauses_is_not(
        self, serve: Serve, token: Token, ada: dict[str, str]
    ) -> None:
        client = await serve()
        async with (
            ClientSession() as session,
            connect(session, str(client.make_url("/ws")), token("ada")) as phone,
        ):
            await phone.ask("pauseTrack", trackId="other", currentTime=5)
            assert await played(client, ada) == []
            await phone.ask("playTrack", trackId="song")
            await phone.ask("updateStreaming", trackId="other", currentTime=3, isPlaying=True)
            assert await played(client, ada) == ["other", "song"]

    async def test_a_limit_counts_tracks(self, serve: Serve, ada: dict[str, str]) -> None:
        client = await serve(max_history=2)
        for track_id in ("song", "hers", "other"):
            await post(client, f"/tracks/play/{track_id}", ada)
        assert await played(client, ada, "?limit=1") == ["other"]
        assert await played(client, ada, "?limit=2000") == ["other", "hers"]

    @pytest.mark.parametrize("limit", ["0", "2001", "-1", "1.5", "ten", "", "9999999999"])
    async def test_a_bad_limit_is_refused(
        self, serve: Serve, ada: dict[str, str], limit: str
    ) -> None:
        status, body = await get(await serve(), f"/tracks/history?limit={limit}", ada)
        assert (status, body["error"]["code"]) == (400, "invalid_message")
        assert "limit" in body["error"]["message"]

    async def test_a_history_of_zero_tracks_is_empty(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve(max_history=0)
        await post(client, "/tracks/play/song", ada)
        assert await played(client, ada) == await played(client, ada, "?limit=50") == []

    async def test_a_long_history_is_listed_whole(
        self, serve: Serve, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(history, "LONG_HISTORY", 1)
        client = await serve()
        for track_id in ("song", "hers", "other"):
            await post(client, f"/tracks/play/{track_id}", ada)
        assert await played(client, ada) == ["other", "hers", "song"]

    async def test_an_unchanged_history_is_not_sent_again(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        await post(client, "/tracks/play/song", ada)
        async with client.get("/tracks/history", headers=ada) as answer:
            assert answer.headers["Cache-Control"] == "private, no-cache"
            assert answer.headers["Vary"] == "Authorization, Origin"
            etag = answer.headers["ETag"]
        headers = {**ada, "If-None-Match": etag}
        async with client.get("/tracks/history", headers=headers) as answer:
            assert answer.status == 304
        await post(client, "/tracks/play/other", ada)
        async with client.get("/tracks/history", headers=headers) as answer:
            assert answer.status == 200

    async def test_a_history_survives_a_kill_and_a_restart_of_the_process(
        self, launch: Launch, token: Token, tmp_path: Path
    ) -> None:
        state = str(tmp_path / "state" / "state.sqlite3")
        headers = bearer(token("ada"))
        server = launch("--state", state)
        server.wait_for_log("the library has")
        async with ClientSession(server.url, headers=headers) as session:
            for track_id, at in (("song", 10), ("other", 20)):
                await (
                    await session.post(f"/tracks/play/{track_id}", json={"currentTime": at})
                ).read()
            await asyncio.sleep(1.0)  # what was changed is on disk within a second
        server.close()
        for _ in range(2):
            server = launch("--state", state)
            server.wait_for_log("the library has")
            async with ClientSession(server.url, headers=headers) as session:
                async with session.get("/tracks/history") as answer:
                    rows = (await answer.json())["tracks"]
                assert [row["track"]["id"] for row in rows] == ["other", "song"]
                assert 20.0 <= rows[0]["position"] <= 22.0
                assert 10.0 <= rows[1]["position"] <= 12.0
                async with session.get("/tracks/song/positions") as answer:
                    places = (await answer.json())["positions"]
                assert [each["position"] for each in places] == [rows[1]["position"]]
            assert server.stop() == 0

    async def test_a_revoked_token_reads_no_history(
        self, launch: Launch, token: Token, tmp_path: Path
    ) -> None:
        state = tmp_path / "state" / "state.sqlite3"
        server = launch("--state", str(state))
        async with ClientSession(server.url, headers=bearer(token("ada"))) as session:
            async with session.get("/tracks/history") as answer:
                assert answer.status == 200
            await asyncio.to_thread(revoke, state, "ada", 4_000_000_000.0)
            await asyncio.sleep(1.0)
            for path in ("/tracks/history", "/tracks/song/positions"):
                async with session.get(path) as answer:
                    assert answer.status == 401


class TestPositions:
    async def test_positions_are_listed_newest_first(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        clock, wall_clock = FakeClock(100.0), FakeClock(1_800_000_000.0)
        client = await serve(clock=clock, wall_clock=wall_clock)
        for position in (6.5, 50.25):
            await post(client, "/tracks/play/song", ada, currentTime=position)
            wall_clock.advance(1.0)
        await post(client, "/tracks/pause/song", ada, currentTime=12)
        for base in ("", "/api"):
            status, body = await get(client, f"{base}/tracks/song/positions", ada)
            assert status == 200
            assert body == {
                "positions": [
                    {"position": 12.0, "stoppedAt": 1_800_000_002_000},
                    {"position": 50.25, "stoppedAt": 1_800_000_002_000},
                    {"position": 6.5, "stoppedAt": 1_800_000_001_000},
                ]
            }

    async def test_positions_are_one_users_alone(
        self, serve: Serve, ada: dict[str, str], token: Token
    ) -> None:
        client = await serve()
        await post(client, "/tracks/pause/song", ada, currentTime=10)
        await post(client, "/tracks/pause/song", ada, currentTime=50)
        assert len((await get(client, "/tracks/song/positions", ada))[1]["positions"]) == 1
        bobs = bearer(token("bob"))
        assert await get(client, "/tracks/song/positions", bobs) == (200, {"positions": []})

    @pytest.mark.parametrize("track_id", ["his", "no-such-track"])
    async def test_foreign_and_unknown_tracks_have_the_same_error(
        self, serve: Serve, ada: dict[str, str], track_id: str
    ) -> None:
        status, body = await get(await serve(), f"/tracks/{track_id}/positions", ada)
        assert (status, body["error"]) == (
            404,
            {"code": "track_not_found", "message": "there is no such track"},
        )

    async def test_at_most_twenty_positions_are_listed(
        self, serve: Serve, ada: dict[str, str]
    ) -> None:
        client = await serve()
        for number in range(25):
            await post(
                client, "/tracks/pause/song", ada, currentTime=6 + 40 * (number % 2) + number / 10
            )
        _, body = await get(client, "/tracks/song/positions", ada)
        assert len(body["positions"]) == 20


@pytest.mark.parametrize("path", ["/tracks/history", "/tracks/song/positions"])
class TestRefusals:
    async def test_a_request_without_a_token_is_refused(self, serve: Serve, path: str) -> None:
        status, body = await get(await serve(), path, {})
        assert (status, body["error"]["code"]) == (401, "unauthorized")

    async def test_another_method_is_refused(
        self, serve: Serve, ada: dict[str, str], path: str
    ) -> None:
        client = await serve()
        async with client.post(path, headers=ada) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


class TestTracksNamedLikeRoutes:
    @pytest.mark.parametrize("track_id", RESERVED)
    async def test_a_track_named_like_a_route_plays_and_has_a_stream_and_a_cover(
        self, serve: Serve, ada: dict[str, str], media: Path, track_id: str
    ) -> None:
        add_tracks(media, track_id)
        client = await serve()
        await post(client, f"/tracks/play/{track_id}", ada)
        for base in ("", "/api"):
            async with client.get(f"{base}/tracks/stream/{track_id}", headers=ada) as answer:
                assert (answer.status, answer.content_type) == (200, "audio/wav")
            async with client.get(f"{base}/tracks/cover/{track_id}", headers=ada) as answer:
                assert (answer.status, answer.content_type) == (200, "image/svg+xml")
        assert await played(client, ada) == [track_id]
        _, body = await get(client, "/tracks", ada)
        assert track_id in [track["id"] for track in body["tracks"]]

    @pytest.mark.parametrize("track_id", ["next", "play", "positions", "stream"])
    async def test_a_track_named_like_another_route_is_described(
        self, serve: Serve, ada: dict[str, str], media: Path, track_id: str
    ) -> None:
        add_tracks(media, track_id)
        status, track = await get(await serve(), f"/tracks/{track_id}", ada)
        assert (status, track["id"]) == (200, track_id)

    @pytest.mark.parametrize("track_id", ["history", "next", "play", "positions"])
    async def test_a_track_named_like_a_route_has_positions(
        self, serve: Serve, ada: dict[str, str], media: Path, track_id: str
    ) -> None:
        add_tracks(media, track_id)
        answer = await get(await serve(), f"/tracks/{track_id}/positions", ada)
        assert answer == (200, {"positions": []})
