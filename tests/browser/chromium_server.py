"""Chromium in a process of its own: Playwright's server of it, which sessions connect to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
START_TIMEOUT = 60.0
"""Seconds until the server says where it listens."""
END_TIMEOUT = 20.0
"""Seconds for the server to end its browser and itself."""
POLLING = 0.05
"""Seconds between two looks at what the server has said."""


@contextmanager
def chromium_server(program: str, folder: Path) -> Iterator[str]:
    """A headless Chromium: the address where it listens for sessions. ``folder`` exists."""
    configuration, said = folder / "launch.json", folder / "stdout.log"
    options = {"executablePath": program, "args": FLAGS, "headless": True}
    configuration.write_text(json.dumps(options))
    with said.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium"),
                *("--config", str(configuration)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _address(said, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the server is a child of this process
        process.wait(END_TIMEOUT)


@asynccontextmanager
async def session(address: str) -> AsyncIterator[Browser]:
    """Chromium as one test sees it: the contexts that it makes are closed in the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect(address)
        yield browser
        await browser.close()


def _address(said: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server listens, from what it says."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        found = re.search(rb"(ws://\S+)\n", said.read_bytes())
        if found:
            return found[1].decode()
        assert process.poll() is None, said.read_text()
        time.sleep(POLLING)
    raise AssertionError(f"Chromium does not listen within {START_TIMEOUT:g} s")
