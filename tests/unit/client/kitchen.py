"""``Kitchen``: a headless player between a server and an mpv that are fakes, on a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from audiostream.client import Volume
from audiostream.client.headless_player import HeadlessPlayer
from audiostream.client.mpv_supervisor import MpvSupervisor
from tests.support.fake_mpv import FakeMpv
from tests.support.fake_player import FakePlayer, track
from tests.support.fakes import FakeClock
from tests.support.waiting import until

ONE, TWO, THREE = track("one"), track("two"), track("three")


@dataclass
class Kitchen:
    """A running headless player."""

    clock: FakeClock = field(default_factory=FakeClock)
    volume: Volume = field(default_factory=Volume)

    def __post_init__(self) -> None:
        self.player = FakePlayer(self.clock)
        self.mpv = FakeMpv(self.clock)
        supervisor = MpvSupervisor(self.mpv.start, self.clock, self.sleep)
        self.headless = HeadlessPlayer(self.player, supervisor, self.volume, self.clock)

    async def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def hears(self, *urls: str) -> None:
        """Wait until these URLs are loaded, and the first one sounds."""
        await until(lambda: self.mpv.urls == list(urls))
        await self.rests()

    async def rests(self) -> None:
        """Wait until nothing more is done of itself."""
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def reported(self) -> dict[str, Any]:
        """Report now; return the last report."""
        await self.headless._reporter.report()
        return self.player.named("report")[-1]


@asynccontextmanager
async def running(kitchen: Kitchen) -> AsyncIterator[Kitchen]:
    task = asyncio.create_task(kitchen.headless.run())
    try:
        await kitchen.rests()
        yield kitchen
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def plays_one(kitchen: Kitchen) -> None:
    """Track one plays at 10 s, and two follows."""
    kitchen.player.receive("trackPlaying", ONE, 10.0, next_track=TWO)
    await kitchen.hears(ONE.stream_url, TWO.stream_url)
    await kitchen.headless._reporter.report()
    kitchen.player.sent.clear()
    kitchen.mpv.commands.clear()
