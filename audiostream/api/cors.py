"""Cross-origin resource sharing: which pages of other origins may use the API."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp_cors
from aiohttp import web

_REQUEST_HEADERS = ("Authorization", "Content-Type", "If-None-Match", "If-Range", "Range")
_RESPONSE_HEADERS = (
    "Accept-Ranges",
    "Content-Range",
    "ETag",
    "X-Library-Scanning",
    "X-Library-Version",
    "X-Total-Count",
)
_PREFLIGHT_MAX_AGE = 600  # seconds


def add_cors(
    app: web.Application, origins: tuple[str, ...], routes: Iterable[web.AbstractRoute]
) -> None:
    """Add CORS and preflight to routes; the origin ``*`` gets no credentials (Fetch §3.2.5)."""
    if not origins:
        return
    options = {
        origin: aiohttp_cors.ResourceOptions(  # type: ignore[no-untyped-call]
            allow_credentials=origin != "*",
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
            max_age=_PREFLIGHT_MAX_AGE,
        )
        for origin in origins
    }
    cors = aiohttp_cors.setup(app, defaults=options)
    for route in tuple(routes):
        cors.add(route)
