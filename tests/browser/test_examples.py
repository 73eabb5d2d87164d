"""The browser example: an ``<audio>`` element that follows another device."""

from __future__ import annotations

from collections.abc import Callable

from playwright.async_api import Page, Route

from audiostream.client import connect
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

EXAMPLE = (ROOT / "audiostream/examples/browser.html").read_text()

Token = Callable[..., str]


async def test_the_browser_example_plays_and_pauses_with_another_device(
    server: ServerProcess, page: Page, token: Token
) -> None:
    async def example(route: Route) -> None:
        await route.fulfill(body=EXAMPLE, content_type="text/html")

    await page.context.grant_permissions(["local-network-access"], origin=server.url)
    await page.route("**/example", example)
    await page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    await page.goto(f"{server.url}/example#token={token('demo')}")
    async with connect(server.url, token("demo")) as player:
        track = (await player.tracks("First"))[0]
        await player.play(track.id, 2.0)
        await page.wait_for_function("document.querySelector('audio').currentTime > 2.5")
        await player.pause()
        await page.wait_for_function("document.querySelector('audio').paused")
