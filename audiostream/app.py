"""The only wiring: what the application keeps, which routes it has, how it starts and stops.

Here: ``create_app`` and the life of what it makes. Not here: any behaviour of a route. Programs
that embed audiostream call ``create_app`` and run the result, or mount it with ``add_subapp``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp_cors
from aiohttp import web

from .api import artwork as covers
from .api import pages
from .api import routes as rest
from .api.responses import ANSWERS, PATIENCE, Answers, send_in_pieces
from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .clocks import StepDetector, wall_clock
from .errors import StoreError, TrackNotFound
from .library.library import Library
from .library.scanner import ScanProgress
from .ops.proxies import PROXIES, Proxies, note_client
from .rate_limit import Allowances
from .rooms.library_watch import LibraryWatch
from .rooms.registry import Registry
from .services import (
    CLOCK,
    FILES,
    LIBRARY,
    LIBRARY_WATCH,
    REGISTRY,
    RESCAN,
    ROOM_LOADER,
    SESSION_COOKIE,
    SETTINGS,
    STATE_SAVER,
    STREAMS,
    TOKENS,
    WAITING,
    WALL_CLOCK,
)
from .settings import Settings
from .storage.loader import RoomLoader
from .storage.playback_store import PlaybackStore
from .storage.saver import StateSaver
from .storage.scan_cache import ScanCache
from .storage.throttled_warning import ThrottledWarning
from .streaming.route import stream
from .streaming.stream_slots import STREAM_SLOTS, StreamSlots
from .websocket import gateway
from .websocket.arrivals import Arrivals
from .websocket.sockets import Turn

if TYPE_CHECKING:
    from .socketio.gateway import Endpoint

FILE_THREADS = 8
"""Threads that wait for the disk, apart from those that anything else waits on."""
PROGRESS_EVERY = 1.0
"""Seconds between two lines of a scan's progress."""
_log = logging.getLogger(__name__)


def create_app(
    settings: Settings, *, wall_clock: Callable[[], float] = wall_clock
) -> web.Application:
    """An application that serves ``settings.media`` to the holders of its tokens.

    ``wall_clock`` answers epoch seconds, and may be set while the application runs. Raises
    ``LibraryError`` when the media folder cannot be read.
    """
    app = web.Application(
        middlewares=[note_client, send_in_pieces, rest.errors_as_json],
        client_max_size=settings.limits.max_body,
    )
    clock = time.monotonic
    library, tokens = Library(settings.media), tokens_of(settings)
    catalogue = rest.TrackCatalogue(app, library, tokens)
    app[SETTINGS] = settings
    app[CLOCK] = clock
    app[WALL_CLOCK] = wall_clock
    app[LIBRARY] = library
    app[LIBRARY_WATCH] = LibraryWatch(library)
    app[TOKENS] = tokens
    app[PROXIES] = Proxies(settings.trusted_proxies)
    app[SESSION_COOKIE] = SessionCookie(app, tokens)
    app[rest.CATALOGUE] = catalogue
    app[rest.COMMANDS] = Allowances(settings.limits.commands_per_second)
    app[REGISTRY] = Registry(catalogue, clock, settings.sync_tolerance, wall_clock)
    app[FILES] = ThreadPoolExecutor(FILE_THREADS, "audiostream-files")
    app[gateway.CONNECTIONS] = set()
    app[gateway.ARRIVALS] = Arrivals()
    app[gateway.TURN] = Turn()
    app[RESCAN] = asyncio.Event()
    app[ANSWERS] = Answers(min(PATIENCE, settings.limits.stall_timeout))
    app[STREAMS] = Counter()
    app[STREAM_SLOTS] = StreamSlots(app[STREAMS], settings.limits.stall_timeout)
    app[WAITING] = Counter()
    _add_routes(app)
    _add_cors(app, settings.cors_origins)
    app.on_shutdown.append(gateway.close_all)
    app.on_cleanup.append(gateway.stop_reading)
    app.cleanup_ctx.extend([_files, _keeping, _scans, _settling])
    _add_socketio(app)
    if settings.has_weak_secret:
        _log.warning("JWT_SECRET is short enough to be guessed; use it for nothing that matters")
    return app


