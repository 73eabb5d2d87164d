"""``/metrics`` on running servers: where it is, and who may read it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientSession, web

from audiostream import Settings, create_app
from audiostream.cli import main
from audiostream.errors import SettingsError
from audiostream.server import serving
from tests.conftest import Serve
from tests.support.ipv6 import needs_ipv6
from tests.support.live import RunLive
from tests.support.metrics import GOOD, READER, free_port, scrape
from tests.support.raw_http import Answer, bearer, request
from tests.support.server_process import SECRET, Launch

Token = Callable[..., str]


class TestToken:
    """``AUDIOSTREAM_METRICS_TOKEN``: beside the other routes."""

    async def test_without_settings_there_are_no_metrics(self, live: RunLive, token: Token) -> None:
        async with live() as server:
            for headers in ({}, GOOD, {"Authorization": f"Bearer {token()}"}):
                answer = await server.ask("/metrics", **headers)
                assert answer.essence == (404, "not_found")

    async def test_the_token_of_the_settings_opens_them(self, live: RunLive) -> None:
        async with live(metrics_token=READER) as server:
            assert (await scrape(server.url))("degraded") == 0
            assert (await server.ask("/api/metrics", **GOOD)).status == 404
            answer = await server.ask("/metrics", **{"Authorization": f"bearer  {READER} "})
            assert answer.status == 200

    async def test_any_other_credential_is_refused(self, live: RunLive, token: Token) -> None:
        wrong: list[str | bytes] = [
            *("", "Bearer", "Bearer wrong", f"Bearer {READER}x", f"Bearer {READER[:-1]}"),
            *(f"Basic {READER}", READER, f"Bearer {token()}", "Bearer gehéim".encode()),
            *(b"Bearer \xff\xfe", "Bearer \u00fc".encode("latin-1")),
        ]
        async with live(metrics_token=READER) as server:
            for each in wrong:
                async with server.line() as line:
                    line.send(request("GET", "/metrics", {"Authorization": each}))
                    answer = Answer.of(await line.read_to_end())
                assert answer.essence == (401, "unauthorized"), each
                assert b"audiostream_" not in answer.body
                assert answer.headers["www-authenticate"] == "Bearer"
            for target in (f"/metrics?token={READER}", "/metrics"):
                assert (await server.ask(target)).essence == (401, "unauthorized")

    async def test_a_token_may_have_any_letters(self, live: RunLive) -> None:
        async with live(metrics_token="gehéim") as server, server.line() as line:
            line.send(request("GET", "/metrics", bearer("gehéim")))
            assert Answer.of(await line.read_to_end()).status == 200

    async def test_it_opens_nothing_else(self, live: RunLive) -> None:
        async with live(metrics_token=READER) as server:
            assert (await server.ask("/tracks", **GOOD)).essence == (401, "unauthorized")

    async def test_below_a_prefix_of_another_application_they_are_there_too(
        self, settings: Settings, aiohttp_client: Any
    ) -> None:
        outer = web.Application()
        outer.add_subapp("/audio/", create_app(replace(settings, metrics_token=READER)))
        client = await aiohttp_client(outer)
        async with client.get("/audio/metrics", headers=GOOD) as answer:
            assert answer.status == 200
            assert "audiostream_rooms 0.0\n" in await answer.text()


class TestListener:
    """``AUDIOSTREAM_METRICS``: a listening socket of their own."""

    async def test_metrics_are_at_their_own_address_alone(self, launch: Launch) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        server = launch(AUDIOSTREAM_METRICS=url.removeprefix("http://"))
        assert f"connect to {url}" in server.wait_for_log("metrics for everybody")
        samples = await scrape(url, headers={})
        assert samples("degraded") == 0
        assert samples.text.count("process_start_time_seconds ") == 3  # HELP, TYPE, value
        async with ClientSession() as session:
            for address in (f"{server.url}/metrics", f"{url}/", f"{url}/tracks", f"{url}/healthz"):
                async with session.get(address) as answer:
                    assert answer.status == 404, address
            async with session.post(f"{url}/metrics") as answer:
                assert answer.status == 405
            async with session.head(f"{url}/metrics") as answer:
                assert (answer.status, await answer.read()) == (200, b"")
        assert server.stop() == 0
        server.wait_for_end()
        assert not [line for line in server.log if '"GET /metrics" 200' in line]

    @needs_ipv6
    async def test_the_address_may_be_of_version_6(self, live: RunLive) -> None:
        port = free_port()
        async with live(metrics=f"[::1]:{port}"):
            assert (await scrape(f"http://[::1]:{port}", headers={}))("rooms") == 0

    async def test_it_may_be_a_unix_socket(self, live: RunLive, socket_path: str) -> None:
        async with live(metrics=f"unix:{socket_path}", metrics_token=READER) as server:
            assert (await scrape("http://audio", socket_path, {}))("rooms") == 0
            assert (await scrape(server.url))("rooms") == 0
        with pytest.raises(ClientConnectorError):
            await scrape("http://audio", socket_path, {})

    async def test_an_embedded_application_listens_too(self, serve: Serve) -> None:
        port = free_port()
        await serve(metrics=f"127.0.0.1:{port}")
        assert (await scrape(f"http://127.0.0.1:{port}", headers={}))("degraded") == 0

    async def test_an_address_in_use_ends_the_start_and_leaves_nothing_open(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        state = tmp_path / "state.sqlite3"
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            app = create_app(replace(settings, metrics=address, state=state))
            with pytest.raises(SettingsError) as refused:
                await serving(app, settings).__aenter__()
        assert str(refused.value) == (
            f"{address} is in use. "
            "Stop what listens there, or name another port in AUDIOSTREAM_METRICS."
        )
        assert not state.exists()

    def test_the_command_line_answers_an_address_in_use_with_one_line(
        self, media: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            for name, value in {
                "JWT_SECRET": SECRET,
                "AUDIOSTREAM_MEDIA": str(media),
                "AUDIOSTREAM_STATE": ":memory:",
                "AUDIOSTREAM_METRICS": f"127.0.0.1:{taken.getsockname()[1]}",
            }.items():
                monkeypatch.setenv(name, value)
            assert main(["--host", "127.0.0.1", "--port", "0"]) == 2
        [line] = [line for line in capsys.readouterr().err.splitlines() if "audiostream: " in line]
        assert "is in use. Stop what listens there, or name another port in" in line


class TestExtra:
    def test_without_the_package_the_start_says_how_to_install_it(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        for changed in (
            replace(settings, metrics="127.0.0.1:0"),
            replace(settings, metrics_token=READER),
        ):
            with pytest.raises(SettingsError, match=r"pip install 'audiostream\[metrics\]'"):
                create_app(changed)
        create_app(settings)

    def test_without_settings_the_package_is_not_imported(self, media: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from audiostream import Settings, create_app;"
            f"create_app(Settings(jwt_secret={SECRET!r}, media=Path({str(media)!r})));"
            "import audiostream.server;"
            "sys.exit('prometheus_client' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
