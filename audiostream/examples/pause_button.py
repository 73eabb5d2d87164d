"""A wall button: each line on standard input pauses whatever plays."""

import asyncio
import os
import sys

from audiostream.client import connect


async def main() -> None:
    server = os.environ.get("SERVER", "http://localhost:3000")
    lines: asyncio.Queue[str] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: lines.put_nowait(sys.stdin.readline()))
    async with connect(server, os.environ["TOKEN"], device_name="Button") as player:
        while await lines.get():
            state = await player.pause()  # takes effect, or raises
            print(f"paused at {state.position:.1f} s", flush=True)


asyncio.run(main())
