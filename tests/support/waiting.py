"""Waiting for what must become true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds to wait for what must come, far more than it takes on a busy machine."""
POLL_INTERVAL = 0.02
"""Seconds between two looks."""


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait on the event loop until a condition is true. Raises ``TimeoutError``."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(POLL_INTERVAL)


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Block until a condition is true, or fail."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(POLL_INTERVAL)
