"""The floor of reports: an aiohttp WebSocket that parses JSON and does nothing with it.

A frame with an ``id`` is sent back as it came. ``python -m tests.bench.yardsticks.echo PORT``
"""

from __future__ import annotations

import json
import sys

from aiohttp import web


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Parse every frame, and send back those that want an answer."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        if json.loads(message.data).get("id") is not None:
            await ws.send_str(message.data)
    return ws


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/ws", echo)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
