"""Headless browsers on the real server process, playing the sample music; and npm's packages."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from audiostream import Settings
from audiostream.app import tokens_of
from tests.support.server_process import ServerProcess

from . import bidi, chromium_server
from .chromium_server import CHROMIUM, FLAGS
from .engines import Chromium, Engine, Firefox
from .programs import program
from .sound_device import sound_device as sound_device

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "sample_media"
NPM_INSTALL = (
    *("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"),
    *("--fetch-retries=1", "--fetch-timeout=60000"),
)
"""As in the Makefile: without a network it fails within a minute."""
TESTS = itertools.count(1)
"""The numbers of the tests of this process."""
ENGINES = (Chromium.name, Firefox.name)
LONG_IN_FIREFOX = (
    "test_player_outages.py",
    "test_long_lists.py",
    "test_library_updates.py",
    "test_notices.py",
    "test_client_outages.py",
)
"""Files whose tests `make test` runs in Chromium alone, and `make test-long` in Firefox too."""


def _chromium() -> str:
    if CHROMIUM is None:
        assert "CI" not in os.environ, "CI has to install Chromium"
        pytest.skip("Chromium is not installed")
    return CHROMIUM


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium of its own, for modules that keep one."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def chromium_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chromium for all tests of this process, which share nothing in it but the process."""
    folder = tmp_path_factory.mktemp("chromium")
    with chromium_server.chromium_server(_chromium(), folder) as address:
        yield address


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip in Firefox what takes minutes there."""
    if "AUDIOSTREAM_LONG_TESTS" in os.environ:
        return
    skip = pytest.mark.skip(reason="make test-long runs it in Firefox")
    for item in items:
        if item.path.name in LONG_IN_FIREFOX and Firefox.name in item.name:
            item.add_marker(skip)


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


@pytest.fixture
async def browser(chromium_address: str) -> AsyncIterator[Browser]:
    async with chromium_server.session(chromium_address) as browser:
        yield browser


@asynccontextmanager
async def started(name: str, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """A browser by its name, as one test sees it."""
    if name == Firefox.name:
        sounding = "sounding_" if "sound_device" in request.fixturenames else ""
        async with bidi.session(request.getfixturevalue(f"{sounding}firefox_address")) as session:
            yield Firefox(session)
    else:
        async with chromium_server.session(request.getfixturevalue("chromium_address")) as browser:
            yield Chromium(browser)


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Each browser in turn."""
    async with started(request.param, request) as engine:
        yield engine


@pytest.fixture
async def engines(request: pytest.FixtureRequest) -> AsyncIterator[list[Engine]]:
    """All browsers at once, for tests that have to wait long."""
    is_short = request.path.name in LONG_IN_FIREFOX and "AUDIOSTREAM_LONG_TESTS" not in os.environ
    names = [name for name in ENGINES if name != Firefox.name or not is_short]
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(started(name, request)) for name in names]


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
    """Access tokens of users that no other test has, as tests share a server: ``token(user)``."""
    number = next(TESTS)
    return lambda user="ada", life=None: token(f"{user} {number}", life)


@pytest.fixture
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
