"""Events of a Socket.IO client that wait for the store: here for a stop point that is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from audiostream.settings import Limits
from audiostream.websocket.waiting_frames import MAX_WAITING
from tests.conftest import Client, Serve
from tests.support.load_gate import LoadGate
from tests.support.socketio_client import TRANSPORTS, SocketioClient, socketio_client
from tests.support.state_files import with_stop_point
from tests.support.waiting import PATIENCE

Token = Callable[..., str]
MANY = Limits(commands_per_second=100 * MAX_WAITING)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> LoadGate:
    return LoadGate(monkeypatch)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return with_stop_point(tmp_path / "state.sqlite3")


@asynccontextmanager
async def waiting_client(
    client: Client, token: str, gate: LoadGate, transport: str = "websocket"
) -> AsyncIterator[SocketioClient]:
    """A client whose first event waits: ``playTrack`` of a track that was left at 30 s."""
    url = str(client.make_url("/"))
    async with socketio_client(url, {"token": token}, transport) as browser:
        await browser.say("playTrack", trackId="song", resume=True)
        await gate.is_asked()
        yield browser


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_they_are_done_as_they_were_sent(
    serve: Serve, token: Token, state: Path, gate: LoadGate, transport: str
) -> None:
    client = await serve(state=state)
    async with waiting_client(client, token(), gate, transport) as browser:
        await browser.say("pauseTrack", trackId="song")
        playing = asyncio.create_task(browser.ask("playTrack", {"trackId": "other"}))
        await asyncio.sleep(0.1)
        gate.open()
        assert (await browser.receives("trackPlaying"))["currentTime"] == 30.0
        assert (await browser.receives("trackPaused"))["trackId"] == "song"
        assert (await browser.receives("trackPlaying"))["trackId"] == "other"
        assert (await playing)["trackId"] == "other"


async def test_the_last_report_counts_and_all_are_acknowledged(
    serve: Serve, token: Token, state: Path, gate: LoadGate
) -> None:
    client = await serve(state=state)
    async with waiting_client(client, token(), gate) as browser:
        seek = {"trackId": "song", "isPlaying": True}
        reports = [
            asyncio.create_task(browser.ask("updateStreaming", {**seek, "currentTime": position}))
            for position in (40.0, 45.0, 50.0)
        ]
        replaced = [await report for report in reports[:2]]
        assert [(state["trackId"], state["rev"]) for state in replaced] == [("other", 5)] * 2
        gate.open()
        assert (await browser.receives("trackPlaying"))["rev"] == 6
        last = await reports[2]
        assert (last["rev"], last["isPlaying"]) == (7, True)
        assert 50.0 <= last["currentTime"] < 51.0


async def test_the_client_can_renew_its_token_meanwhile(
    serve: Serve, token: Token, state: Path, gate: LoadGate
) -> None:
    client = await serve(state=state)
    async with waiting_client(client, token(), gate) as browser:
        assert (await browser.ask("auth", {"token": token()}))["userId"] == "ada"
        gate.open()
        assert (await browser.receives("authenticated"))["userId"] == "ada"
        assert (await browser.receives("trackPlaying"))["currentTime"] == 30.0


async def test_more_than_may_wait_are_refused(
    serve: Serve, token: Token, state: Path, gate: LoadGate
) -> None:
    client = await serve(state=state, limits=MANY)
    async with waiting_client(client, token(), gate) as browser:
        for _ in range(MAX_WAITING):
            await browser.say("pauseTrack", trackId="song")
        refused = await browser.ask("pauseTrack", {"trackId": "song"})
        assert refused["error"]["code"] == "unavailable"
        gate.open()
        assert (await browser.receives("error"))["code"] == "unavailable"
        assert (await browser.receives("trackPlaying"))["currentTime"] == 30.0
        for _ in range(MAX_WAITING):
            assert (await browser.receives("trackPaused"))["trackId"] == "song"


async def test_they_take_effect_where_the_client_disconnects(
    serve: Serve, token: Token, state: Path, gate: LoadGate
) -> None:
    client = await serve(state=state)
    async with waiting_client(client, token(), gate) as browser:
        await browser.say("pauseTrack", trackId="song", currentTime=9.0)
        await browser.ask("watchLibrary")  # python-socketio does not send all before it closes
        await browser.client.disconnect()
        gate.open()
        async with socketio_client(str(client.make_url("/")), {"token": token()}) as tablet:
            async with asyncio.timeout(PATIENCE):
                while (after := await tablet.ask("getCurrentState"))["rev"] < 7:
                    await asyncio.sleep(0.01)
    assert (after["trackId"], after["currentTime"], after["isPlaying"]) == ("song", 9.0, False)
