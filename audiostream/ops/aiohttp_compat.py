"""Every use of a private or undocumented part of aiohttp, with the version that it was checked on.

aiohttp is pinned below the next minor version (setup.cfg). Before that pin moves, read aiohttp's
code of the new version for each name below.
"""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from copy import copy
from typing import IO, Any, TypeAlias, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

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
