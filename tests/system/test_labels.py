"""Device labels from the wire to the device list, by every way in which a device connects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import WSServerHandshakeError

from tests.conftest import Client, Serve
from tests.support.ws_client import Peer, connect
from tests.unit.protocol.test_device_labels import ENGLAND, FAMILY, SWISS, WAVE

Token = Callable[..., str]
EVERYDAY = [
    "MacBook\N{NO-BREAK SPACE}Pro",
    "Ada\N{RIGHT SINGLE QUOTATION MARK}s iPhone",
    FAMILY,
    f"{FAMILY} {ENGLAND} {SWISS} {WAVE}",
    "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
    "Wohnzimmer\N{NARROW NO-BREAK SPACE}2",
    "\N{HEBREW LETTER ALEF}\N{RIGHT-TO-LEFT MARK}!",
    "\u0645\u06cc\N{ZERO WIDTH NON-JOINER}\u062e\u0648\u0627\u0647\u0645",
    "\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}cran",
    "\uf8ff TV",  # Apple's logo, in the private use area
    "\U0001fae9\U0001f6d8",  # newer than the tables of older Pythons
    "soft\N{SOFT HYPHEN}ware",
    "x",
]
REFUSED = ["a\nb", "\x07", "\x7f", "a\x85b", "a\u2028b", "a\u2029b"]
CLEANED = [
    ("\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe\N{POP DIRECTIONAL FORMATTING}", "gnp.exe"),
    ("\N{FIRST STRONG ISOLATE}Radio\N{POP DIRECTIONAL ISOLATE}", "Radio"),
    ("  Kitchen\N{NO-BREAK SPACE} ", "Kitchen"),
    ("x" * 129, "x" * 128),
    ("x" * 3000, "x" * 128),
]
NOTHING = ["", " ", "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH JOINER}", "\N{VARIATION SELECTOR-16}"]
WAYS = ["header", "query", "first frame", "Socket.IO"]


class ConnectingDevice:
    """A device that connects by one of ``WAYS`` with the labels it is given."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._token = token
        self._url = str(client.make_url("/ws"))

    @asynccontextmanager
    async def by(self, way: str, **labels: Any) -> AsyncIterator[None]:
        session, bearer = self._client.session, f"Bearer {self._token}"
        if way == "header":
            query = urlencode(labels)
            async with connect(session, f"{self._url}?{query}", self._token) as device:
                await device.receives_nothing()
                yield
        elif way == "query":
            query = urlencode(labels | {"token": self._token})
            async with connect(session, f"{self._url}?{query}") as device:
                await device.receives_nothing()
                yield
        elif way == "first frame":
            async with connect(session, self._url) as device:
                await device.send("auth", token=self._token, **labels)
                await device.receives("authenticated")
                yield
        else:
            socketio = pytest.importorskip("socketio", reason="[socketio] is not installed")
            browser = socketio.AsyncClient(reconnection=False)
            auth = {"token": bearer, **labels}
            await browser.connect(str(self._client.make_url("/")), auth=auth)
            try:
                yield
            finally:
                await browser.disconnect()
                await browser.shutdown()


async def names(peer: Peer) -> list[str | None]:
    listed = (await peer.ask("getDevices"))["data"]["devices"]
    return [device["deviceName"] for device in listed[1:]]


@pytest.mark.parametrize("way", WAYS)
async def test_names_that_people_use_are_listed_unchanged(
    serve: Serve, token: Token, way: str
) -> None:
    client = await serve()
    device = ConnectingDevice(client, token())
    async with connect(client.session, str(client.make_url("/ws")), token()) as watcher:
        for name in EVERYDAY:
            async with device.by(way, deviceName=name, deviceId=name):
                assert await names(watcher) == [name]


@pytest.mark.parametrize("way", WAYS)
async def test_long_names_are_truncated_and_directional_overrides_removed(
    serve: Serve, token: Token, way: str
) -> None:
    client = await serve()
    device = ConnectingDevice(client, token())
    async with connect(client.session, str(client.make_url("/ws")), token()) as watcher:
        for name, shown in CLEANED:
            async with device.by(way, deviceName=name):
                assert await names(watcher) == [shown]
        for name in NOTHING:
            async with device.by(way, deviceName=name, deviceId=name):
                assert await names(watcher) == [None]


class TestRefusedLabels:
    @pytest.mark.parametrize("name", [*REFUSED, "\ud83d", 5, ["x"]])
    async def test_a_label_refused_in_a_first_frame_is_an_error_and_the_next_one_is_accepted(
        self, serve: Serve, token: Token, name: Any
    ) -> None:
        client = await serve()
        async with connect(client.session, str(client.make_url("/ws"))) as device:
            await device.send("auth", 1, token=token(), deviceName=name)
            error = await device.frame()
            assert (error["event"], error["id"]) == ("error", 1)
            assert error["data"]["code"] == "invalid_message"
            await device.send("auth", 2, token=token(), deviceName="Kitchen")
            assert (await device.frame())["event"] == "authenticated"
            await device.receives_nothing()

    async def test_a_device_that_sends_only_refused_labels_is_closed_as_unauthenticated(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve()
        async with connect(client.session, str(client.make_url("/ws"))) as device:
            for _ in range(100):
                await device.send("auth", token=token(), deviceName="\x07")
            assert await device.closed() == 4408

    async def test_a_refused_token_is_reported_rather_than_the_label_beside_it(
        self, serve: Serve
    ) -> None:
        client = await serve()
        async with connect(client.session, str(client.make_url("/ws"))) as device:
            await device.send("auth", token="nonsense", deviceName="\x07")
            assert (await device.receives("error"))["code"] == "unauthorized"
            assert await device.closed() == 4401

    @pytest.mark.parametrize("name", REFUSED)
    async def test_a_label_refused_in_a_handshake_is_400_rather_than_401(
        self, serve: Serve, token: Token, name: str
    ) -> None:
        client = await serve()
        url = str(client.make_url("/ws"))
        for query, header in (({}, token()), ({"token": token()}, None)):
            path = f"{url}?{urlencode(query | {'deviceName': name})}"
            with pytest.raises(WSServerHandshakeError) as refused:
                async with connect(client.session, path, header):
                    pass
            assert refused.value.status == 400

    async def test_a_label_refused_over_socketio_is_a_connect_error_that_names_it(
        self, serve: Serve, token: Token
    ) -> None:
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
        client = await serve()
        path = client.make_url("/socket.io/?EIO=4&transport=websocket")
        async with client.session.ws_connect(path) as socket:
            await socket.receive_str()
            await socket.send_str(f'40{{"token":"{token()}","deviceName":"\\u0007"}}')
            answer = await socket.receive_str()
            assert answer.startswith('44{"message":"\\"deviceName\\" must be text')
            assert '"code":"invalid_message"' in answer
            await socket.send_str(f'40{{"token":"{token()}","deviceName":"Kitchen"}}')
            assert (await socket.receive_str()).startswith('40{"sid":')

    async def test_a_label_in_a_token_renewal_is_ignored(self, serve: Serve, token: Token) -> None:
        client = await serve()
        async with connect(client.session, str(client.make_url("/ws")), token()) as device:
            frame = await device.ask("auth", token=token(), deviceName="\x07")
            assert frame["event"] == "authenticated"
            await device.receives_nothing()