def tokens_of(settings: Settings) -> Tokens:
    """The tokens that these settings ask for."""
    return Tokens(
        settings.jwt_secret,
        user_claim=settings.jwt_user_claim,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        require_exp=settings.jwt_require_exp,
    )


def _add_routes(app: web.Application) -> None:
    for base in ("", "/api"):
        app.add_routes(
            [
                web.get(f"{base}/tracks", rest.list_tracks),
                web.get(f"{base}/tracks/current-state", rest.current_state),
                web.get(f"{base}/tracks/{{id}}", rest.get_track),
                web.get(f"{base}/tracks/cover/{{id}}", covers.cover),
                web.post(f"{base}/tracks/play/{{id}}", rest.play),
                web.post(f"{base}/tracks/pause/{{id}}", rest.pause),
                web.post(f"{base}/tracks/update-state/{{id}}", rest.update_state),
                web.post(f"{base}/session", rest.open_session),
                web.delete(f"{base}/session", rest.close_session),
                web.get(f"{base}/healthz", rest.health),
            ]
        )
    app.router.add_get("/tracks/stream/{id}", stream)
    app.router.add_get("/api/tracks/stream/{id}", stream, name="stream")
    app.router.add_get("/ws", gateway.websocket)
    app.router.add_get("/", _page_or_websocket, name="index")
    for path in pages.PATHS:
        app.router.add_get(path, pages.page)


def _add_cors(app: web.Application, origins: tuple[str, ...]) -> None:
    """Let pages of other origins use REST; ``*`` gets no credentials (Fetch §3.3.5)."""
    if not origins:
        return
    cors = aiohttp_cors.setup(
        app,
        defaults={
            origin: aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
                allow_credentials=origin != "*",
                allow_headers=(
                    "Authorization",
                    "Content-Type",
                    "If-None-Match",
                    "If-Range",
                    "Range",
                ),
                expose_headers=(
                    "Accept-Ranges",
                    "Content-Range",
                    "ETag",
                    "X-Library-Scanning",
                    "X-Library-Version",
                    "X-Total-Count",
                ),
                max_age=600,
            )
            for origin in origins
        },
    )
    for route in list(app.router.routes()):
        if route.handler not in {gateway.websocket, _page_or_websocket, pages.page}:
            cors.add(route)


def _add_socketio(app: web.Application) -> None:
    if importlib.util.find_spec("socketio") is None:
        _log.info("no Socket.IO: it comes with pip install 'audiostream[socketio]'")
        return
    endpoint = LateEndpoint(app)
    app.router.add_route("*", "/socket.io/", endpoint.handle)
    app.on_shutdown.append(endpoint.stop)


class LateEndpoint:
    """Socket.IO from its first client on: nobody else pays the 6 MiB and the time to import it."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._endpoint: Endpoint | None = None
        self._loading = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request of a client."""
        endpoint = self._endpoint or await self._load()
        return await endpoint.handle(request)

    async def stop(self, _: web.Application) -> None:
        """At shutdown."""
        if self._endpoint is not None:
            await self._endpoint.stop()

    async def _load(self) -> Endpoint:
        async with self._loading:
            if self._endpoint is None:
                name = f"{__package__}.socketio.gateway"
                module = await asyncio.to_thread(importlib.import_module, name)
                self._endpoint = module.Endpoint(self._app)
            return self._endpoint


