"""What a page's own WebSocket sees of a refused token in the query."""

from __future__ import annotations

from playwright.async_api import Browser

from tests.support.server_process import ServerProcess

CLOSING = """() => new Promise((resolve) => {
  const socket = new WebSocket("/ws?token=nonsense");
  socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
})"""


async def test_a_page_sees_close_code_4401_and_its_reason_for_a_token_in_the_query(
    browser: Browser, server: ServerProcess
) -> None:
    page = await browser.new_page()
    await page.goto(server.url)
    found = await page.evaluate(CLOSING)
    assert found == {"code": 4401, "reason": "the token is malformed", "wasClean": True}
