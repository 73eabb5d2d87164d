"""What axe-core finds on a page."""

from __future__ import annotations

from playwright.async_api import Page


class Audit:
    """The page, and what axe finds on it, serious or not."""

    def __init__(self, page: Page, axe: str) -> None:
        self.page = page
        self._axe = axe
        self.violations: list[str] = []

    async def look(self, state: str) -> None:
        """Look at the page once its animations have ended."""
        await self.page.evaluate(
            "Promise.all(document.getAnimations()"
            ".filter(({ effect }) => effect.getTiming().iterations !== Infinity)"
            ".map(({ finished }) => finished))"
        )
        await self.page.evaluate(self._axe)
        found = await self.page.evaluate("axe.run().then((result) => result.violations)")
        self.violations += [f"{state}: {one['id']}: {one['nodes'][0]['html']}" for one in found]
