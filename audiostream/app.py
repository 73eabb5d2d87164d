"""The wiring: builds the services, adds routes and CORS, and registers what starts and stops.

Programs that embed audiostream call ``create_app`` and run the result, or mount it with
``add_subapp``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aiohttp import web

from . import background
from . import services as keys
from .api import pages
from .api.catalogue import TrackCatalogue
from .api.cors import add_cors
from .api.delivery import STALL_TIMEOUT, ResponseSender
from .api.errors import errors_as_json
from .api.routes import routes
from .api.shared_bodies import SharedBodies
from .auth.access_tokens import Tokens
from .auth.cookies import SessionCookie
from .clocks import wall_clock
from .library.library import Library
from .ops.proxies import PROXIES, Proxies
from .rate_limit import Allowances
from .rooms.library_watch import LibraryWatch
from .rooms.registry import Registry
from .services import SERVICES, Services, Storage
from .settings import Settings
from .socketio.lazy import LazySocketIO
from .streaming import response as streaming
from .streaming.open_files import Descriptors
from .streaming.transfer import Listeners
from .websocket import gateway
from .websocket.arrivals import Arrivals
from .websocket.sockets import Turn

FILE_THREADS: Final = 8
"""Threads for what may wait for the disk: one slow disk does not block what uses other threads."""
_log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None, *, wall_clock: Callable[[], float] = wall_clock
) -> web.Application:
    """Return an application that serves ``settings.media`` to the holders of its tokens.

    Without settings they are read from the environment. ``wall_clock`` returns epoch seconds, and
    may be set while the application runs. Raises ``SettingsError``, and ``LibraryError`` when the
    media folder cannot be read.
    """
    settings = settings or Settings.load(os.environ)
    proxies = Proxies(settings.trusted_proxies)
    sender = ResponseSender(min(STALL_TIMEOUT, settings.limits.stall_timeout))
    app = web.Application(
        middlewares=[proxies.identify_client, sender.middleware, errors_as_json],
        client_max_size=settings.limits.max_body,
    )
    app[SERVICES] = services = _build_services(app, settings, sender, wall_clock)
    _set_other_keys(app, services, proxies)
    _add_routes(app)
    app.on_shutdown.append(gateway.close_all)
    app.on_cleanup.append(gateway.stop_reading)
    app.cleanup_ctx.extend([_close_files, background.save, background.scan, background.housekeep])
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
    sender: ResponseSender,
    wall_clock: Callable[[], float],
) -> Services:
    library, tokens = Library(settings.media), tokens_of(settings)

    def get_stream_path() -> str:
        return app.router["stream"].url_for(id="-").raw_path.removesuffix("-")

    catalogue = TrackCatalogue(library, tokens, wall_clock, get_stream_path)
    registry = Registry(catalogue, time.monotonic, settings.sync_tolerance, wall_clock)
    return Services(
        settings=settings,
        clock=time.monotonic,
        wall_clock=wall_clock,
        tokens=tokens,
        session_cookie=SessionCookie(app, tokens),
        library=library,
        library_watch=LibraryWatch(library),
        catalogue=catalogue,
        registry=registry,
        storage=Storage(),
        command_limits=Allowances(settings.limits.commands_per_second),
        shared_bodies=SharedBodies(sender),
        rescan=asyncio.Event(),
        file_executor=ThreadPoolExecutor(FILE_THREADS, "audiostream-files"),
        open_streams=Counter(),
        unauthenticated=Counter(),
    )


def _add_routes(app: web.Application) -> None:
    for prefix in ("", "/api"):
        app.add_routes(routes(prefix))
    app.router.add_get("/tracks/stream/{id}", streaming.stream)
    app.router.add_get("/api/tracks/stream/{id}", streaming.stream, name="stream")
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


async def _page_or_websocket(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await gateway.websocket(request)
    return await pages.page(request)


async def _close_files(app: web.Application) -> AsyncIterator[None]:
    yield
    app[SERVICES].shared_bodies.close()
    app[streaming.DESCRIPTORS].shut()
    app[SERVICES].file_executor.shutdown(wait=False)  # which still closes the queued files


def _set_other_keys(app: web.Application, services: Services, proxies: Proxies) -> None:
    """Set the keys of packages that do not use ``SERVICES`` yet."""
    app[keys.SETTINGS] = services.settings
    app[keys.WALL_CLOCK] = services.wall_clock
    app[keys.LIBRARY] = services.library
    app[keys.LIBRARY_WATCH] = services.library_watch
    app[keys.TOKENS] = services.tokens
    app[keys.SESSION_COOKIE] = services.session_cookie
    app[keys.REGISTRY] = services.registry
    app[keys.FILES] = services.file_executor
    app[keys.RESCAN] = services.rescan
    app[keys.STREAMS] = services.open_streams
    app[keys.WAITING] = services.unauthenticated
    app[PROXIES] = proxies
    app[streaming.DESCRIPTORS] = Descriptors(partial(streaming.close_in, services.file_executor))
    app[streaming.LISTENERS] = Listeners(
        services.open_streams, services.settings.limits.stall_timeout
    )
    app[gateway.CONNECTIONS] = set()
    app[gateway.ARRIVALS] = Arrivals()
    app[gateway.TURN] = Turn()
