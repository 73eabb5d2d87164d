"""Listening sockets are opened at all hosts or at none."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from audiostream.cli import main
from audiostream.errors import SettingsError
from audiostream.ops.listening_sockets import listen
from tests.support.ipv6 import needs_ipv6
from tests.support.server_process import SECRET


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", str(media))
    monkeypatch.setenv("AUDIOSTREAM_STATE", ":memory:")


def knock(host: str, port: int) -> None:
    with socket.create_connection((host, port), 5.0):
        pass


class TestTcp:
    @needs_ipv6
    @pytest.mark.parametrize("host", ["::", "::0"])
    def test_the_wildcard_of_ipv6_listens_on_ipv4_too(self, host: str) -> None:
        with listen([host], 0) as sockets:
            [port] = {each.getsockname()[1] for each in sockets.tcp}
            for address in ("127.0.0.1", "::1"):
                knock(address, port)
            assert sockets.describe() == f"http://localhost:{port} (all IPv4 and IPv6 addresses)"

    @needs_ipv6
    def test_an_ipv4_client_of_the_ipv6_wildcard_has_an_ipv4_address(self) -> None:
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

    def test_the_wildcard_of_ipv6_falls_back_to_ipv4_without_ipv6(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
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
    def test_several_addresses_share_one_free_port_and_are_logged_as_urls(self) -> None:
        with listen(["127.0.0.1", "::1", "127.0.0.1"], 0) as sockets:
            [port] = {each.getsockname()[1] for each in sockets.tcp}
            assert sockets.describe() == f"http://127.0.0.1:{port}, http://[::1]:{port}"

    def test_an_address_that_a_wildcard_covers_is_not_opened_again(self) -> None:
        with listen(["127.0.0.1", "0.0.0.0", "localhost"], 0) as sockets:
            everywhere = [e for e in sockets.tcp if e.family is socket.AF_INET]
            assert [each.getsockname()[0] for each in everywhere] == ["0.0.0.0"]
            assert sockets.describe().startswith("http://localhost:")

    def test_an_address_in_use_leaves_no_socket_open(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.2", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(SettingsError) as refused:
                listen(["127.0.0.1", "127.0.0.2"], port).__enter__()
            assert f"127.0.0.2:{port} is in use. Stop what" in str(refused.value)
            assert str(refused.value).endswith("or name another --port.")
            with pytest.raises(ConnectionRefusedError):
                knock("127.0.0.1", port)

    @pytest.mark.parametrize("host", ["256.1.1.1", "no.such.host.invalid", "x" * 64 + ".invalid"])
    def test_a_host_that_cannot_be_resolved_is_an_error_of_one_line(
        self, host: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--host", host, "--port", "0"]) == 2
        assert f"audiostream: cannot listen at {host}:0: " in capsys.readouterr().err


class TestUnix:
    def test_a_unix_socket_is_for_user_and_group_and_removed_at_the_end(
        self, socket_path: str
    ) -> None:
        with listen([f"unix:{socket_path}"], 3000) as sockets:
            status = os.stat(socket_path)
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o660
            assert sockets.describe() == f"unix:{socket_path}"
        assert not os.path.lexists(socket_path)

    def test_a_stale_unix_socket_is_replaced(self, socket_path: str) -> None:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(socket_path)
        with (
            listen([f"unix:{socket_path}"], 3000),
            socket.socket(socket.AF_UNIX) as visitor,
        ):
            visitor.connect(socket_path)

    def test_a_unix_socket_in_use_is_an_error_and_stays(self, socket_path: str) -> None:
        with listen([f"unix:{socket_path}"], 3000):
            before = os.stat(socket_path).st_ino
            with pytest.raises(SettingsError, match="is in use"):
                listen([f"unix:{socket_path}"], 3000).__enter__()
            assert os.stat(socket_path).st_ino == before

    def test_a_unix_socket_with_a_full_backlog_counts_as_in_use(self, socket_path: str) -> None:
        with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
            busy.bind(socket_path)
            busy.listen(0)
            waiting.connect(socket_path)
            with pytest.raises(SettingsError, match="is in use"):
                listen([f"unix:{socket_path}"], 3000).__enter__()

    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_a_file_that_is_no_socket_is_an_error_and_stays(
        self, socket_path: str, kind: str
    ) -> None:
        if kind == "folder":
            os.mkdir(socket_path)
        elif kind == "link":
            os.symlink("/nowhere", socket_path)
        else:
            Path(socket_path).write_text("mine")
        with pytest.raises(SettingsError, match="is no socket"):
            listen([f"unix:{socket_path}"], 3000).__enter__()
        assert os.path.lexists(socket_path)

    @pytest.mark.parametrize("name", ["/nowhere/at/all", "/var/" + "x" * 200])
    def test_an_impossible_unix_socket_path_is_an_error_of_one_line(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--host", f"unix:{name}"]) == 2
        [line] = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith(f"audiostream: cannot listen at unix:{name}: ")

    def test_a_host_that_fails_leaves_no_other_open(self, socket_path: str) -> None:
        with pytest.raises(SettingsError):
            listen([f"unix:{socket_path}", "unix:/nowhere/at/all"], 0).__enter__()
        assert not os.path.lexists(socket_path)
