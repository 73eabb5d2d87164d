"""Devices that are too many, once that is known, are disconnected as those that come too late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from audiostream.services import SERVICES
from audiostream.websocket import gateway
from tests.conftest import Serve
from tests.support.ws_client import connect

Token = Callable[..., str]


async def test_native_devices_are_closed_with_4429_and_socketio_devices_with_an_error(
    serve: Serve, token: Token
) -> None:
    pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    from tests.support.socketio_client import socketio_client

    client = await serve()
    url = str(client.make_url("")).rstrip("/")
    async with (
        connect(client.session, f"{url}/ws?deviceId=phone", token()) as phone,
        connect(client.session, f"{url}/ws?deviceId=kiosk", token()) as kiosk,
        connect(client.session, f"{url}/ws"),  # it has not authenticated yet
        socketio_client(url, {"token": token(), "deviceId": "tab"}) as tab,
        socketio_client(url, {"token": token(), "deviceId": "second"}) as second,
    ):
        room = client.app[SERVICES].registry.room("ada")
        excess = [each for each in room.devices.values() if each.ref.device_id in {"phone", "tab"}]
        gateway.close_excess(client.app, excess)
        assert await phone.closed() == 4429
        error = await tab.receives("error")
        assert (error["code"], error["message"]) == (
            "rate_limited",
            "too many devices of this user",
        )
        async with asyncio.timeout(10):
            assert await tab.disconnect_reason
        devices = (await kiosk.ask("getDevices"))["data"]["devices"]
        assert [each["deviceId"] for each in devices] == ["kiosk", "second"]
        await second.receives_nothing()
