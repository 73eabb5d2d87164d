"""``fast_path``: a server's protocols, where the system and the application allow it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from aiohttp import web

from ...ops.aiohttp_compat import has_request_handler_internals
from ...services import SERVICES
from .counting import CountedFastPathProtocol, CountedFileTransfer
from .protocol import FastPathProtocol
from .responder import RangeResponder

_KNOWN_PACKAGES: Final = ("audiostream", "aiohttp_cors")
"""Whose middlewares and signals the fast path has the same outcome without."""


@contextmanager
def fast_path(
    app: web.Application, server: web.Server
) -> Iterator[Callable[[], FastPathProtocol] | None]:
    """Make protocols that answer plain range requests of ``app`` in front of ``server``.

    None where that is impossible: ``sendfile`` and RWF_NOWAIT are Linux's, and only an application
    of ``create_app`` without other middlewares or signals gives the same answers in this way.
    """
    if not (sys.platform == "linux" and has_request_handler_internals() and _is_unmodified(app)):
        yield None
        return
    responder = RangeResponder(app)
    protocol = FastPathProtocol
    if app[SERVICES].counters.counts_frames:
        protocol = CountedFastPathProtocol
        responder.new_transfer = partial(CountedFileTransfer, responder.stream_slots)
    try:
        yield lambda: protocol(responder, server())
    finally:
        responder.close()


def _is_unmodified(app: web.Application) -> bool:
    if SERVICES not in app:
        return False
    callbacks: list[object] = [*app.middlewares, *app.on_response_prepare]
    names = [getattr(callback, "__module__", "") for callback in callbacks]
    return all(name.partition(".")[0] in _KNOWN_PACKAGES for name in names)
