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
class House:
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
async def house(launch: Launch, token: Token) -> AsyncIterator[House]:
    server = launch()
    ada, bob = token("ada"), token("bob")
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession())
        phone = await stack.enter_async_context(connect(session, f"{server.url}/ws", ada))
        kiosk = await stack.enter_async_context(connect(session, f"{server.url}/", ada))
        radio = await stack.enter_async_context(connect(session, f"{server.url}/ws", bob))
        house = House(
            server,
            session,
            phone,
            kiosk,
            radio,
            {"Authorization": f"Bearer {ada}"},
            {"Authorization": f"Bearer {bob}"},
        )
        await server.logs("the library has")
        yield house


async def test_play_reaches_both_devices_of_its_user_and_no_other_user(house: House) -> None:
    await house.phone.send("playTrack", trackId="song", currentTime=5)
    for device in (house.phone, house.kiosk):
        state = await device.hears("trackPlaying")
        assert (state["trackId"], state["isPlaying"], state["rev"]) == ("song", True, 1)
        assert 5.0 <= state["currentTime"] < 6.0
        assert state["track"]["title"] == "Song"
    await house.radio.heard_nothing()


async def test_pause_from_another_device_reaches_both(house: House) -> None:
    await house.phone.send("playTrack", trackId="song")
    await house.phone.hears("trackPlaying")
    await house.kiosk.hears("trackPlaying")
    await house.kiosk.send("pauseTrack", trackId="song", currentTime=7.5)
    for device in (house.phone, house.kiosk):
        state = await device.hears("trackPaused")
        assert (state["currentTime"], state["isPlaying"], state["rev"]) == (7.5, False, 2)


async def test_matching_reports_are_absorbed_and_a_seek_reaches_all(house: House) -> None:
    await house.phone.send("playTrack", trackId="song", currentTime=0)
    await house.phone.hears("trackPlaying")
    await house.kiosk.hears("trackPlaying")
    for _ in range(8):
        await house.phone.send("updateStreaming", trackId="song", currentTime=0.1, isPlaying=True)
    await house.phone.heard_nothing()
    await house.kiosk.heard_nothing()
    await house.phone.send("updateStreaming", trackId="song", currentTime=42, isPlaying=True)
    for device in (house.phone, house.kiosk):
        assert (await device.hears("trackUpdated"))["currentTime"] >= 42.0


async def test_a_device_that_connects_later_gets_the_extrapolated_position(
    house: House, token: Token
) -> None:
    answer = await house.phone.ask("playTrack", trackId="song", currentTime=10)
    await asyncio.sleep(0.5)
    url = f"{house.server.url}/ws?token={token('ada')}"
    async with connect(house.session, url) as tablet:
        answer = await tablet.ask("getCurrentState")
        state = answer["data"]
        assert answer["event"] == "trackState"
        passed = (state["serverTime"] - state["updatedAt"]) / 1000
        assert passed >= 0.5
        assert state["currentTime"] == pytest.approx(10 + passed, abs=0.05)
        assert state["track"]["streamUrl"]


async def test_rest_commands_reach_the_sockets(house: House) -> None:
    status, state = await house.post("play/song", house.ada, currentTime=3)
    assert (status, state["isPlaying"]) == (200, True)
    assert (await house.phone.hears("trackPlaying"))["rev"] == 1
    status, state = await house.post("pause/song", house.ada)
    assert (status, state["isPlaying"]) == (200, False)
    assert (await house.phone.hears("trackPaused"))["rev"] == 2
    status, state = await house.post("update-state/song", house.ada, currentTime=30, isPlaying=True)
    assert (status, state["currentTime"]) == (200, 30.0)
    assert (await house.phone.hears("trackUpdated"))["rev"] == 3
    status, state = await house.get("/current-state", house.ada)
    assert (status, state["trackId"], state["rev"]) == (200, "song", 3)
    await house.radio.heard_nothing()
    assert (await house.get("/current-state", house.bob))[1]["trackId"] is None


async def test_a_user_id_in_the_payload_changes_nothing(house: House) -> None:
    await house.radio.send("playTrack", trackId="song", userId="ada")
    assert (await house.radio.hears("trackPlaying"))["trackId"] == "song"
    await house.phone.heard_nothing()
    await house.kiosk.heard_nothing()


async def test_two_users_receive_nothing_of_each_other(house: House) -> None:
    await house.phone.send("playTrack", trackId="song", currentTime=1)
    await house.radio.send("playTrack", trackId="other", currentTime=2)
    assert (await house.phone.hears("trackPlaying"))["trackId"] == "song"
    assert (await house.kiosk.hears("trackPlaying"))["trackId"] == "song"
    assert (await house.radio.hears("trackPlaying"))["trackId"] == "other"
    await house.phone.heard_nothing()
    await house.radio.heard_nothing()


async def test_another_users_track_is_answered_like_an_unknown_one(house: House) -> None:
    for event, data in (
        ("playTrack", {}),
        ("pauseTrack", {}),
        ("updateStreaming", {"currentTime": 1, "isPlaying": True}),
    ):
        frames = []
        for track_id in ("his", "none"):
            await house.phone.send(event, "q", trackId=track_id, **data)
            frames.append(await house.phone.frame())
        assert frames[0] == frames[1]
        assert frames[0]["data"]["code"] == "track_not_found"
    for path in ("play", "pause", "update-state"):
        his, none = [
            await house.post(f"{path}/{track_id}", house.ada, currentTime=1, isPlaying=True)
            for track_id in ("his", "none")
        ]
        assert his == none
        assert his[0] == 404
    for path in ("", "/stream"):
        his, none = [await house.get(f"{path}/{track}", house.ada) for track in ("his", "none")]
        assert his == none
        assert his[0] == 404
    await house.radio.heard_nothing()


async def test_the_stream_is_the_file_and_ranges_are_its_parts(house: House) -> None:
    _, track = await house.get("/hers", house.ada)
    url = house.server.url + track["streamUrl"]
    async with house.session.get(url) as whole:
        audio = await whole.read()
        assert (whole.status, whole.headers["Content-Type"]) == (200, "audio/wav")
    async with house.session.get(url, headers={"Range": "bytes=100-199"}) as part:
        assert (part.status, await part.read()) == (206, audio[100:200])
    async with house.session.get(url.replace("hers", "his")) as foreign:
        assert foreign.status == 401


async def test_a_shutdown_closes_every_device_with_1001(house: House) -> None:
    exit_code, *close_codes = await asyncio.gather(
        asyncio.to_thread(house.server.stop), house.phone.closed(), house.radio.closed()
    )
    assert (exit_code, close_codes) == (0, [1001, 1001])
