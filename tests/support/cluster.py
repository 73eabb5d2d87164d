"""``Cluster``: server processes that share one Redis, each with a slow or broken link if need be.

Any of them can be killed, stopped and started again; what all of them have logged is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout

from tests.support.proxy import Mode, Proxy
from tests.support.redis_server import HOST, RedisServer
from tests.support.server_process import ServerProcess

HEALTH_TIMEOUT = ClientTimeout(total=5.0)
"""In seconds: ``/healthz`` waits for nothing, not for Redis either."""


@dataclass(eq=False)
class Member:
    """One of the processes: ``server`` runs, or is the last that ran. ``link`` leads to Redis.

    ``is_balanced``: a balancer, which asks for its health, sends it new connections.
    """

    number: int
    server: ServerProcess
    link: Proxy | None = None
    is_alive: bool = True
    is_balanced: bool = True

    @property
    def url(self) -> str:
        return self.server.url


@dataclass(eq=False)
class Cluster:
    """Equal server processes. Where one server is asked for, they take turns."""

    media: Path
    redis: RedisServer
    environ: Mapping[str, str] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    servers: list[ServerProcess] = field(default_factory=list)
    """All that ran."""
    _turns: count[int] = field(default_factory=count)

    async def start(self, members: int, *, has_links: bool = False) -> None:
        """Start all at once, and wait until they have scanned the library."""
        for number in range(members):
            link = Proxy(self.redis.port) if has_links else None
            if link is not None:
                await link.switch(Mode.PASS)
            self.members.append(Member(number, self._launch(link), link))
        await asyncio.gather(*(self._started(each) for each in self.members))

    @property
    def living(self) -> list[Member]:
        return [each for each in self.members if each.is_alive]

    def urls(self) -> list[str]:
        """Return the addresses that a balancer chooses from."""
        return [each.url for each in self.living if each.is_balanced]

    @property
    def url(self) -> str:
        """The address of the next process, as a balancer without stickiness chooses."""
        living = self.living
        return living[next(self._turns) % len(living)].url

    async def kill(self, number: int) -> None:
        """``kill -9``."""
        member = self.members[number]
        member.is_alive = False
        member.server.process.kill()
        await asyncio.to_thread(member.server.wait_for_end)

    async def restart(self, number: int) -> None:
        """Start one that was killed or stopped; it has another port then."""
        member = self.members[number]
        member.server = self._launch(member.link)
        await self._started(member)
        member.is_alive = True

    def stop(self) -> int:
        """Stop those that live as an operator does; return the worst exit code."""
        codes = []
        for member in self.living:
            member.is_alive = False
            codes.append(member.server.stop())
        return max(codes)

    async def logs(self, text: str) -> str:
        """Return the first line with ``text`` of the last process, once each has logged one."""
        lines = await asyncio.gather(*(each.server.logs(text) for each in self.living))
        return lines[-1]

    async def health(self, number: int) -> str:
        """Return the status of ``/healthz``."""
        async with (
            ClientSession(timeout=HEALTH_TIMEOUT) as session,
            session.get(f"{self.members[number].url}/healthz") as answer,
        ):
            return str((await answer.json())["status"])

    def version(self, user_id: str) -> int:
        """Return the stored version of a user's playback; 0 where nothing is stored.

        For ids that are the same in URLs.
        """
        answer = self.redis.ask("HGET", f"audiostream:{{{user_id}}}:room", "version")
        return 0 if answer == "$-1\r\n" else int(answer.splitlines()[1])

    @property
    def tracebacks(self) -> list[str]:
        """What processes have logged of failures that they did not expect."""
        return [line for each in self.servers for line in each.log if "Traceback" in line]

    async def close(self) -> None:
        """Kill all that run. No process may have logged a traceback."""
        for server in self.servers:
            await asyncio.to_thread(server.close)
        for member in self.members:
            if member.link is not None:
                await member.link.close()
        logs = ["".join(each.log) for each in self.servers if "Traceback" in "".join(each.log)]
        assert not logs, "\n".join(logs)

    def _launch(self, link: Proxy | None) -> ServerProcess:
        port = self.redis.port if link is None else link.port
        environ = {
            "AUDIOSTREAM_REDIS": f"redis://{HOST}:{port}/0",
            "AUDIOSTREAM_WAITING_PER_ADDRESS": "100000",  # all devices have one address here
            **self.environ,
        }
        server = ServerProcess.start(self.media, environ=environ)
        self.servers.append(server)
        return server

    async def _started(self, member: Member) -> None:
        await asyncio.to_thread(member.server.wait_for_start)
        await member.server.logs("the library has")


@asynccontextmanager
async def running_processes(
    media: Path, redis: RedisServer, members: int = 3, *, has_links: bool = False, **environ: str
) -> AsyncIterator[Cluster]:
    """Run server processes on a Redis; ``has_links``: each has a proxy of its own to it."""
    cluster = Cluster(media, redis, environ)
    try:
        await cluster.start(members, has_links=has_links)
        yield cluster
    finally:
        await cluster.close()
