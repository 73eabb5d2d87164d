"""``python -m audiostream``: its commands, its refusals, and its process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from audiostream.auth.access_tokens import Tokens
from audiostream.cli import main
from audiostream.client import connect
from tests.support.audio_files import write_wav
from tests.support.server_process import SECRET, Launch
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, media: Path) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.setenv("AUDIOSTREAM_MEDIA", str(media))
    monkeypatch.setenv("AUDIOSTREAM_STATE", ":memory:")


class TestSecret:
    def test_secret_prints_a_long_and_new_secret_each_time(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["secret"]) == main(["secret"]) == 0
        first, second = capsys.readouterr().out.split()
        assert first != second
        assert len(first) >= 32


class TestToken:
    @pytest.mark.parametrize(
        ("life", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("2d", 172_800)]
    )
    def test_token_prints_a_token_that_expires(
        self, capsys: pytest.CaptureFixture[str], life: str, seconds: int
    ) -> None:
        assert main(["token", "ada", "--expires", life]) == 0
        identity = Tokens(SECRET).verify(capsys.readouterr().out.strip(), time.time())
        assert identity.user_id == "ada"
        assert abs((identity.expires_at or 0) - time.time() - seconds) < 60

    def test_token_needs_no_media_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDIOSTREAM_MEDIA", "/nowhere")
        assert main(["token", "ada"]) == 0

    def test_token_prints_a_token_without_expiry_by_default(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["token", "ada"]) == 0
        identity = Tokens(SECRET).verify(capsys.readouterr().out.strip(), time.time())
        assert identity.expires_at is None


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class TestRevoke:
    def test_revoke_ends_a_token_of_a_running_server_within_a_second(
        self,
        launch: Launch,
        tmp_path: Path,
        token: Callable[..., str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        state = str(tmp_path / "state")
        server = launch("--state", state)
        request = urllib.request.Request(
            f"{server.url}/tracks", headers={"Authorization": f"Bearer {token()}"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        assert main(["revoke", "ada", "--state", state]) == 0
        assert "'ada'" in capsys.readouterr().out
        wait_until(lambda: status_of(request) == 401, 6.0)  # one second is promised

    def test_revoke_needs_neither_a_secret_nor_a_media_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("JWT_SECRET")
        monkeypatch.setenv("AUDIOSTREAM_MEDIA", "/nowhere")
        monkeypatch.setenv("AUDIOSTREAM_STATE", str(tmp_path / "state"))
        assert main(["revoke", "ada"]) == 0

    def test_revoke_without_a_state_file_is_an_error(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["revoke", "ada", "--state", ":memory:"]) == 2
        assert "--state" in capsys.readouterr().err


class TestRestart:
    async def test_playback_survives_a_restart_paused(
        self, launch: Launch, tmp_path: Path, token: Callable[..., str]
    ) -> None:
        state = str(tmp_path / "state")
        server = launch("--state", state)
        await server.logs("the library has")
        async with connect(server.url, token()) as player:
            await player.play("song", 20.0)
        assert server.stop() == 0
        server = launch("--state", state)
        async with connect(server.url, token()) as player:
            after = await player.state()
        assert (after.track_id, after.is_playing) == ("song", False)
        assert 20.0 <= after.position < 26.0

    def test_a_state_file_that_is_in_use_or_damaged_is_an_error(
        self, launch: Launch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        launch("--state", str(tmp_path / "state"))
        assert main(["--port", "0", "--state", str(tmp_path / "state")]) == 2
        assert "in use by another server" in capsys.readouterr().err
        (tmp_path / "damaged").write_bytes(b"x" * 5000)
        assert main(["--port", "0", "--state", str(tmp_path / "damaged")]) == 2
        assert "damaged" in capsys.readouterr().err
        assert (tmp_path / "damaged").read_bytes() == b"x" * 5000


class TestLog:
    @pytest.mark.parametrize(("switch", "lines"), [("1", 2), ("0", 0)])
    def test_requests_are_logged_unless_the_access_log_is_off(
        self, launch: Launch, switch: str, lines: int
    ) -> None:
        server = launch(AUDIOSTREAM_ACCESS_LOG=switch)
        for _ in range(2):
            urllib.request.urlopen(f"{server.url}/healthz").close()
        assert server.stop() == 0
        server.wait_for_end(10)
        assert sum('"GET /healthz" 200' in line for line in server.log) == lines

    def test_with_log_json_each_line_is_an_object(self, launch: Launch) -> None:
        server = launch("--log-json")
        server.stop()
        entries = [json.loads(line) for line in server.log if line.startswith("{")]
        assert {"time", "level", "logger", "message"} <= entries[0].keys()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "environ", "says"),
        [
            ([], {"JWT_SECRET": ""}, "JWT_SECRET is not set"),
            ([], {"JWT_SECRET": "short"}, "shorter than 32 bytes"),
            (["--media", "/nowhere"], {}, "is not a directory"),
            (["serve", "--port", "http"], {}, "not 'http'"),
            (["--port", "99999"], {}, "between 0 and 65535"),
            (["token", "ada", "--expires", "soon"], {}, "like 12h"),
            (["token", ""], {}, "the user id must be"),
            (["--host", "256.256.256.256"], {}, "cannot listen at 256.256.256.256"),
        ],
    )
    def test_a_wrong_setting_is_one_line_and_exit_code_2(
        self,
        arguments: list[str],
        environ: dict[str, str],
        says: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert says in error
        [line] = [line for line in error.splitlines() if line.startswith("audiostream:")]
        assert error.rstrip().endswith(line)

    def test_a_port_in_use_is_one_line_and_exit_code_2(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            assert main(["--host", "127.0.0.1", "--port", str(port)]) == 2
        assert f"127.0.0.1:{port} is in use" in capsys.readouterr().err

    def test_an_unknown_command_prints_the_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            main(["dance"])
        assert left.value.code == 2
        assert "usage:" in capsys.readouterr().err


class TestProcess:
    def test_options_are_accepted_before_and_after_serve(self, launch: Launch, media: Path) -> None:
        server = launch("serve", "--media", str(media))
        with urllib.request.urlopen(f"{server.url}/healthz") as answer:
            assert json.load(answer) == {"status": "ok"}

    def test_sighup_scans_the_media_folder_again(self, launch: Launch, media: Path) -> None:
        server = launch()
        server.wait_for_log("the library has 4 tracks")
        write_wav(media / "new.wav", 1.0)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("the library has 5 tracks")

    @pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
    def test_the_server_raises_its_open_file_limit_to_the_maximum(self, launch: Launch) -> None:
        resource = pytest.importorskip("resource")
        soft, hard = resource.prlimit(launch().process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard

    def test_sigterm_ends_the_server_with_exit_code_0(self, launch: Launch) -> None:
        assert launch().stop() == 0

    def test_the_server_responds_while_a_large_folder_is_scanned(
        self, launch: Launch, media: Path
    ) -> None:
        folder = media / "many"
        write_wav(folder / "0.wav", 0.01)
        for number in range(1, 3000):
            os.link(folder / "0.wav", folder / f"{number}.wav")
        server = launch()
        with urllib.request.urlopen(f"{server.url}/healthz") as answer:
            assert answer.status == 200
        server.wait_for_log("the library has 3004 tracks")

    def test_the_console_script_calls_the_command_line(self) -> None:
        shown = subprocess.run(
            [sys.executable, "-m", "audiostream", "--version"], capture_output=True, text=True
        )
        assert shown.stdout.startswith("audiostream ")
