"""The floor of commands: an aiohttp WebSocket that tells each frame to a whole room.

What it tells has the shape of the real thing, is encoded once for each frame, and is sent to
those who came with the same ``?room=``. ``python -m tests.bench.yardsticks.broadcast PORT``
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict

from aiohttp import web

ROOMS: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
TRACK = {
    "id": "4a0a5bb5-3d64-5b7c-9a3c-3a6f0e0b1f10",
    "title": "tone",
    "duration": 327.677,
    "streamUrl": "/api/tracks/stream/4a0a5bb5-3d64-5b7c-9a3c-3a6f0e0b1f10?ticket=" + 65 * "t",
}


async def broadcast(request: web.Request) -> web.WebSocketResponse:
    """Parse a frame, encode an event, send it to everybody in the room."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    room = ROOMS[request.query["room"]]
    room.add(ws)
    async for message in ws:
        command = json.loads(message.data)
        text = json.dumps({"event": "trackPlaying", "data": _state(command["data"])})
        for each in tuple(room):
            await each.send_str(text)
    room.discard(ws)
    return ws


def _state(data: dict[str, object]) -> dict[str, object]:
    now = int(time.time() * 1000)
    return {
        "trackId": data["trackId"],
        "currentTime": data["currentTime"],
        "isPlaying": True,
        "playbackRate": 1.0,
        "rev": 1,
        "deviceId": "0123456789abcdef",
        "updatedAt": now,
        "serverTime": now,
        "duration": 327.677,
        "track": TRACK,
    }


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/ws", broadcast)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
