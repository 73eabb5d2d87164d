"""A process that changes one user's playback as often and as fast as it can.

Run with the URL of a Redis, a name, and how often; it begins when it is sent a line, and prints the
versions that it stored by change id, and the ids of those that were refused, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

from audiostream.playback.model import State
from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Change


async def change_often(url: str, name: str, times: int) -> None:
    store = RedisStore(url)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    stored: dict[str, int] = {}
    refused: list[str] = []
    version = 0
    for number in range(times):
        change = Change(
            user_id="ada",
            process_id=name,
            change_id=f"{name}-{number}",
            expected_version=version,
            version=version + 1,
            state=State(track_id=name, position=float(number), rev=version + 1),
            writes_queue=False,
        )
        now = await store.commit(change)
        if now is None:
            version += 1
            stored[change.change_id] = version
        else:
            version = now.version
            refused.append(change.change_id)
    await store.close()
    print(json.dumps([stored, refused]))


if __name__ == "__main__":
    asyncio.run(change_often(sys.argv[1], sys.argv[2], int(sys.argv[3])))
