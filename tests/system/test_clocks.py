"""The wall clock is set while the server runs: tokens and dates follow, positions do not."""

from __future__ import annotations

import asyncio
import glob
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.auth.access_tokens import Tokens
from audiostream.services import SERVICES
from audiostream.storage.revocations import revoke
from tests.conftest import Client, Serve
from tests.support.fakes import FakeClock
from tests.support.server_process import SECRET, Launch
from tests.support.waiting import until
from tests.support.ws_client import connect

Token = Callable[..., str]
HOUR = 3600.0
NOTICED_WITHIN = 2.0
"""Seconds after a step by which everything goes by the new time."""
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")


class SettableClock:
    """The system's wall clock, wrong by ``error`` seconds."""

    def __init__(self, error: float = 0.0) -> None:
        self.error = error

    def __call__(self) -> float:
        return time.time() + self.error


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status(session: Any, url: str, token: str) -> int:
    async with session.get(url, headers=bearer(token)) as answer:
        return int(answer.status)


class Playing:
    """A playback, and how far it has moved from where the time since its start would lead."""

    def __init__(self, session: Any, base: str, token: str) -> None:
        self._session = session
        self._base = base
        self._headers = bearer(token)
        self._asked = self._started = 0.0

    async def start(self) -> dict[str, Any]:
        url = f"{self._base}/tracks/play/song"
        self._asked = time.monotonic()
        async with self._session.post(
            url, json={"currentTime": 5}, headers=self._headers
        ) as answer:
            assert answer.status == 200
            self._started = time.monotonic()
            return dict(await answer.json())

    async def state(self) -> dict[str, Any]:
        """The state, whose position must be right within 0.1 s and what the request took."""
        asked = time.monotonic()
        url = f"{self._base}/tracks/current-state"
        async with self._session.get(url, headers=self._headers) as answer:
            assert answer.status == 200
            state = dict(await answer.json())
        went_on = state["currentTime"] - 5.0
        assert asked - self._started - 0.1 <= went_on <= time.monotonic() - self._asked + 0.1
        return state


