"""The wiring: builds the services, adds routes and CORS, and registers what starts and stops.

Programs that embed audiostream call ``create_app`` and run the result, or mount it with
``add_subapp``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from aiohttp import web

from . import __version__, background
from .api import pages
from .api.cors import add_cors
from .api.counting import counted
from .api.response_bodies import SharedBodies
from .api.response_delivery import STALL_TIMEOUT, ResponseSender
from .api.routes import routes
from .api.track_descriptions import TrackDescriptions
from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .clocks import wall_clock
from .errors import SettingsError
from .library.library import Library
from .ops.counters import Counters
from .ops.proxies import Proxies
from .rate_limit import TokenBuckets
from .rooms.library_subscriptions import LibrarySubscriptions
from .rooms.registry import Registry
from .services import SERVICES, Services, Storage
from .settings import Settings
from .socketio.lazy import LazySocketIO
from .streaming.route import stream
from .streaming.stream_slots import StreamSlots
from .websocket import gateway
from .websocket.counting import CountedWriteBatcher
from .websocket.heartbeat import HeartbeatMonitor
from .websocket.send_queue import WriteBatcher

if TYPE_CHECKING:
    from .cluster.process import ClusterProcess

FILE_THREADS: Final = 8
"""Threads for what may wait for the disk: one slow disk does not block what uses other threads."""
_log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = wall_clock,
) -> web.Application:
    """Return an application that serves ``settings.media`` to the holders of its tokens.

    Without settings they are read from the environment. ``clock`` returns monotonic seconds;
    ``wall_clock`` returns epoch seconds, and may be set while the application runs. Raises
    ``SettingsError``, and ``LibraryError`` when the media folder cannot be read.
    """
    settings = settings or Settings.load(os.environ)
    proxies = Proxies(settings.trusted_proxies)
    sender = ResponseSender(min(STALL_TIMEOUT, settings.limits.stall_timeout))
    app = web.Application(
        middlewares=[proxies.identify_client, sender.middleware],
        client_max_size=settings.limits.max_body,
    )
    app[SERVICES] = _build_services(app, settings, proxies, sender, clock, wall_clock)
    app.on_shutdown.append(gateway.close_all)  # before the Socket.IO endpoint stops
    _add_routes(app)
    app.cleanup_ctx.extend([_close_files, background.save, background.scan, background.housekeep])
    if settings.exposes_metrics:
        _expose_metrics(app)
    if settings.has_weak_secret:
        _log.warning("JWT_SECRET is short enough to be guessed; use it for nothing that matters")
    return app


def tokens_of(settings: Settings) -> Tokens:
    """Return the verifier and issuer that these settings describe."""
    return Tokens(
        settings.jwt_secret,
        user_claim=settings.jwt_user_claim,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        require_exp=settings.jwt_require_exp,
    )


def _build_services(
    app: web.Application,
    settings: Settings,
    proxies: Proxies,
    sender: ResponseSender,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
) -> Services:
    library, tokens = Library(settings.media), tokens_of(settings)
    descriptions = _build_descriptions(app, library, tokens, wall_clock)
    counters = Counters(counts_frames=settings.exposes_metrics)
    cluster = None
    if settings.redis:
        from .cluster.builder import build_cluster  # 1 MiB that one process does without

        cluster = build_cluster(settings, descriptions, clock, wall_clock)
    tolerance, max_queue = settings.sync_tolerance, settings.limits.max_queue
    registry = (
        cluster.registry
        if cluster
        else Registry(descriptions, clock, tolerance, wall_clock, max_queue=max_queue)
    )
    command_limits, stream_slots = _user_limits(settings, cluster)
    return Services(
        version=__version__,
        settings=settings,
        clock=clock,
        wall_clock=wall_clock,
        tokens=tokens,
        proxies=proxies,
        session_cookie=SessionCookie(app, tokens),
        library=library,
        library_subscriptions=LibrarySubscriptions(library),
        descriptions=descriptions,
        registry=registry,
        storage=Storage(cluster),
        counters=counters,
        command_limits=command_limits,
        shared_bodies=SharedBodies(sender),
        rescan=asyncio.Event(),
        file_executor=ThreadPoolExecutor(FILE_THREADS, "audiostream-files"),
        stream_slots=stream_slots,
        open_streams=stream_slots.counts,
        sessions=set(),
        unauthenticated=Counter(),
        write_batcher=CountedWriteBatcher(counters) if counters.counts_frames else WriteBatcher(),
        heartbeat_monitor=HeartbeatMonitor(),
    )


def _build_descriptions(
    app: web.Application, library: Library, tokens: Tokens, wall_clock: Callable[[], float]
) -> TrackDescriptions:
    def get_stream_path() -> str:
        return app.router["stream"].url_for(id="-").raw_path.removesuffix("-")

    return TrackDescriptions(library, tokens, wall_clock, get_stream_path)


def _user_limits(
    settings: Settings, cluster: ClusterProcess | None
) -> tuple[TokenBuckets, StreamSlots]:
    """Return what limits users' REST commands and streams: here, or in all processes together."""
    limits = settings.limits
    if cluster is not None:
        from .streaming.shared_slots import SharedStreamSlots

        shared = cluster.user_limits
        return shared.commands, SharedStreamSlots(shared, limits.stall_timeout)
    slots = StreamSlots(Counter(), limits.stall_timeout, limits.streams_per_user)
    return TokenBuckets(limits.commands_per_second), slots


def _add_routes(app: web.Application) -> None:
    counters = app[SERVICES].counters
    for prefix in ("", "/api"):
        table = routes(prefix)
        app.add_routes(counted(table, counters) if counters.counts_frames else table)
    app.router.add_get("/tracks/stream/{id}", stream)
    app.router.add_get("/api/tracks/stream/{id}", stream, name="stream")
    add_cors(app, app[SERVICES].settings.cors_origins, app.router.routes())
    app.router.add_get("/ws", gateway.websocket)
    app.router.add_get("/", _page_or_websocket, name="index")
    for path in pages.PATHS:
        app.router.add_get(path, pages.page)
    _add_socketio(app)


def _add_socketio(app: web.Application) -> None:
    if importlib.util.find_spec("socketio") is None:
        _log.info("no Socket.IO: it comes with pip install 'audiostream[socketio]'")
        return
    socketio = LazySocketIO(app)
    app.router.add_route("*", "/socket.io/", socketio.handle)
    app.on_shutdown.append(socketio.stop)


def _expose_metrics(app: web.Application) -> None:
    """Add what the settings of metrics ask for. Raises ``SettingsError`` without the extra."""
    if importlib.util.find_spec("prometheus_client") is None:
        raise SettingsError(
            "AUDIOSTREAM_METRICS and AUDIOSTREAM_METRICS_TOKEN need the package prometheus-client: "
            "pip install 'audiostream[metrics]'"
        )
    importlib.import_module(".metrics.exposition", __package__).install(app)


async def _page_or_websocket(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await gateway.websocket(request)
    return await pages.page(request)


async def _close_files(app: web.Application) -> AsyncIterator[None]:
    yield
    app[SERVICES].shared_bodies.close()
    app[SERVICES].file_executor.shutdown(wait=False)  # which still closes the queued files
