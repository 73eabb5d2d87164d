"""Limits of Socket.IO clients, and what clients send that no library sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from aiohttp import ClientSession, WSMsgType

from audiostream.settings import Limits
from audiostream.websocket import authentication
from tests.conftest import Serve
from tests.support.server_process import Launch, ServerProcess
from tests.support.socketio_client import (
    HANDSHAKE,
    TRANSPORTS,
    Poller,
    SocketioClient,
    socketio_client,
)
from tests.support.waiting import PATIENCE
from tests.support.ws_client import connect

socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
Token = Callable[..., str]


class TestLimits:
    async def test_too_many_devices_are_refused_until_one_leaves(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch(AUDIOSTREAM_SOCKETS_PER_USER="2")
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()),
            AsyncExitStack() as stack,
        ):
            kiosk = await stack.enter_async_context(socketio_client(server.url, {"token": token()}))
            with pytest.raises(socketio.exceptions.ConnectionError):
                await SocketioClient().client.connect(server.url, auth={"token": token()})
            await kiosk.client.disconnect()
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        async with socketio_client(server.url, {"token": token()}):
                            break
                    except socketio.exceptions.ConnectionError:
                        await asyncio.sleep(0.1)

    async def test_too_many_commands_at_once_are_rate_limited(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch(AUDIOSTREAM_COMMANDS_PER_SECOND="1")
        async with socketio_client(server.url, {"token": token()}) as kiosk:
            answers = [await kiosk.ask("getCurrentState") for _ in range(5)]
            assert answers[-1]["error"]["code"] == "rate_limited"

    async def test_a_client_that_does_not_authenticate_in_time_is_disconnected(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication, "AUTH_TIMEOUT", 0.5)
        client = await serve(limits=Limits(waiting_per_address=2))
        for _ in range(2):
            async with client.get(HANDSHAKE) as answer:
                assert answer.status == 200
        async with client.get(HANDSHAKE) as answer:
            assert answer.status == 429
        async with asyncio.timeout(PATIENCE):
            while True:
                async with client.get(HANDSHAKE) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.1)

    async def test_a_client_that_stops_polling_is_disconnected_and_delays_nobody(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch(AUDIOSTREAM_COMMANDS_PER_SECOND="1000000")
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            Poller(session, server.url) as sleeper,
        ):
            await sleeper.post(f"40{json.dumps({'token': token()})}")
            assert (await sleeper.poll()).startswith("40")
            for number in range(1200):
                await phone.send("playTrack", trackId="song", currentTime=number % 50)
                await phone.receives("trackPlaying")
            await server.logs("reason=slow_reader")
            devices = await phone.ask("getDevices")
            assert len(devices["data"]["devices"]) == 1

    async def test_a_shutdown_ends_the_connection_so_that_the_client_reconnects(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch()
        async with socketio_client(server.url, {"token": token()}) as kiosk:
            assert await asyncio.to_thread(server.stop) == 0
            async with asyncio.timeout(PATIENCE):
                # not "server disconnect": that is an order, and clients do not come back
                assert await kiosk.disconnect_reason in {"transport close", "transport error"}


GARBAGE: list[str | bytes] = [
    "nonsense",
    "9",
    "4",
    "42",
    "42[]",
    "42[5]",
    '42{"a":1}',
    '42["connect",{},{"token":"x"}]',
    '42["disconnect"]',
    '42["playTrack",NaN]',
    '42["playTrack",{"trackId":"song","currentTime":Infinity}]',
    '42["playTrack",[1]]',
    '42["playTrack","song"]',
    '42["updateStreaming"]',
    f'42["x",{"[" * 3000}{"]" * 3000}]',
    '451-["playTrack",{"_placeholder":true,"num":0}]',
    "4599999-[]",
    "44{}",
    "40[]",
    "40/admin,",
    "41/admin,",
    "430[1]",
    "420" + "9" * 200 + '["x"]',
    "\x1e\x1e\x1e",
    "bAAAA",
    b"\xff\xfe\xfa",
    b"",
]


class TestGarbage:
    """None of it gives a traceback: the fixture of the server would fail."""

    @pytest.mark.parametrize("transport", TRANSPORTS)
    async def test_garbage_from_one_client_leaves_the_others_served(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with (
            ClientSession() as session,
            socketio_client(server.url, {"token": token("bob")}) as bob,
        ):
            for piece in GARBAGE:
                for authenticated in (False, True):
                    send = self.by_polling if transport == "polling" else self.by_websocket
                    await send(session, server.url, piece, token() if authenticated else None)
            await bob.receives_nothing()

    async def by_polling(
        self, session: ClientSession, url: str, piece: str | bytes, token: str | None
    ) -> None:
        async with Poller(session, url) as vandal:
            if token:
                await vandal.post(f"40{json.dumps({'token': token})}")
            assert await vandal.post(piece) in {200, 400}
            await vandal.post("41")
            await vandal.post("1")

    async def by_websocket(
        self, session: ClientSession, url: str, piece: str | bytes, token: str | None
    ) -> None:
        url += "/socket.io/?EIO=4&transport=websocket"
        async with session.ws_connect(url) as socket:
            assert (await socket.receive(PATIENCE)).data.startswith("0{")
            if token:
                await socket.send_str(f"40{json.dumps({'token': token})}")
                assert (await socket.receive(PATIENCE)).data.startswith("40{")
            if isinstance(piece, bytes):
                await socket.send_bytes(piece)
            else:
                await socket.send_str(piece)

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/socket.io/", 400),
            ("/socket.io/?EIO=3&transport=polling", 400),
            ("/socket.io/?EIO=4&transport=pigeon", 400),
            ("/socket.io/?EIO=4&transport=websocket", 400),
            ("/socket.io/?EIO=4&transport=polling&sid=unknown", 400),
            ("/socket.io/?EIO=4&transport=polling&j=x", 400),
        ],
    )
    async def test_a_broken_handshake_is_400(
        self, server: ServerProcess, path: str, status: int
    ) -> None:
        async with ClientSession() as session:
            for method in ("GET", "POST") if "sid" in path else ("GET",):
                async with session.request(method, server.url + path) as answer:
                    assert answer.status == status

    async def test_a_long_packet_ends_its_own_connection_only(
        self, server: ServerProcess, token: Token
    ) -> None:
        async with ClientSession() as session:
            async with session.ws_connect(
                server.url + "/socket.io/?EIO=4&transport=websocket"
            ) as socket:
                await socket.receive(PATIENCE)
                await socket.send_str("4" + "2" * 100_000)
                kinds = {(await socket.receive(PATIENCE)).type for _ in range(2)}
                assert kinds & {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING}
            async with Poller(session, server.url) as vandal:
                assert await vandal.post("4" + "2" * 100_000) == 413

    async def test_a_client_that_connects_twice_is_one_device(
        self, server: ServerProcess, token: Token
    ) -> None:
        hello = f"40{json.dumps({'token': token()})}"
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            Poller(session, server.url) as vandal,
        ):
            for _ in range(3):
                await vandal.post(hello)
            listed = await phone.ask("getDevices")
            assert len(listed["data"]["devices"]) == 2
            await vandal.post("1")
            async with asyncio.timeout(PATIENCE):
                while len((await phone.ask("getDevices"))["data"]["devices"]) > 1:
                    await asyncio.sleep(0.1)
