"""Sizes of screens, and what both engines need to be as large."""

from __future__ import annotations

from .engines import ChromiumTab, FirefoxTab, Tab

DESKTOP = (1200, 800)
PHONE = (360, 740)
LANDSCAPE_PHONES = ((568, 320), (667, 375), (844, 390), (932, 430))
LOW_WINDOWS = ((1024, 500), (1024, 540), (1200, 600))
KIOSK = (1024, 600)


async def resize(tab: Tab, size: tuple[int, int]) -> None:
    """Give a tab's page this width and height, in CSS pixels."""
    width, height = size
    if isinstance(tab, ChromiumTab):
        await tab._page.set_viewport_size({"width": width, "height": height})
    elif isinstance(tab, FirefoxTab):
        viewport = {"width": width, "height": height}
        await tab._bidi.call("browsingContext.setViewport", context=tab._context, viewport=viewport)
