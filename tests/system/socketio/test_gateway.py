"""Socket.IO clients in the same rooms as native devices: authentication, events, the end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import ClientSession

from audiostream.auth.access_tokens import Tokens
from tests.conftest import Serve
from tests.support.server_process import SECRET, Launch, ServerProcess
from tests.support.socketio_client import (
    HANDSHAKE,
    TRANSPORTS,
    SocketioClient,
    socketio_client,
)
from tests.support.waiting import PATIENCE
from tests.support.ws_client import connect

socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
Token = Callable[..., str]


@pytest.mark.parametrize("transport", TRANSPORTS)
class TestBesideNativeDevices:
    async def test_native_and_socketio_devices_receive_the_same_events(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            socketio_client(server.url, {"token": token()}, transport) as kiosk,
        ):
            await kiosk.say("playTrack", trackId="song", currentTime=7)
            told = await kiosk.receives("trackPlaying")
            assert told == await phone.receives("trackPlaying")
            assert (told["trackId"], told["currentTime"], told["isPlaying"]) == ("song", 7, True)
            assert told["track"]["title"] == "Song"
            assert told["deviceId"] == kiosk.client.get_sid()
            await phone.send("pauseTrack", trackId="song", currentTime=9)
            assert await phone.receives("trackPaused") == await kiosk.receives("trackPaused")

    async def test_a_report_in_sync_is_not_broadcast_and_a_seek_is(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            socketio_client(server.url, {"token": token()}, transport) as kiosk,
        ):
            await kiosk.ask("playTrack", {"trackId": "song"})
            await kiosk.receives("trackPlaying")
            await phone.receives("trackPlaying")
            await kiosk.say("updateStreaming", trackId="song", currentTime=0.1, isPlaying=True)
            await kiosk.receives_nothing()
            await phone.receives_nothing()
            await kiosk.say("updateStreaming", trackId="song", currentTime=40, isPlaying=True)
            assert (await phone.receives("trackUpdated"))["currentTime"] == 40

    async def test_queue_commands_are_acknowledged_and_native_devices_follow(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            socketio_client(server.url, {"token": token()}, transport) as kiosk,
        ):
            state = await kiosk.ask("playTrack", {"trackId": "song", "queue": ["song", "other"]})
            assert state["queue"] == {"index": 0, "length": 2, "repeat": "off"}
            assert (await phone.receives("trackPlaying"))["nextTrack"]["id"] == "other"
            updated = await phone.receives("queueUpdated")
            queue = await kiosk.ask("getQueue")
            assert queue["trackIds"] == updated["trackIds"] == ["song", "other"]
            queue = await kiosk.ask("setRepeat", {"repeat": "one"})
            assert (queue["repeat"], queue["nextTrack"]["id"]) == ("one", "song")
            assert (await phone.receives("queueUpdated"))["repeat"] == "one"
            assert (await kiosk.ask("nextTrack"))["trackId"] == "other"
            assert (await phone.receives("trackPlaying"))["queue"]["index"] == 1
            refused = await kiosk.ask("setQueue", {"trackIds": ["missing"]})
            assert refused["error"]["code"] == "track_not_found"

    async def test_an_acknowledgement_gets_the_state(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with socketio_client(server.url, {"token": token()}, transport) as kiosk:
            assert (await kiosk.ask("getCurrentState"))["trackId"] is None
            assert (await kiosk.receives("trackState"))["trackId"] is None
            state = await kiosk.ask("playTrack", {"trackId": "song", "currentTime": 3})
            assert (state["trackId"], state["rev"]) == ("song", 1)
            refused = await kiosk.ask("playTrack", {"trackId": "song", "ifRev": 7})
            assert (refused["error"]["code"], refused["error"]["state"]["rev"]) == ("conflict", 1)


class TestConnect:
    @pytest.mark.parametrize(
        "auth", [None, {}, {"token": "nonsense"}, {"token": 5}, {"token": "é"}, {"token": None}]
    )
    async def test_without_a_good_token_connect_error_says_why(
        self, server: ServerProcess, auth: Any
    ) -> None:
        said: list[Any] = []
        connected = SocketioClient()
        connected.client.on("connect_error", said.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await connected.client.connect(server.url, auth=auth, transports=["websocket"])
        await connected.client.shutdown()
        [refusal] = said
        assert refusal["data"] == {"code": "unauthorized"}
        assert "token" in refusal["message"]

    async def test_a_token_in_a_header_the_query_or_with_its_scheme_authenticates(
        self, server: ServerProcess, token: Token
    ) -> None:
        bearer = {"Authorization": f"Bearer {token()}"}
        ways: list[tuple[str, dict[str, Any]]] = [
            (server.url, {"auth": None, "headers": bearer}),
            (f"{server.url}?token={token()}&deviceId=wall", {"auth": None}),
            *(
                (server.url, {"auth": {"token": f"{scheme} {token()}", "deviceId": "wall"}})
                for scheme in ("Bearer", "bearer", "BEARER")
            ),
        ]
        for url, options in ways:
            async with socketio_client(url, **options) as kiosk:
                state = await kiosk.ask("playTrack", {"trackId": "song"})
                wanted = kiosk.client.get_sid() if "headers" in options else "wall"
                assert state["deviceId"] == wanted
        assert token() not in "".join(server.log)

    async def test_a_foreign_origin_is_403(self, server: ServerProcess, token: Token) -> None:
        headers = {"Origin": "https://evil.example"}
        async with ClientSession(headers=headers) as session:
            async with session.get(server.url + HANDSHAKE) as answer:
                assert answer.status == 403
                assert "Access-Control-Allow-Origin" not in answer.headers
            url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
            async with session.get(url, headers={"Upgrade": "websocket"}) as answer:
                assert answer.status == 403

    async def test_an_allowed_origin_may_read_the_answers(self, launch: Launch) -> None:
        server = launch(CORS_ORIGINS="https://good.example")
        async with (
            ClientSession(headers={"Origin": "https://good.example"}) as session,
            session.get(server.url + HANDSHAKE) as answer,
        ):
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://good.example"
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"

    async def test_cors_origins_star_answers_without_credentials(self, launch: Launch) -> None:
        server = launch(CORS_ORIGINS="*")
        async with (
            ClientSession(headers={"Origin": "https://any.example"}) as session,
            session.get(server.url + HANDSHAKE) as answer,
        ):
            assert "Access-Control-Allow-Credentials" not in answer.headers

    async def test_users_receive_nothing_of_each_other(
        self, server: ServerProcess, token: Token
    ) -> None:
        async with (
            socketio_client(server.url, {"token": token("ada")}) as ada,
            socketio_client(server.url, {"token": token("bob")}) as bob,
        ):
            await ada.ask("playTrack", {"trackId": "song"})
            await bob.receives_nothing()
            assert (await bob.ask("playTrack", {"trackId": "hers"}))["error"]["code"] == (
                "track_not_found"
            )


class TestTokenExpiry:
    async def test_auth_renews_the_token(self, server: ServerProcess, token: Token) -> None:
        async with socketio_client(server.url, {"token": token(life=3600)}) as kiosk:
            renewed = await kiosk.ask("auth", {"token": token(life=7200)})
            assert renewed == await kiosk.receives("authenticated")
            user = Tokens(SECRET).verify(token(), time.time()).user_id
            assert (renewed["userId"], renewed["room"]) == (user, f"user_{user}")

    async def test_another_users_token_disconnects(
        self, server: ServerProcess, token: Token
    ) -> None:
        async with socketio_client(server.url, {"token": token()}) as kiosk:
            assert (await kiosk.ask("auth", {"token": token("bob")}))["error"]
            async with asyncio.timeout(PATIENCE):
                await kiosk.disconnect_reason

    @pytest.mark.parametrize("transport", TRANSPORTS)
    async def test_an_expired_token_disconnects(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        # Long enough to be let in before its end: after that it lasts as long as the leeway.
        async with socketio_client(server.url, {"token": token(life=4)}, transport) as kiosk:
            await kiosk.receives("tokenExpiring")
            refusal = await kiosk.receives("error")
            assert (refusal["code"], refusal["message"]) == (
                "unauthorized",
                "the token has expired",
            )
            async with asyncio.timeout(PATIENCE):
                assert await kiosk.disconnect_reason == "server disconnect"

    async def test_a_revoked_token_disconnects_within_a_second(
        self, launch: Launch, token: Token, tmp_path: Any
    ) -> None:
        state = str(tmp_path / "state")
        server = launch("--state", state)
        user = Tokens(SECRET).verify(token(), time.time()).user_id
        async with socketio_client(server.url, {"token": token()}) as kiosk:
            command = [sys.executable, "-m", "audiostream", "revoke", user, "--state", state]
            await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
            assert (await kiosk.receives("error"))["message"] == "the token has been revoked"


async def test_many_first_clients_at_once_are_all_served(fresh_server: ServerProcess) -> None:
    server = fresh_server
    async with ClientSession() as session:

        async def come() -> int:
            async with session.get(server.url + HANDSHAKE) as answer:
                return answer.status

        assert await asyncio.gather(*(come() for _ in range(10))) == [200] * 10


async def test_without_the_extra_the_log_says_so_and_all_else_works(
    serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    caplog.set_level("INFO")
    client = await serve()
    assert [r.message for r in caplog.records if "Socket.IO" in r.message] == [
        "no Socket.IO: it comes with pip install 'audiostream[socketio]'"
    ]
    async with client.get(HANDSHAKE) as answer:
        assert answer.status == 404
    async with client.get("/healthz") as answer:
        assert answer.status == 200


class TestUnsupported:
    async def test_an_unknown_namespace_is_an_error_with_a_message(
        self, server: ServerProcess, token: Token
    ) -> None:
        url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        async with ClientSession() as session, session.ws_connect(url) as socket:
            await socket.receive_str()
            for namespace in ("/music", "/*", "/a/b"):
                await socket.send_str(f'40{namespace},{{"token":"{token()}"}}')
                head, _, data = (await socket.receive_str()).partition(",")
                assert head == f"44{namespace}"
                refusal = json.loads(data)
                assert namespace in refusal["message"]
                assert refusal["data"] == {"code": "invalid_message"}
            await socket.send_str(f'40{{"token":"{token()}"}}')
            assert (await socket.receive_str()).startswith('40{"sid":')
            await socket.send_str("40/music,")
            assert (await socket.receive_str()).startswith('44/music,{"message":')
            await socket.send_str('42/music,["playTrack",{"trackId":"song"}]')
            await socket.send_str('420["getCurrentState"]')
            assert (await socket.receive_str()).startswith('42["trackState",{"trackId":null,')
            assert (await socket.receive_str()).startswith('430[{"trackId":null,')

    async def test_a_python_client_receives_the_message_of_an_unknown_namespace(
        self, server: ServerProcess, token: Token
    ) -> None:
        client, heard = socketio.AsyncClient(reconnection=False), asyncio.Queue[Any]()
        client.on("connect_error", heard.put_nowait, namespace="/music")
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(server.url, auth={"token": token()}, namespaces=["/music"])
        assert "no namespace" in (await heard.get())["message"]

    @pytest.mark.parametrize("transport", TRANSPORTS)
    async def test_a_client_of_version_2_is_refused_and_one_line_of_the_log_says_what_to_do(
        self, fresh_server: ServerProcess, transport: str
    ) -> None:
        server = fresh_server
        headers = (
            {"Connection": "Upgrade", "Upgrade": "websocket"} if transport != "polling" else {}
        )
        async with ClientSession(headers=headers) as session:
            for version in ("EIO=3", "EIO=3", "EIO=2", "EIO=x%0Aforged", "EIO="):
                url = f"{server.url}/socket.io/?{version}&transport={transport}"
                async with session.get(url) as answer:
                    assert answer.status == 400
                    error = (await answer.json())["error"]
                    assert error["code"] == "invalid_message"
                    assert "update socket.io-client to 3 or later" in error["message"]
        line = await server.logs("update socket.io-client")
        assert "at 127.0.0.1: this server speaks Engine.IO 4 and the client Engine.IO 3" in line
        assert "WARNING" in line
        assert sum("update socket.io-client" in line for line in server.log) == 1
