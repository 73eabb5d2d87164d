"""Bodies that are made once and sent to all who ask for the same: long lists, pictures.

At most ``MAX_IN_MEMORY`` bytes of them exist at a time, cached or being sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final
from weakref import WeakValueDictionary

from aiohttp import web

from ..errors import RateLimited
from .response_delivery import Requester, ResponseSender, requester_of
from .responses import Body

MAX_IN_MEMORY: Final = 16 * 1024 * 1024
"""Bytes, each body counted once: a list of 10,000 tracks has 3.5 MB."""
MAX_CACHED: Final = 6 * 1024 * 1024
"""Bytes of these that are kept for the next request, while there is memory for them."""
MAX_QUEUED: Final = 256
"""Requests of one requester that wait for their bodies."""
MAX_WAIT: Final = 30.0
"""Seconds without memory after which the oldest response is aborted though its client reads."""
POLL_INTERVAL: Final = 0.1
"""Seconds between two looks for free memory."""


class SharedBodies:
    """The shared bodies of one application."""

    def __init__(self, sender: ResponseSender) -> None:
        self._sender = sender
        self._bodies: WeakValueDictionary[Hashable, Body] = WeakValueDictionary()
        self._cache: OrderedDict[Hashable, Body] = OrderedDict()
        self._queued: Counter[Requester] = Counter()
        self._executors: dict[str, Executor] = {}
        self._kind_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._requester_locks: WeakValueDictionary[Requester, asyncio.Lock] = WeakValueDictionary()

    async def get(
        self, request: web.Request, kind: str, key: Hashable, make: Callable[[], Body]
    ) -> Body:
        """Return the body under ``key``, made now by ``make`` if it is not in memory.

        ``make`` may block: each ``kind`` has one thread, as each thread would keep the memory that
        it once used. A requester waits for one body at a time, so that nobody waits behind a
        hundred requests of somebody else. Raises ``RateLimited`` for a requester with
        ``MAX_QUEUED``.
        """
        requester = requester_of(request)
        if self._queued[requester] >= MAX_QUEUED:
            raise RateLimited("too many requests at once; wait for the answers")
        self._queued[requester] += 1
        requester_lock = self._requester_locks.setdefault(requester, asyncio.Lock())
        try:
            async with requester_lock:
                body = self._bodies.get((kind, key))
                if body is None:
                    async with self._kind_locks[kind]:
                        body = self._bodies.get((kind, key)) or await self._make(kind, key, make)
            return body
        finally:
            self._queued[requester] -= 1
            if not self._queued[requester]:
                del self._queued[requester]

    def close(self) -> None:
        """Let the threads end. Nothing may be asked for afterwards."""
        for executor in self._executors.values():
            executor.shutdown(wait=False)

    async def _make(self, kind: str, key: Hashable, make: Callable[[], Body]) -> Body:
        executor = self._executors.get(kind)
        if executor is None:
            executor = self._executors[kind] = ThreadPoolExecutor(1, f"audiostream-{kind}")
        body = await asyncio.get_running_loop().run_in_executor(executor, make)
        await self._wait_for_memory(len(body.data))
        self._bodies[kind, key] = self._cache[kind, key] = body
        while sum(len(each.data) for each in self._cache.values()) > MAX_CACHED:
            self._cache.popitem(last=False)
        return body

    async def _wait_for_memory(self, size: int) -> None:
        """Wait until ``size`` more bytes may be in memory.

        A body above ``MAX_IN_MEMORY`` waits until it is the only one.
        """
        started_at = time.monotonic()
        while (used := self._bytes_in_memory()) and used + size > MAX_IN_MEMORY:
            if self._cache:
                self._cache.popitem(last=False)
                continue
            self._sender.make_room(abort_oldest=time.monotonic() - started_at >= MAX_WAIT)
            await asyncio.sleep(POLL_INTERVAL)

    def _bytes_in_memory(self) -> int:
        """Return the bytes of shared bodies, and of long ones that are of one response alone."""
        bodies = [body.data for body in self._bodies.values()] + self._sender.pending_bodies
        return sum({id(body): len(body) for body in bodies}.values())
