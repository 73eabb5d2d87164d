"""``LaterTasks``: what is done for the store without anybody who waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

from ..errors import AudiostreamError, StoreError

RETRY_PAUSE: Final = 1.0
"""Seconds until what the store did not answer is tried again."""

_log = logging.getLogger(__name__)


class LaterTasks:
    """Tasks by key, of which at most one waits; each is tried again until the store answers."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many tasks are under way."""
        return len(self._tasks)

    def run(self, key: Hashable, work: Callable[[], Awaitable[Any]]) -> None:
        """Do ``work`` soon, unless a task of that key is under way."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._repeat(key, work))

    async def drain(self, seconds: float) -> None:
        """Wait for all tasks, for some time at most, and cancel the rest."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(tuple(self._tasks.values()))
        except TimeoutError:
            _log.warning("the shared store was not told of everything that has ended here")
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, key: Hashable, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            while True:
                try:
                    return await self._do(work)
                except StoreError:
                    await asyncio.sleep(RETRY_PAUSE)
        finally:
            del self._tasks[key]

    async def _do(self, work: Callable[[], Awaitable[Any]]) -> None:
        try:
            await work()
        except StoreError:
            raise
        except AudiostreamError:  # as of a command that was too late
            pass
        except Exception:
            _log.exception("what was left for later has failed")
