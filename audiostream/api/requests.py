"""What handlers read from a request: its user, its JSON body, its numbers."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ..auth.credentials import bearer_token
from ..auth.tickets import Identity
from ..errors import InvalidMessage, RateLimited, Unauthorized
from ..protocol.strict_json import parse_json_object
from ..services import SERVICES
from .response_delivery import attribute_to_user


def authenticate(request: web.Request) -> Identity:
    """Return whose access token the request carries. Raises ``Unauthorized``."""
    services = request.app[SERVICES]
    token = bearer_token(request.headers.get("Authorization"))
    if token is None:
        raise Unauthorized("send the token as: Authorization: Bearer TOKEN")
    identity = services.tokens.verify(token, services.wall_clock())
    attribute_to_user(request, identity.user_id)
    return identity


def authenticate_command(request: web.Request) -> str:
    """Return the user of a command, and count it. Raises ``Unauthorized`` and ``RateLimited``."""
    user_id = authenticate(request).user_id
    services = request.app[SERVICES]
    if not services.command_limits.try_acquire(user_id, services.clock()):
        raise RateLimited("too many commands at once; wait a moment")
    return user_id


async def read_json_object(request: web.Request) -> dict[str, Any]:
    """Return the body's JSON object, an empty one without a body.

    Raises ``InvalidMessage``, and ``HTTPRequestTimeout`` for a body that takes too long.
    """
    limits = request.app[SERVICES].settings.limits
    try:
        async with asyncio.timeout(limits.body_timeout):
            text = (await request.read()).decode()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError:
        raise InvalidMessage("the body is not encoded as its headers say") from None
    except UnicodeDecodeError:
        raise InvalidMessage("the body must be JSON in UTF-8") from None
    return parse_json_object(text, limits.max_json_depth) if text.strip() else {}


def read_count(request: web.Request, name: str) -> int | None:
    """Return a number from the query, None where it is absent. Raises ``InvalidMessage``."""
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidMessage(f'"{name}" must be a whole number, 0 or more')
    return int(text)
