"""The nodes of a Redis: one, or those of a Redis Cluster; and which node has a key.

The package's own cluster client is not used: it repeats commands by itself, those too that may
have been carried out.
"""

from __future__ import annotations

import asyncio
import socket
import time
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from redis.asyncio import ConnectionPool, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError

from .redis_address import DEFAULT_PORT

CONNECT_TIMEOUT: Final = 1.0
"""Seconds in which a connection must be made."""
CONNECTIONS_PER_NODE: Final = 64
"""Commands that are under way at once; further ones wait. Made when they are needed."""
DOUBTFUL_AFTER: Final = 1.0
"""Seconds without an answer after which no connection of a node is used again: the link may be
half-open, and each would cost a command as long."""
KEEPALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
"""Seconds, seconds, and times: the kernel ends an idle connection without a peer after 11 s."""

Address = tuple[str, int]
"""Host and port; of a unix socket ``("", 0)``."""


def address_of(url: str) -> Address:
    """Return the address that a URL names."""
    kwargs: dict[str, Any] = ConnectionPool.from_url(url).connection_kwargs
    return ("", 0) if "path" in kwargs else (kwargs["host"], kwargs.get("port", DEFAULT_PORT))


def make_pool(url: str, address: Address) -> ConnectionPool:
    """Return a pool for a node, with the password and the options of a URL.

    Its connections never repeat a command by themselves, and connect again only when they are
    taken from the pool. Raises ``ValueError`` and ``TypeError`` for a URL that cannot be used.
    """
    pool = ConnectionPool.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0, ()),
        socket_timeout=None,
        socket_connect_timeout=CONNECT_TIMEOUT,
    )
    kwargs: dict[str, Any] = pool.connection_kwargs
    if not issubclass(pool.connection_class, UnixDomainSocketConnection):
        kwargs["socket_keepalive"] = True
        kwargs["socket_keepalive_options"] = {
            getattr(socket, name): value
            for name, value in KEEPALIVE.items()
            if hasattr(socket, name)
        }
        kwargs["host"], kwargs["port"] = address
    pool.connection_class(**kwargs)  # raises TypeError for an unknown option
    return pool


class RedisNode:
    """One server, and the connections to it."""

    def __init__(self, url: str, address: Address) -> None:
        self.address = address
        self._url = url
        self._free = asyncio.Semaphore(CONNECTIONS_PER_NODE)
        self._client = _Client(url, address)
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Use a ``Redis`` for one command at a time; wait where too many are under way."""
        async with self._free:
            used, began = self._client, time.monotonic()
            used.users += 1
            try:
                yield used.redis
            except asyncio.CancelledError:
                if used is self._client and time.monotonic() - began > DOUBTFUL_AFTER:
                    self.reconnect()
                raise
            finally:
                used.users -= 1
                if used is not self._client and not used.users:
                    self._close_soon(used)

    def reconnect(self) -> None:
        """Make new connections from here on."""
        used, self._client = self._client, _Client(self._url, self.address)
        if not used.users:
            self._close_soon(used)

    async def close(self) -> None:
        await asyncio.gather(self._client.close(), *self._closing)

    def _close_soon(self, client: _Client) -> None:
        task = asyncio.create_task(client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Client:
    """A pool of connections, and how many commands use it."""

    def __init__(self, url: str, address: Address) -> None:
        self.users = 0
        self._pool = make_pool(url, address)
        self.redis: Any = Redis(connection_pool=self._pool)

    async def close(self) -> None:
        with suppress(RedisError, OSError):  # the sockets are closed, if not in good form
            await self._pool.disconnect()


class RedisNodes:
    """The nodes, and which has which hash slots once ``load_slots`` has been called."""

    def __init__(self, url: str) -> None:
        self.is_cluster = False
        self._url = url
        self._seed = self._answering = RedisNode(url, address_of(url))
        self._nodes: dict[Address, RedisNode] = {self._seed.address: self._seed}
        self._firsts: list[int] = []
        self._owners: list[RedisNode] = []
        self._loading: asyncio.Task[RedisError | OSError | None] | None = None

    def all(self) -> list[RedisNode]:
        """Return the nodes: the seed, which the URL names, first."""
        return list(self._nodes.values())

    @property
    def count(self) -> int:
        """How many nodes have slots; 1 without a cluster."""
        return len(set(self._owners)) or 1

    def of(self, key: str) -> RedisNode:
        """Return the node that has a key, as far as is known."""
        if not self._firsts:
            return self._seed
        return self._owners[bisect_right(self._firsts, key_slot(key.encode())) - 1]

    def at(self, address: Address) -> RedisNode:
        """Return the node at an address, new where it was not known."""
        if address not in self._nodes:
            self._nodes[address] = RedisNode(self._url, address)
        return self._nodes[address]

    async def load_slots(self) -> None:
        """Ask which node has which slots; once for all who ask at the same time.

        Raises ``RedisError`` and ``OSError`` where no node answers.
        """
        loading = self._loading
        if loading is None or loading.done():
            loading = self._loading = asyncio.create_task(self._load_slots())
        await asyncio.wait((loading,))  # a caller that is cancelled leaves it to the others
        if failure := loading.result():
            raise failure

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait((self._loading,))
        await asyncio.gather(*(node.close() for node in self.all()))

    async def _load_slots(self) -> RedisError | OSError | None:
        """Ask one node after the other, first that which answered last; return why none did."""
        failure: RedisError | OSError | None = None
        for node in sorted(self.all(), key=lambda node: node is not self._answering):
            try:
                async with node.client() as redis, asyncio.timeout(CONNECT_TIMEOUT):
                    ranges = await redis.execute_command("CLUSTER", "SLOTS")
            except (RedisError, OSError) as error:
                failure = error
            else:
                self._answering = node
                self._assign(node, ranges)
                return None
        return failure

    def _assign(self, asked: RedisNode, ranges: list[Any]) -> None:
        """Read an answer to CLUSTER SLOTS: [first, last, [host, port, …], replicas…] each."""
        by_first = {}
        for first, _, (host, port, *_), *_ in ranges:
            name = (host or b"?").decode()
            if name == "?":  # not known to the node: it is where it was asked
                name = asked.address[0]
            by_first[int(first)] = self.at((name, int(port)))
        if 0 not in by_first:
            by_first[0] = asked
        self._firsts = sorted(by_first)
        self._owners = [by_first[first] for first in self._firsts]
