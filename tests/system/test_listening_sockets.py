"""Where the server listens: several addresses, both versions of IP, unix sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from aiohttp import ClientConnectorError, ClientSession, UnixConnector

from audiostream.cli import main
from audiostream.errors import SettingsError
from audiostream.ops.listening_sockets import listen
from tests.conftest import SECRET, Launch, ServerProcess
from tests.support.ws_client import connect

Token = Callable[..., str]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")


@pytest.fixture
def place() -> Iterator[str]:
    """Where a unix socket may be: paths of more than 107 bytes cannot be bound."""
    with TemporaryDirectory() as folder:
        yield f"{folder}/audio.sock"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", str(media))
    monkeypatch.setenv("AUDIOSTREAM_STATE", ":memory:")


def knock(host: str, port: int) -> None:
    with socket.create_connection((host, port), 5.0):
        pass


async def health(url: str, path: str | None = None) -> int:
    connector = None if path is None else UnixConnector(path)
    async with (
        ClientSession(connector=connector) as session,
        session.get(f"{url}/healthz") as answer,
    ):
        return answer.status


class TestTcp:
    @needs_ipv6
    @pytest.mark.parametrize("host", ["::", "::0"])
    def test_all_addresses_of_ipv6_are_those_of_ipv4_too(self, host: str) -> None:
        with listen([host], 0) as sockets:
            [port] = {each.getsockname()[1] for each in sockets.tcp}
            for address in ("127.0.0.1", "::1"):
                knock(address, port)
            assert sockets.describe() == f"http://localhost:{port} (all IPv4 and IPv6 addresses)"

    @needs_ipv6
    def test_an_ipv4_client_is_one_there_as_well(self) -> None:
        with listen(["::"], 0) as sockets:
            port = sockets.tcp[0].getsockname()[1]
            peers = set()
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port)):
                    for each in sockets.tcp:
                        each.settimeout(0.5)
                        try:
                            accepted, peer = each.accept()
                        except TimeoutError:
                            continue
                        accepted.close()
                        peers.add(peer[0])
            assert peers == {"127.0.0.1", "::1"}

    def test_without_ipv6_they_are_those_of_ipv4(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = socket.socket

        def without(family: int = -1, *args: int, **more: int) -> socket.socket:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            return real(family, *args, **more)

        monkeypatch.setattr(socket, "socket", without)
        with listen(["::"], 0) as sockets:
            [only] = sockets.tcp
            assert sockets.describe().endswith("(all IPv4 addresses)")
            assert only.family is socket.AF_INET
        with pytest.raises(SettingsError, match=r"cannot listen at \[::1\]:0: Address family not"):
            listen(["::1"], 0).__enter__()

    @needs_ipv6
    def test_several_addresses_have_one_port_and_are_shown_as_urls(self) -> None:
        with listen(["127.0.0.1", "::1", "127.0.0.1"], 0) as sockets:
            [port] = {each.getsockname()[1] for each in sockets.tcp}
            assert sockets.describe() == f"http://127.0.0.1:{port}, http://[::1]:{port}"

    def test_what_all_addresses_include_is_not_listened_at_again(self) -> None:
        with listen(["127.0.0.1", "0.0.0.0", "localhost"], 0) as sockets:
            everywhere = [e for e in sockets.tcp if e.family is socket.AF_INET]
            assert [each.getsockname()[0] for each in everywhere] == ["0.0.0.0"]
            assert sockets.describe().startswith("http://localhost:")

    def test_one_that_is_taken_leaves_none_open(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(SettingsError) as refused:
                listen(["127.0.0.1", "127.0.0.2"], port).__enter__()
            assert f"127.0.0.2:{port} is in use. Stop what" in str(refused.value)
            with pytest.raises(ConnectionRefusedError):
                knock("127.0.0.1", port)

    @pytest.mark.parametrize("host", ["256.1.1.1", "no.such.host.invalid", "x" * 64 + ".invalid"])
    def test_a_name_of_nothing_is_one_clear_line(
        self, host: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--host", host, "--port", "0"]) == 2
        assert f"audiostream: cannot listen at {host}:0: " in capsys.readouterr().err


class TestUnix:
    def test_the_socket_is_for_the_user_and_the_group_and_gone_at_the_end(self, place: str) -> None:
        with listen([f"unix:{place}"], 3000) as sockets:
            status = os.stat(place)
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o660
            assert sockets.describe() == f"unix:{place}"
        assert not os.path.lexists(place)

    def test_one_that_was_left_behind_is_replaced(self, place: str) -> None:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(place)
        with (
            listen([f"unix:{place}"], 3000),
            socket.socket(socket.AF_UNIX) as visitor,
        ):
            visitor.connect(place)

    def test_one_that_somebody_listens_at_is_refused_and_stays(self, place: str) -> None:
        with listen([f"unix:{place}"], 3000):
            before = os.stat(place).st_ino
            with pytest.raises(SettingsError, match="is in use"):
                listen([f"unix:{place}"], 3000).__enter__()
            assert os.stat(place).st_ino == before

    def test_one_whose_queue_is_full_is_alive(self, place: str) -> None:
        with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
            busy.bind(place)
            busy.listen(0)
            waiting.connect(place)
            with pytest.raises(SettingsError, match="is in use"):
                listen([f"unix:{place}"], 3000).__enter__()

    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_what_is_no_socket_is_not_touched(self, place: str, kind: str) -> None:
        if kind == "folder":
            os.mkdir(place)
        elif kind == "link":
            os.symlink("/nowhere", place)
        else:
            Path(place).write_text("mine")
        with pytest.raises(SettingsError, match="is no socket"):
            listen([f"unix:{place}"], 3000).__enter__()
        assert os.path.lexists(place)

    @pytest.mark.parametrize("name", ["/nowhere/at/all", "/var/" + "x" * 200])
    def test_a_path_that_cannot_be_is_one_clear_line(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--host", f"unix:{name}"]) == 2
        [line] = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith(f"audiostream: cannot listen at unix:{name}: ")

    def test_where_one_host_cannot_be_had_no_other_stays(self, place: str) -> None:
        with pytest.raises(SettingsError):
            listen([f"unix:{place}", "unix:/nowhere/at/all"], 0).__enter__()
        assert not os.path.lexists(place)


class TestServer:
    async def test_it_serves_at_all_places_that_it_was_given(
        self, launch: Launch, token: Token, place: str
    ) -> None:
        server = launch("--host", f"unix:{place}")
        await server.logs("the library has")
        assert await health(server.url) == 200
        assert await health("http://audio", place) == 200
        async with (
            ClientSession(connector=UnixConnector(place)) as session,
            connect(session, "http://audio/ws", token()) as phone,
        ):
            await phone.send("playTrack", trackId="song")
            track = (await phone.hears("trackPlaying"))["track"]
            for _ in range(3):  # the first opens the file, the others find it open
                headers = {"Range": "bytes=0-9"}
                url = f"http://audio{track['streamUrl']}"
                async with session.get(url, headers=headers) as answer:
                    assert (answer.status, len(await answer.read())) == (206, 10)
            async with session.get(f"http://audio{track['streamUrl']}") as answer:
                assert len(await answer.read()) == 960_044
        line = server.wait_for_log("listening at")
        assert f"unix:{place}" in line
        assert server.stop() == 0
        with pytest.raises(ClientConnectorError):
            await health("http://audio", place)

    async def test_the_access_log_names_who_comes_by_a_unix_socket_as_such(
        self, launch: Launch, place: str
    ) -> None:
        server = launch("--host", f"unix:{place}")
        await health("http://audio", place)
        assert server.stop() == 0
        server.wait_for_end()
        [line] = [line for line in server.log if "GET /healthz" in line]
        assert ' unix "GET /healthz" 200 ' in line

    async def test_a_proxy_at_the_unix_socket_says_for_whom_it_asks(
        self, launch: Launch, place: str
    ) -> None:
        server = launch("--host", f"unix:{place}", AUDIOSTREAM_TRUSTED_PROXIES="unix")
        async with ClientSession(connector=UnixConnector(place)) as session:
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

    def test_a_killed_one_leaves_its_socket_to_the_next(
        self, launch: Launch, place: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = launch("--host", f"unix:{place}")
        assert main(["--host", f"unix:{place}"]) == 2
        assert f"unix:{place} is in use" in capsys.readouterr().err
        assert asyncio.run(health("http://audio", place)) == 200
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert os.path.lexists(place)
        launch("--host", f"unix:{place}")
        assert asyncio.run(health("http://audio", place)) == 200

    def test_systemd_hears_that_it_is_ready(self, launch: Launch, place: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(f"{place}.notify")
            line.settimeout(10.0)
            server = launch("--host", f"unix:{place}", NOTIFY_SOCKET=f"{place}.notify")
            assert line.recv(100) == b"READY=1"
            server.stop()
            assert line.recv(100) == b"STOPPING=1"

    @needs_ipv6
    async def test_hosts_may_repeat_and_have_commas(self, launch: Launch, place: str) -> None:
        server: ServerProcess = launch(
            "serve", "--host", "127.0.0.1,::1", "--host", "127.0.0.2", "--host", f"unix:{place}"
        )
        line = server.wait_for_log("listening at")
        places = re.findall(r"http://[^,; ]+|unix:[^,; ]+", line)
        assert len(places) == 4
        for each in places[:3]:
            assert await health(each) == 200
