"""``Fleet``: many users with several devices each, on whatever server processes live.

All run in one event loop. What no client may meet is collected in ``failures``: a ``rev`` that
falls, or two states with the same ``rev``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.support.fleet_users import FleetDevice, User
from tests.support.waiting import until

ANSWER_PATIENCE = 10.0
"""Seconds to wait for the answer to a request."""


@dataclass(eq=False)
class Fleet:
    """Users and their devices. ``urls`` are the addresses that a balancer chooses from."""

    urls: Callable[[], list[str]]
    session: ClientSession
    report_interval: float
    users: list[User] = field(default_factory=list)
    heard: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    is_open: bool = True

    @property
    def devices(self) -> list[FleetDevice]:
        return [device for user in self.users for device in user.devices]

    @property
    def events(self) -> int:
        """How many events all devices have received: what the server sent without being asked."""
        return sum(self.heard[name] for name in self.heard if name.startswith("event "))

    def add(self, name: str, devices: int, seed: int) -> User:
        """Add a user; ``seed``: what its devices do."""
        user = User(self, name, random.Random(seed))  # noqa: S311 - repeatable on purpose
        user.devices += [FleetDevice(user, f"{name}-{each}") for each in range(devices)]
        self.users.append(user)
        return user

    async def connected(self, patience: float) -> None:
        """Wait until all devices have the state. Raises ``TimeoutError``."""
        async with asyncio.timeout(patience):
            while not all(device.is_settled for device in self.devices):
                await asyncio.sleep(0.05)

    async def play(self) -> None:
        """Let every user play something, and wait until all devices do.

        One that first connects while a track is paused never sets its source (R18).
        """
        for user in self.users:
            user.devices[0].choose()
        await until(lambda: all(device.playing for device in self.devices))

    async def act(self, seconds: float, interval: float) -> int:
        """Let every user act about every ``interval`` seconds; return how often they did."""
        end = time.monotonic() + seconds
        return sum(await asyncio.gather(*(each.act(end, interval) for each in self.users)))

    async def disagreements(self, patience: float) -> list[str]:
        """Return what users still disagree about ``patience`` seconds later, if they do."""
        end, apart = time.monotonic() + patience, self.users
        while True:
            is_last = time.monotonic() > end
            found = await asyncio.gather(*(user.disagreement() for user in apart))
            sentences = [sentence for sentence in found if sentence]
            if is_last or not sentences:
                return sentences
            apart = [user for user, sentence in zip(apart, found, strict=True) if sentence]
            await asyncio.sleep(0.25)


@asynccontextmanager
async def running_fleet(
    urls: Callable[[], list[str]],
    users: int,
    devices: int,
    report_interval: float = 0.25,
    first_seed: int = 0,
) -> AsyncIterator[Fleet]:
    """Run users with ``devices`` each, who have connected; seeds count from ``first_seed``.

    In the end nothing may have happened that no client may meet.
    """
    timeout = ClientTimeout(total=None, sock_connect=ANSWER_PATIENCE, sock_read=ANSWER_PATIENCE)
    async with ClientSession(connector=TCPConnector(limit=0), timeout=timeout) as session:
        fleet = Fleet(urls, session, report_interval)
        for number in range(users):
            fleet.add(f"user{first_seed + number}", devices, first_seed + number)
        living = [asyncio.create_task(device.live()) for device in fleet.devices]
        try:
            await fleet.connected(60.0)
            yield fleet
        finally:
            fleet.is_open = False
            await _end(fleet, living)
    assert not fleet.failures, "\n".join(fleet.failures[:20])


async def _end(fleet: Fleet, living: list[asyncio.Task[None]]) -> None:
    async def close(device: FleetDevice) -> None:
        if device.socket is not None:
            await device.socket.close()

    await asyncio.gather(*map(close, fleet.devices), return_exceptions=True)
    for task in living:
        task.cancel()
    failed = await asyncio.gather(*living, return_exceptions=True)
    fleet.failures += [repr(each) for each in failed if isinstance(each, Exception)]
