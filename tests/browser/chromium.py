"""Chromium, driven by Playwright: the program, its switches, and a browser that is started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

from .programs import program

PROGRAMS: Final = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first is Chromium without its user interface: a page takes half the processor time."""
AUTOPLAY: Final = "--autoplay-policy=no-user-gesture-required"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    AUTOPLAY,
    "--mute-audio",
)


@asynccontextmanager
async def chromium(flags: Sequence[str] = FLAGS) -> AsyncIterator[Browser]:
    """A headless Chromium of its own."""
    async with async_playwright() as playwright:
        path = program(*PROGRAMS)
        browser = await playwright.chromium.launch(executable_path=path, args=list(flags))
        yield browser
        await browser.close()
