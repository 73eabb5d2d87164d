"""The whole specification, walked by raw clients against the real server process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.server_process import Launch, ServerProcess
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]


@dataclass
class ServerFixture:
    """Ada's phone and kiosk, Bob's radio, and Ada's hand on REST."""

    server: ServerProcess
    session: ClientSession
    phone: Peer
    kiosk: Peer
    radio: Peer
    ada: dict[str, str]
    bob: dict[str, str]

    async def post(self, path: str, who: dict[str, str], **body: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.server.url}/api/tracks/{path}"
        async with self.session.post(url, json=body, headers=who) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, who: dict[str, str]) -> tuple[int, dict[str, Any]]:
        async with self.session.get(f"{self.server.url}/tracks{path}", headers=who) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def fixture(launch: Launch, token: Token) -> AsyncIterator[ServerFixture]:
    server = launch()
    ada, bob = token("ada"), token("bob")
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        phone = await stack.enter_async_context(connect(session, f"{server.url}/ws", ada))
        kiosk = await stack.enter_async_context(connect(session, f"{server.url}/", ada))
        radio = await stack.enter_async_context(connect(session, f"{server.url}/ws", bob))
        fixture = ServerFixture(
            server,
            session,
            phone,
            kiosk,
            radio,
            {"Authorization": f"Bearer {ada}"},
            {"Authorization": f"Bearer {bob}"},
        )
        await server.logs("the library has")
        yield fixture


async def test_play_reaches_both_devices_of_its_user_and_no_other_user(
    fixture: ServerFixture,
) -> None:
    await fixture.phone.send("playTrack", trackId="song", currentTime=5)
    for device in (fixture.phone, fixture.kiosk):
        state = await device.receives("trackPlaying")
        assert (state["trackId"], state["isPlaying"], state["rev"]) == ("song", True, 1)
        assert 5.0 <= state["currentTime"] < 6.0
        assert state["track"]["title"] == "Song"
    await fixture.radio.receives_nothing()


async def test_pause_from_another_device_reaches_both(fixture: ServerFixture) -> None:
    await fixture.phone.send("playTrack", trackId="song")
    await fixture.phone.receives("trackPlaying")
    await fixture.kiosk.receives("trackPlaying")
    await fixture.kiosk.send("pauseTrack", trackId="song", currentTime=7.5)
    for device in (fixture.phone, fixture.kiosk):
        state = await device.receives("trackPaused")
        assert (state["currentTime"], state["isPlaying"], state["rev"]) == (7.5, False, 2)


async def test_matching_reports_are_absorbed_and_a_seek_reaches_all(fixture: ServerFixture) -> None:
    await fixture.phone.send("playTrack", trackId="song", currentTime=0)
    await fixture.phone.receives("trackPlaying")
    await fixture.kiosk.receives("trackPlaying")
    for _ in range(8):
        await fixture.phone.send("updateStreaming", trackId="song", currentTime=0.1, isPlaying=True)
    await fixture.phone.receives_nothing()
    await fixture.kiosk.receives_nothing()
    await fixture.phone.send("updateStreaming", trackId="song", currentTime=42, isPlaying=True)
    for device in (fixture.phone, fixture.kiosk):
        assert (await device.receives("trackUpdated"))["currentTime"] >= 42.0


async def test_a_device_that_connects_later_gets_the_extrapolated_position(
    fixture: ServerFixture, token: Token
) -> None:
    answer = await fixture.phone.ask("playTrack", trackId="song", currentTime=10)
    await asyncio.sleep(0.5)
    url = f"{fixture.server.url}/ws?token={token('ada')}"
    async with connect(fixture.session, url) as tablet:
        answer = await tablet.ask("getCurrentState")
        state = answer["data"]
        assert answer["event"] == "trackState"
        passed = (state["serverTime"] - state["updatedAt"]) / 1000
        assert passed >= 0.5
        assert state["currentTime"] == pytest.approx(10 + passed, abs=0.05)
        assert state["track"]["streamUrl"]


