"""How late the event loop is: what all devices of the process wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from aiohttp import web

from ..ops.counters import Histogram
from ..services import SERVICES

INTERVAL: Final = 1.0
"""Seconds between two measurements."""


async def measure_lag(app: web.Application) -> AsyncIterator[None]:
    """Measure as long as the application runs; a clean-up context."""
    task = asyncio.create_task(_measure(app[SERVICES].counters.loop_lag))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _measure(lag: Histogram) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        lag.observe(max(0.0, loop.time() - due))
