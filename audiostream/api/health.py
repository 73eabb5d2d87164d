"""``GET /healthz``, for monitoring."""

from __future__ import annotations

from aiohttp import web

from ..services import SERVICES
from .responses import NO_SNIFF, NO_STORE


async def health(request: web.Request) -> web.Response:
    """Respond ``ok``, or ``degraded`` while the state file cannot be written."""
    status = "degraded" if request.app[SERVICES].storage.saver.is_degraded else "ok"
    return web.json_response({"status": status}, headers={**NO_STORE, **NO_SNIFF})
