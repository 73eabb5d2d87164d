"""Headless browsers on the real server process, playing the sample music; and npm's packages."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from pytest_asyncio import is_async_test

from audiostream import Settings
from audiostream.app import tokens_of
from tests.conftest import ProxyTo, of_own_users
from tests.support.long_tests import IS_LONG
from tests.support.proxy import proxies
from tests.support.server_process import Launch, ServerProcess

from . import bidi, pages
from .chromium import chromium
from .client_site import Site
from .engines import Chromium, Engine, Firefox
from .programs import program
from .sound_device import sound_device as sound_device

Token = Callable[..., str]
HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "sample_media"
NPM_INSTALL = (
    *("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"),
    *("--fetch-retries=1", "--fetch-timeout=60000"),
)
"""As in the Makefile: without a network it fails within a minute."""
ENGINES = (Chromium.name, Firefox.name)
PATIENCE = 30.0
"""Seconds for what must come on a busy machine; Playwright's own are 5."""
LONG_IN_FIREFOX = {
    "test_client_outages.py",
    "test_library_updates.py",
    "test_long_lists.py",
    "test_notices.py",
    "test_a_page_that_plays_on_through_a_held_connection_keeps_its_position",
    "test_a_track_that_begins_in_an_outage_plays_after_it",
    "test_a_track_that_the_user_chooses_in_an_outage_plays_after_it",
    "test_a_buffer_that_runs_dry_goes_on_where_the_audio_stopped",
    "test_a_seek_that_cannot_be_loaded_is_not_the_end_of_the_track",
    "test_arrows_move_the_position_while_a_button_has_the_focus",
    "test_a_space_in_the_search_box_is_a_space",
    "test_what_was_chosen_in_a_search_goes_on_in_what_it_showed",
    "test_a_search_without_the_current_track_does_not_change_what_follows",
    "test_a_removed_track_that_is_started_again_stays_paused_and_the_page_says_why",
}
"""Files and tests that `make test` runs in Chromium alone, and `make test-long` in Firefox too."""


expect.set_options(timeout=1000 * PATIENCE)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_chromium() -> AsyncIterator[Browser]:
    """A Chromium for all tests of this process, which share nothing in it but the process."""
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_chromium: Browser) -> AsyncIterator[Browser]:
    """Chromium as one test sees it: the contexts that it makes are closed in the end."""
    yield shared_chromium
    for context in shared_chromium.contexts:
        await context.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all on one event loop, that of their Chromium; skip in Firefox what takes minutes there.

    A connection to Playwright's driver is bound to a loop, and one for each test takes as much
    processor time as a page.
    """
    on_one_loop = pytest.mark.asyncio(loop_scope="session")
    skip = pytest.mark.skip(reason="make test-long runs it in Firefox")
    for item in items:
        if item.path.parent != HERE:
            continue
        if is_async_test(item):
            item.add_marker(on_one_loop, append=False)  # before that of the mode
        if Firefox.name in item.name and not _is_short_in_firefox(item):
            item.add_marker(skip)


def _is_short_in_firefox(item: pytest.Item) -> bool:
    names = {item.path.name, item.name.partition("[")[0]}
    return IS_LONG or names.isdisjoint(LONG_IN_FIREFOX)


@pytest.fixture(scope="session")
def firefox_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Firefox for all tests of this process, which share nothing in it but the process."""
    profile = tmp_path_factory.mktemp("firefox") / "profile"
    with bidi.firefox(program("firefox-esr"), profile) as address:
        yield address


@pytest.fixture(scope="session")
def sounding_firefox_address(
    tmp_path_factory: pytest.TempPathFactory, sound_device: str
) -> Iterator[str]:
    """The same with a sound device, for tests that use ``sound_device``."""
    profile = tmp_path_factory.mktemp("firefox") / "profile"
    with bidi.firefox(program("firefox-esr"), profile, PULSE_SERVER=sound_device) as address:
        yield address


def started(name: str, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Engine]:
    """A browser by its name, as one test sees it. For fixtures outside of the event loop."""
    if name == Firefox.name:
        sounding = "sounding_" if "sound_device" in request.fixturenames else ""
        return _firefox(request.getfixturevalue(f"{sounding}firefox_address"))
    return nullcontext(Chromium(request.getfixturevalue("browser")))


@asynccontextmanager
async def _firefox(address: str) -> AsyncIterator[Engine]:
    async with bidi.session(address) as session:
        yield Firefox(session)