async def _page_or_websocket(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await gateway.websocket(request)
    return await pages.page(request)


async def _files(app: web.Application) -> AsyncIterator[None]:
    yield
    app[ANSWERS].close()
    app[FILES].shutdown(wait=False)  # what is still queued there are files to be closed


async def _keeping(app: web.Application) -> AsyncIterator[None]:
    store = await asyncio.to_thread(PlaybackStore, app[SETTINGS].state)

    def revoke(revoked: Mapping[str, float]) -> None:
        newly = {user for user, at in revoked.items() if app[TOKENS].revoked.get(user) != at}
        app[TOKENS].revoked = revoked
        gateway.close_revoked(app, newly)
        app[STREAM_SLOTS].disconnect_all_of(newly)

    warn = ThrottledWarning(app[CLOCK])
    with ThreadPoolExecutor(1, "audiostream-state") as writer:
        reader = ThreadPoolExecutor(1, "audiostream-state-reader")
        app[ROOM_LOADER] = RoomLoader(
            app[REGISTRY], store, writer if store.is_in_memory else reader, warn
        )
        saver = StateSaver(app[REGISTRY], store, writer, app[CLOCK], warn, revoke)
        app[STATE_SAVER] = saver
        await (
            saver.flush()
        )  # a token that was revoked before the start is refused from the first on
        async with _background(saver.run()):
            yield
        reader.shutdown()
        await saver.close()


async def _settling(app: web.Application) -> AsyncIterator[None]:
    steps = StepDetector(app[WALL_CLOCK], app[CLOCK])

    async def settle() -> None:
        while True:
            await asyncio.sleep(1)
            try:
                if step := steps.step():
                    _log.info("the clock was set by %+.1f s", step)
                    gateway.adjust_to_clock_step(app, step)
                app[REGISTRY].settle()
                await app[LIBRARY_WATCH].tell()  # of what a first scan has published so far
            except Exception:
                _log.exception("looking after the rooms failed; it is tried again")

    async with _background(settle()):
        yield


async def _scans(app: web.Application) -> AsyncIterator[None]:
    stop = threading.Event()
    cache = ScanCache(app[SETTINGS].state, app[SETTINGS].media.resolve())
    await asyncio.to_thread(_restore, app[LIBRARY], cache)

    async def scan() -> None:
        while True:
            app[RESCAN].clear()
            try:
                with app[LIBRARY_WATCH].scan():
                    found = await asyncio.to_thread(_scan, app[LIBRARY], cache, stop)
                await app[LIBRARY_WATCH].tell()
                if found:  # an empty folder is a disk that is not mounted
                    await app[STATE_SAVER].review(partial(_has, app[LIBRARY]), app[WALL_CLOCK]())
            except Exception:
                _log.exception("the scan failed; what was known of the media folder stays")
            await app[RESCAN].wait()

    async with _background(scan()):
        yield
        stop.set()


def _restore(library: Library, cache: ScanCache) -> None:
    """Lists are complete from the first request on; what has changed since, the scan finds."""
    try:
        library.restore(cache.load())
    except ValueError:
        _log.warning("what was kept of the last scan is damaged; it is made anew")
        cache.invalidate()


def _has(library: Library, user_id: str, track_id: str) -> bool:
    try:
        library.find(track_id, user_id)
    except TrackNotFound:
        return False
    return True


def _scan(library: Library, cache: ScanCache, stop: threading.Event) -> int:
    """How many tracks a scan found; 0 where it was stopped."""
    line = ProgressLine()
    report = library.scan(line, stop)
    line.clear()
    if stop.is_set():
        return 0
    _log.info("the library has %d tracks (scanned in %.3f s)", report.tracks, report.elapsed)
    try:
        cache.save(library.rows())
    except StoreError as error:
        _log.warning("%s; the next start scans anew", error)
    return report.tracks


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class ProgressLine:
    """How far a scan is: a line in the log every second, or one line that a terminal redraws."""

    def __init__(self) -> None:
        self._said = time.monotonic()
        self._on_terminal = sys.stderr.isatty()

    def __call__(self, progress: ScanProgress) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_EVERY:
            return
        self._said = now
        if self._on_terminal:
            sys.stderr.write(f"\rscanning: {progress.found} tracks so far ")
            sys.stderr.flush()
        else:
            _log.info("scanning: %d tracks so far", progress.found)

    def clear(self) -> None:
        """Leave the terminal as it was, for what comes next."""
        if self._on_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
