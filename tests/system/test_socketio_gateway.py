"""Socket.IO clients on the real server process, beside native devices."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType

from audiostream.auth.access_tokens import Tokens
from audiostream.settings import Limits
from audiostream.websocket import authentication
from tests.conftest import Serve, of_own_users
from tests.support.server_process import SECRET, Launch, ServerProcess
from tests.support.ws_client import connect

socketio = pytest.importorskip("socketio", reason="the [socketio] extra is not installed")

Token = Callable[..., str]
PATIENCE = 30.0
TRANSPORTS = ("websocket", "polling")
HANDSHAKE = "/socket.io/?EIO=4&transport=polling"


class Browser:
    """A python-socketio client that keeps what it receives."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.goodbye: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.client.on("*", lambda event, data: self.heard.put_nowait((event, data)))
        self.client.on("disconnect", lambda reason: self.goodbye.set_result(reason))

    async def receives(self, event: str) -> dict[str, Any]:
        """The payload of the next event, which must be this one."""
        async with asyncio.timeout(PATIENCE):
            found, data = await self.heard.get()
        assert found == event, (found, data)
        return dict(data)

    async def say(self, event: str, **data: Any) -> None:
        await self.client.emit(event, data)

    async def ask(self, event: str, data: Any = None) -> Any:
        """Emit with an acknowledgement, and answer that."""
        return await self.client.call(event, data, timeout=PATIENCE)

    async def receives_nothing(self) -> None:
        assert "error" in await self.ask("nothingOfTheKind")
        assert (await self.receives("error"))["code"] == "unknown_event"
        assert self.heard.empty()


@asynccontextmanager
async def browser(
    url: str, auth: Any, transport: str = "websocket", **options: Any
) -> AsyncIterator[Browser]:
    person = Browser()
    await person.client.connect(url, auth=auth, transports=[transport], **options)
    try:
        yield person
    finally:
        await person.client.disconnect()
        await person.client.shutdown()


@pytest.fixture
def server(shared_server: ServerProcess) -> ServerProcess:
    return shared_server


@pytest.fixture
def fresh_server(launch: Launch) -> ServerProcess:
    """A server that no test has talked to."""
    server = launch()
    server.wait_for_log("the library has")
    return server


@pytest.fixture
def token(token: Token) -> Token:
    return of_own_users(token)


@pytest.mark.parametrize("transport", TRANSPORTS)
class TestBesideNativeDevices:
    async def test_native_and_socketio_devices_receive_the_same_events(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        async with (
            ClientSession() as session,
            connect(session, f"{server.url}/ws", token()) as phone,
            browser(server.url, {"token": token()}, transport) as kiosk,
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
            browser(server.url, {"token": token()}, transport) as kiosk,
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
            browser(server.url, {"token": token()}, transport) as kiosk,
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
        async with browser(server.url, {"token": token()}, transport) as kiosk:
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
        person = Browser()
        person.client.on("connect_error", said.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await person.client.connect(server.url, auth=auth, transports=["websocket"])
        await person.client.shutdown()
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
            async with browser(url, **options) as kiosk:
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
            browser(server.url, {"token": token("ada")}) as ada,
            browser(server.url, {"token": token("bob")}) as bob,
        ):
            await ada.ask("playTrack", {"trackId": "song"})
            await bob.receives_nothing()
            assert (await bob.ask("playTrack", {"trackId": "hers"}))["error"]["code"] == (
                "track_not_found"
            )


class TestTokenExpiry:
    async def test_auth_renews_the_token(self, server: ServerProcess, token: Token) -> None:
        async with browser(server.url, {"token": token(life=3600)}) as kiosk:
            renewed = await kiosk.ask("auth", {"token": token(life=7200)})
            assert renewed == await kiosk.receives("authenticated")
            user = Tokens(SECRET).verify(token(), time.time()).user_id
            assert (renewed["userId"], renewed["room"]) == (user, f"user_{user}")

    async def test_another_users_token_disconnects(
        self, server: ServerProcess, token: Token
    ) -> None:
        async with browser(server.url, {"token": token()}) as kiosk:
            assert (await kiosk.ask("auth", {"token": token("bob")}))["error"]
            async with asyncio.timeout(PATIENCE):
                await kiosk.goodbye

    @pytest.mark.parametrize("transport", TRANSPORTS)
    async def test_an_expired_token_disconnects(
        self, server: ServerProcess, token: Token, transport: str
    ) -> None:
        # Long enough to be let in before its end: after that it lasts as long as the leeway.
        async with browser(server.url, {"token": token(life=4)}, transport) as kiosk:
            await kiosk.receives("tokenExpiring")
            refusal = await kiosk.receives("error")
            assert (refusal["code"], refusal["message"]) == (
                "unauthorized",
                "the token has expired",
            )
            async with asyncio.timeout(PATIENCE):
                assert await kiosk.goodbye == "server disconnect"

    async def test_a_revoked_token_disconnects_within_a_second(
        self, launch: Launch, token: Token, tmp_path: Any
    ) -> None:
        state = str(tmp_path / "state")
        server = launch("--state", state)
        user = Tokens(SECRET).verify(token(), time.time()).user_id
        async with browser(server.url, {"token": token()}) as kiosk:
            command = [sys.executable, "-m", "audiostream", "revoke", user, "--state", state]
            await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
            assert (await kiosk.receives("error"))["message"] == "the token has been revoked"


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
            kiosk = await stack.enter_async_context(browser(server.url, {"token": token()}))
            with pytest.raises(socketio.exceptions.ConnectionError):
                await Browser().client.connect(server.url, auth={"token": token()})
            await kiosk.client.disconnect()
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        async with browser(server.url, {"token": token()}):
                            break
                    except socketio.exceptions.ConnectionError:
                        await asyncio.sleep(0.1)

    async def test_too_many_commands_at_once_are_rate_limited(
        self, launch: Launch, token: Token
    ) -> None:
        server = launch(AUDIOSTREAM_COMMANDS_PER_SECOND="1")
        async with browser(server.url, {"token": token()}) as kiosk:
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
        async with browser(server.url, {"token": token()}) as kiosk:
            assert await asyncio.to_thread(server.stop) == 0
            async with asyncio.timeout(PATIENCE):
                # not "server disconnect": that is an order, and clients do not come back
                assert await kiosk.goodbye in {"transport close", "transport error"}


class Poller:
    """A polling client written by hand, for what no library sends."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session = session
        self._url = url + HANDSHAKE

    async def __aenter__(self) -> Poller:
        self._url += f"&sid={json.loads((await self.poll())[1:])['sid']}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Just be gone."""

    async def poll(self) -> str:
        async with self._session.get(self._url) as answer:
            return await answer.text()

    async def post(self, body: str | bytes) -> int:
        async with self._session.post(self._url, data=body) as answer:
            return answer.status


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
            browser(server.url, {"token": token("bob")}) as bob,
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
