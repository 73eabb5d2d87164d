"""The Origin check of WebSocket and Socket.IO handshakes."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from ..errors import Forbidden
from ..ops.proxies import client_of
from ..services import SERVICES

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_origin(request: web.Request) -> None:
    """Raise ``Forbidden`` for a page of a foreign origin.

    Browsers send the page's origin with every handshake, and CORS does not guard WebSockets
    (RFC 6455 §10.2). Other clients send no Origin and are let in.
    """
    origin = request.headers.get("Origin")
    allowed = request.app[SERVICES].settings.cors_origins
    if origin is None or "*" in allowed or origin.lower() in allowed:
        return
    if not is_same_origin(origin, client_of(request).host):
        raise Forbidden(
            "this origin may not connect; the server's CORS_ORIGINS names those that may"
        )


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether an Origin header names the host of a Host header, with the same port."""
    try:
        parts, own = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(parts.scheme)
        return (
            default is not None
            and parts.hostname is not None
            and parts.hostname == own.hostname
            and (parts.port or default) == (own.port or default)
        )
    except ValueError:  # a port that is none
        return False
