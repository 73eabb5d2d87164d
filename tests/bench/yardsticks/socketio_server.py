"""The usual way, in Python: rooms of python-socketio, every event sent to the whole room.

Rooms are ``user_{userId}``; nobody's token is looked at.
``python -m tests.bench.yardsticks.socketio_server PORT``
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from aiohttp import web

socketio: Any = importlib.import_module("socketio")


def application() -> web.Application:
    """The four events of a client and their answers."""
    server = socketio.AsyncServer(async_mode="aiohttp")
    users: dict[str, str] = {}
    states: dict[str, dict[str, Any]] = {}

    async def connect(sid: str, environ: Any, auth: dict[str, str]) -> None:
        users[sid] = auth["userId"]
        await server.enter_room(sid, f"user_{auth['userId']}")

    async def disconnect(sid: str, reason: Any = None) -> None:
        users.pop(sid, None)

    async def update(sid: str, data: dict[str, Any]) -> None:
        await tell(sid, "trackUpdated", data, bool(data["isPlaying"]))

    async def play(sid: str, data: dict[str, Any]) -> None:
        await tell(sid, "trackPlaying", data, True)

    async def pause(sid: str, data: dict[str, Any]) -> None:
        await tell(sid, "trackPaused", data, False)

    async def current(sid: str, data: Any = None) -> None:
        await server.emit("trackState", states.get(users[sid], {}), to=sid)

    async def tell(sid: str, event: str, data: dict[str, Any], is_playing: bool) -> None:
        user = users[sid]
        states[user] = {
            "trackId": data["trackId"],
            "currentTime": data["currentTime"],
            "isPlaying": is_playing,
            "updatedAt": int(time.time() * 1000),
        }
        await server.emit(event, states[user], room=f"user_{user}")

    server.on("connect", connect)
    server.on("disconnect", disconnect)
    server.on("updateStreaming", update)
    server.on("playTrack", play)
    server.on("pauseTrack", pause)
    server.on("getCurrentState", current)
    app = web.Application()
    server.attach(app)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
