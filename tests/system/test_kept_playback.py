"""What outlives the server that played: the same in a state file and in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from audiostream import Settings, create_app
from audiostream.cli import main
from audiostream.services import SERVICES
from audiostream.settings import Limits
from tests.conftest import Client
from tests.support.redis_server import RedisServer, running_redis
from tests.support.ws_client import connect

Token = Callable[..., str]
Ask = Callable[..., Any]
ODD_IDS = ("}{", "{revoked}", "{}", "a:b%7D ", "%00", "é\U0001f3b5", "e\u0301", "\U0001f3b5" * 128)
PATHS = (
    "/tracks/current-state",
    "/tracks/queue",
    "/tracks/history",
    "/tracks/song/positions",
    "/tracks/other/positions",
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis"), appendonly=True) as server:
        yield server


class Keeping:
    """Starts servers that keep playback in one place, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @asynccontextmanager
    async def server(self, **changes: Any) -> AsyncIterator[Client]:
        """A server in this process, from its start to its regular end."""
        app = create_app(replace(self.settings, **changes))
        app[SERVICES].library.scan()
        async with TestClient(TestServer(app)) as client:
            yield client


@pytest.fixture(params=["state file", "redis"])
def keeping(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Keeping:
    unlimited = Limits(commands_per_second=1000)
    settings = replace(settings, state=tmp_path / "state" / "state.sqlite3", limits=unlimited)
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        assert server.ask("FLUSHALL") == "+OK\r\n"
        settings = replace(settings, redis=server.url)
    return Keeping(settings)


def user(client: Client, token: str) -> Ask:
    """A user of the REST interface: ``await ask("GET", path, **body)``."""

    async def ask(method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        async with client.request(method, path, headers=headers, json=body or None) as answer:
            assert answer.status == 200, (path, await answer.text())
            return await answer.json()

    return ask


async def test_state_queue_stop_points_and_history_are_as_they_were(
    keeping: Keeping, token: Token
) -> None:
    queue = ["song", "other", "hers", "song"]
    async with keeping.server() as client:
        ask = user(client, token("ada"))
        await ask("POST", "/tracks/play/song", currentTime=30)
        await ask("POST", "/tracks/play/other", currentTime=20, queue=queue, queueIndex=1)
        await ask("PUT", "/tracks/repeat", repeat="all")
        await ask("POST", "/tracks/pause/other", currentTime=22.123456789)
        kept = [await ask("GET", path) for path in PATHS]
    for _ in range(2):
        async with keeping.server() as client:
            ask = user(client, token("ada"))
            for path, before in zip(PATHS, kept, strict=True):
                assert stable(await ask("GET", path)) == stable(before)
    async with keeping.server() as client:
        ask = user(client, token("ada"))
        before = await ask("GET", "/tracks/current-state")
        after = await ask("POST", "/tracks/next")
        assert (after["trackId"], after["rev"]) == ("hers", before["rev"] + 1)


def stable(content: dict[str, Any]) -> dict[str, Any]:
    """What does not change with time."""
    return {name: value for name, value in content.items() if name != "serverTime"}


async def test_a_playback_that_was_interrupted_is_where_it_was_and_goes_on(
    keeping: Keeping, token: Token
) -> None:
    async with (
        keeping.server() as client,
        connect(client.session, str(client.make_url("/")), token("ada")) as device,
    ):
        played = await device.ask("playTrack", trackId="song", currentTime=20)
    await asyncio.sleep(2.0)
    async with keeping.server() as client:
        ask = user(client, token("ada"))
        after = await ask("GET", "/tracks/current-state")
        assert after["trackId"] == "song"
        assert after["rev"] >= played["data"]["rev"]
        assert 20.0 <= after["currentTime"] < 22.0
        again = await ask("POST", "/tracks/play/song")
        assert 20.0 <= again["currentTime"] < 22.0
        assert again["isPlaying"]


async def test_the_last_twenty_stop_points_of_a_track_are_listed_the_newest_first(
    keeping: Keeping, token: Token
) -> None:
    places = [2.0 * number + 0.125 for number in range(25)]
    async with keeping.server() as client:
        ask = user(client, token("ada"))
        for place in places:
            await ask("POST", "/tracks/play/song", currentTime=place)
            await ask("POST", "/tracks/pause/song", currentTime=place)
    async with keeping.server() as client:
        kept = (await user(client, token("ada"))("GET", "/tracks/song/positions"))["positions"]
    assert [each["position"] for each in kept] == places[:4:-1]
    times = [each["stoppedAt"] for each in kept]
    assert times == sorted(times, reverse=True)


async def test_as_many_tracks_of_a_history_are_kept_as_is_set(
    keeping: Keeping, token: Token
) -> None:
    async with keeping.server(max_history=2) as client:
        ask = user(client, token("ada"))
        for track_id in ("song", "other", "hers", "other"):
            await ask("POST", f"/tracks/play/{track_id}", currentTime=1)
    async with keeping.server() as client:
        rows = (await user(client, token("ada"))("GET", "/tracks/history"))["tracks"]
        assert [each["track"]["id"] for each in rows] == ["other", "hers"]
        rows = (await user(client, token("ada"))("GET", "/tracks/history?limit=1"))["tracks"]
        assert [each["track"]["id"] for each in rows] == ["other"]
    async with keeping.server(max_history=0) as client:
        assert not (await user(client, token("ada"))("GET", "/tracks/history"))["tracks"]


async def test_users_with_odd_ids_keep_what_is_theirs(keeping: Keeping, token: Token) -> None:
    async with keeping.server() as client:
        for number, odd in enumerate(ODD_IDS):
            ask = user(client, token(odd))
            await ask("POST", "/tracks/play/song", currentTime=1)
            await ask("POST", "/tracks/pause/song", currentTime=number + 10.5)
    async with keeping.server() as client:
        for number, odd in enumerate(ODD_IDS):
            ask = user(client, token(odd))
            assert (await ask("GET", "/tracks/current-state"))["currentTime"] == number + 10.5
            kept = (await ask("GET", "/tracks/song/positions"))["positions"]
            assert kept[0]["position"] == number + 10.5


async def test_a_revoked_user_is_refused_by_a_server_that_runs_and_by_the_next_one(
    keeping: Keeping, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {token('a{d}a')}"}
    monkeypatch.setenv("AUDIOSTREAM_STATE", str(keeping.settings.state))
    monkeypatch.setenv("AUDIOSTREAM_REDIS", keeping.settings.redis or "")

    async def is_refused(client: Client) -> bool:
        async with client.get("/tracks", headers=headers) as answer:
            return answer.status == 401

    async with keeping.server() as client:
        assert not await is_refused(client)
        assert await asyncio.to_thread(main, ["revoke", "a{d}a"]) == 0
        async with asyncio.timeout(5.0):
            while not await is_refused(client):
                await asyncio.sleep(0.1)
    async with keeping.server() as client:
        assert await is_refused(client)
