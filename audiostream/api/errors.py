"""Exceptions of handlers as JSON responses, all of one form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from ..errors import AudiostreamError, Conflict
from .responses import error_response

CODES: Final[Mapping[int, str]] = {
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


def exception_response(request: web.Request, error: Exception) -> web.Response:
    """Return ``{"error": {"code", "message"}}`` for an exception of a handler.

    The text of an unexpected exception goes to the log alone: it may hold paths. Raises ``error``
    again where it is a redirect of aiohttp.
    """
    if isinstance(error, AudiostreamError):
        headers = _HEADERS.get(error.http_status, {})
        extra = {"state": error.state} if isinstance(error, Conflict) else {}
        return error_response(error.http_status, error.code, str(error), headers=headers, **extra)
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        code = CODES.get(error.status, "invalid_message")
        headers = {
            name: error.headers[name] for name in _PRESERVED_HEADERS if name in error.headers
        }
        return error_response(error.status, code, error.reason, headers=headers)
    if isinstance(error, ConnectionError):  # the client left: for the access log alone
        message = "the request did not arrive whole"
        return error_response(400, "invalid_message", message, headers={})
    _log.error("%s %s failed", request.method, request.path, exc_info=error)
    return error_response(500, "internal", "internal server error", headers={})
