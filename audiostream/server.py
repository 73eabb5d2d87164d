"""Run an application: listening sockets, signals, log format, open-file limit, shutdown.

Programs that embed audiostream call ``run(app, settings)``, or ``serving(app, settings)`` inside
their own event loop, and get what the command line has: the fast path, the header timeout and the
redacted access log.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import cast

from aiohttp import web
from aiohttp.log import access_logger

from .ops import systemd
from .ops.access_log import AccessLogger
from .ops.listening_sockets import BACKLOG, ListeningSockets, listen
from .ops.logging import ClientErrorFilter, JsonFormatter, PlainFormatter
from .services import SERVICES
from .settings import Settings
from .streaming.fastpath.protocol import Desk, Shortcut

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
    """Serve ``app`` until SIGINT or SIGTERM; SIGHUP scans the media folder again.

    Raises ``SettingsError`` where an address cannot be listened at.
    """
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
    """Serve ``app`` within the context. Raises ``SettingsError`` where an address cannot be had."""
    runner = web.AppRunner(
        app,
        access_log=access_logger if settings.access_log else None,
        access_log_class=AccessLogger,
        keepalive_timeout=settings.limits.header_timeout,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        lingering_time=LINGERING_TIME,
    )
    await runner.setup()
    desk, behind = Desk(app), cast(web.Server, runner.server)
    try:
        with listen(settings.hosts, settings.port) as sockets:
            async with _accepting(sockets, lambda: Shortcut(desk, behind())):
                yield sockets
    finally:
        await runner.cleanup()
        desk.close()


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
