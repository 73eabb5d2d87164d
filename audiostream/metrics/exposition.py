"""``install``: the route ``/metrics``, on a listening socket of its own or behind a token."""

from __future__ import annotations

import hmac
from functools import partial
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from ..api.responses import NO_SNIFF, NO_STORE
from ..auth.credentials import bearer_token
from ..errors import Unauthorized
from ..services import SERVICES
from ..setting_parsers import parse_host_and_port
from .collector import ServicesCollector
from .listener import listen_for_metrics
from .loop_lag import measure_lag

PATH: Final = "/metrics"
"""Where Prometheus looks unless it is told otherwise."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The text format in which all names are ASCII, which every Prometheus reads."""


def install(app: web.Application) -> None:
    """Add what the settings ask for to an application of ``create_app``."""
    settings, exposition = app[SERVICES].settings, Exposition(app)
    if settings.metrics is not None:
        host, port = parse_host_and_port("AUDIOSTREAM_METRICS", settings.metrics)
        # First: where the address is in use, nothing else has been opened yet.
        app.cleanup_ctx.insert(0, partial(listen_for_metrics, host, port, exposition.respond))
    if settings.metrics_token is not None:
        app.router.add_get(PATH, exposition.respond_to_token)
    app.cleanup_ctx.append(measure_lag)


class Exposition:
    """The metrics of one application and of its process, in a registry of their own."""

    def __init__(self, app: web.Application) -> None:
        services = app[SERVICES]
        self._registry = CollectorRegistry()
        self._registry.register(ServicesCollector(services))
        ProcessCollector(registry=self._registry)
        self._token = _encode(services.settings.metrics_token or "")

    async def respond(self, _: web.Request) -> web.Response:
        """Respond with all metrics."""
        headers = {"Content-Type": CONTENT_TYPE, **NO_STORE, **NO_SNIFF}
        return web.Response(body=generate_latest(self._registry), headers=headers)

    async def respond_to_token(self, request: web.Request) -> web.Response:
        """Respond to the token of the settings. Raises ``Unauthorized`` for any other."""
        token = bearer_token(request.headers.get("Authorization"))
        if token is None or not hmac.compare_digest(_encode(token), self._token):
            raise Unauthorized("send the token for metrics as: Authorization: Bearer TOKEN")
        return await self.respond(request)


def _encode(token: str) -> bytes:
    """Return the bytes of a header: ``compare_digest`` takes no text but ASCII."""
    return token.encode(errors="surrogateescape")