@pytest.fixture(params=ENGINES)
def starting_engine(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Engine]:
    """Each browser in turn, to be started."""
    return started(request.param, request)


@pytest_asyncio.fixture(loop_scope="session")
async def engine(
    starting_engine: AbstractAsyncContextManager[Engine],
) -> AsyncIterator[Engine]:
    """Each browser in turn."""
    async with starting_engine as engine:
        yield engine


@pytest.fixture
def starting_engines(
    request: pytest.FixtureRequest,
) -> list[AbstractAsyncContextManager[Engine]]:
    """All browsers that the module is tried in, to be started."""
    is_short = _is_short_in_firefox(request.node)
    names = [name for name in ENGINES if name != Firefox.name or is_short]
    return [started(name, request) for name in names]


@pytest_asyncio.fixture(loop_scope="session")
async def engines(
    starting_engines: list[AbstractAsyncContextManager[Engine]],
) -> AsyncIterator[list[Engine]]:
    """All browsers at once, for tests that have to wait long."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(starting) for starting in starting_engines]


@pytest_asyncio.fixture(loop_scope="session")
async def proxy_to() -> AsyncIterator[ProxyTo]:
    """The same as that of all tests, on the event loop of these."""
    async with proxies() as start:
        yield start


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of package.json, installed beside it."""
    wanted = json.loads((HERE / "package.json").read_text())["devDependencies"]
    with (HERE / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one process installs, the others find it done
        _install(wanted)
    return HERE / "node_modules"


def _install(wanted: dict[str, str]) -> None:
    if any(_installed(name) != version for name, version in wanted.items()):
        npm = program("npm")
        done = subprocess.run([npm, *NPM_INSTALL], cwd=HERE, capture_output=True, text=True)
        if done.returncode:
            assert "CI" not in os.environ, done.stderr
            pytest.skip("npm could not install: is there a network?")


def _installed(name: str) -> str | None:
    try:
        package = json.loads((HERE / "node_modules" / name / "package.json").read_text())
    except FileNotFoundError:
        return None
    version: str = package["version"]
    return version


@contextmanager
def serving(media: Path) -> Iterator[ServerProcess]:
    """A server whose library has been scanned; no test may cause a traceback in its log."""
    server = ServerProcess.start(media, environ={})
    try:
        server.wait_for_start()
        server.wait_for_log("the library has")
        yield server
    finally:
        server.close()
    assert not [line for line in server.log if "Traceback" in line], "".join(server.log)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of the sample music for a module: all six tracks are everybody's.

    A test that stops or changes a server starts one of its own by ``launch``.
    """
    folder = tmp_path_factory.mktemp("samples")
    for path in SAMPLES.rglob("*.*"):
        if path.suffix != ".py":
            shutil.copy(path, folder)
    with serving(folder) as server:
        assert any("the library has 6 tracks" in line for line in server.log)
        yield server


@pytest.fixture
def demo_token(settings: Settings) -> str:
    """An access token of the user who has a track alone in ``SAMPLES``."""
    return tokens_of(settings).mint("demo", time.time(), None)


@pytest.fixture
def token(token: Callable[..., str]) -> Callable[..., str]:
    """Access tokens of users that no other test has, as tests share a server."""
    return of_own_users(token)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which every error, also one of the content policy, fails the test."""
    context = await browser.new_context(viewport={"width": 1200, "height": 800})
    page = await context.new_page()
    problems = watch(page)
    yield page
    assert problems == []


def watch(page: Page) -> list[str]:
    """What goes wrong on a page from now on."""
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    return problems


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: ServerProcess, browser: Browser, token: Token) -> Page:
    """A page that has our client at hand, and is not connected yet."""
    return await _bench(server, browser, token)


@pytest.fixture
def own_server(launch: Launch) -> ServerProcess:
    """A server of the test alone, which may end it."""
    return launch("--media", str(SAMPLES))


@pytest_asyncio.fixture(loop_scope="session")
async def own_bench(own_server: ServerProcess, browser: Browser, token: Token) -> Page:
    """The same as ``bench`` on ``own_server``."""
    return await _bench(own_server, browser, token)


async def _bench(server: ServerProcess, browser: Browser, token: Token) -> Page:
    site = Site(server, pages.CLIENT, browser, None, token)
    context = await site.context("demo")
    return await pages.opened(context, f"{site.url}/bench.html", token("demo"))
