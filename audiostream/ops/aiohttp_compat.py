"""Every use of a private or undocumented part of aiohttp, with the version that it was checked on.

aiohttp is pinned below the next minor version (setup.cfg). Before that pin moves, read aiohttp's
code of the new version for each name below.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from copy import copy
from typing import IO, Any, Final, TypeAlias, cast

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger, AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.http_exceptions import HttpProcessingError

SERVER_HEADER: Final = SERVER_SOFTWARE
"""The Server header of aiohttp's responses."""
MALFORMED_REQUEST: Final = HttpProcessingError
"""What its HTTP parser raises for what is no request; the text quotes it."""
SendBody: TypeAlias = Callable[[range], Awaitable[AbstractStreamWriter]]
"""Sends the headers of a response and these bytes of its file."""


async def send_open_file(
    response: web.FileResponse,
    request: web.BaseRequest,
    headers: dict[str, str],
    file: io.FileIO,
    status: os.stat_result,
    send_body: SendBody,
) -> AbstractStreamWriter | None:
    """Answer a request, as if it had these headers alone, with a file that is open already.

    ``response`` sets the headers for Range, ``send_body`` sends them and the bytes. By itself
    ``FileResponse`` opens a path, through symbolic links and in the default executor, and its
    ``loop.sendfile`` waits for the disk in the event loop. Checked with aiohttp 3.14.5:
    ``_prepare_open_file`` evaluates Range and If-Range, and ends with ``_sendfile`` if there are
    bytes to send; ``clone`` refuses a request whose body a middleware has read.
    """

    async def sendfile(
        request: web.BaseRequest, fobj: IO[Any], offset: int, count: int
    ) -> AbstractStreamWriter:
        return await send_body(range(offset, offset + count))

    bodiless = copy(request)
    bodiless._read_bytes = None
    clone = bodiless.clone(headers=headers)
    response._sendfile = sendfile  # type: ignore[method-assign]
    try:
        return await response._prepare_open_file(clone, cast(Any, file), status, None)
    finally:
        del response._sendfile


def count_sent(writer: AbstractStreamWriter, count: int) -> None:
    """Add bytes that were sent past ``writer`` to those that the access log reports.

    Checked with aiohttp 3.14.5: ``write_eof`` sets ``body_length`` from ``output_size``.
    """
    writer.output_size += count


async def drain(request: web.BaseRequest) -> None:
    """Wait until the client has taken what the transport's write buffer limits allow.

    Checked with aiohttp 3.14.5: ``request.writer`` is the writer of the response.
    """
    await request.writer.drain()


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


def hold_idle_timer(handler: web.RequestHandler) -> None:
    """Keep a connection open, however long it is idle, until ``restart_idle_timer``.

    Checked with aiohttp 3.14.5: ``keep_alive`` cancels the timer, and sets none.
    """
    handler.keep_alive(False)


def access_logger_of(handler: web.RequestHandler) -> AbstractAccessLogger | None:
    """Return the access logger of a connection, None where requests are not logged.

    Checked with aiohttp 3.14.5: it is the one that ``AppRunner`` was given.
    """
    return handler.access_logger


def restart_idle_timer(handler: web.RequestHandler, now: float) -> None:
    """Let a connection be idle for ``keepalive_timeout`` seconds from ``now`` on.

    ``now`` is in seconds of the event loop's clock. For answers that aiohttp has not given, also
    after ``hold_idle_timer``. Checked with aiohttp 3.14.5: ``RequestHandler.start`` does
    the same behind each answer, and a timer that finds a later time begins anew.
    """
    handler._keepalive = True
    handler._next_keepalive_close_time = now + handler.keepalive_timeout
    if handler._keepalive_handle is None:
        loop = asyncio.get_running_loop()
        handler._keepalive_handle = loop.call_at(
            handler._next_keepalive_close_time, handler._process_keepalive
        )
