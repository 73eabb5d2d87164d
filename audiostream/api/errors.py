"""Errors as JSON: a middleware that turns every exception into one form of response."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ..errors import AudiostreamError, Conflict
from .responses import error_response

_CODES: Final[Mapping[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    426: "upgrade_required",
}
"""The codes of errors that aiohttp raises."""
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
}
_PRESERVED_HEADERS: Final = ("Allow", "Sec-WebSocket-Version", "Upgrade")
_log = logging.getLogger(__name__)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond to every exception with ``{"error": {"code", "message"}}``.

    The text of an unexpected exception goes to the log alone: it may hold paths.
    """
    try:
        return await handler(request)
    except AudiostreamError as error:
        headers = _HEADERS.get(error.http_status, {})
        extra = {"state": error.state} if isinstance(error, Conflict) else {}
        return error_response(error.http_status, error.code, str(error), headers=headers, **extra)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = _CODES.get(error.status, "invalid_message")
        headers = {
            name: error.headers[name] for name in _PRESERVED_HEADERS if name in error.headers
        }
        return error_response(error.status, code, error.reason, headers=headers)
    except ConnectionError:  # the client disconnected, so this is for the access log alone
        message = "the request did not arrive whole"
        return error_response(400, "invalid_message", message, headers={})
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return error_response(500, "internal", "internal server error", headers={})