class TestClockStep:
    @pytest.mark.parametrize("error", [-3 * HOUR, 3 * HOUR])
    async def test_after_a_clock_step_server_time_follows_and_positions_stay(
        self, serve: Serve, settings: Any, error: float
    ) -> None:
        clock = SettableClock(error)
        client = await serve(wall_clock=clock)
        token = client.app[SERVICES].tokens.mint("ada", time.time() - 6 * HOUR, None)
        playing = Playing(client, "", token)
        started = await playing.start()
        for now_wrong_by in (error, 0.0, -error, 0.0):
            clock.error = now_wrong_by
            state = await playing.state()
            assert abs(state["serverTime"] / 1000 - time.time() - now_wrong_by) < 1.0
            assert state["updatedAt"] == started["updatedAt"]
        assert abs(started["updatedAt"] / 1000 - time.time() - error) < 5.0

    async def test_after_a_clock_step_tokens_are_verified_by_the_new_time(
        self, serve: Serve
    ) -> None:
        clock = SettableClock(-3 * HOUR)
        client = await serve(wall_clock=clock)
        fresh = client.app[SERVICES].tokens.mint("ada", time.time(), None)
        ended = client.app[SERVICES].tokens.mint("ada", time.time() - 4 * HOUR, 3 * HOUR)
        assert await status(client, "/tracks", fresh) == 401
        assert await status(client, "/tracks", ended) == 200
        clock.error = 0.0
        assert await status(client, "/tracks", fresh) == 200
        assert await status(client, "/tracks", ended) == 401

    async def test_after_a_clock_step_tickets_and_cookies_expire_by_the_new_time(
        self, serve: Serve, token: Token
    ) -> None:
        clock = SettableClock()
        client = await serve(wall_clock=clock)
        async with client.get("/tracks/song", headers=bearer(token())) as answer:
            ticketed = (await answer.json())["streamUrl"]
        async with client.post("/session", headers=bearer(token(life=HOUR))) as answer:
            assert answer.status == 204
        for error, wanted in ((0.0, 200), (2 * 24 * HOUR, 401), (0.0, 200)):
            clock.error = error
            for url in (ticketed, "/tracks/stream/song"):
                async with client.get(url) as answer:
                    assert answer.status == wanted

    async def test_a_clock_step_beyond_a_token_s_expiry_closes_its_device(
        self, serve: Serve, token: Token
    ) -> None:
        clock = SettableClock()
        client = await serve(wall_clock=clock)
        url = str(client.make_url("/ws"))
        async with (
            connect(client.session, url, token(life=HOUR)) as phone,
            connect(client.session, url, token()) as kiosk,
        ):
            await phone.receives_nothing()
            clock.error = 3 * HOUR
            async with asyncio.timeout(NOTICED_WITHIN + 5.0):
                await phone.receives("tokenExpiring")
                assert await phone.closed() == 4401
            await kiosk.receives_nothing()

    async def test_a_clock_step_back_postpones_a_token_s_expiry(
        self, serve: Serve, token: Token
    ) -> None:
        clock = SettableClock()
        client = await serve(wall_clock=clock)
        async with connect(client.session, str(client.make_url("/ws")), token(life=4)) as phone:
            await phone.receives("tokenExpiring")
            clock.error = -3 * HOUR
            await asyncio.sleep(5.0)
            await phone.receives_nothing()

    async def test_a_clock_step_announces_the_expiry_of_a_token_again(
        self, serve: Serve, token: Token
    ) -> None:
        clock = SettableClock()
        client = await serve(wall_clock=clock)
        url = str(client.make_url("/ws"))
        async with connect(client.session, url, token(life=HOUR)) as phone:
            clock.error = HOUR - 50.0
            async with asyncio.timeout(NOTICED_WITHIN + 5.0):
                await phone.receives("tokenExpiring")
            await phone.receives_nothing()

    @pytest.mark.parametrize("transport", ["websocket", "polling"])
    async def test_a_clock_step_beyond_a_token_s_expiry_closes_its_socketio_device(
        self, serve: Serve, token: Token, transport: str
    ) -> None:
        socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
        clock = SettableClock()
        client = await serve(wall_clock=clock)
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        device = socketio.AsyncClient(reconnection=False)
        device.on("disconnect", lambda reason: gone.set_result(reason))
        auth = {"token": token(life=HOUR)}
        await device.connect(str(client.make_url("/")), auth=auth, transports=[transport])
        clock.error = 3 * HOUR
        async with asyncio.timeout(NOTICED_WITHIN + 5.0):
            await gone
        await device.shutdown()

    @pytest.mark.parametrize("step", [-3 * HOUR, 3 * HOUR])
    async def test_a_revocation_holds_after_any_clock_step(
        self, serve: Serve, token: Token, tmp_path: Path, step: float
    ) -> None:
        clock, path = SettableClock(), tmp_path / "state.sqlite3"
        client = await serve(wall_clock=clock, state=path)
        given, theirs = token(), token("bob")
        await revoked(client, path, "ada", clock())
        for error in (0.0, step, 0.0):
            clock.error = error
            assert await status(client, "/tracks", given) == 401
        assert await status(client, "/tracks", theirs) == 200

    async def test_a_second_revocation_after_a_step_back_keeps_the_first(
        self, serve: Serve, tmp_path: Path
    ) -> None:
        path = tmp_path / "state.sqlite3"
        client = await serve(state=path)
        first = time.time() - 60.0
        await revoked(client, path, "ada", first)
        before = client.app[SERVICES].tokens.mint("ada", first - 1.0, None)
        after = client.app[SERVICES].tokens.mint("ada", time.time(), None)
        async with client.get("/tracks/song", headers=bearer(after)) as answer:
            ticketed = (await answer.json())["streamUrl"]
        async with connect(client.session, str(client.make_url("/ws")), after) as phone:
            await phone.receives_nothing()
            await asyncio.to_thread(revoke, path, "ada", first - 3 * HOUR)
            assert await phone.closed() == 4401
        assert await status(client, "/tracks", before) == 401
        async with client.get(ticketed) as answer:
            assert answer.status == 401

    async def test_a_stop_point_after_a_step_back_is_where_playback_resumes(
        self, serve: Serve, token: Token, tmp_path: Path
    ) -> None:
        clock, path = SettableClock(), tmp_path / "state.sqlite3"
        client = await serve(wall_clock=clock, state=path)
        for error, position in ((5 * 365 * 24 * HOUR, 10), (0.0, 20)):
            clock.error = error
            device = bearer(client.app[SERVICES].tokens.mint("ada", clock() - 1.0, None))
            for track, at in (("song", position), ("other", 0)):
                body = {"currentTime": at}
                async with client.post(
                    f"/tracks/play/{track}", json=body, headers=device
                ) as answer:
                    assert answer.status == 200
        await client.close()
        client = await serve(state=path)
        async with connect(client.session, str(client.make_url("/ws")), token()) as phone:
            frame = await phone.ask("playTrack", trackId="song", resume=True)
            assert frame["data"]["currentTime"] == pytest.approx(20.0, abs=1.0)

    @pytest.mark.parametrize("saved_at", [0.0, 32503680000.0])
    async def test_a_state_saved_long_ago_or_in_the_future_is_restored_in_place(
        self, serve: Serve, token: Token, tmp_path: Path, saved_at: float
    ) -> None:
        path, clock = tmp_path / "state.sqlite3", FakeClock(saved_at)
        client = await serve(wall_clock=clock, state=path)
        given = bearer(client.app[SERVICES].tokens.mint("ada", saved_at, None))
        async with client.post(
            "/tracks/pause/song", json={"currentTime": 30}, headers=given
        ) as answer:
            assert answer.status == 200
        await client.close()
        client = await serve(state=path)
        async with client.get("/tracks/current-state", headers=bearer(token())) as answer:
            state = await answer.json()
        assert (state["trackId"], state["currentTime"]) == ("song", 30)
        assert abs(state["serverTime"] / 1000 - time.time()) < 5.0


async def revoked(client: Client, path: Path, user: str, at: float) -> None:
    """Revoke what a user was given, and wait until the server knows of it."""
    await asyncio.to_thread(revoke, path, user, at)
    await until(lambda: user in client.app[SERVICES].tokens.revoked)


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")
async def test_a_running_server_follows_the_system_s_clock(
    launch: Launch, tmp_path: Path, token: Token
) -> None:
    """Started three hours slow, as a board without a battery for its clock is, and set right."""
    setting = tmp_path / "setting"
    setting.write_text("-3h\n")
    server = launch(
        LD_PRELOAD=FAKETIME,
        FAKETIME_TIMESTAMP_FILE=str(setting),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    await server.logs("the library has")
    old = Tokens(SECRET).mint("ada", time.time() - 6 * HOUR, None)
    async with ClientSession() as session:
        playing = Playing(session, server.url, old)
        await playing.start()
        assert abs((await playing.state())["serverTime"] / 1000 - time.time() + 3 * HOUR) < 5.0
        assert await status(session, f"{server.url}/tracks", token()) == 401
        setting.write_text("+0\n")
        async with asyncio.timeout(NOTICED_WITHIN + 5.0):
            while await status(session, f"{server.url}/tracks", token()) != 200:
                await asyncio.sleep(0.1)
        assert abs((await playing.state())["serverTime"] / 1000 - time.time()) < 5.0
    await server.logs("the clock was set by +10800")
