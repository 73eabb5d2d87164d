"""What each setting of Redis loses when it is killed: the table of DEPLOYMENT.md, by experiment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession

from audiostream.storage.redis_store import RedisStore
from tests.support.audio_files import write_wav
from tests.support.long_tests import only_long
from tests.support.media_folder import write_manifest
from tests.support.redis_server import RedisServer, program_path
from tests.support.server_process import ServerProcess
from tests.support.waiting import until
from tests.support.ws_client import connect

pytestmark = only_long
Token = Callable[..., str]
STORED_AGAIN = 12.0
"""Seconds: versions are compared every 5 s."""


@dataclass(frozen=True)
class Case:
    """Options of Redis, and whether it has what was stored before it was killed."""

    options: tuple[str, ...]
    keeps: bool


CASES = {
    "appendfsync always": Case(("--appendonly", "yes", "--appendfsync", "always"), True),
    "appendfsync everysec": Case(("--appendonly", "yes", "--appendfsync", "everysec"), True),
    "appendfsync no": Case(("--appendonly", "yes", "--appendfsync", "no"), True),
    "snapshots alone": Case(("--appendonly", "no", "--save", "3600 1 300 100 60 10000"), False),
    "nothing": Case(("--appendonly", "no", "--save", ""), False),
}


@dataclass
class Pair:
    """A Redis, and a server process on it."""

    redis: RedisServer
    server: ServerProcess
    media: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"AUDIOSTREAM_REDIS": self.redis.url}

    def restart_server(self) -> None:
        """Kill the process, and start one that knows nothing."""
        self.server.close()
        self.server = ServerProcess.start(self.media, environ=self.environ)
        self.server.wait_for_start()
        self.server.wait_for_log("the library has")


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Pair, Case]]:
    case: Case = request.param
    media = tmp_path / "media"
    write_wav(media / "song.wav", 600.0)
    write_manifest(media, {"id": "song", "audioUrl": "song.wav"})
    redis = RedisServer(tmp_path / "redis", program_path(), options=case.options)
    redis.start()
    server = ServerProcess.start(media, environ={"AUDIOSTREAM_REDIS": redis.url})
    pair = Pair(redis, server, media)
    try:
        server.wait_for_start()
        server.wait_for_log("the library has")
        yield pair, case
    finally:
        pair.server.close()
        redis.close()


async def revoke(url: str, user_id: str) -> None:
    store = RedisStore(url)
    await store.open()
    await store.revoke(user_id, time.time())
    await store.close()


async def test_what_a_killed_redis_has_lost(pair: tuple[Pair, Case], token: Token) -> None:
    running, case = pair
    revoked = token("eve")

    async def position(session: ClientSession, user: str) -> float | None:
        headers = {"Authorization": f"Bearer {token(user)}"}
        async with session.get(
            f"{running.server.url}/api/tracks/current-state", headers=headers
        ) as answer:
            if answer.status != 200:
                return None
            state = await answer.json()
            return float(state["currentTime"]) if state["trackId"] else None

    async def is_refused(session: ClientSession) -> bool:
        headers = {"Authorization": f"Bearer {revoked}"}
        async with session.get(f"{running.server.url}/api/tracks", headers=headers) as answer:
            return answer.status == 401

    def kill_and_restart() -> None:
        running.redis.kill()
        running.redis.start()

    async with ClientSession() as session:
        async with connect(session, f"{running.server.url}/ws?deviceId=phone", token("ada")) as ada:
            for user in ("ada", "bob"):  # Bob has no device
                headers = {"Authorization": f"Bearer {token(user)}"}
                url = f"{running.server.url}/api/tracks/pause/song"
                async with session.post(
                    f"{running.server.url}/api/tracks/play/song", headers=headers
                ) as answer:
                    assert answer.status == 200
                async with session.post(url, json={"currentTime": 60.0}, headers=headers) as answer:
                    assert answer.status == 200
            await revoke(running.redis.url, "eve")
            await asyncio.sleep(1.2)  # processes read it once a second
            assert await is_refused(session)
            # The last change is acknowledged just before Redis is killed.
            await ada.send("pauseTrack", 1, trackId="song", currentTime=77.0)
            while (await ada.frame()).get("id") != 1:
                pass
            await asyncio.to_thread(kill_and_restart)
            # Bob's is not stored again, as no process knows it.
            is_kept = running.redis.ask("EXISTS", "audiostream:{bob}:room") == ":1\r\n"
            assert is_kept is case.keeps
            await until(
                lambda: running.redis.ask("EXISTS", "audiostream:{ada}:room") == ":1\r\n",
                STORED_AGAIN,
            )
            assert await position(session, "ada") == 77.0
            assert await position(session, "bob") == (60.0 if case.keeps else None)
            assert await is_refused(session)
            # And if the processes are new, too:
            await asyncio.to_thread(kill_and_restart)
            await asyncio.to_thread(running.restart_server)
        assert await position(session, "ada") == (77.0 if case.keeps else None)
        assert await is_refused(session) is case.keeps
