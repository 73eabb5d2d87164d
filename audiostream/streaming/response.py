"""``AudioFileResponse``: opens one audio file, decides what to send of it, and sends that.

::

    open in a thread ──▶ ranges.decide ──▶ web.FileResponse: headers ──▶ FileBody: bytes
          └▶ 404, 503          └▶ 304, 412, 416
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import os
import time
from collections.abc import Hashable
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import LooseHeaders

from ..errors import AudiostreamError, TrackNotFound
from ..library.safe_open import close_in_executor, open_regular_file
from ..ops.aiohttp_compat import send_open_file
from ..ops.connections import disconnect
from .file_body import SENDFILE_THRESHOLD, FileBody
from .ranges import (
    CONDITIONAL_HEADERS,
    ByteRange,
    Decision,
    Validators,
    body_range,
    decide,
    parse_range,
    response_headers,
)
from .stall_timeout import StallTimeout
from .stream_slots import StreamSlots
from .x_accel import are_plain, is_sendable, redirect_headers

_log = logging.getLogger(__name__)

OPEN_ATTEMPTS: Final = 4
"""Times that a file is opened, with room made in between, before its client is told to retry."""

# A path that leads to no file of the library. All other failures to open are the server's.
_NOT_FOUND_ERRNOS: Final = frozenset(
    {
        errno.EACCES,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)
# No more files may be open, in this process or in all.
_EXHAUSTED_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE})


class AudioFileResponse(web.FileResponse):
    """One audio file, whole or in part.

    ``path`` is absolute and free of symbolic links; anything but a regular file there is answered
    with 404 ``track_not_found``, and a failure of the server with 503. Files are opened, read and
    closed in ``executor``. ``headers`` are sent beside the response's own, and may replace
    Content-Type and Cache-Control. While it is sent it counts as a stream of ``owner``; where no
    more files may be open, it takes the place of a stalled one. Where ``redirect`` is the file's
    URI for ``X-Accel-Redirect``, nginx sends what has the same answer there.

    A body that cannot be completed ends the connection: the client sees a short read and can
    resume, and nothing else is ever written where the missing bytes belong.
    """

    def __init__(
        self,
        path: Path,
        *,
        executor: Executor,
        slots: StreamSlots,
        owner: Hashable,
        headers: LooseHeaders | None = None,
        redirect: str | None = None,
    ) -> None:
        super().__init__(path, headers=headers)
        self._redirect = redirect
        self.headers["X-Content-Type-Options"] = "nosniff"
        self._file_path = os.fspath(path)
        self._executor = executor
        self._slots = slots
        self._owner = owner
        self._stall_timeout: StallTimeout | None = None
        self._file: io.FileIO | None = None
        self._is_over = False

    def enable_compression(self, *args: object, **kwargs: object) -> None:
        """Do nothing: ranges count the bytes of the file, and audio is compressed already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything; raises ConnectionResetError if the body could not be completed.

        Errors are answered here, not raised: the handler and the middlewares have returned, and
        only this response still passes ``on_response_prepare``, where CORS headers are added.
        """
        if self.prepared:
            return await self._send_headers(request)
        loop = asyncio.get_running_loop()
        try:
            writer = await self._respond(request)
        except GeneratorExit:
            # The garbage collector ends a coroutine in any thread, perhaps in one that holds the
            # very lock that would be needed here: take none.
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._release)
            raise
        except BaseException:
            self._release()
            raise
        self._release()
        return writer

    def _release(self) -> None:
        """Free the stream slot and close the file."""
        self._is_over = True
        if self._stall_timeout is not None:
            self._stall_timeout.stop()
        if self._file is not None:
            close_in_executor(self._executor, self._file)

    async def _respond(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        self._stall_timeout = self._slots.acquire(self._owner, transport)
        self._stall_timeout.pause()  # until there is something to take
        try:
            file, status = await self._open()
            decision, headers = self._decide(request, status)
            part = body_range(decision, status.st_size)
            redirect = self._redirect_headers(request, headers, status)
            if redirect is not None:
                self.headers.update(redirect)
                self.content_length = 0
                return await self._send_headers(request)
            body = FileBody(
                file, transport, self._stall_timeout, self._executor, self._slots.count_sent
            )
            if len(part) <= SENDFILE_THRESHOLD and request.method != "HEAD":
                await body.load(part)  # before the headers: a disk that fails gets 503
        except OSError as error:
            return await self._send_error(request, error)
        self.headers.update(headers)
        if not part or request.method == "HEAD":
            self.set_status(decision.status)
            self.content_length = len(part)
            return await self._send_headers(request)

        async def send_body(part: range) -> AbstractStreamWriter:
            self.headers.update(headers)  # aiohttp has set validators of its own
            return await self._send_body(request, body, part)

        is_partial = isinstance(decision, ByteRange)
        asked = {"Range": f"bytes={part.start}-{part.stop - 1}"} if is_partial else {}
        return await send_open_file(self, request, asked, file, status, send_body)

    def _decide(
        self, request: web.BaseRequest, status: os.stat_result
    ) -> tuple[Decision, dict[str, str]]:
        """Return what is sent, and the headers that describe it but for those of the caller."""
        now, size = time.time(), status.st_size
        validators = Validators.from_stat(status, now)
        decision = decide(request.method, _conditions(request), validators, size, now)
        headers = response_headers(decision, validators, size, self._file_path)
        for name in ("Cache-Control", "Content-Type"):
            if name in self.headers:
                headers.pop(name, None)
        return decision, headers

    def _redirect_headers(
        self, request: web.BaseRequest, headers: dict[str, str], status: os.stat_result
    ) -> dict[str, str] | None:
        """Return the headers that have nginx send the bytes; None where they are sent here."""
        if self._redirect is None or request.method != "GET":
            return None
        conditions = _conditions(request)
        spec = parse_range(conditions.get("Range"))
        if not (are_plain(conditions) and is_sendable(spec, status, time.time())):
            return None
        return redirect_headers(self._redirect, headers, status)

    async def _open(self) -> tuple[io.FileIO, os.stat_result]:
        """Open the file in a thread. Raises OSError.

        Where no more files may be open, another stream that is stalled ends.
        """
        for attempt in range(OPEN_ATTEMPTS):
            job = self._executor.submit(open_regular_file, self._file_path)
            job.add_done_callback(self._own)
            try:
                return await asyncio.wrap_future(job)
            except OSError as error:
                if error.errno not in _EXHAUSTED_ERRNOS or attempt + 1 == OPEN_ATTEMPTS:
                    raise
                if not await self._slots.make_room():
                    raise
        raise AssertionError  # not reached

    def _own(self, job: Future[tuple[io.FileIO, os.stat_result]]) -> None:
        """Keep what a thread has opened, whether or not the request still waits for it.

        Runs in that thread, which cannot be stopped; ``close`` may be called twice.
        """
        if not job.cancelled() and job.exception() is None:
            self._file, _ = job.result()
            if self._is_over:
                self._file.close()

    async def _send_headers(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return await web.StreamResponse.prepare(self, request)

    async def _send_error(
        self, request: web.BaseRequest, error: OSError
    ) -> AbstractStreamWriter | None:
        if error.errno in _NOT_FOUND_ERRNOS:
            self.set_status(404)
            body = _error_body(TrackNotFound.code, "no such track")
        else:
            _log.warning("cannot open %r: %s", self._file_path, error.strerror)
            self.set_status(503)
            self.headers["Retry-After"] = "1"
            body = _error_body(AudiostreamError.code, "the server is busy, try again")
        self.headers["Content-Type"] = "application/json; charset=utf-8"
        self.headers["Cache-Control"] = "no-store"
        self.content_length = len(body)
        writer = await self._send_headers(request)
        await self.write_eof(b"" if request.method == "HEAD" else body)
        return writer

    async def _send_body(
        self, request: web.BaseRequest, body: FileBody, part: range
    ) -> AbstractStreamWriter:
        writer, transport = await self._send_headers(request), request.transport
        if writer is None or transport is None:
            raise ConnectionResetError("the client has gone")
        failure: BaseException | None = None
        try:
            await body.send(writer, part)
        except (Exception, asyncio.CancelledError) as error:
            failure = error
        missing = len(part) - body.sent
        if missing:
            disconnect(transport)
        await self.write_eof()  # writes nothing: it counts the body for the access log
        if isinstance(failure, ConnectionError | asyncio.CancelledError):
            raise failure
        if failure is not None:
            _log.warning("stopped sending %r: %r", self._file_path, failure)
        elif missing:
            _log.warning("%r ended %d bytes early", self._file_path, missing)
        else:
            return writer
        # The status line is out: all that may be raised to aiohttp is a lost connection.
        raise ConnectionResetError("the body could not be sent") from failure


def _conditions(request: web.BaseRequest) -> dict[str, str]:
    """Return a request's ``CONDITIONAL_HEADERS``, repeated ones joined."""
    given = request.headers
    return {name: ", ".join(given.getall(name)) for name in CONDITIONAL_HEADERS if name in given}


def _error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()
