"""``LaterTasks``: what is done for the store without anybody who waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..errors import AudiostreamError, StoreError

RETRY_PAUSE: Final = 1.0
"""Seconds until what the store did not answer is tried again."""

_log = logging.getLogger(__name__)


Work = Callable[[], Awaitable[Any]]
Key = tuple[str, str]
"""The id of a user, and the name of what is done for that user's room."""


class LaterTasks:
    """Tasks by key, one at a time; each is tried again until the store answers."""

    def __init__(self) -> None:
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._next: dict[Key, Work] = {}
        """What is done behind a task of the same key: it may have missed why it was called for."""

    def __len__(self) -> int:
        """Return how many tasks are under way."""
        return len(self._tasks)

    @property
    def user_ids(self) -> set[str]:
        """Users for whom something is under way."""
        return {user_id for user_id, _ in self._tasks}

    def run(self, user_id: str, name: str, work: Work) -> None:
        """Do ``work`` soon, behind a task of that user and name, once for all calls meanwhile."""
        key = user_id, name
        if key in self._tasks:
            self._next[key] = work
        else:
            self._tasks[key] = asyncio.create_task(self._repeat(key, work))

    async def drain(self, seconds: float) -> None:
        """Wait for all tasks, for some time at most, and cancel the rest."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(tuple(self._tasks.values()))
        except TimeoutError:
            _log.warning("not everything that ended here could be stored")
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, key: Key, work: Work) -> None:
        """Do ``work`` until the store answers, and what was called for meanwhile."""
        following: Work | None = work
        try:
            while following is not None:
                try:
                    await self._do(following)
                except StoreError:
                    await asyncio.sleep(RETRY_PAUSE)
                    following = self._next.pop(key, following)
                else:
                    following = self._next.pop(key, None)
        finally:
            del self._tasks[key]
            self._next.pop(key, None)

    async def _do(self, work: Work) -> None:
        try:
            await work()
        except StoreError:
            raise
        except AudiostreamError:  # as of a command that was too late
            pass
        except Exception:
            _log.exception("what was left for later has failed")
