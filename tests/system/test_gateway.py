"""The native WebSocket: authentication, answers, close codes, limits, devices that misbehave."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import WSServerHandshakeError

from audiostream import __version__
from audiostream.errors import StoreError
from audiostream.protocol.envelope import Frame
from audiostream.rooms.device import Device
from audiostream.rooms.room import Room
from audiostream.services import SERVICES
from audiostream.settings import Limits
from audiostream.websocket import authentication, gateway
from audiostream.websocket.session import MESSAGES_PER_ITERATION
from tests.conftest import Client, Serve
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
MANY = Limits(commands_per_second=1_000_000)


@asynccontextmanager
async def device(
    client: Client, token: str | None = None, path: str = "/ws", **options: Any
) -> AsyncIterator[Peer]:
    async with connect(client.session, str(client.make_url(path)), token, **options) as peer:
        yield peer


class TestAuthentication:
    async def test_a_token_in_a_header_authenticates_without_an_event(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve(), token()) as phone:
            await phone.receives_nothing()

    @pytest.mark.parametrize("path", ["/ws", "/"])
    async def test_a_token_in_the_query_authenticates_at_both_paths(
        self, serve: Serve, token: Token, path: str
    ) -> None:
        async with device(await serve(), path=f"{path}?token={token()}") as phone:
            await phone.receives_nothing()

    async def test_a_token_in_the_first_frame_is_answered_by_authenticated(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve()) as phone:
            await phone.send("auth", 1, token=token(life=600), deviceId="d1", deviceName="Phone")
            frame = await phone.frame()
            assert (frame["event"], frame["id"]) == ("authenticated", 1)
            expires_at = frame["data"].pop("expiresAt")
            assert abs(expires_at / 1000 - time.time() - 600) < 60
            assert frame["data"] == {
                "userId": "ada",
                "room": "user_ada",
                "deviceId": "d1",
                "version": __version__,
                "features": [
                    *("queue", "transfer", "volume", "history"),
                    *(["qr"] if importlib.util.find_spec("segno") else []),
                ],
                "syncTolerance": 1.0,
                "maxQueue": 1000,
            }

    async def test_a_device_without_an_id_gets_a_random_one(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve()) as phone:
            await phone.send("auth", token=token())
            hello = await phone.receives("authenticated")
            assert len(hello["deviceId"]) == 16
            assert hello["expiresAt"] is None

    @pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEaReR"])
    async def test_the_bearer_scheme_is_taken_in_any_case_wherever_a_token_is_read(
        self, serve: Serve, token: Token, scheme: str
    ) -> None:
        client, given = await serve(), f"{scheme} {token()}"
        async with client.get("/tracks", headers={"Authorization": given}) as answer:
            assert answer.status == 200
        async with device(client, headers={"Authorization": given}) as phone:
            await phone.receives_nothing()
        async with device(client, path=f"/ws?{urlencode({'token': given})}") as phone:
            await phone.receives_nothing()
        async with device(client) as phone:
            await phone.send("auth", token=given)
            await phone.receives("authenticated")
            assert (await phone.ask("auth", token=given))["event"] == "authenticated"

    async def test_the_query_may_name_the_device(self, serve: Serve, token: Token) -> None:
        path = f"/ws?token={token()}&deviceId=wall"
        async with device(await serve(), path=path) as wall:
            await wall.send("playTrack", trackId="song")
            assert (await wall.receives("trackPlaying"))["deviceId"] == "wall"

    @pytest.mark.parametrize("header", ["Bearer nonsense", "Basic YWRh", "Bearer é"])
    async def test_a_bad_header_is_401_before_the_upgrade(self, serve: Serve, header: str) -> None:
        client = await serve()
        with pytest.raises(WSServerHandshakeError) as refused:
            async with device(client, headers={"Authorization": header}):
                pass
        assert refused.value.status == 401

    async def test_a_plain_request_at_the_websocket_path_is_426(self, serve: Serve) -> None:
        client = await serve()
        async with client.get("/ws") as answer:
            assert answer.status == 426
            assert (await answer.json())["error"]["code"] == "upgrade_required"

    async def test_another_websocket_version_is_426_and_names_13(self, serve: Serve) -> None:
        client = await serve()
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8"}
        async with client.get("/ws", headers=headers) as answer:
            assert (answer.status, answer.headers["Sec-WebSocket-Version"]) == (426, "13")


class TestFirstFrame:
    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ('{"event": "auth", "data": {"token": "nonsense"}}', "unauthorized"),
            ('{"event": "auth", "data": {}}', "invalid_message"),
            ('{"event": "playTrack", "data": {"trackId": "song"}}', "unauthorized"),
            ("nonsense", "invalid_message"),
        ],
    )
    async def test_a_first_frame_without_a_good_token_gets_an_error_and_4401(
        self, serve: Serve, frame: str, code: str
    ) -> None:
        async with device(await serve()) as phone:
            await phone.socket.send_str(frame)
            assert (await phone.receives("error"))["code"] == code
            assert await phone.closed() == 4401

    async def test_a_first_frame_with_an_expired_token_says_so_and_is_4401(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve()) as phone:
            await phone.send("auth", token=token(life=-60))
            assert (await phone.receives("error"))["message"] == "the token has expired"
            assert await phone.closed() == 4401

    async def test_a_binary_first_frame_is_1003(self, serve: Serve) -> None:
        async with device(await serve()) as phone:
            await phone.socket.send_bytes(b"{}")
            assert await phone.closed() == 1003

    async def test_no_first_frame_in_time_is_4408(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(authentication, "AUTH_TIMEOUT", 0.05)
        async with device(await serve()) as phone:
            assert await phone.closed() == 4408

    async def test_a_device_that_leaves_without_a_first_frame_is_no_error(
        self, serve: Serve
    ) -> None:
        client = await serve()
        async with device(client):
            pass
        async with client.get("/healthz") as answer:
            assert answer.status == 200


class TestOrigin:
    @pytest.mark.parametrize(
        "origin", ["http://{host}", "HTTP://{host}", "https://music.example", None]
    )
    async def test_an_allowed_origin_may_connect(
        self, serve: Serve, token: Token, origin: str | None
    ) -> None:
        client = await serve(cors_origins=("https://music.example",))
        host = f"{client.host}:{client.port}"
        headers = {"Origin": origin.format(host=host)} if origin else {}
        async with device(client, token(), headers=headers) as phone:
            await phone.receives_nothing()

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "null",
            "http://{host}.evil.example",
            "http://{name}",
            "http://[",
            "",
        ],
    )
    async def test_a_foreign_origin_is_403(self, serve: Serve, token: Token, origin: str) -> None:
        client = await serve()
        headers = {"Origin": origin.format(host=f"{client.host}:{client.port}", name=client.host)}
        with pytest.raises(WSServerHandshakeError) as refused:
            async with device(client, token(), headers=headers):
                pass
        assert refused.value.status == 403

    async def test_cors_origins_star_allows_every_origin(self, serve: Serve, token: Token) -> None:
        client = await serve(cors_origins=("*",))
        async with device(client, token(), headers={"Origin": "https://any.example"}) as phone:
            await phone.receives_nothing()

    async def test_an_origin_without_a_port_matches_the_host_with_its_default_port(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve()
        headers = {"Origin": "https://music.example", "Host": "music.example:443"}
        async with device(client, token(), headers=headers) as phone:
            await phone.receives_nothing()


class TestAnswers:
    async def test_a_frame_with_an_id_is_answered_with_it(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token()) as phone:
            for event, data, answer in (
                ("getCurrentState", {}, "trackState"),
                ("playTrack", {"trackId": "song"}, "trackPlaying"),
                (
                    "updateStreaming",
                    {"trackId": "song", "currentTime": 0, "isPlaying": True},
                    "trackState",
                ),
                ("pauseTrack", {"trackId": "song"}, "trackPaused"),
                ("pauseTrack", {"trackId": "other"}, "error"),
            ):
                assert (await phone.ask(event, **data))["event"] == answer

    @pytest.mark.parametrize(
        ("text", "code", "event"),
        [
            ("nonsense", "invalid_message", None),
            ('{"event": "playTrack"}', "invalid_message", "playTrack"),
            ('{"event": "playTrack", "data": {"trackId": "none"}}', "track_not_found", "playTrack"),
            ('{"event": "stop"}', "unknown_event", "stop"),
            (
                '{"event": "playTrack", "data": {"trackId": "song", "ifRev": 9}}',
                "conflict",
                "playTrack",
            ),
        ],
    )
    async def test_errors_name_the_code_and_the_event_and_end_nothing(
        self, serve: Serve, token: Token, text: str, code: str, event: str | None
    ) -> None:
        async with device(await serve(), token()) as phone:
            await phone.socket.send_str(text)
            error = await phone.receives("error")
            assert (error["code"], error["event"]) == (code, event)
            await phone.receives_nothing()

    async def test_an_error_of_the_server_is_internal_without_details(
        self, serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await serve()

        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret detail")

        async with device(client, token()) as phone:
            monkeypatch.setattr("audiostream.rooms.room.decode_command", broken)
            frame = await phone.ask("playTrack", trackId="song")
            assert frame["data"]["code"] == "internal"
            assert "secret" not in json.dumps(frame)
            monkeypatch.undo()
            await phone.receives_nothing()


class TestCloseCodes:
    async def test_a_binary_message_is_1003(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token()) as phone:
            await phone.socket.send_bytes(b"{}")
            assert await phone.closed() == 1003

    async def test_a_message_over_64_kib_is_1009(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token()) as phone:
            await phone.socket.send_str(" " * (64 * 1024))
            assert (await phone.receives("error"))["code"] == "invalid_message"
            await phone.socket.send_str(" " * (64 * 1024 + 1))
            assert await phone.closed() == 1009

    async def test_text_that_is_not_utf_8_is_1007(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token()) as phone:
            await phone.socket.send_frame(b"\xff\xfe", 1)  # type: ignore[arg-type]
            assert await phone.closed() == 1007

    async def test_another_users_token_is_4403(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token("ada")) as phone:
            await phone.send("auth", token=token("bob"))
            assert await phone.closed() == 4403


class TestTokenExpiry:
    async def test_a_renewed_token_is_answered_and_replaces_the_old_one(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve(), token(life=3)) as phone:
            assert (await phone.receives("tokenExpiring"))["expiresAt"] > 0
            assert (await phone.ask("auth", token=token(life=600)))["event"] == "authenticated"
            await asyncio.sleep(3)
            await phone.receives_nothing()

    async def test_authenticated_comes_before_token_expiring(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve()) as phone:
            await phone.send("auth", 1, token=token(life=30))
            assert [(await phone.frame())["event"] for _ in range(2)] == [
                "authenticated",
                "tokenExpiring",
            ]

    async def test_an_expiring_token_is_announced_and_then_4401(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve(), token(life=3)) as phone:
            await phone.receives("tokenExpiring")
            assert await phone.closed() == 4401

    async def test_a_refused_renewal_is_4401(self, serve: Serve, token: Token) -> None:
        async with device(await serve(), token()) as phone:
            await phone.send("auth", token="nonsense")
            assert (await phone.receives("error"))["code"] == "unauthorized"
            assert await phone.closed() == 4401

    async def test_a_renewal_without_a_token_is_only_an_error(
        self, serve: Serve, token: Token
    ) -> None:
        async with device(await serve(), token()) as phone:
            assert (await phone.ask("auth"))["data"]["code"] == "invalid_message"
            await phone.receives_nothing()


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


class TestRevocation:
    async def test_a_revocation_closes_the_users_devices_and_no_others(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve()
        async with device(client, token()) as phone, device(client, token("bob")) as radio:
            await phone.receives_nothing()
            gateway.close_revoked(client.app, {"ada"})
            assert await phone.closed() == 4401
            await radio.receives_nothing()


async def test_a_state_file_that_cannot_be_read_is_1013_or_503_before_the_upgrade(
    serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await serve()

    async def fails(user_id: str) -> None:
        raise StoreError("the state cannot be read now; try again")

    monkeypatch.setattr(client.app[SERVICES].storage.loader, "room", fails)
    async with device(client) as phone:
        await phone.send("auth", token=token())
        assert await phone.closed() == 1013
    with pytest.raises(WSServerHandshakeError) as refused:
        async with device(client, token()):
            pass
    assert refused.value.status == 503


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
