"""Two processes that change one user's playback at the same moment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from audiostream.storage.redis_store import RedisStore
from audiostream.storage.shared_store import Publication
from tests.support.paths import ROOT
from tests.support.redis_server import running_redis
from tests.support.waiting import until

TIMES = 10_000 if "AUDIOSTREAM_LONG_TESTS" in os.environ else 2_500
"""Changes that each process tries."""
LONGEST = 20.0
"""Seconds that both may take."""


async def start(url: str, name: str) -> Process:
    """A process that waits to be sent a line."""
    command = ("-m", "tests.support.committing_process", url, name, str(TIMES))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", *command, stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def finish(process: Process) -> Any:
    output, _ = await process.communicate(b"go\n")
    assert process.returncode == 0
    return json.loads(output)


async def test_every_change_of_two_processes_is_stored_once_or_refused_and_no_version_is_missing(
    tmp_path: Path,
) -> None:
    received: list[Publication] = []
    with running_redis(tmp_path) as server:
        store = RedisStore(server.url)
        await store.open()
        subscription = store.subscription()
        receiving = asyncio.create_task(subscription.run(received.append, lambda: None))
        await subscription.add("ada")
        processes = [await start(server.url, name) for name in ("first", "second")]
        began = time.monotonic()
        results = await asyncio.gather(*map(finish, processes))
        elapsed = time.monotonic() - began
        last = await store.load("ada")
        await until(lambda: len(received) >= last.version)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        await store.close()
    versions = {change.change_id: change.version for each in received if (change := each.change)}
    stored = results[0][0] | results[1][0]
    refused = {*results[0][1], *results[1][1]}
    assert [*versions.values()] == list(range(1, last.version + 1))
    assert len(versions) == len(received)
    assert versions == stored
    assert not refused & stored.keys()
    assert len(refused) + len(stored) == 2 * TIMES
    assert all(result[0] and result[1] for result in results), "the processes took turns"
    assert elapsed < LONGEST
    print(f"{2 * TIMES} changes in {elapsed:.1f} s: {len(stored)} stored, {len(refused)} refused")
