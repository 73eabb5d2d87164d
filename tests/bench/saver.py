"""What one flush of the saver costs while nothing happens, by the number of rooms in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from audiostream.protocol.messages import PauseTrack
from audiostream.rooms.registry import Registry
from audiostream.storage.playback_store import PlaybackStore
from audiostream.storage.saver import StateSaver
from audiostream.storage.throttled_warning import ThrottledWarning
from tests.support.fakes import Ear, Shelf

from .measure import Row, Spread, Target

ROOMS = (1_000, 20_000, 60_000)
FLUSHES = 50
"""Flushes of one round, of which the median counts."""


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows of CPU time, of the event loop's thread and the saver's."""
    for rooms in ROOMS:
        figures = [asyncio.run(flush_seconds(folder, rooms)) * 1000 for _ in range(rounds)]
        yield Row(
            "saver",
            f"one flush with {rooms:,} idle rooms",
            "ms",
            Spread.of(figures),
            target=Target(1.0, at_least=False),
        )


async def flush_seconds(folder: Path, rooms: int) -> float:
    """CPU seconds of a flush with so many saved rooms, each with a paused track and a device."""
    registry = Registry(Shelf(), time.monotonic)
    store = PlaybackStore(folder / f"saver-{rooms}.sqlite3")
    warn = ThrottledWarning(time.monotonic)
    with ThreadPoolExecutor(1) as writer:
        saver = StateSaver(registry, store, writer, time.monotonic, warn, lambda _: None)
        for number in range(rooms):
            registry.connect(f"user{number}", Ear(), "phone")
            registry.room(f"user{number}").perform(PauseTrack("song", 9.0))
        await saver.flush()
        figures = []
        for _ in range(FLUSHES):
            began = time.process_time()
            await saver.flush()
            figures.append(time.process_time() - began)
        await saver.close()
    return median(figures)
