"""The background tasks of an application: saving playback, scanning the library, housekeeping.

Each is a clean-up context: the task starts with the application and is cancelled at its end.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

from aiohttp import web

from .clocks import StepDetector
from .errors import StoreError, TrackNotFound
from .library.library import Library
from .library.scanner import ScanProgress
from .rooms.library_subscriptions import LibrarySubscriptions
from .services import SERVICES
from .storage.loader import RoomLoader
from .storage.playback_store import PlaybackStore
from .storage.saver import StateSaver
from .storage.scan_cache import ScanCache
from .storage.throttled_warning import ThrottledWarning
from .websocket import gateway

PROGRESS_INTERVAL: Final = 1.0
"""Seconds between two reports of a scan's progress."""
HOUSEKEEPING_INTERVAL: Final = 1.0
"""Seconds. Freezing a playback, and noticing that the clock was set, may be late by as much."""
_log = logging.getLogger(__name__)


async def save(app: web.Application) -> AsyncIterator[None]:
    """Keep what changes: in the state file, or in a store that several processes share."""
    services = app[SERVICES]
    cluster = services.storage.cluster
    if cluster is None:
        async with _state_file(app):
            yield
    else:
        services.storage.loader, services.storage.saver = cluster.rooms, cluster
        async with cluster.running(partial(_revoke, app), partial(gateway.close_excess, app)):
            yield


@asynccontextmanager
async def _state_file(app: web.Application) -> AsyncIterator[None]:
    """Open the state file, save what changes, and close it at the end."""
    services = app[SERVICES]
    registry, clock, warn = services.registry, services.clock, ThrottledWarning(services.clock)
    settings = services.settings
    store = await asyncio.to_thread(PlaybackStore, settings.state, settings.max_history)
    with (
        ThreadPoolExecutor(1, "audiostream-state") as writer,
        ThreadPoolExecutor(1, "audiostream-state-reader") as reader,
    ):
        saver = StateSaver(registry, store, writer, clock, warn, partial(_revoke, app))
        services.storage.saver = saver
        services.storage.loader = RoomLoader(
            registry, store, writer if store.is_in_memory else reader, warn
        )
        await saver.flush()  # loads revocations before the first request
        async with _running(saver.run(services.counters.flushes.observe)):
            yield
        await saver.close()


def _revoke(app: web.Application, revoked: Mapping[str, float]) -> None:
    """Refuse the credentials that users were given before, and disconnect those users."""
    tokens = app[SERVICES].tokens
    user_ids = {user for user, at in revoked.items() if tokens.revoked.get(user) != at}
    tokens.revoked = revoked
    gateway.close_revoked(app, user_ids)
    app[SERVICES].stream_slots.disconnect_all_of(user_ids)


async def scan(app: web.Application) -> AsyncIterator[None]:
    """Load the result of the last scan; scan at the start and whenever ``rescan`` is set."""
    services = app[SERVICES]
    library, watch = services.library, services.library_subscriptions
    stop = threading.Event()
    cache = ScanCache(services.settings.state, services.settings.media.resolve())
    if services.storage.cluster is not None:  # nothing else opens the state file
        await asyncio.to_thread(_create, cache)
    await asyncio.to_thread(_load_cached, library, cache)

    def exists(user_id: str, track_id: str) -> bool:
        try:
            library.find(track_id, user_id)
        except TrackNotFound:
            return False
        return True

    async def run() -> None:
        while True:
            services.rescan.clear()
            try:
                with watch.scanning():
                    found = await asyncio.to_thread(_scan, library, cache, stop)
                await _notify(watch)
                if found:  # an empty folder is probably a disk that is not mounted
                    await services.storage.saver.review(exists, services.wall_clock())
            except Exception:
                _log.exception("the scan failed; what was known of the media folder stays")
            await services.rescan.wait()

    async with _running(run()):
        yield
        stop.set()


async def housekeep(app: web.Application) -> AsyncIterator[None]:
    """Do what is due in the rooms, and adjust timers after the wall clock was set."""
    services = app[SERVICES]
    steps = StepDetector(services.wall_clock, services.clock)

    async def run() -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL)
            try:
                if step := steps.step():
                    _log.info("the clock was set by %+.1f s", step)
                    gateway.adjust_to_clock_step(app, step)
                services.registry.housekeep()
                # A first scan publishes tracks as it goes.
                await _notify(services.library_subscriptions)
            except Exception:
                _log.exception("looking after the rooms failed; it is tried again")

    async with _running(run()):
        yield


async def _notify(subscriptions: LibrarySubscriptions) -> None:
    """Notify all subscribers, with a loop iteration for others after each part of them."""
    for _ in subscriptions.notify():
        await asyncio.sleep(0)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _create(cache: ScanCache) -> None:
    try:
        cache.create()
    except StoreError as error:
        _log.warning("%s The next start scans anew.", error)


def _load_cached(library: Library, cache: ScanCache) -> None:
    """Load the tracks of the last scan: lists are complete from the first request on."""
    try:
        library.restore(cache.load())
    except ValueError:
        _log.warning("what was kept of the last scan is damaged; it is made anew")
        cache.invalidate()


def _scan(library: Library, cache: ScanCache, stop: threading.Event) -> int:
    """Return how many tracks a scan found; 0 where it was stopped."""
    progress = ProgressReporter()
    report = library.scan(progress, stop)
    progress.clear()
    if stop.is_set():
        return 0
    _log.info("the library has %d tracks (scanned in %.3f s)", report.tracks, report.elapsed)
    try:
        cache.save(library.rows())
    except StoreError as error:
        _log.warning("%s; the next start scans anew", error)
    return report.tracks


class ProgressReporter:
    """Reports a scan's progress: as log lines, or as one line that a terminal redraws."""

    def __init__(self) -> None:
        self._reported_at = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def __call__(self, progress: ScanProgress) -> None:
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_INTERVAL:
            return
        self._reported_at = now
        if self._is_terminal:
            sys.stderr.write(f"\rscanning: {progress.found} tracks so far ")
            sys.stderr.flush()
        else:
            _log.info("scanning: %d tracks so far", progress.found)

    def clear(self) -> None:
        """Erase the terminal's line."""
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
