"""What several tests share: a media folder, an application on it, and its real process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from audiostream import Settings, create_app
from audiostream.app import tokens_of
from audiostream.services import SERVICES
from tests.support.proxy import Mode, Proxy

if TYPE_CHECKING:
    from tests.support.live import Live

SECRET = "a secret of more than thirty-two bytes"
START_TIMEOUT = 30.0
PATIENCE = 10.0

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]
ProxyTo = Callable[[int], Awaitable[Proxy]]


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for what must become true."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.02)


def write_wav(path: Path, seconds: float) -> None:
    """A quiet file of the given duration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(round(16000 * seconds)))


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two shared tracks of 60 s and one each of Ada's and Bob's, under ids one can read."""
    folder = tmp_path / "media"
    for name in ("song", "other", "users/ada/hers", "users/bob/his"):
        write_wav(folder / f"{name}.wav", 60.0)
    entries = [
        {
            "id": "song",
            "audioUrl": "song.wav",
            "title": "Song",
            "artist": "Somebody",
            "duration": 60,
        },
        {"id": "other", "audioUrl": "other.wav", "title": "Other", "duration": 60},
        {"id": "hers", "audioUrl": "users/ada/hers.wav", "title": "Hers", "duration": 60},
        {"id": "his", "audioUrl": "users/bob/his.wav", "title": "His", "duration": 60},
    ]
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture
def settings(media: Path) -> Settings:
    return Settings(jwt_secret=SECRET, media=media, host="127.0.0.1")


@pytest.fixture
def token(settings: Settings) -> Callable[..., str]:
    """Tokens of the test's secret: ``token(user)``, ``token(user, life)``."""
    tokens = tokens_of(settings)

    def mint(user: str = "ada", life: float | None = None) -> str:
        return tokens.mint(user, time.time(), life)

    return mint


@pytest.fixture
def serve(settings: Settings, aiohttp_client: Any) -> Serve:
    """Start an application in this process, scanned: ``await serve(**changed_settings)``."""
    from dataclasses import replace

    async def start(wall_clock: Callable[[], float] = time.time, **changes: Any) -> Client:
        app = create_app(replace(settings, **changes), wall_clock=wall_clock)
        app[SERVICES].library.scan()
        client: Client = await aiohttp_client(app)
        return client

    return start


@pytest.fixture
async def proxy_to() -> AsyncIterator[ProxyTo]:
    """Proxies with a switch, which pass at first: ``await proxy_to(port)``."""
    proxies: list[Proxy] = []

    async def start(port: int) -> Proxy:
        proxy = Proxy(port)
        proxies.append(proxy)
        await proxy.switch(Mode.PASS)
        return proxy

    yield start
    for proxy in proxies:
        await proxy.close()


@pytest.fixture
def live(settings: Settings) -> Callable[..., AbstractAsyncContextManager[Live]]:
    """The real runner in this process: ``async with live(**changed_settings) as server``."""
    from dataclasses import replace

    from tests.support.live import run_live

    return lambda **changes: run_live(replace(settings, **changes))


@dataclass
class ServerProcess:
    """``python -m audiostream`` on a free port, and all that it logs."""

    process: subprocess.Popen[str]
    port: int = 0
    log: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.news:
                self.log.append(line)
                self.news.notify_all()
        with self.news:
            self.log.append("END")
            self.news.notify_all()

    def wait_for_end(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until all that an ended process has logged was read."""
        with self.news:
            assert self.news.wait_for(lambda: "END" in self.log, timeout)

    def wait_for_log(self, text: str, timeout: float = START_TIMEOUT) -> str:
        """The first line with ``text``, logged already or soon."""

        def found() -> str | None:
            return next((line for line in self.log if text in line or line == "END"), None)

        with self.news:
            line = self.news.wait_for(found, timeout)
        assert line is not None, "".join(self.log)
        assert line != "END", "".join(self.log)
        return line

    async def logs(self, text: str) -> str:
        """The same, for those who wait on an event loop."""
        return await asyncio.to_thread(self.wait_for_log, text)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_TIMEOUT)


Launch = Callable[..., ServerProcess]


@pytest.fixture
def launch(media: Path, tmp_path: Path) -> Iterator[Launch]:
    """Start real servers; none may have logged a traceback when the test is over."""
    servers: list[ServerProcess] = []

    def start(*arguments: str, **environ: str) -> ServerProcess:
        command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", "0"]
        given = {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(media), "PYTHONWARNINGS": "error"}
        if "--state" not in arguments:
            given["AUDIOSTREAM_STATE"] = ":memory:"
        process = subprocess.Popen(
            [*command, *arguments],
            env=os.environ | given | environ,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        server = ServerProcess(process)
        threading.Thread(target=server.read_log, daemon=True).start()
        servers.append(server)
        line = server.wait_for_log("listening at http://")
        server.port = int(re.findall(r"http://[0-9.]+:([0-9]+)", line)[0])
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.wait_for_end()
        assert server.process.stderr is not None
        server.process.stderr.close()
        assert not [line for line in server.log if "Traceback" in line], "".join(server.log)
