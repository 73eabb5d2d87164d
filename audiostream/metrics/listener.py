"""The listening socket that serves ``/metrics`` and nothing else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import web

from ..ops.listening_sockets import listen
from ..services import SERVICES

SHUTDOWN_TIMEOUT: Final = 1.0
"""Seconds that an answer may still take at a stop."""
_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def listen_for_metrics(
    host: str, port: int, respond: Handler, app: web.Application
) -> AsyncIterator[None]:
    """Serve ``respond`` as long as ``app`` runs; a clean-up context.

    ``host`` may be ``unix:`` and a path. Raises ``SettingsError`` where it cannot be listened at.
    """
    own = web.Application()
    own.router.add_get("/metrics", respond)
    runner = web.AppRunner(
        own,
        access_log=None,  # a line every 15 s
        keepalive_timeout=app[SERVICES].settings.limits.header_timeout,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
    )
    with listen((host,), port, option="port in AUDIOSTREAM_METRICS") as sockets:
        await runner.setup()
        try:
            for each in (*sockets.tcp, *sockets.unix):
                await web.SockSite(runner, each).start()
            _log.info("metrics for everybody who can connect to %s", sockets.describe())
            yield
        finally:
            await runner.cleanup()
