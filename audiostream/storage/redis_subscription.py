"""``RedisSubscription``: the publications of some users, over one connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ..errors import Unavailable
from .redis_address import describe
from .redis_connection import RedisConnection
from .redis_keys import BASE_CHANNEL, user_key
from .redis_nodes import make_pool
from .redis_publications import decode_publication
from .shared_store import ANSWER_TIMEOUT, Publication
from .throttled_warning import ThrottledWarning

PING_INTERVALS: Final = (2.0, 2.0, 1.0)
"""Seconds without a message after which Redis is pinged, twice, and then connected to again: a
half-open link is noticed after 5 s."""
PAUSES: Final = (0.05, 0.1, 0.2, 0.4)
"""Seconds before a further attempt to connect; the last one for all that follow."""
CHANNELS_AT_ONCE: Final = 500
"""Channels of one SUBSCRIBE, whose answers are read before the next one is sent."""

_log = logging.getLogger(__name__)


class RedisSubscription:
    """See ``shared_store.Subscription``. ``run`` must be running while ``add`` waits.

    ``connection`` returns the store's, once it is open.
    """

    def __init__(self, connection: Callable[[], RedisConnection]) -> None:
        self._connection = connection
        self._wanted: dict[str, None] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._unanswered: Counter[str] = Counter()
        self._pubsub: Any = None
        self._sending = asyncio.Lock()
        self._warn = ThrottledWarning(time.monotonic)

    async def add(self, user_id: str) -> None:
        """Receive what is published of a user from the return on. Raises ``Unavailable``."""
        channel = user_key(user_id, "events")
        self._wanted[channel] = None
        waiting = self._waiting.get(channel)
        if waiting is None:
            waiting = self._waiting[channel] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                async with self._sending:
                    if self._pubsub is not None:
                        with suppress(RedisError, OSError):  # ``run`` notices it, too
                            await self._subscribe(self._pubsub, [channel])
                await asyncio.wait((waiting,))
        except TimeoutError:
            await self.remove(user_id)
            raise Unavailable("the shared store does not answer; try again") from None
        except asyncio.CancelledError:
            await self.remove(user_id)
            raise

    async def remove(self, user_id: str) -> None:
        """Receive nothing more of a user."""
        channel = user_key(user_id, "events")
        self._wanted.pop(channel, None)
        self._waiting.pop(channel, None)
        with suppress(RedisError, OSError):
            async with asyncio.timeout(ANSWER_TIMEOUT), self._sending:
                if self._pubsub is not None:
                    await self._pubsub.unsubscribe(channel)

    async def run(
        self, on_publication: Callable[[Publication], None], on_gap: Callable[[], None]
    ) -> None:
        """Receive until cancelled; see ``shared_store.Subscription``."""
        is_first = True
        failures = 0
        for attempt in count():
            try:
                async with self._connected(attempt) as pubsub:
                    await self._subscribe_all(pubsub, on_publication)
                    if not is_first:
                        on_gap()
                    is_first, failures = False, 0
                    while True:
                        self._handle(await _next_message(pubsub), on_publication)
            except (RedisError, OSError) as error:
                self._warn(
                    f"the subscription at {describe(self._connection().url)} was lost ({error}); "
                    "it is made again"
                )
            except Exception:
                _log.exception("the subscription has failed; it is made again")
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    @asynccontextmanager
    async def _connected(self, attempt: int) -> AsyncIterator[Any]:
        """Connect to one node after the other; any of a cluster has all publications."""
        connection = self._connection()
        nodes = connection.nodes.all()
        pool = make_pool(connection.url, nodes[attempt % len(nodes)].address)
        pubsub: Any = Redis(connection_pool=pool).pubsub()
        self._unanswered.clear()
        try:
            yield pubsub
        finally:
            self._pubsub = None
            with suppress(RedisError, OSError):
                await pool.disconnect()  # a sender that waits fails, or connects again
            async with self._sending:
                with suppress(RedisError, OSError):
                    await pubsub.aclose()

    async def _subscribe_all(
        self, pubsub: Any, on_publication: Callable[[Publication], None]
    ) -> None:
        """Subscribe to the channels of all users, those too that are added meanwhile."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._subscribe(pubsub, [BASE_CHANNEL])
        self._pubsub = pubsub
        channels = [channel for channel in self._wanted if not self._unanswered[channel]]
        for first in range(0, max(1, len(channels)), CHANNELS_AT_ONCE):
            chosen = channels[first : first + CHANNELS_AT_ONCE]
            async with asyncio.timeout(sum(PING_INTERVALS)):
                await self._subscribe(pubsub, [each for each in chosen if each in self._wanted])
                while self._unanswered:
                    self._handle(await _next_message(pubsub), on_publication)

    async def _subscribe(self, pubsub: Any, channels: list[str]) -> None:
        if channels:
            self._unanswered.update(channels)
            await pubsub.subscribe(*channels)

    def _handle(
        self, message: Mapping[str, Any], on_publication: Callable[[Publication], None]
    ) -> None:
        if message["type"] == "subscribe":
            self._on_subscribed(message["channel"].decode())
        elif message["type"] == "message":
            try:
                publication = decode_publication(message["data"])
            except ValueError as error:
                self._warn(f"a publication cannot be read ({error}); it is left out")
                return
            try:
                on_publication(publication)
            except Exception:
                _log.exception("a publication could not be followed")

    def _on_subscribed(self, channel: str) -> None:
        """Note an answer; what follows an answer that is still to come may be another's."""
        self._unanswered[channel] -= 1
        if self._unanswered[channel] <= 0:
            del self._unanswered[channel]
            waiting = self._waiting.pop(channel, None)
            if waiting is not None:
                waiting.set_result(None)


async def _next_message(pubsub: Any) -> Mapping[str, Any]:
    """Return the next message. Raises ``TimeoutError`` where pings are not answered, too."""
    for seconds in PING_INTERVALS:
        message: Mapping[str, Any] | None = await pubsub.get_message(timeout=seconds)
        if message is not None:
            return message
        await pubsub.ping()
    raise TimeoutError(f"no answer within {sum(PING_INTERVALS):g} s")