async def test_rest_commands_reach_the_sockets(fixture: ServerFixture) -> None:
    status, state = await fixture.post("play/song", fixture.ada, currentTime=3)
    assert (status, state["isPlaying"]) == (200, True)
    assert (await fixture.phone.receives("trackPlaying"))["rev"] == 1
    status, state = await fixture.post("pause/song", fixture.ada)
    assert (status, state["isPlaying"]) == (200, False)
    assert (await fixture.phone.receives("trackPaused"))["rev"] == 2
    status, state = await fixture.post(
        "update-state/song", fixture.ada, currentTime=30, isPlaying=True
    )
    assert (status, state["currentTime"]) == (200, 30.0)
    assert (await fixture.phone.receives("trackUpdated"))["rev"] == 3
    status, state = await fixture.get("/current-state", fixture.ada)
    assert (status, state["trackId"], state["rev"]) == (200, "song", 3)
    await fixture.radio.receives_nothing()
    assert (await fixture.get("/current-state", fixture.bob))[1]["trackId"] is None


async def test_a_user_id_in_the_payload_changes_nothing(fixture: ServerFixture) -> None:
    await fixture.radio.send("playTrack", trackId="song", userId="ada")
    assert (await fixture.radio.receives("trackPlaying"))["trackId"] == "song"
    await fixture.phone.receives_nothing()
    await fixture.kiosk.receives_nothing()


async def test_two_users_receive_nothing_of_each_other(fixture: ServerFixture) -> None:
    await fixture.phone.send("playTrack", trackId="song", currentTime=1)
    await fixture.radio.send("playTrack", trackId="other", currentTime=2)
    assert (await fixture.phone.receives("trackPlaying"))["trackId"] == "song"
    assert (await fixture.kiosk.receives("trackPlaying"))["trackId"] == "song"
    assert (await fixture.radio.receives("trackPlaying"))["trackId"] == "other"
    await fixture.phone.receives_nothing()
    await fixture.radio.receives_nothing()


async def test_another_users_track_is_answered_like_an_unknown_one(fixture: ServerFixture) -> None:
    for event, data in (
        ("playTrack", {}),
        ("pauseTrack", {}),
        ("updateStreaming", {"currentTime": 1, "isPlaying": True}),
    ):
        frames = []
        for track_id in ("his", "none"):
            await fixture.phone.send(event, "q", trackId=track_id, **data)
            frames.append(await fixture.phone.frame())
        assert frames[0] == frames[1]
        assert frames[0]["data"]["code"] == "track_not_found"
    for path in ("play", "pause", "update-state"):
        his, none = [
            await fixture.post(f"{path}/{track_id}", fixture.ada, currentTime=1, isPlaying=True)
            for track_id in ("his", "none")
        ]
        assert his == none
        assert his[0] == 404
    for path in ("", "/stream"):
        his, none = [await fixture.get(f"{path}/{track}", fixture.ada) for track in ("his", "none")]
        assert his == none
        assert his[0] == 404
    await fixture.radio.receives_nothing()


async def test_the_stream_is_the_file_and_ranges_are_its_parts(fixture: ServerFixture) -> None:
    _, track = await fixture.get("/hers", fixture.ada)
    url = fixture.server.url + track["streamUrl"]
    async with fixture.session.get(url) as whole:
        audio = await whole.read()
        assert (whole.status, whole.headers["Content-Type"]) == (200, "audio/wav")
    async with fixture.session.get(url, headers={"Range": "bytes=100-199"}) as part:
        assert (part.status, await part.read()) == (206, audio[100:200])
    async with fixture.session.get(url.replace("hers", "his")) as foreign:
        assert foreign.status == 401


async def test_a_shutdown_closes_every_device_with_1001(fixture: ServerFixture) -> None:
    exit_code, *close_codes = await asyncio.gather(
        asyncio.to_thread(fixture.server.stop), fixture.phone.closed(), fixture.radio.closed()
    )
    assert (exit_code, close_codes) == (0, [1001, 1001])
