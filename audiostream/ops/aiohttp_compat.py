"""Every use of a private or undocumented part of aiohttp, with the version that it was checked on.

aiohttp is pinned below the next minor version (setup.cfg). Before that pin moves, read
``aiohttp/web_protocol.py`` of the new version for each name below.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

_REQUEST_HANDLER: Final = (
    "_keepalive",
    "_keepalive_handle",
    "_next_keepalive_close_time",
    "_process_keepalive",
    "_waiter",
)
"""What the functions below use of ``RequestHandler``; checked with aiohttp 3.14.5."""


def has_request_handler_internals() -> bool:
    """Return whether this aiohttp has all that the functions below use."""
    return all(hasattr(web.RequestHandler, name) for name in _REQUEST_HANDLER)


def is_idle(handler: web.RequestHandler) -> bool:
    """Return whether a connection's handler waits for a request: it has answered all before it.

    Checked with aiohttp 3.14.5: ``RequestHandler.start`` waits for ``_waiter`` between two
    requests, and sets it to None when it goes on.
    """
    waiter = handler._waiter
    return waiter is not None and not waiter.done()


def restart_idle_timer(handler: web.RequestHandler, now: float) -> None:
    """Let a connection be idle for ``keepalive_timeout`` seconds from ``now`` on.

    ``now`` is in seconds of the event loop's clock. For answers that aiohttp has not given, also
    after ``handler.keep_alive(False)``. Checked with aiohttp 3.14.5: ``RequestHandler.start`` does
    the same behind each answer, and a timer that finds a later time begins anew.
    """
    handler._keepalive = True
    handler._next_keepalive_close_time = now + handler.keepalive_timeout
    if handler._keepalive_handle is None:
        loop = asyncio.get_running_loop()
        handler._keepalive_handle = loop.call_at(
            handler._next_keepalive_close_time, handler._process_keepalive
        )
