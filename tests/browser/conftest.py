"""Headless browsers on the real server process, playing the sample music; and npm's packages."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.support.server_process import Launch, ServerProcess

from .bidi import firefox
from .engines import Chromium, Engine, Firefox

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "sample_media"
NPM_INSTALL = (
    *("install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"),
    *("--fetch-retries=1", "--fetch-timeout=60000"),
)
"""As in the Makefile: without a network it fails within a minute."""
ENGINES = (Chromium.name, Firefox.name)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium. Skips the test without one, except in CI."""
    if CHROMIUM is None:
        assert "CI" not in os.environ, "CI has to install Chromium"
        pytest.skip("Chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@asynccontextmanager
async def started(name: str, profile: Path) -> AsyncIterator[Engine]:
    """A browser by its name; ``profile`` is a folder that it makes, if it needs one."""
    if name == Firefox.name:
        async with firefox(program("firefox-esr"), profile) as bidi:
            yield Firefox(bidi)
    else:
        async with chromium() as browser:
            yield Chromium(browser)


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """Each browser in turn."""
    async with started(request.param, tmp_path / "profile") as engine:
        yield engine


@pytest.fixture
async def engines(tmp_path: Path) -> AsyncIterator[list[Engine]]:
    """All browsers at once, for tests that have to wait long."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(started(name, tmp_path / "profile")) for name in ENGINES
        ]


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


def program(name: str) -> str:
    """Where a program is. Skips the test without it, except in CI, which has to install it."""
    path = shutil.which(name)
    if path is None:
        assert "CI" not in os.environ, f"CI has to install {name}"
        pytest.skip(f"{name} is not installed")
    return path


def _installed(name: str) -> str | None:
    try:
        package = json.loads((HERE / "node_modules" / name / "package.json").read_text())
    except FileNotFoundError:
        return None
    version: str = package["version"]
    return version


@pytest.fixture
def server(launch: Launch) -> ServerProcess:
    server = launch("--media", str(SAMPLES))
    server.wait_for_log("the library has 6 tracks")
    return server


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
