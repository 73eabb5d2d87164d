"""The response that sends one audio file: opening it, the headers, the transfer of its bytes."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from aiohttp.typedefs import LooseHeaders

from ..errors import AudiostreamError, TrackNotFound
from ..library.safe_open import close_in_executor, open_regular_file
from ..ops.connections import disconnect
from .open_files import Descriptors, OpenFile
from .ranges import (
    CONDITIONAL_HEADERS,
    Decision,
    Validators,
    body_range,
    decide,
    response_headers,
)
from .readahead import READ_AHEAD_SIZE, is_cached, read_ahead, read_cached
from .stall_timeout import StallTimeout

LOG = logging.getLogger(__name__)

COPY_SIZE: Final = 256 * 1024
"""Bytes that are copied at one time where ``sendfile`` is not available."""
SENDFILE_THRESHOLD: Final = 128 * 1024
"""Bytes up to which one read and one write are cheaper than setting ``sendfile`` up; beyond,
copying costs more than it saves, and a slow client leaves more in memory than a socket's buffer."""
OPEN_ATTEMPTS: Final = 3
"""Times that room is made for one file before its client is told to come again."""

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

AcquireSlot: TypeAlias = Callable[[asyncio.WriteTransport], StallTimeout]
"""Counts a stream on a connection, until its timeout is stopped."""


