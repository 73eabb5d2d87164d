"""Fixtures that several tests share: a media folder, an application on it, and its process."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from hypothesis import settings as hypothesis_settings

from audiostream import Settings, create_app
from audiostream.app import tokens_of
from audiostream.services import SERVICES
from tests.support.media_folder import write_four_tracks
from tests.support.proxy import ProxyTo as ProxyTo
from tests.support.proxy import proxies
from tests.support.server_process import SECRET, Launch, ServerProcess, module_server

if TYPE_CHECKING:
    from tests.support.live import Live

# Without a deadline for each example: a busy machine takes longer now and then.
hypothesis_settings.register_profile("audiostream", deadline=None)
hypothesis_settings.load_profile("audiostream")

LONGEST = {
    *("test_player_outages", "test_client_outages", "test_player_reconnect", "test_bad_network"),
    *("test_stalled_listeners", "test_server_kills", "test_headless_player", "test_loop_gaps"),
    *("test_unread_answers", "test_without_fast_path"),
}
"""Files that take one to two minutes: begun last they would keep one worker busy at the end."""
FOLDER_CHANGE_SEEN_AFTER = 0.5
"""Seconds after which, at the latest, a stream notices that a folder above its file has moved."""

TESTS = itertools.count(1)
"""The numbers of the tests of this process whose users are their own."""

Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix files that play in browsers with others; the LONGEST first.

    Workers take one file after the other: with browsers alone the processor would be busy for
    minutes, in which browsers skip audio, and idle while the other tests wait.
    """
    files = [list(group) for _, group in groupby(items, lambda item: item.path)]
    files.sort(key=lambda group: group[0].path.stem not in LONGEST)
    browsers = [group for group in files if group[0].path.parent.name == "browser"]
    others = [group for group in files if group[0].path.parent.name != "browser"]
    share = len(others) / max(1, len(browsers))
    mixed: list[pytest.Item] = []
    for number, group in enumerate(browsers):
        mixed += group
        for other in others[round(number * share) : round((number + 1) * share)]:
            mixed += other
    items[:] = mixed if browsers else items


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two shared tracks of 60 s and one each of Ada's and Bob's, under readable ids."""
    return write_four_tracks(tmp_path / "media")


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of the same tracks for a module, whose tests have users of their own."""
    with module_server(write_four_tracks(tmp_path_factory.mktemp("shared"))) as server:
        yield server


def of_own_users(token: Callable[..., str]) -> Callable[..., str]:
    """Access tokens of users that no other test has: ``token(user)``, ``token(user, life)``."""
    number = next(TESTS)
    return lambda user="ada", life=None: token(f"{user} {number}", life)


@pytest.fixture
def fast_path() -> bool:
    """Whether servers have the fast path. ``both_ways`` runs a test with and without it."""
    return True


both_ways = pytest.mark.parametrize("fast_path", [True, False], ids=["fast path", "aiohttp alone"])


@pytest.fixture
def settings(media: Path, fast_path: bool) -> Settings:
    return Settings(jwt_secret=SECRET, media=media, host="127.0.0.1", fast_path=fast_path)


@pytest.fixture
def token(settings: Settings) -> Callable[..., str]:
    """Access tokens: ``token(user)``, ``token(user, life)``."""
    tokens = tokens_of(settings)

    def mint(user: str = "ada", life: float | None = None) -> str:
        return tokens.mint(user, time.time(), life)

    return mint


@pytest.fixture
def socket_path() -> Iterator[str]:
    """A path for a unix socket: those of ``tmp_path`` may be longer than the 107 bytes of one."""
    with TemporaryDirectory() as folder:
        yield f"{folder}/audio.sock"


@pytest.fixture
def serve(settings: Settings, aiohttp_client: Any) -> Serve:
    """Start an application in this process, scanned: ``await serve(**changed_settings)``.

    ``clock`` and ``wall_clock`` are the application's monotonic and epoch seconds.
    """

    async def start(
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        **changes: Any,
    ) -> Client:
        app = create_app(replace(settings, **changes), clock=clock, wall_clock=wall_clock)
        app[SERVICES].library.scan()
        client: Client = await aiohttp_client(app)
        return client

    return start


@pytest.fixture
async def proxy_to() -> AsyncIterator[ProxyTo]:
    """Proxies that can be switched, and pass at first: ``await proxy_to(port)``."""
    async with proxies() as start:
        yield start


@pytest.fixture
def live(settings: Settings) -> Callable[..., AbstractAsyncContextManager[Live]]:
    """The real runner in this process: ``async with live(**changed_settings) as server``."""
    from tests.support.live import run_live

    return lambda **changes: run_live(replace(settings, **changes))


@pytest.fixture
def launch(media: Path, tmp_path: Path, fast_path: bool) -> Iterator[Launch]:
    """Start server processes; none may have logged a traceback when the test is over."""
    servers: list[ServerProcess] = []

    def start(*arguments: str, **environ: str) -> ServerProcess:
        environ = {"AUDIOSTREAM_FAST_PATH": str(int(fast_path)), **environ}
        server = ServerProcess.start(media, *arguments, environ=environ, cwd=tmp_path)
        servers.append(server)
        server.wait_for_start()
        return server

    yield start
    for server in servers:
        server.close()
        assert not [line for line in server.log if "Traceback" in line], "".join(server.log)
