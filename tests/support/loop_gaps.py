"""``python -m tests.loop_gaps MEDIA``: how long an event loop waits while the server works.

Prints JSON: for each kind of work, the CPU time of the process in the longest wait of a task that
asks for its turn every 5 ms, in milliseconds, the best of several attempts. CPU time and not wall
time, since another process on the machine may hold this one up for as long as it likes; a process
of its own, since the garbage collector looks at all that a test's process has.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from audiostream import Settings, create_app
from audiostream.app import tokens_of
from audiostream.services import SERVICES

ATTEMPTS = 5
GOOD_ENOUGH = 50.0
"""Milliseconds below which no further attempt is made."""
TURN = 0.005
SECRET = "a secret of more than thirty-two bytes"

Work = Callable[[], Awaitable[object]]


async def longest_wait(work: Work) -> float:
    """CPU time in the longest wait of a task beside ``work``, in milliseconds."""
    waits: list[float] = []

    async def take_turns() -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(TURN)
            now = time.process_time()
            waits.append(now - before)
            before = now

    turns = asyncio.create_task(take_turns())
    await work()
    turns.cancel()
    return 1000 * max(waits)


async def best(work: Work) -> float:
    """The shortest of several longest waits."""
    found = await longest_wait(work)
    for _ in range(ATTEMPTS - 1):
        if found < GOOD_ENOUGH:
            break
        found = min(found, await longest_wait(work))
    return found


async def download(port: int, token: str, path: str, accepts: str = "identity") -> int:
    """The length of an answer, read by and by."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Accept-Encoding: {accepts}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    length = 0
    while chunk := await reader.read(65536):
        length += len(chunk)
    writer.close()
    await writer.wait_closed()
    return length


async def main(media: Path) -> None:
    settings = Settings(jwt_secret=SECRET, media=media, host="127.0.0.1")
    app = create_app(settings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port, library = runner.addresses[0][1], app[SERVICES].library
    token = tokens_of(settings).mint("ada", time.time(), 3600.0)
    while not library.ready:
        await asyncio.sleep(0.05)
    count = len(library.tracks_for("ada"))

    async def rescan() -> None:
        await asyncio.to_thread(library.scan)

    def rename_and_scan() -> None:
        for path in sorted(media.glob("*Artist 00*")):
            name = path.name
            path.rename(path.with_name(name[4:] if name.startswith("The ") else f"The {name}"))
        library.scan()

    async def rescan_with_changes() -> None:
        await asyncio.to_thread(rename_and_scan)

    async def lists() -> None:
        lengths = await asyncio.gather(*(download(port, token, "/tracks") for _ in range(4)))
        assert min(lengths) > 200 * count, lengths

    async def compressed_lists() -> None:
        each = [download(port, token, "/tracks", "gzip") for _ in range(4)]
        assert max(await asyncio.gather(*each)) < 200 * count

    async def searches() -> None:
        query = quote(" ".join(f"song{number}" for number in range(15)) + " a")
        for _ in range(4):
            await download(port, token, f"/tracks?q={query}")

    works: dict[str, Work] = {
        "rescan": rescan,
        "rescan with changes": rescan_with_changes,
        "lists": lists,
        "compressed lists": compressed_lists,
        "searches": searches,
    }
    print(json.dumps({name: await best(work) for name, work in works.items()}))
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
