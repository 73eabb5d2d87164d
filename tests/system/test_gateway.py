"""The native WebSocket: authentication, origins, answers, close codes, the end of a token."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from aiohttp import WSServerHandshakeError

from audiostream import __version__
from audiostream.errors import StoreError
from audiostream.services import SERVICES
from audiostream.websocket import authentication, gateway
from tests.conftest import Serve
from tests.support.ws_client import device

Token = Callable[..., str]


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
