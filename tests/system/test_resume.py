"""Where tracks were left: loaded one by one when asked for, in order, and never in others' way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.storage.playback_store import PlaybackStore
from tests.conftest import Client, Serve
from tests.support.load_gate import LoadGate
from tests.support.server_process import Launch
from tests.support.state_files import with_stop_point
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state file: Ada is at 9 s of one track, and has left another at 30 s."""
    return with_stop_point(tmp_path / "state" / "audiostream.sqlite3")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> LoadGate:
    return LoadGate(monkeypatch)


async def play(client: Client, token: str, **body: Any) -> tuple[int, dict[str, Any]]:
    headers = bearer(token)
    async with client.post("/tracks/play/song", headers=headers, json=body) as answer:
        return answer.status, await answer.json()


def url_of(client: Client) -> str:
    return str(client.make_url("/ws"))


class TestTransports:
    async def test_a_rest_play_with_resume_starts_at_the_stop_point(
        self, serve: Serve, token: Token, state: Path
    ) -> None:
        client = await serve(state=state)
        status, body = await play(client, token(), resume=True)
        assert (status, body["trackId"], body["isPlaying"]) == (200, "song", True)
        assert 30.0 <= body["currentTime"] < 31.0

    async def test_a_websocket_play_with_resume_starts_at_the_stop_point(
        self, serve: Serve, token: Token, state: Path
    ) -> None:
        client = await serve(state=state)
        async with (
            ClientSession() as session,
            connect(session, url_of(client), token()) as phone,
            connect(session, url_of(client), token()) as tablet,
        ):
            answer = await phone.ask("playTrack", trackId="song", resume=True)
            assert (answer["event"], answer["data"]["currentTime"]) == ("trackPlaying", 30.0)
            assert (await tablet.receives("trackPlaying"))["currentTime"] == 30.0

    async def test_a_track_without_a_stop_point_starts_at_zero(
        self, serve: Serve, token: Token, state: Path
    ) -> None:
        client = await serve(state=state)
        _, body = await play(client, token("bob"), resume=True)
        assert body["currentTime"] == 0.0

    async def test_a_stop_point_survives_a_restart_of_the_process(
        self, launch: Launch, token: Token, state: Path
    ) -> None:
        for _ in range(2):
            server = launch("--state", str(state))
            server.wait_for_log("the library has")
            async with (
                ClientSession() as session,
                connect(session, f"{server.url}/ws", token()) as phone,
            ):
                answer = await phone.ask("playTrack", trackId="song", resume=True)
                assert 30.0 <= answer["data"]["currentTime"] < 32.0
                await phone.ask("playTrack", trackId="other", currentTime=9)
            assert server.stop() == 0


class TestWhileTheStopPointIsLoaded:
    async def test_frames_of_one_device_keep_their_order(
        self, serve: Serve, token: Token, state: Path, gate: LoadGate
    ) -> None:
        client = await serve(state=state)
        async with (
            ClientSession() as session,
            connect(session, url_of(client), token()) as phone,
        ):
            await phone.send("playTrack", 1, trackId="song", resume=True)
            await phone.send("pauseTrack", 2, trackId="song")
            await phone.send("getCurrentState", 3)
            await gate.is_asked()
            gate.open()
            frames = [await phone.frame() for _ in range(3)]
        assert [(frame["event"], frame["id"]) for frame in frames] == [
            ("trackPlaying", 1),
            ("trackPaused", 2),
            ("trackState", 3),
        ]
        assert frames[0]["data"]["currentTime"] == 30.0
        assert 30.0 <= frames[2]["data"]["currentTime"] < 31.0
        assert not frames[2]["data"]["isPlaying"]

    async def test_other_devices_and_requests_do_not_wait(
        self, serve: Serve, token: Token, state: Path, gate: LoadGate
    ) -> None:
        client = await serve(state=state)
        async with (
            ClientSession() as session,
            connect(session, url_of(client), token()) as phone,
            connect(session, url_of(client), token()) as tablet,
        ):
            await phone.send("playTrack", trackId="song", resume=True)
            await gate.is_asked()
            answer = await tablet.ask("pauseTrack", trackId="other", currentTime=5)
            assert answer["data"]["currentTime"] == 5.0
            async with client.get("/healthz") as health:
                assert health.status == 200
            async with client.get("/tracks/current-state", headers=bearer(token())) as seen:
                assert (await seen.json())["trackId"] == "other"
            gate.open()
            assert (await tablet.receives("trackPlaying"))["currentTime"] == 30.0
            await phone.receives("trackPaused")
            assert (await phone.receives("trackPlaying"))["currentTime"] == 30.0

    async def test_many_requests_for_one_track_cause_one_load(
        self, serve: Serve, token: Token, state: Path, gate: LoadGate
    ) -> None:
        client = await serve(state=state)
        asking = asyncio.gather(*(play(client, token(), resume=True) for _ in range(20)))
        await gate.is_asked()
        gate.open()
        assert {status for status, _ in await asking} == {200}
        assert gate.asked == [("ada", "song")]

    async def test_commands_of_a_device_that_disconnects_take_effect(
        self, serve: Serve, token: Token, state: Path, gate: LoadGate
    ) -> None:
        client = await serve(state=state)
        async with ClientSession() as session:
            async with connect(session, url_of(client), token()) as phone:
                await phone.send("playTrack", trackId="song", resume=True)
                await phone.send("pauseTrack", trackId="song", currentTime=9.0)
                closing_it = asyncio.create_task(phone.socket.close())
                await gate.is_asked()
                gate.open()
                await closing_it
            async with client.get("/tracks/current-state", headers=bearer(token())) as answer:
                after = await answer.json()
            assert (after["trackId"], after["isPlaying"]) == ("song", False)
            assert after["currentTime"] == 9.0

    async def test_a_command_of_a_device_whose_token_expires_takes_no_effect(
        self, serve: Serve, token: Token, state: Path, gate: LoadGate
    ) -> None:
        client = await serve(state=state)
        async with (
            ClientSession() as session,
            connect(session, url_of(client), token("ada", 1.5)) as phone,
            connect(session, url_of(client), token()) as tablet,
        ):
            await phone.send("playTrack", trackId="song", resume=True)
            await gate.is_asked()
            assert await phone.closed() == 4401
            gate.open()
            await tablet.receives_nothing()
            assert (await tablet.ask("getCurrentState"))["data"]["trackId"] == "other"


class TestUnreadableStateFile:
    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def position(store: PlaybackStore, user_id: str, track_id: str) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(PlaybackStore, "stop_point", position)

    async def test_a_failed_load_is_an_error_and_the_connection_stays(
        self, serve: Serve, token: Token, state: Path
    ) -> None:
        client = await serve(state=state)
        async with (
            ClientSession() as session,
            connect(session, url_of(client), token()) as phone,
        ):
            answer = await phone.ask("playTrack", trackId="song", resume=True)
            assert (answer["event"], answer["data"]["code"]) == ("error", "state_unavailable")
            await self.goes_on(phone)

    async def goes_on(self, phone: Peer) -> None:
        state = (await phone.ask("getCurrentState"))["data"]
        assert (state["trackId"], state["currentTime"]) == ("other", 9.0)
        answer = await phone.ask("playTrack", trackId="other", resume=True)
        assert (answer["event"], answer["data"]["currentTime"]) == ("trackPlaying", 9.0)

    async def test_a_failed_load_over_rest_is_503(
        self, serve: Serve, token: Token, state: Path
    ) -> None:
        client = await serve(state=state)
        status, body = await play(client, token(), resume=True)
        assert (status, body["error"]["code"]) == (503, "state_unavailable")
