"""The session cookie, which authenticates a browser's ``<audio>`` at the stream route."""

from __future__ import annotations

from aiohttp import web

from ..services import SERVICES
from .requests import authenticate
from .responses import NO_STORE


async def open_session(request: web.Request) -> web.Response:
    """``POST /session``: set the cookie, which lives as long as the access token."""
    services = request.app[SERVICES]
    value, max_age = services.tokens.session(authenticate(request), services.wall_clock())
    response = web.Response(status=204, headers=NO_STORE)
    services.session_cookie.set(response, request, value, max_age)
    return response


async def close_session(request: web.Request) -> web.Response:
    """``DELETE /session``: delete the cookie. Needs no credential, as it discloses nothing."""
    response = web.Response(status=204, headers=NO_STORE)
    request.app[SERVICES].session_cookie.delete(response, request)
    return response
