"""The server listens at several addresses, both versions of IP, and unix sockets."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientSession, UnixConnector

from audiostream.cli import main
from tests.support.ipv6 import needs_ipv6
from tests.support.server_process import SECRET, Launch, ServerProcess
from tests.support.ws_client import connect

Token = Callable[..., str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", str(media))
    monkeypatch.setenv("AUDIOSTREAM_STATE", ":memory:")


async def health(url: str, path: str | None = None) -> int:
    connector = None if path is None else UnixConnector(path)
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"{url}/healthz") as answer,
    ):
        return answer.status


class TestServer:
    async def test_the_server_listens_at_all_hosts_of_its_settings(
        self, launch: Launch, token: Token, socket_path: str
    ) -> None:
        server = launch("--host", f"unix:{socket_path}")
        await server.logs("the library has")
        assert await health(server.url) == 200
        assert await health("http://audio", socket_path) == 200
        async with (
            ClientSession(connector=UnixConnector(socket_path)) as session,
            connect(session, "http://audio/ws", token()) as phone,
        ):
            await phone.send("playTrack", trackId="song")
            track = (await phone.receives("trackPlaying"))["track"]
            for _ in range(3):  # the first opens the file, the others find it open
                headers = {"Range": "bytes=0-9"}
                url = f"http://audio{track['streamUrl']}"
                async with session.get(url, headers=headers) as answer:
                    assert (answer.status, len(await answer.read())) == (206, 10)
            async with session.get(f"http://audio{track['streamUrl']}") as answer:
                assert len(await answer.read()) == 960_044
        line = server.wait_for_log("listening at")
        assert f"unix:{socket_path}" in line
        assert server.stop() == 0
        with pytest.raises(ClientConnectorError):
            await health("http://audio", socket_path)

    async def test_the_access_log_has_unix_for_clients_of_a_unix_socket(
        self, launch: Launch, socket_path: str
    ) -> None:
        server = launch("--host", f"unix:{socket_path}")
        await health("http://audio", socket_path)
        assert server.stop() == 0
        server.wait_for_end()
        [line] = [line for line in server.log if "GET /healthz" in line]
        assert ' unix "GET /healthz" 200 ' in line

    async def test_a_trusted_proxy_at_the_unix_socket_forwards_the_client_s_address(
        self, launch: Launch, socket_path: str
    ) -> None:
        server = launch("--host", f"unix:{socket_path}", AUDIOSTREAM_TRUSTED_PROXIES="unix")
        async with ClientSession(connector=UnixConnector(socket_path)) as session:
            headers = {"X-Forwarded-For": "203.0.113.9"}
            async with session.get("http://audio/healthz", headers=headers) as answer:
                assert answer.status == 200
        async with (
            ClientSession() as session,
            session.get(f"{server.url}/healthz", headers=headers) as answer,
        ):
            assert answer.status == 200
        assert server.stop() == 0
        server.wait_for_end()
        lines = [line for line in server.log if "GET /healthz" in line]
        assert [line.split(' "')[0].split()[-1] for line in lines] == ["203.0.113.9", "127.0.0.1"]

    async def test_a_stream_by_a_trusted_proxy_at_the_unix_socket_is_the_client_s(
        self, launch: Launch, token: Token, socket_path: str
    ) -> None:
        server = launch("--host", f"unix:{socket_path}", AUDIOSTREAM_TRUSTED_PROXIES="unix")
        await server.logs("the library has")
        headers = {"Authorization": f"Bearer {token()}", "X-Forwarded-For": "203.0.113.9"}
        async with ClientSession(connector=UnixConnector(socket_path), headers=headers) as session:
            url = "http://audio/tracks/stream/song"
            for _ in range(3):  # the first opens the file, the others find it open
                async with session.get(url, headers={"Range": "bytes=0-9"}) as answer:
                    assert (answer.status, len(await answer.read())) == (206, 10)
        assert server.stop() == 0
        server.wait_for_end()
        lines = [line for line in server.log if "GET /tracks/stream/song" in line]
        assert [line.split(' "')[0].split()[-1] for line in lines] == ["203.0.113.9"] * 3

    def test_a_server_replaces_the_unix_socket_of_a_killed_one(
        self, launch: Launch, socket_path: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = launch("--host", f"unix:{socket_path}")
        assert main(["--host", f"unix:{socket_path}"]) == 2
        assert f"unix:{socket_path} is in use" in capsys.readouterr().err
        assert asyncio.run(health("http://audio", socket_path)) == 200
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert os.path.lexists(socket_path)
        launch("--host", f"unix:{socket_path}")
        assert asyncio.run(health("http://audio", socket_path)) == 200

    def test_the_server_notifies_systemd_when_it_listens(
        self, launch: Launch, socket_path: str
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(f"{socket_path}.notify")
            line.settimeout(10.0)
            server = launch("--host", f"unix:{socket_path}", NOTIFY_SOCKET=f"{socket_path}.notify")
            assert line.recv(100) == b"READY=1"
            server.stop()
            assert line.recv(100) == b"STOPPING=1"

    @needs_ipv6
    async def test_the_host_option_may_be_repeated_and_have_commas(
        self, launch: Launch, socket_path: str
    ) -> None:
        server: ServerProcess = launch(
            "serve",
            "--host",
            "127.0.0.1,::1",
            "--host",
            "127.0.0.2",
            "--host",
            f"unix:{socket_path}",
        )
        line = server.wait_for_log("listening at")
        places = re.findall(r"http://[^,; ]+|unix:[^,; ]+", line)
        assert len(places) == 4
        for each in places[:3]:
            assert await health(each) == 200
