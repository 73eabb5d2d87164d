"""Run an application: listening sockets, signals, log format, open-file limit, shutdown.

Programs that embed audiostream call ``run(app, settings)``, and get what the command line has. With
``serving(app, settings)`` inside their own event loop they get the fast path, the header timeout
and an access log without query strings, and call ``configure_logging`` and
``raise_open_file_limit`` for the rest.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import TypeAlias, cast

from aiohttp import web
from aiohttp.log import access_logger

from .ops import systemd
from .ops.access_log import AccessLogger
from .ops.aiohttp_compat import has_request_handler_internals
from .ops.half_close import half_close_protocols
from .ops.listening_sockets import BACKLOG, ListeningSockets, listen
from .ops.logging import ClientErrorFilter, JsonFormatter, PlainFormatter
from .services import SERVICES
from .settings import Settings

ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]

SHUTDOWN_TIMEOUT = 1.0
"""Seconds that requests under way may still take at a stop; aiohttp waits up to twice as long."""
LINGERING_TIME = 1.0
"""Seconds that a refused request's body is still read, so that its client sees the refusal."""
_log = logging.getLogger("audiostream")


def configure_logging(settings: Settings) -> None:
    """Log to stderr at INFO, as text or JSON, without credentials."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.json_log else PlainFormatter())
    handler.addFilter(ClientErrorFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def run(app: web.Application, settings: Settings) -> None:
    """Serve an application of ``create_app`` until SIGINT or SIGTERM.

    SIGHUP scans the media folder again. A program that has set up logging keeps it, and may use
    ``audiostream.ops.logging``. Raises ``SettingsError`` where an address cannot be listened at.
    """
    configure_logging(settings)
    raise_open_file_limit()
    app.on_startup.append(_rescan_on_hangup)
    app.on_shutdown.append(_stopping)
    app.cleanup_ctx.append(_watched)
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(app, settings))


async def _run(app: web.Application, settings: Settings) -> None:
    """Serve until a signal says stop. Raises ``SettingsError`` where an address cannot be had."""
    stop = asyncio.Event()
    async with serving(app, settings) as sockets:
        _stop_at_signals(stop)
        _announce(sockets)
        await stop.wait()


@asynccontextmanager
async def serving(app: web.Application, settings: Settings) -> AsyncIterator[ListeningSockets]:
    """Serve ``app`` within the context. Raises ``SettingsError`` where an address cannot be had.

    ``app`` may also contain one of ``create_app``: aiohttp answers everything then.
    """
    runner = web.AppRunner(
        app,
        access_log=access_logger if settings.access_log else None,
        access_log_class=AccessLogger,
        keepalive_timeout=settings.limits.header_timeout,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        lingering_time=LINGERING_TIME,
    )
    await runner.setup()
    server = cast(web.Server, runner.server)
    with _fast_path(app, server) if settings.fast_path else nullcontext() as protocol:
        try:
            with listen(settings.hosts, settings.port) as sockets:
                async with _accepting(sockets, protocol or _protocols(server)):
                    yield sockets
        finally:
            await runner.cleanup()


def _fast_path(
    app: web.Application, server: web.Server
) -> AbstractContextManager[ProtocolFactory | None]:
    try:
        from .streaming.fastpath import fast_path
    except ModuleNotFoundError:  # the package may be deleted: aiohttp answers everything then
        return nullcontext()
    return fast_path(app, server)


def _protocols(server: web.Server) -> ProtocolFactory:
    return half_close_protocols(server) if has_request_handler_internals() else server


@asynccontextmanager
async def _accepting(
    sockets: ListeningSockets, protocol: Callable[[], asyncio.BaseProtocol]
) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for each in sockets.tcp:
            server = await loop.create_server(protocol, sock=each, backlog=BACKLOG)
            stack.callback(server.close)
        for each in sockets.unix:
            server = await loop.create_unix_server(protocol, sock=each, backlog=BACKLOG)
            stack.callback(server.close)
        yield


def _stop_at_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def raise_open_file_limit() -> None:
    """Raise the soft limit to the hard one: the usual 1,024 is for programs that use select()."""
    with suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _announce(sockets: ListeningSockets) -> None:
    _log.info("listening at %s; stop with Ctrl+C", sockets.describe())
    systemd.notify("READY=1")


async def _stopping(_: web.Application) -> None:
    systemd.notify("STOPPING=1")


async def _watched(_: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(systemd.send_keepalives())
    yield
    task.cancel()


async def _rescan_on_hangup(app: web.Application) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, app[SERVICES].rescan.set)