class AudioFileResponse(web.StreamResponse):
    """One audio file, whole or in part: little from memory, more by ``sendfile``.

    ``path`` is absolute and free of symbolic links; anything but a regular file found there is
    answered with 404 ``track_not_found``, and a server short of descriptors with 503. Files are
    opened and closed in ``executor``, and read there where neither memory nor ``sendfile`` has the
    bytes; those in ``descriptors`` are open already, and go back there. ``headers`` are sent
    beside the response's own; they may replace Content-Type and Cache-Control.

    A body that cannot be completed cuts the connection: the client sees a short read and can
    resume, and nothing else is ever written where the missing bytes belong.
    """

    def __init__(
        self,
        path: Path,
        *,
        executor: Executor,
        descriptors: Descriptors | None = None,
        headers: LooseHeaders | None = None,
        stall_timeout: float | None = None,
        acquire_slot: AcquireSlot | None = None,
        make_room: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(headers=headers)
        self.headers["X-Content-Type-Options"] = "nosniff"
        replaceable = ("Cache-Control", "Content-Type")
        self._replaced = {name for name in replaceable if name in self.headers}
        self._path = os.fspath(path)
        self._executor = executor
        self._descriptors = descriptors
        self._acquire_slot = acquire_slot or partial(StallTimeout, timeout=stall_timeout)
        self._make_room = make_room
        self._stall_timeout: StallTimeout | None = None
        self._opened: OpenFile | None = None
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
            writer = await self._prepare(request)
        except GeneratorExit:
            # The collector ends what nobody waits for any more, in whatever thread and moment,
            # perhaps in one that holds the very lock that would be needed here: take none.
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._end)
            raise
        except BaseException:
            self._end()
            raise
        self._end()
        return writer

    def _end(self) -> None:
        """Give back all that this response had."""
        self._is_over = True
        if self._stall_timeout is not None:
            self._stall_timeout.stop()
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if self._descriptors is None:
            close_in_executor(self._executor, opened.file)
        else:
            self._descriptors.give(opened)

    async def _prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if request.transport is not None:
            self._stall_timeout = self._acquire_slot(request.transport)
            self._stall_timeout.pause()  # nobody has anything to take yet
        if self._descriptors is not None:
            self._opened = self._descriptors.take(self._path)
        try:
            if self._opened is None:
                await self._open()
        except OSError as error:
            return await self._refuse(request, error)
        return await self._answer(request, cast(OpenFile, self._opened))

    async def _open(self) -> None:
        """Raises OSError. Where no more files may be open, somebody who takes nothing is cut."""
        for _ in range(OPEN_ATTEMPTS):
            try:
                await self._open_once()
            except OSError as error:
                if error.errno not in _EXHAUSTED_ERRNOS or self._make_room is None:
                    raise
                if not await self._make_room():
                    raise
            else:
                return
        await self._open_once()

    async def _open_once(self) -> None:
        now = time.monotonic()
        job = self._executor.submit(open_regular_file, self._path)
        job.add_done_callback(partial(self._keep_soon, asyncio.get_running_loop(), now))
        await asyncio.wrap_future(job)  # behind _keep, which is told first

    def _keep_soon(
        self,
        loop: asyncio.AbstractEventLoop,
        now: float,
        job: Future[tuple[io.FileIO, os.stat_result]],
    ) -> None:
        """In the thread that has opened the file: it is the loop's now, whoever still waits."""
        if job.cancelled() or job.exception() is not None:
            return
        file, status = job.result()
        if self._is_over:
            file.close()
            return
        try:
            loop.call_soon_threadsafe(self._keep, OpenFile(self._path, file, status, now))
        except RuntimeError:  # the loop is closed
            file.close()

    def _keep(self, opened: OpenFile) -> None:
        self._opened = opened
        if self._is_over:
            self._end()

    async def _refuse(
        self, request: web.BaseRequest, error: OSError
    ) -> AbstractStreamWriter | None:
        if error.errno in _NOT_FOUND_ERRNOS:
            self.set_status(404)
            body = _error_body(TrackNotFound.code, "no such track")
        else:
            LOG.warning("cannot open %r: %s", self._path, error.strerror)
            self.set_status(503)
            self.headers["Retry-After"] = "1"
            body = _error_body(AudiostreamError.code, "the server is busy, try again")
        self.headers["Content-Type"] = "application/json; charset=utf-8"
        self.headers["Cache-Control"] = "no-store"
        self.content_length = len(body)
        writer = await self._send_headers(request)
        await self.write_eof(b"" if request.method == "HEAD" else body)
        return writer

    async def _answer(
        self, request: web.BaseRequest, opened: OpenFile
    ) -> AbstractStreamWriter | None:
        now = time.time()
        validators, size = Validators.from_stat(opened.status, now), opened.status.st_size
        decision = decide(request.method, _conditional_headers(request), validators, size, now)
        body, data = body_range(decision, size), None
        if request.method != "HEAD" and 0 < len(body) <= SENDFILE_THRESHOLD:
            try:
                data = await self._read(opened.file, body)
            except OSError as error:
                return await self._refuse(request, error)
        self._describe(decision, validators, body, size)
        if data is not None:
            return await self._send_data(request, data, len(body))
        writer = await self._send_headers(request)
        if body and request.method != "HEAD":
            await self._send_body(request, opened.file, body)
        return writer

    def _describe(self, decision: Decision, validators: Validators, body: range, size: int) -> None:
        """Set status and headers."""
        self.set_status(decision.status)
        for name, value in response_headers(decision, validators, size, self._path).items():
            if name not in self._replaced:
                self.headers[name] = value
        self.content_length = len(body)

    async def _send_headers(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return await super().prepare(request)

    async def _read(self, file: io.FileIO, body: range) -> bytes | bytearray:
        """These bytes of a file, fewer if it ends before. Waits for a thread if the disk has to."""
        data = bytearray(len(body))
        if read_cached(file, body.start, data):
            return data
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _read_all, file, body)

    async def _send_data(
        self, request: web.BaseRequest, data: bytes | bytearray, promised: int
    ) -> AbstractStreamWriter | None:
        """Headers and body in one write."""
        transport = request.transport
        self._send_headers_immediately = False
        writer = await self._send_headers(request)
        if transport is None or writer is None:
            raise ConnectionResetError("the client has gone")
        await cast(StreamWriter, writer).write(data, drain=False)
        await self._wait_until_taken(transport, writer)
        if len(data) < promised:
            disconnect(transport)
        await self.write_eof()
        if len(data) < promised:
            self._complain_of_end(promised - len(data))
        return writer

    async def _wait_until_taken(
        self, transport: asyncio.WriteTransport, writer: AbstractStreamWriter
    ) -> None:
        """Wait until the system has all that was written; a client that takes nothing is cut."""
        if not transport.get_write_buffer_size():
            return
        self._resume_stall_timeout()
        transport.set_write_buffer_limits(high=0)
        await writer.drain()
        transport.set_write_buffer_limits()

    async def _send_body(self, request: web.BaseRequest, file: io.FileIO, body: range) -> None:
        transport, writer = request.transport, request.writer
        if transport is None:
            raise ConnectionResetError("the client has gone")
        end, failure = writer.output_size + len(body), None
        try:
            await self._wait_until_taken(transport, writer)
            await self._send_bytes(transport, writer, file, body)
        except (Exception, asyncio.CancelledError) as error:
            failure = error
        missing = end - writer.output_size
        if missing > 0:
            disconnect(transport)
        await self.write_eof()  # Writes nothing: it closes the books for the access log.
        if isinstance(failure, ConnectionError | asyncio.CancelledError):
            raise failure
        if failure is not None:
            # The status line is out: a lost connection is all that aiohttp may still hear of.
            LOG.warning("stopped sending %r: %r", self._path, failure)
            raise ConnectionResetError("the body could not be sent") from failure
        if missing > 0:
            self._complain_of_end(missing)

    def _complain_of_end(self, missing: int) -> None:
        LOG.warning("%r ended %d bytes early", self._path, missing)
        raise ConnectionResetError("the file ended early")

    async def _send_bytes(
        self,
        transport: asyncio.WriteTransport,
        writer: AbstractStreamWriter,
        file: io.FileIO,
        body: range,
    ) -> None:
        loop = asyncio.get_running_loop()
        for start in range(body.start, body.stop, READ_AHEAD_SIZE):
            piece = range(start, min(start + READ_AHEAD_SIZE, body.stop))
            await self._read_ahead(file, piece)
            if transport.is_closing():
                raise ConnectionResetError("the client has gone")
            file.seek(start)
            try:
                sent = await loop.sendfile(transport, file, start, len(piece), fallback=False)
            except RuntimeError:
                # TLS, the file system or the event loop rules sendfile out, and nothing of the
                # piece was sent. The fallback of asyncio would read on to the end for a client
                # that has gone.
                await self._copy(file, range(start, body.stop))
                return
            finally:
                # sendfile leaves the file's position behind the last byte sent, also when it fails.
                writer.output_size += file.tell() - start
            if sent < len(piece):
                return

    async def _read_ahead(self, file: io.FileIO, part: range) -> None:
        """Have these bytes in memory. Waits for a thread if the disk has to."""
        if not is_cached(file, part):
            if self._stall_timeout is not None:
                self._stall_timeout.pause()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, read_ahead, file, part)
        self._resume_stall_timeout()

    def _resume_stall_timeout(self) -> None:
        if self._stall_timeout is not None and self._stall_timeout.stalled_since == math.inf:
            self._stall_timeout.resume()

    async def _copy(self, file: io.FileIO, body: range) -> None:
        loop, position = asyncio.get_running_loop(), body.start
        while position < body.stop:
            count = min(COPY_SIZE, body.stop - position)
            # A read may outlive its request and the descriptor; pread moves nobody's position.
            chunk = await loop.run_in_executor(
                self._executor, os.pread, file.fileno(), count, position
            )
            if not chunk:
                break
            await self.write(chunk)
            position += len(chunk)


def _read_all(file: io.FileIO, body: range) -> bytes:
    pieces, position = [], body.start
    while position < body.stop and (
        piece := os.pread(file.fileno(), body.stop - position, position)
    ):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)


def _conditional_headers(request: web.BaseRequest) -> dict[str, str]:
    headers = request.headers
    return {
        name: ", ".join(headers.getall(name)) for name in CONDITIONAL_HEADERS if name in headers
    }


def _error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()
