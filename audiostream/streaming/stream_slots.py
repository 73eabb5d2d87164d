"""Who has which streams: the limit for each user, and whose stream ends where room is needed."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Collection, Hashable
from contextlib import suppress
from typing import Final

from .stall_timeout import CHECK_INTERVAL, StallTimeout

_log = logging.getLogger(__name__)

STALLED_AFTER: Final = 5.0
"""Seconds without a byte taken after which a stream may be ended to make room for another.

A player takes what is sent in gulps: its system reports only that a segment's worth of room has
become free, which at 16 kB/s and on a loopback's segments of 64 KiB is every 4 s.
"""
SPARE_DESCRIPTORS: Final = 16
"""Descriptors that are kept free for new connections, as long as some stream is stalled."""
DISCONNECT_TIMEOUT: Final = 1.0
"""Seconds for which a new stream waits for the end of the one that makes room for it."""


class StreamSlots:
    """The streams of one application, each with its owner and its ``StallTimeout``.

    ``counts`` is kept up to date for others: open streams by owner, of which each may have
    ``limit``. ``timeout`` is in seconds. ``bytes_sent``: of bodies; of the fast path, only where
    ``Counters.counts_frames`` is set. For one event loop.
    """

    def __init__(
        self, counts: Counter[Hashable], timeout: float | None, limit: float = math.inf
    ) -> None:
        self.counts = counts
        self.bytes_sent = 0
        self._timeout = timeout
        self._limit = limit
        self._streams: dict[StallTimeout, Hashable] = {}
        self._ending: dict[StallTimeout, asyncio.Event] = {}  # set when the stream has ended
        self._next_check: asyncio.TimerHandle | None = None

    def has_room(self, owner: Hashable) -> bool:
        """Whether an owner may have one stream more."""
        return owner not in self.counts or self.counts[owner] < self._limit

    def acquire(self, owner: Hashable, transport: asyncio.WriteTransport) -> StallTimeout:
        """Count one stream more, until the returned timeout is stopped."""
        stream = StallTimeout(transport, self._timeout, on_stop=self._release)
        self._streams[stream] = owner
        self.counts[owner] += 1
        if self._next_check is None:
            self._schedule_check()
        return stream

    def count_sent(self, count: int) -> None:
        """Count bytes of a body."""
        self.bytes_sent += count

    def disconnect_all_of(self, owners: Collection[Hashable]) -> None:
        """End all streams of some owners, and discard what is not sent yet. Does not wait."""
        for stream, owner in tuple(self._streams.items()):
            if owner in owners:
                stream.disconnect(discard_unsent=True)

    async def make_room(self, owner: Hashable = None) -> bool:
        """End one stalled stream, of that owner or of anybody; return whether one has ended.

        It is the one of which nothing has been taken for longest, ``STALLED_AFTER`` at least.
        """
        stalled = self._stalled(owner)
        if not stalled:
            return False
        _log.info("disconnected a client that takes no bytes: another stream needs the room")
        oldest = stalled[0]
        ended = self._ending.setdefault(oldest, asyncio.Event())
        oldest.disconnect()
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCONNECT_TIMEOUT):
                await ended.wait()
        return oldest not in self._streams

    def _stalled(self, owner: Hashable = None) -> list[StallTimeout]:
        """Return the stalled streams, the one that has stalled for longest first."""
        latest = time.monotonic() - STALLED_AFTER
        stalled = [
            stream
            for stream, whose in self._streams.items()
            if stream.stalled_since <= latest and owner in (None, whose)
        ]
        return sorted(stalled, key=lambda stream: stream.stalled_since)

    def _release(self, stream: StallTimeout) -> None:
        owner = self._streams.pop(stream)
        self.counts[owner] -= 1
        if not self.counts[owner]:
            del self.counts[owner]
        ended = self._ending.pop(stream, None)
        if ended is not None:
            ended.set()

    def _schedule_check(self) -> None:
        self._next_check = asyncio.get_running_loop().call_later(CHECK_INTERVAL, self._check)

    def _check(self) -> None:
        """End stalled streams while descriptors are short, before a new connection needs one."""
        self._next_check = None
        if not self._streams:
            return
        wanted = max(SPARE_DESCRIPTORS - free_descriptors(), 0)
        for stream in self._stalled()[: -(-wanted // 2)]:  # each has a connection and a file
            _log.info("disconnected a client that takes no bytes: no more files may be open")
            stream.disconnect()
        self._schedule_check()


def free_descriptors() -> int:
    """Return how many more files this process may open, or fewer; very many without a limit.

    A new descriptor has the lowest free number (POSIX), so all below it are in use.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        lowest = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return 0
    os.close(lowest)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - lowest
