"""The wiring: pages, CORS, scanning in the background, embedding, the log, the clock."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from audiostream import Settings, create_app
from audiostream.background import ProgressReporter
from audiostream.errors import LibraryError
from audiostream.library.scanner import ScanProgress, ScanReport
from audiostream.ops.access_log import AccessLogger
from audiostream.services import SERVICES
from tests.conftest import Client, Serve
from tests.support.audio_files import write_wav
from tests.support.ws_client import connect

Token = Callable[..., str]
PATIENCE = 5.0


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.01)


class TestPages:
    async def test_the_player_page_and_its_files_are_served_with_a_strict_policy(
        self, serve: Serve
    ) -> None:
        client = await serve()
        media_types = {
            "/": "text/html",
            "/css/base.css": "text/css",
            "/js/main.js": "text/javascript",
            "/client.d.ts": "text/plain",
            "/icon.svg": "image/svg+xml",
        }
        for path, media_type in media_types.items():
            async with client.get(path) as answer:
                assert (answer.status, answer.content_type) == (200, media_type), path
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"

    async def test_no_other_file_of_the_package_is_served(self, serve: Serve) -> None:
        client = await serve()
        outside = ("/app.py", "/../app.py", "/%2e%2e/app.py", "/js/../../app.py")
        for path in (*outside, "/web/index.html", "/js", "/js/", "/main.js"):
            async with client.get(path) as answer:
                assert answer.status == 404


class TestCors:
    async def test_a_page_of_a_named_origin_may_use_rest(self, serve: Serve, token: Token) -> None:
        client = await serve(cors_origins=("https://music.example",))
        origin = {"Origin": "https://music.example"}
        preflight = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        path = "/api/tracks/play/song"
        async with client.options(path, headers=origin | preflight) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://music.example"
        bearer = {"Authorization": f"Bearer {token()}"}
        async with client.post(path, headers=origin | bearer) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "https://music.example"
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"

    async def test_errors_and_streams_have_cors_headers_too(
        self, serve: Serve, token: Token
    ) -> None:
        client = await serve(cors_origins=("https://music.example",))
        headers = {"Origin": "https://music.example"}
        async with client.get("/tracks", headers=headers) as answer:
            assert answer.status == 401
            assert "Access-Control-Allow-Origin" in answer.headers
        headers |= {"Authorization": f"Bearer {token()}", "Range": "bytes=0-9"}
        async with client.get("/tracks/stream/song", headers=headers) as answer:
            assert answer.status == 206
            assert "Access-Control-Allow-Origin" in answer.headers
            assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]

    async def test_a_page_of_another_origin_gets_no_cors_headers(self, serve: Serve) -> None:
        client = await serve(cors_origins=("https://music.example",))
        async with client.get("/tracks", headers={"Origin": "https://evil.example"}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers

    async def test_the_origin_star_gets_no_credentials(self, serve: Serve) -> None:
        client = await serve(cors_origins=("*",))
        async with client.get("/tracks", headers={"Origin": "https://any.example"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "https://any.example"
            assert "Access-Control-Allow-Credentials" not in answer.headers


class TestScanning:
    async def test_a_rescan_finds_new_files_without_interrupting_playback(
        self, serve: Serve, media: Path, token: Token
    ) -> None:
        client = await serve()
        library = client.app[SERVICES].library
        await eventually(lambda: library.ready)
        url = str(client.make_url("/ws"))
        async with connect(client.session, url, token()) as phone:
            await phone.send("playTrack", trackId="song")
            await phone.receives("trackPlaying")
            write_wav(media / "new.wav", 1.0)
            client.app[SERVICES].rescan.set()
            await eventually(lambda: len(library.tracks_for("ada")) == 4)
            await phone.receives_nothing()

    async def test_a_failed_scan_is_logged_and_the_next_one_succeeds(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = await serve()
        library, scanned = client.app[SERVICES].library, threading.Event()
        await eventually(lambda: not client.app[SERVICES].rescan.is_set() and library.ready)

        def broken(*_: object) -> None:
            raise RuntimeError("the disk is on fire")

        scan = library.scan

        def good(*_: object) -> ScanReport:
            scanned.set()
            return scan()

        monkeypatch.setattr(library, "scan", broken)
        client.app[SERVICES].rescan.set()
        await eventually(lambda: "the scan failed" in caplog.text)
        monkeypatch.setattr(library, "scan", good)
        client.app[SERVICES].rescan.set()
        await eventually(scanned.is_set)

    async def test_the_progress_of_a_scan_is_logged(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        monkeypatch.setattr("audiostream.background.PROGRESS_INTERVAL", 0.0)
        client = await serve()
        await eventually(lambda: "the library has 4 tracks" in caplog.text)
        assert "scanning: 1 tracks so far" in caplog.text
        assert client.app[SERVICES].library.ready

    def test_a_media_folder_that_cannot_be_read_is_refused_by_create_app(
        self, settings: Settings
    ) -> None:
        for path in sorted(settings.media.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        settings.media.rmdir()
        with pytest.raises(LibraryError):
            create_app(settings)


class TestEmbedding:
    async def test_an_application_works_below_a_prefix_of_another_one(
        self, settings: Settings, token: Token, aiohttp_client: Any
    ) -> None:
        outer = web.Application()
        inner = create_app(settings)
        inner[SERVICES].library.scan()
        outer.add_subapp("/audio/", inner)
        client: Client = await aiohttp_client(outer)
        bearer = {"Authorization": f"Bearer {token()}"}
        async with client.get("/audio/tracks/song", headers=bearer) as answer:
            url = (await answer.json())["streamUrl"]
        assert url.startswith("/audio/api/tracks/stream/song?ticket=")
        async with client.get(url) as answer:
            assert answer.status == 200
        for path, media_type in {"": "text/html", "js/player/sync.js": "text/javascript"}.items():
            async with client.get(f"/audio/{path}") as answer:
                assert (answer.status, answer.content_type) == (200, media_type)
        async with client.post("/audio/session", headers=bearer) as answer:
            assert "Path=/audio/" in answer.headers["Set-Cookie"]
        async with client.get("/audio/tracks") as answer:
            assert (answer.status, answer.content_type) == (401, "application/json")
        async with connect(client.session, str(client.make_url("/audio/ws")), token()) as phone:
            await phone.receives_nothing()

    async def test_two_applications_in_one_process_share_no_playback(
        self, serve: Serve, token: Token
    ) -> None:
        one, two = await serve(), await serve()
        bearer = {"Authorization": f"Bearer {token()}"}
        async with one.post("/tracks/play/song", headers=bearer) as answer:
            assert answer.status == 200
        assert two.app[SERVICES].registry.room("ada").state.rev == 0


class TestHousekeeping:
    async def test_the_grace_of_an_empty_room_ends_without_a_request(
        self, serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("audiostream.playback.lifecycle.RESUME_GRACE", 0.1)
        client = await serve()
        url = str(client.make_url("/ws"))
        async with connect(client.session, url, token()) as phone:
            await phone.send("playTrack", trackId="song", currentTime=5)
            await phone.receives("trackPlaying")
        room = client.app[SERVICES].registry.room("ada")
        await eventually(lambda: not room.state.is_playing)
        assert 5.0 <= room.state.position < 6.0


class TestLog:
    async def test_the_access_log_has_no_tokens_and_tickets(
        self,
        settings: Settings,
        token: Token,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        app = create_app(settings)
        app[SERVICES].library.scan()
        runner = web.AppRunner(app, access_log_class=AccessLogger)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        secret = token()
        async with ClientSession(f"http://127.0.0.1:{port}") as session:
            async with connect(session, f"/ws?token={secret}") as phone:
                await phone.send("playTrack", trackId="song")
                ticketed = (await phone.receives("trackPlaying"))["track"]["streamUrl"]
            async with session.get(ticketed) as answer:
                assert answer.status == 200
        await runner.cleanup()
        assert '"GET /api/tracks/stream/song" 200 ' in caplog.text
        assert secret not in caplog.text
        assert ticketed.partition("=")[2] not in caplog.text

    def test_a_short_secret_logs_a_warning(
        self, media: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        create_app(Settings(jwt_secret="short", media=media, allow_weak_secret=True))
        assert "short enough to be guessed" in caplog.text


class TestProgressReporter:
    def test_the_progress_of_a_scan_is_one_line_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setattr("audiostream.background.PROGRESS_INTERVAL", 0.0)
        line = ProgressReporter()
        line(ScanProgress(5, 1.0))
        line(ScanProgress(9, 2.0))
        line.clear()
        assert terminal.getvalue().split("\r")[1:] == [
            "scanning: 5 tracks so far ",
            "scanning: 9 tracks so far ",
            "\x1b[K",
        ]
        assert caplog.text == ""
