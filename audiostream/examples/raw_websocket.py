"""Play, ask and pause over the WebSocket with nothing but aiohttp: the protocol as it is sent.

Prints ``trackPlaying`` at 0 s, ``trackState`` about one second in, and ``trackPaused``.
"""

import asyncio
import os

import aiohttp


async def main() -> None:
    server = os.environ.get("SERVER", "http://localhost:3000")
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    async with aiohttp.ClientSession(server, headers=headers) as session:
        async with session.get("/api/tracks") as response:
            track = (await response.json())["tracks"][0]
        async with session.ws_connect("/ws") as ws:
            command = {"trackId": track["id"]}
            await ws.send_json({"event": "playTrack", "data": command, "id": 1})
            print(await ws.receive_json())
            await asyncio.sleep(1)
            await ws.send_json({"event": "getCurrentState", "id": 2})
            print(await ws.receive_json())
            await ws.send_json({"event": "pauseTrack", "data": command, "id": 3})
            print(await ws.receive_json())


asyncio.run(main())
