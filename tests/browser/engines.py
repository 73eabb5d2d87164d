"""Chromium and Firefox behind one small interface, so that one test runs in both.

Tabs have what tests of a bad network need; tests of Chromium alone use Playwright's ``Page``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from playwright.async_api import Browser, Page, Request, Route

from .bidi import Bidi
from .pages import PERMISSIONS

PATIENCE = 30.0
"""Seconds for what must come."""
POLLING = 0.05
"""Seconds between two looks at a page."""
KEYS = {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Space": " ",
    "Tab": "\ue004",
    "End": "\ue010",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
}
"""Playwright's names of keys, and WebDriver's code points."""


class Tab(Protocol):
    """A page with a storage of its own. ``problems`` are errors of scripts and in the console."""

    problems: list[str]

    async def provide(self, address: str, html: str) -> None:
        """Answer requests for ``address`` with a page, in the place of the server."""

    async def goto(self, address: str) -> None:
        """Load a page."""

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression, a promise's when it is kept."""

    async def screenshot(self) -> bytes:
        """A PNG of what can be seen."""

    async def click(self, selector: str) -> None:
        """Click on the middle of an element."""

    async def press(self, key: str) -> None:
        """Press a key by its name in ``KEYS``, or the one that makes a character."""


class Engine(Protocol):
    """A browser that has been started."""

    name: str

    async def tab(self) -> Tab:
        """A new tab, which shares nothing with the others."""


async def wait_for(tab: Tab, expression: str, patience: float = PATIENCE) -> Any:
    """The value of an expression as soon as it is true; ``patience`` is in seconds."""
    try:
        async with asyncio.timeout(patience):
            while not (value := await tab.evaluate(expression)):
                await asyncio.sleep(POLLING)
            return value
    except TimeoutError:
        raise AssertionError(f"not within {patience:g} s: {expression}") from None


class ChromiumTab:
    """A tab of Chromium, by Playwright."""

    def __init__(self, page: Page) -> None:
        self.problems: list[str] = []
        self._page = page
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console",
            lambda said: self.problems.append(said.text) if said.type == "error" else None,
        )

    async def provide(self, address: str, html: str) -> None:
        async def answer(route: Route, request: Request) -> None:
            await route.fulfill(body=html, content_type="text/html")

        await self._page.route(address, answer)

    async def goto(self, address: str) -> None:
        await self._page.goto(address)

    async def evaluate(self, expression: str) -> Any:
        return await self._page.evaluate(f"(async () => await ({expression}))()")

    async def screenshot(self) -> bytes:
        return await self._page.screenshot()

    async def click(self, selector: str) -> None:
        await self._page.click(selector)

    async def press(self, key: str) -> None:
        await self._page.keyboard.press(key)


class Chromium:
    name = "chromium"

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def tab(self) -> ChromiumTab:
        context = await self._browser.new_context(permissions=PERMISSIONS)
        return ChromiumTab(await context.new_page())


class FirefoxTab:
    """A tab of Firefox, by WebDriver BiDi."""

    def __init__(self, bidi: Bidi, context: str) -> None:
        self.problems: list[str] = []
        self._bidi = bidi
        self._context = context
        self._provided: dict[str, str] = {}
        self._answers: set[asyncio.Task[Any]] = set()
        bidi.listeners.append(self._notice)

    def _notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "log.entryAdded":
            is_here = params["source"].get("context") == self._context
            if is_here and params["level"] == "error":
                self.problems.append(str(params["text"]))
        elif method == "network.beforeRequestSent" and params["isBlocked"]:
            html = self._provided.get(params["request"]["url"].partition("#")[0])
            if params["context"] == self._context and html is not None:
                task = asyncio.create_task(self._answer(params["request"]["request"], html))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)

    async def _answer(self, request: str, html: str) -> None:
        await self._bidi.call(
            "network.provideResponse",
            request=request,
            statusCode=200,
            headers=[{"name": "Content-Type", "value": {"type": "string", "value": "text/html"}}],
            body={"type": "string", "value": html},
        )

    async def provide(self, address: str, html: str) -> None:
        self._provided[address] = html
        await self._bidi.call(
            "session.subscribe", events=["network.beforeRequestSent"], contexts=[self._context]
        )
        await self._bidi.call(
            "network.addIntercept",
            phases=["beforeRequestSent"],
            contexts=[self._context],
            urlPatterns=[{"type": "string", "pattern": address}],
        )

    async def goto(self, address: str) -> None:
        await self._bidi.call(
            "browsingContext.navigate", context=self._context, url=address, wait="complete"
        )

    async def evaluate(self, expression: str) -> Any:
        return await self._bidi.evaluate(self._context, expression)

    async def screenshot(self) -> bytes:
        return await self._bidi.screenshot(self._context)

    async def click(self, selector: str) -> None:
        await self._bidi.click(self._context, selector)

    async def press(self, key: str) -> None:
        await self._bidi.press(self._context, KEYS.get(key, key))


class Firefox:
    name = "firefox"

    def __init__(self, bidi: Bidi) -> None:
        self._bidi = bidi

    async def tab(self) -> FirefoxTab:
        user = await self._bidi.call("browser.createUserContext")
        made = await self._bidi.call(
            "browsingContext.create", type="tab", userContext=user["userContext"]
        )
        return FirefoxTab(self._bidi, made["context"])
