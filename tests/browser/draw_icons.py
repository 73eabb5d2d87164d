"""Draw the PNG icons of the web manifest from icon.svg: ``python -m tests.browser.draw_icons``.

Run it after a change of ``icon.svg``, and commit what it writes. A launcher cuts a maskable icon
to its own shape: it has no corners, and its picture within the middle 80 %.
"""

from __future__ import annotations

import asyncio

from tests.support.paths import WEB

from .chromium import chromium

ICONS = {"icon-192": (192, False), "icon-512": (512, False), "maskable-512": (512, True)}
"""By name: pixels, and whether it is maskable."""
CORNERS = 'rx="15"'
VIEW = 'viewBox="0 0 64 64"'
WIDER_VIEW = 'viewBox="-5 -5 74 74"'
BACKGROUND = '<rect width="64" height="64"'
WIDER_BACKGROUND = '<rect x="-5" y="-5" width="74" height="74"'


def source(is_maskable: bool) -> str:
    """Return the SVG text of an icon."""
    text = (WEB / "icon.svg").read_text()
    if not is_maskable:
        return text
    for old, new in ((CORNERS, ""), (VIEW, WIDER_VIEW), (BACKGROUND, WIDER_BACKGROUND)):
        assert old in text
        text = text.replace(old, new)
    return text


async def main() -> None:
    (WEB / "icons").mkdir(exist_ok=True)
    async with chromium() as browser:
        for name, (size, is_maskable) in ICONS.items():
            page = await browser.new_page(viewport={"width": size, "height": size})
            style = "<style>body { margin: 0 } svg { display: block }</style>"
            await page.set_content(style + source(is_maskable))
            path = WEB / "icons" / f"{name}.png"
            await page.screenshot(path=path, omit_background=True)


if __name__ == "__main__":
    asyncio.run(main())
