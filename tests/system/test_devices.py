"""Transfer, volumes and names of devices: native ones and one of Socket.IO on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from audiostream import __version__
from audiostream.settings import Limits
from tests.conftest import Serve
from tests.support.socketio_client import SocketioClient, socketio_client
from tests.support.ws_client import PATIENCE, Peer, connect

pytest.importorskip("socketio", reason="the [socketio] extra is not installed")

Token = Callable[..., str]
LONG_NAME = "Kitchen " * 40

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("transferPlayback", {}, "invalid_message"),
    ("transferPlayback", {"deviceId": ""}, "invalid_message"),
    ("transferPlayback", {"deviceId": 5}, "invalid_message"),
    ("transferPlayback", {"deviceId": "kiosk", "play": 1}, "invalid_message"),
    ("transferPlayback", {"deviceId": "kiosk", "ifRev": "1"}, "invalid_message"),
    ("transferPlayback", {"deviceId": "kiosk", "commandId": ""}, "invalid_message"),
    ("transferPlayback", {"deviceId": "kiosk", "ifRev": 99}, "conflict"),
    ("transferPlayback", {"deviceId": "nobody"}, "device_not_found"),
    ("transferPlayback", {"deviceId": "bobs"}, "device_not_found"),
    ("setVolume", {}, "invalid_message"),
    ("setVolume", {"volume": None}, "invalid_message"),
    ("setVolume", {"volume": -0.01}, "invalid_message"),
    ("setVolume", {"volume": 1.01}, "invalid_message"),
    ("setVolume", {"volume": True}, "invalid_message"),
    ("setVolume", {"volume": "0.5"}, "invalid_message"),
    ("setVolume", {"muted": 1}, "invalid_message"),
    ("setVolume", {"deviceId": "", "volume": 0.5}, "invalid_message"),
    ("setVolume", {"deviceId": "kiosk", "volume": 0.5, "ifRev": 99}, "conflict"),
    ("setVolume", {"deviceId": "nobody", "volume": 0.5}, "device_not_found"),
    ("setVolume", {"deviceId": "bobs", "volume": 0.5}, "device_not_found"),
    ("deviceUpdate", {}, "invalid_message"),
    ("deviceUpdate", {"deviceName": 5}, "invalid_message"),
    ("deviceUpdate", {"deviceName": "a\u0000b"}, "invalid_message"),
    ("deviceUpdate", {"deviceName": "Hall", "volume": 2}, "invalid_message"),
    ("deviceUpdate", {"muted": "yes"}, "invalid_message"),
]


@dataclass
class Home:
    """Ada's devices; a device of Bob's is connected too."""

    phone: Peer
    kiosk: Peer
    tv: SocketioClient


@asynccontextmanager
async def at_home(serve: Serve, token: Token, **changes: Any) -> AsyncIterator[Home]:
    """The kiosk plays the song and is the active device; nobody has anything left to read."""
    client = await serve(**changes)
    session, server = client.session, str(client.make_url("")).rstrip("/")
    url, auth = f"{server}/ws?deviceId", {"token": token(), "deviceId": "tv"}
    async with (
        connect(session, f"{url}=phone", token()) as phone,
        connect(session, f"{url}=kiosk", token()) as kiosk,
        connect(session, f"{url}=bobs", token("bob")),
        socketio_client(server, auth) as tv,
    ):
        await kiosk.send("playTrack", trackId="song", currentTime=20)
        for device in (phone, kiosk, tv):
            await device.receives("trackPlaying")
        yield Home(phone, kiosk, tv)


def rows(data: dict[str, Any]) -> dict[str, tuple[object, ...]]:
    """The name, volume and muted of each listed device, and whether it is active."""
    names = ("deviceName", "volume", "muted", "isActive")
    return {each["deviceId"]: tuple(map(each.get, names)) for each in data["devices"]}


async def position(peer: Peer) -> float:
    """The position in the state that a device asks for."""
    return float((await peer.ask("getCurrentState"))["data"]["currentTime"])


async def test_a_transfer_moves_the_active_device_between_native_and_socketio_devices(
    serve: Serve, token: Token
) -> None:
    async with at_home(serve, token) as home:
        answer = await home.phone.ask("transferPlayback", deviceId="tv", ifRev=1, commandId="c1")
        assert answer["event"] == "trackUpdated"
        moved = await home.tv.receives("trackUpdated")
        assert moved == await home.kiosk.receives("trackUpdated") == answer["data"]
        assert (moved["deviceId"], moved["rev"], moved["isPlaying"]) == ("tv", 2, True)
        assert 20.0 <= moved["currentTime"] < 40.0

        acknowledged = await home.tv.ask("transferPlayback", {"deviceId": "phone", "play": False})
        paused = await home.phone.receives("trackUpdated")
        assert paused == await home.kiosk.receives("trackUpdated")
        assert paused == await home.tv.receives("trackUpdated")
        assert (paused["deviceId"], paused["rev"], paused["isPlaying"]) == ("phone", 3, False)
        assert acknowledged["rev"] == 3

        again = await home.phone.ask("transferPlayback", deviceId="tv", commandId="c1")
        assert again["data"]["deviceId"] == "phone"
        await home.kiosk.receives_nothing()


async def test_the_device_to_which_the_playback_was_transferred_freezes_it_when_it_disconnects(
    serve: Serve, token: Token
) -> None:
    async with at_home(serve, token) as home:
        await home.kiosk.send("updateStreaming", trackId="song", currentTime=20.1, isPlaying=True)
        await home.kiosk.receives_nothing()
        moved = await home.phone.ask("transferPlayback", deviceId="tv")
        await home.kiosk.receives("trackUpdated")
        await home.tv.client.disconnect()
        async with asyncio.timeout(PATIENCE):
            frozen_at = moved["data"]["currentTime"]
            while frozen_at != (frozen_at := await position(home.phone)):
                await asyncio.sleep(0.1)
        answer = await home.kiosk.ask("transferPlayback", deviceId="kiosk", play=True)
        assert answer["data"]["isPlaying"]
        assert answer["data"]["currentTime"] == frozen_at


async def test_a_volume_is_relayed_to_the_device_which_reports_what_it_has(
    serve: Serve, token: Token
) -> None:
    async with at_home(serve, token) as home:
        watched = await home.phone.ask("getDevices", watch=True)
        assert rows(watched["data"])["kiosk"] == (None, None, None, True)

        answer = await home.phone.ask("setVolume", volume=0.25)
        assert (answer["event"], answer["data"]) == (
            "volume",
            {"deviceId": "kiosk", "volume": 0.25},
        )
        assert await home.kiosk.receives("volume") == {"volume": 0.25}
        await home.kiosk.send(
            "updateStreaming", trackId="song", currentTime=20.1, isPlaying=True, volume=0.3
        )
        assert rows(await home.phone.receives("devices"))["kiosk"] == (None, 0.3, None, True)

        acknowledged = await home.tv.ask("setVolume", {"deviceId": "phone", "muted": True})
        assert acknowledged == {"deviceId": "phone", "muted": True}
        assert await home.phone.receives("volume") == {"muted": True}

        await home.phone.ask("setVolume", deviceId="tv", volume=1, muted=False)
        assert await home.tv.receives("volume") == {"volume": 1.0, "muted": False}
        listed = await home.tv.ask("deviceUpdate", {"deviceName": "TV", "volume": 1, "muted": True})
        assert rows(listed)["tv"] == ("TV", 1.0, True, False)
        assert rows(await home.phone.receives("devices")) == rows(listed)


async def test_a_device_is_renamed_and_a_long_name_is_truncated(serve: Serve, token: Token) -> None:
    async with at_home(serve, token) as home:
        answer = await home.kiosk.ask("deviceUpdate", deviceName=LONG_NAME)
        assert answer["event"] == "devices"
        name = rows(answer["data"])["kiosk"][0]
        assert name == LONG_NAME[:128].rstrip()
        await home.phone.receives_nothing()


async def test_whatever_is_wrong_is_answered_with_an_error_and_reaches_no_other_device(
    serve: Serve, token: Token
) -> None:
    async with at_home(serve, token) as home:
        for event, data, code in REFUSED:
            answer = await home.phone.ask(event, **data)
            assert (answer["event"], answer["data"]["code"]) == ("error", code), (event, data)
            assert answer["data"]["event"] == event
            assert ("state" in answer["data"]) is (code == "conflict")
        await home.phone.socket.send_str('{"event":"setVolume","data":{"volume":NaN},"id":1}')
        assert (await home.phone.receives("error"))["code"] == "invalid_message"
        for event, data, code in REFUSED[::5]:
            refused = await home.tv.ask(event, data)
            assert refused["error"]["code"] == code, (event, data)
            await home.tv.receives("error")
        await home.kiosk.receives_nothing()
        await home.tv.receives_nothing()
        state = (await home.phone.ask("getCurrentState"))["data"]
        assert (state["rev"], state["deviceId"]) == (1, "kiosk")


async def test_dragging_a_volume_leaves_the_rate_of_other_commands(
    serve: Serve, token: Token
) -> None:
    limits = Limits(commands_per_second=2, reports_per_second=10)
    async with at_home(serve, token, limits=limits) as home:
        for step in range(15):
            await home.phone.send("setVolume", volume=step / 20)
        await home.phone.send("pauseTrack", 1, trackId="song")
        await home.phone.receives("trackPaused")
        for step in range(15):
            assert await home.kiosk.receives("volume") == {"volume": step / 20}
        for _ in range(40):
            await home.phone.send("setVolume", deviceId="kiosk", volume=0.5)
        assert (await home.phone.receives("error"))["code"] == "rate_limited"


async def test_authenticated_says_which_server_this_is_and_what_it_can_do(
    serve: Serve, token: Token
) -> None:
    async with at_home(serve, token) as home:
        native = (await home.phone.ask("auth", token=token()))["data"]
        socketio = await home.tv.ask("auth", {"token": token()})
        for data in (native, socketio):
            assert data["version"] == __version__
            assert {"transfer", "volume"} <= set(data["features"])
            assert data["syncTolerance"] == 1.0
