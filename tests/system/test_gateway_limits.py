"""Limits of native devices, and devices that misbehave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from aiohttp import WSServerHandshakeError

from audiostream.protocol.envelope import Frame
from audiostream.rooms.device import Device
from audiostream.rooms.room import Room
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.websocket import gateway
from audiostream.websocket.session import MESSAGES_PER_ITERATION
from tests.conftest import Client, Serve
from tests.support.ws_client import Peer, device

Token = Callable[..., str]
MANY = Limits(commands_per_second=1_000_000)


class TestLimits:
    async def test_one_device_too_many_of_a_user_is_4429(self, serve: Serve, token: Token) -> None:
        client = await serve(limits=Limits(sockets_per_user=2))
        async with device(client, token()) as one, device(client, token()) as two:
            await one.receives_nothing()
            await two.receives_nothing()
            async with device(client, token()) as third:
                assert await third.closed() == 4429
            async with device(client, token("bob")) as other:
                await other.receives_nothing()
            await one.receives_nothing()

    async def test_one_unauthenticated_connection_too_many_of_an_address_is_429(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve(limits=Limits(waiting_per_address=1))
        async with device(client) as waiting:
            await asyncio.sleep(0.05)
            with pytest.raises(WSServerHandshakeError) as refused:
                async with device(client):
                    pass
            assert refused.value.status == 429
            async with device(client, token()) as known:
                await known.receives_nothing()
            await waiting.send("auth", token=token())
            await waiting.receives("authenticated")
        async with device(client) as next_one:
            await next_one.send("auth", token=token())
            await next_one.receives("authenticated")

    async def test_a_first_frame_of_more_than_4_kib_is_1009(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve()) as phone:
            await phone.send("auth", token=token(), padding="x" * 4096)
            assert await phone.closed() == 1009

    async def test_commands_and_reports_have_rate_limits_of_their_own(
        self, serve: Serve, token: Token
    ) -> None:
        limits = Limits(commands_per_second=2, reports_per_second=4)
        async with device(await serve(limits=limits), token()) as phone:
            codes = [(await phone.ask("getCurrentState"))["data"].get("code") for _ in range(6)]
            assert codes == [None] * 4 + ["rate_limited"] * 2
            report = {"trackId": "song", "currentTime": 0, "isPlaying": False}
            answers = [await phone.ask("updateStreaming", **report) for _ in range(10)]
            assert [answer["data"].get("code") for answer in answers] == (
                [None] * 8 + ["rate_limited"] * 2
            )

    async def test_json_nested_too_deep_is_an_error(self, serve: Serve, token: Token) -> None:
        async with device(await serve(limits=Limits(max_json_depth=3)), token()) as phone:
            await phone.socket.send_str('{"event": "getCurrentState", "data": {"a": []}}')
            await phone.receives("trackState")
            await phone.socket.send_str('{"event": "getCurrentState", "data": {"a": [[]]}}')
            assert "deeper than 3" in (await phone.receives("error"))["message"]


class TestBadDevices:
    async def test_a_device_that_stops_reading_is_disconnected_and_delays_nobody(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve(limits=MANY)
        async with device(client, token()) as phone:
            sleeper = await stopped_reader(client, token())
            room = client.app[SERVICES].registry.room("ada")
            while len(room.devices) < 2:
                await asyncio.sleep(0)
            for number in range(12_000):
                await phone.send("playTrack", trackId="song", currentTime=number % 50)
                await phone.receives("trackPlaying")
                if len(room.devices) < 2:
                    break
            assert len(room.devices) == 1, "the device that stopped reading was never disconnected"
            await phone.receives_nothing()
            sleeper.transport.abort()

    async def test_a_flood_from_one_device_reaches_the_other_whole(
        self, serve: Serve, token: Token
    ) -> None:
        client, count = await serve(limits=MANY), 3000
        async with device(client, token()) as phone, device(client, token()) as kiosk:

            async def flood() -> None:
                for number in range(count):
                    await phone.send("playTrack", trackId="song", currentTime=number % 50)

            async def listen(peer: Peer) -> list[int]:
                return [(await peer.receives("trackPlaying"))["rev"] for _ in range(count)]

            _, own, other = await asyncio.gather(flood(), listen(phone), listen(kiosk))
            assert own == other == list(range(1, count + 1))

    async def test_a_flooding_device_handles_at_most_32_messages_in_a_loop_iteration(
        self, serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, count, iteration = await serve(limits=MANY), 2000, 0
        handled: Counter[int] = Counter()

        async def iterate() -> None:
            nonlocal iteration
            while True:
                iteration += 1
                await asyncio.sleep(0)

        async with device(client, token()) as phone:
            await phone.receives_nothing()
            handle_frame = Room.handle_frame

            def counted(room: Room, frame: Frame, sender: Device) -> None:
                handled[iteration] += 1
                handle_frame(room, frame, sender)

            monkeypatch.setattr(Room, "handle_frame", counted)
            iterating = asyncio.create_task(iterate())
            reader, writer = await raw_device(client, token(), limit=2**20)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(masked('{"event":"getCurrentState"}') * count)
            for _ in range(count):
                await reader.readuntil(b"}}")
            iterating.cancel()
            writer.close()
        assert handled.total() == count
        assert 1 < max(handled.values()) <= MESSAGES_PER_ITERATION == 32

    async def test_a_device_whose_connection_is_lost_leaves_its_room(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve(limits=MANY)
        sleeper = await stopped_reader(client, token())
        room = client.app[SERVICES].registry.room("ada")
        while not room.devices:
            await asyncio.sleep(0)
        sleeper.transport.abort()
        async with asyncio.timeout(5):
            while room.devices:
                await asyncio.sleep(0.01)

    async def test_a_shutdown_closes_all_in_parallel_beside_a_device_that_does_not_read(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve(limits=MANY)
        async with device(client, token()) as phone:
            sleeper = await stopped_reader(client, token())
            room = client.app[SERVICES].registry.room("ada")
            for number in range(3000):
                await phone.send("playTrack", trackId="song", currentTime=number % 50)
                await phone.receives("trackPlaying")
                if len(room.devices) == 1:
                    break
            closing = asyncio.create_task(gateway.close_all(client.app))
            assert await phone.closed() == 1001
            await closing
            assert not room.devices
            sleeper.transport.abort()


class TestBatches:
    """Frames of one loop iteration are written together, and keep their order."""

    @pytest.mark.parametrize(
        ("last_words", "code"),
        [
            (b"\x88\x82\0\0\0\0\x03\xe8", 1000),
            (b"\x82\x81\0\0\0\0x", 1003),
            (b"\xf1\x80\0\0\0\0", 1002),
            (b"\x81\x81\0\0\0\0\xff", 1007),
        ],
        ids=["goodbye", "binary", "malformed", "no UTF-8"],
    )
    async def test_all_answers_come_in_order_and_before_the_close(
        self, serve: Serve, token: Token, last_words: bytes, code: int
    ) -> None:
        client = await serve()
        reader, writer = await raw_device(client, token())
        await reader.readuntil(b"\r\n\r\n")
        asked = [masked(f'{{"event":"getCurrentState","id":{number}}}') for number in range(10)]
        writer.write(b"".join(asked) + last_words)
        answers = await reader.read()
        places = [answers.index(b'"id":%d,' % number) for number in range(10)]
        assert places == sorted(places)
        farewell = answers[answers.index(b"}}", places[-1]) + 2 :]
        assert (farewell[0], int.from_bytes(farewell[2:4])) == (0x88, code)
        writer.close()

    async def test_a_pong_does_not_overtake_an_answer(self, serve: Serve, token: Token) -> None:
        client = await serve()
        reader, writer = await raw_device(client, token())
        await reader.readuntil(b"\r\n\r\n")
        asked = [masked(f'{{"event":"getCurrentState","id":{number}}}') for number in range(3)]
        writer.write(b"".join(asked) + b"\x89\x84\0\0\0\0here")
        heard = await reader.readuntil(b"\x8a\x04here")
        assert heard.count(b'"trackState"') == 3
        writer.close()


def masked(text: str) -> bytes:
    """A short text frame of a client whose mask is zero."""
    return b"\x81" + (0x80 | len(text)).to_bytes(1) + bytes(4) + text.encode()


async def raw_device(
    client: Client, token: str, limit: int = 2**16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A device's bare connection, its handshake sent."""
    reader, writer = await asyncio.open_connection(client.host, client.port, limit=limit)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
    )
    return reader, writer


async def stopped_reader(client: Client, token: str) -> asyncio.StreamWriter:
    """A device that shakes hands and then never reads another byte."""
    reader, writer = await raw_device(client, token, limit=1)
    await reader.readexactly(12)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return writer
