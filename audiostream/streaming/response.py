"""The audio itself: which bytes of a file a request gets, and the response that sends them.

Here: the conditional and Range rules of RFC 9110 as pure functions over plain values,
``AudioFileResponse``, which applies them to one regular file, and the route that asks for a proof
before it. Not here: which file belongs to a track and whose it is (``library``), what makes a
proof good (``tokens``).

    method, fields, validators, size, now ── decide ──▶ WholeFile, Part, NotModified,
                                                        PreconditionFailed or Unsatisfiable
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import math
import os
import re
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar, Final, TypeAlias, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from aiohttp.typedefs import LooseHeaders

from ..auth.credentials import bearer_token
from ..auth.tickets import Identity
from ..errors import AudiostreamError, RateLimited, TrackNotFound, Unauthorized
from ..library.formats import media_type
from ..ops.proxies import client_of
from ..services import FILES, LIBRARY, SESSION_COOKIE, SETTINGS, STREAMS, TOKENS, WALL_CLOCK
from .open_files import Descriptors, OpenFile
from .readahead import READ_AT_ONCE, is_in_memory, read_ahead
from .transfer import Listeners, StallWatch, disconnect

DESCRIPTORS = web.AppKey("audiostream_descriptors", Descriptors)
LISTENERS = web.AppKey("audiostream_listeners", Listeners)

LOG = logging.getLogger(__name__)


async def stream(request: web.Request) -> web.StreamResponse:
    """``GET``, ``HEAD /tracks/stream/{id}``: the audio, for those who may hear it.

    Raises ``Unauthorized``, in the same words for unknown and for others' tracks
    ``TrackNotFound``, and ``RateLimited``.
    """
    app, track_id = request.app, request.match_info["id"]
    streams, listeners = app[STREAMS], app[LISTENERS]
    while True:
        user_id = listener_of(request, track_id)
        path = app[LIBRARY].find(track_id, user_id).path
        listener = Address(client_of(request).address) if user_id is None else user_id
        if streams[listener] < app[SETTINGS].limits.streams_per_user:
            break
        if not await listeners.make_room(listener):
            raise RateLimited("too many streams at once; close one first")
        # Meanwhile the user may have been revoked, or another stream have taken the room.

    return AudioFileResponse(
        path,
        executor=app[FILES],
        headers={"Vary": "Origin"},
        descriptors=app[DESCRIPTORS],
        begin=partial(listeners.begin, listener),
        make_room=listeners.make_room,
    )


@dataclass(frozen=True, slots=True)
class Address:
    """A listener without a user id, which no user id is equal to."""

    remote: str


def listener_of(request: web.Request, track_id: str, *, takes_cookie: bool = True) -> str | None:
    """Who asks, by Bearer header, ticket or session cookie; None where streams are public.

    One good proof is enough: a browser may send an outdated cookie beside a fresh ticket.
    """
    tokens, now = request.app[TOKENS], request.app[WALL_CLOCK]()

    def by_header() -> Identity | None:
        header = request.headers.get("Authorization")
        return None if header is None else tokens.verify(bearer_token(header) or "", now)

    def by_ticket() -> Identity | None:
        ticket = request.query.get("ticket")
        return None if ticket is None else tokens.verify_ticket(ticket, track_id, now)

    def by_cookie() -> Identity | None:
        value = request.app[SESSION_COOKIE].read(request)
        return None if value is None else tokens.verify_session(value, now)

    refusal = Unauthorized("a stream needs a Bearer token, a ticket or a session cookie")
    for look in (by_header, by_ticket, *([by_cookie] if takes_cookie else [])):
        try:
            identity = look()
        except Unauthorized as error:
            refusal = error
        else:
            if identity is not None:
                return identity.user_id
    if request.app[SETTINGS].public_streams:
        return None
    raise refusal


# What a request gets


@dataclass(frozen=True, slots=True)
class WholeFile:
    """All bytes."""

    status: ClassVar[int] = 200


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes ``start <= n < stop``, where ``0 <= start < stop <= size``."""

    status: ClassVar[int] = 206
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """The file has no byte in the range asked for."""

    status: ClassVar[int] = 416


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client's copy is current."""

    status: ClassVar[int] = 304


@dataclass(frozen=True, slots=True)
class PreconditionFailed:
    """The file is not the version that the client insists on."""

    status: ClassVar[int] = 412


Decision: TypeAlias = WholeFile | Part | Unsatisfiable | NotModified | PreconditionFailed

Asked: TypeAlias = tuple[int | None, int | None]
"""The first and the last position of a range, as RFC 9110 section 14.1.2 writes them: without the
first, the last is the number of bytes at the end of the file."""
ALL: Final[Asked] = (None, None)
"""No range."""


_EARLIEST: Final = -30_610_224_000
"""The first second of the year 1000, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one version of a file from another (RFC 9110 section 8.8).

    ``etag`` is a strong entity tag with its quotes, ``mtime`` is in whole epoch seconds.
    """

    etag: str
    mtime: int

    @classmethod
    def of(cls, status: os.stat_result, now: float) -> Validators:
        """Derive both from a file's status; ``now`` in epoch seconds."""
        # Some programs change a file and restore its mtime; nobody restores its ctime.
        times = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
        etag = f'"{times}-{status.st_size:x}-{status.st_ino:x}"'
        # A Last-Modified later than its own response is forbidden (section 8.8.2.1), and a year
        # of an HTTP-date has four digits.
        return cls(etag, max(_EARLIEST, min(status.st_mtime_ns // 1_000_000_000, int(now))))

    @property
    def last_modified(self) -> str:
        """``mtime`` as an HTTP-date (section 5.6.7)."""
        return http_date(self.mtime)


@lru_cache(maxsize=256)
def http_date(moment: int) -> str:
    """An HTTP-date (section 5.6.7) of whole epoch seconds."""
    return formatdate(moment, usegmt=True)


# The rules, pure

_OWS = " \t"
# One range, in a list whose other elements are empty (RFC 9110 sections 5.6.1 and 14.1).
_ONE_RANGE = re.compile(
    r"[ \t]*bytes[ \t]*=(?:[ \t]*,)*[ \t]*([0-9]*)-([0-9]*)(?:[ \t]*,)*[ \t]*",
    re.ASCII | re.IGNORECASE,
)

# The preferred form, and the two that a recipient still has to read (RFC 9110 section 5.6.7).
_DATE_FORMS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")

# Larger than any file, and anything longer than its digits need not meet int() and its limit.
_BEYOND_ANY_FILE = 10**18

# Seconds. A file may change again within the second that its date names, and some file systems
# count in pairs of seconds; only after that does the date stand for one version.
_DATE_SETTLES = 2.0


def decide(
    method: str, fields: Mapping[str, str], validators: Validators, size: int, now: float
) -> Decision:
    """Evaluate preconditions and Range in the order of RFC 9110 section 13.2.2; never raises.

    For GET and HEAD. ``fields`` maps field names as the standard spells them to values, repeated
    fields joined by commas; ``size`` in bytes, ``now`` in epoch seconds.
    """
    refusal = _evaluate_preconditions(fields, validators)
    if refusal is not None:
        return refusal
    # Range is defined for GET alone (section 14.2).
    if method != "GET" or not if_range_holds(fields.get("If-Range"), validators, now):
        return WholeFile()
    return choose_range(fields.get("Range"), size)


def choose_range(range_header: str | None, size: int) -> WholeFile | Part | Unsatisfiable:
    """Pick the part of a file of ``size`` bytes that a Range field asks for; never raises."""
    return choose_part(read_range(range_header), size)


def read_range(range_header: str | None) -> Asked:
    """The positions that a Range field names; never raises.

    Another unit, a malformed range, and more than one range count as no Range at all, which
    RFC 9110 section 14.2 allows: a player that skips asks for one.
    """
    match = _ONE_RANGE.fullmatch(range_header or "")
    return ALL if match is None else (_position(match[1]), _position(match[2]))


def choose_part(asked: Asked, size: int) -> WholeFile | Part | Unsatisfiable:
    """Pick the part of a file of ``size`` bytes that lies between two positions."""
    first, last = asked
    if first is None:
        return WholeFile() if last is None else _part(max(size - last, 0), size)
    if last is None:
        return _part(first, size)
    return WholeFile() if first > last else _part(first, min(last + 1, size))


def if_range_holds(if_range: str | None, validators: Validators, now: float) -> bool:
    """Whether a Range field may be obeyed (RFC 9110 section 13.1.5); ``now`` in epoch seconds.

    The client must hold a part of exactly this version: an entity tag has to match strongly, a
    date has to be equal and strong. Without If-Range there is nothing to hold.
    """
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip(_OWS) == validators.etag
    return _parse_date(if_range) == validators.mtime and now - validators.mtime >= _DATE_SETTLES


def _evaluate_preconditions(
    fields: Mapping[str, str], validators: Validators
) -> NotModified | PreconditionFailed | None:
    etag, mtime = validators.etag, validators.mtime
    if (listed := fields.get("If-Match")) is not None:
        if _entity_tags(listed).isdisjoint({"*", etag}):
            return PreconditionFailed()
    elif (date := _parse_date(fields.get("If-Unmodified-Since"))) is not None and mtime > date:
        return PreconditionFailed()
    if (listed := fields.get("If-None-Match")) is not None:
        if not _entity_tags(listed).isdisjoint({"*", etag, f"W/{etag}"}):
            return NotModified()
    elif (date := _parse_date(fields.get("If-Modified-Since"))) is not None and mtime <= date:
        return NotModified()
    return None


def _entity_tags(field: str) -> set[str]:
    # A foreign tag may hold commas, but no piece of it begins and ends with a quote as ours does.
    return {item.strip(_OWS) for item in field.split(",")}


def _parse_date(text: str | None) -> int | None:
    """Read any of the three forms of an HTTP-date; None if it is not one."""
    for form in _DATE_FORMS if text else ():
        with suppress(ValueError):
            return int(datetime.strptime(text or "", form).replace(tzinfo=UTC).timestamp())
    return None


def _position(digits: str) -> int | None:
    if not digits:
        return None
    if len(digits) > 18:
        digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else _BEYOND_ANY_FILE


def positions(decision: Decision, size: int) -> range:
    """Of the bytes that an answer is made of."""
    if isinstance(decision, Part):
        return range(decision.start, decision.stop)
    return range(size if isinstance(decision, WholeFile) else 0)


def _part(start: int, stop: int) -> Part | Unsatisfiable:
    return Part(start, stop) if start < stop else Unsatisfiable()


def description(
    decision: Decision, validators: Validators, body: range, size: int, path: str
) -> dict[str, str]:
    """What an answer's header fields say of its body, but for Content-Length."""
    fields = {}
    if isinstance(decision, Part):
        fields["Content-Range"] = f"bytes {body.start}-{body.stop - 1}/{size}"
    elif isinstance(decision, Unsatisfiable):
        fields["Content-Range"] = f"bytes */{size}"
    fields["ETag"] = validators.etag
    fields["Last-Modified"] = validators.last_modified
    fields["Accept-Ranges"] = "bytes"
    fields["Cache-Control"] = "private, no-cache"
    if isinstance(decision, (WholeFile, Part)):
        fields["Content-Type"] = media_type(path)
    return fields


# The response

_CONDITIONAL_FIELDS = (
    "If-Match",
    "If-Unmodified-Since",
    "If-None-Match",
    "If-Modified-Since",
    "If-Range",
    "Range",
)

_CHUNK = 256 * 1024  # bytes

# Times that a file which is replaced as it is opened is opened.
_OPENED_AGAIN = 3

# Bytes. Up to here one read and one write are cheaper than setting sendfile up; beyond, copying
# costs more than it saves, and what a slow client leaves in memory is more than a socket's buffer.
SMALL = 128 * 1024

# Linux alone can be asked to read what is in memory and nothing else.
_FROM_MEMORY: int | None = getattr(os, "RWF_NOWAIT", None)

# A path that leads to no file of ours. All other failures to open are the server's trouble.
_NOT_A_FILE = frozenset(
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
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
OPENED_AGAIN: Final = 3
"""Times that room is made for one file before its listener is told to come again."""

Begin: TypeAlias = Callable[[asyncio.WriteTransport], StallWatch]
"""Counts a stream on a connection, until its watch is stopped."""


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
        begin: Begin | None = None,
        make_room: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(headers=headers)
        self.headers["X-Content-Type-Options"] = "nosniff"
        replaceable = ("Cache-Control", "Content-Type")
        self._replaced = {name for name in replaceable if name in self.headers}
        self._path = os.fspath(path)
        self._executor = executor
        self._descriptors = descriptors
        self._begin = begin or partial(StallWatch, patience=stall_timeout)
        self._make_room = make_room
        self._watch: StallWatch | None = None
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
        if self._watch is not None:
            self._watch.stop()
        opened, self._opened = self._opened, None
        if opened is None:
            return
        if self._descriptors is None:
            close_in(self._executor, opened.file)
        else:
            self._descriptors.give(opened)

    async def _prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if request.transport is not None:
            self._watch = self._begin(request.transport)
            self._watch.pause()  # nobody has anything to take yet
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
        for _ in range(OPENED_AGAIN):
            try:
                await self._open_once()
            except OSError as error:
                if error.errno not in _EXHAUSTED or self._make_room is None:
                    raise
                if not await self._make_room():
                    raise
            else:
                return
        await self._open_once()

    async def _open_once(self) -> None:
        now = time.monotonic()
        job = self._executor.submit(open_regular, self._path)
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
        if error.errno in _NOT_A_FILE:
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
        validators, size = Validators.of(opened.status, now), opened.status.st_size
        decision = decide(request.method, _conditional_fields(request), validators, size, now)
        body, data = positions(decision, size), None
        if request.method != "HEAD" and 0 < len(body) <= SMALL:
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
        for name, value in description(decision, validators, body, size, self._path).items():
            if name not in self._replaced:
                self.headers[name] = value
        self.content_length = len(body)

    async def _send_headers(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return await super().prepare(request)

    async def _read(self, file: io.FileIO, body: range) -> bytes | bytearray:
        """These bytes of a file, fewer if it ends before. Waits for a thread if the disk has to."""
        data = bytearray(len(body))
        if read_from_memory(file, body.start, data):
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
        self._resume_watch()
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
        for start in range(body.start, body.stop, READ_AT_ONCE):
            piece = range(start, min(start + READ_AT_ONCE, body.stop))
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
        if not is_in_memory(file, part):
            if self._watch is not None:
                self._watch.pause()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, read_ahead, file, part)
        self._resume_watch()

    def _resume_watch(self) -> None:
        if self._watch is not None and self._watch.stalled_since == math.inf:
            self._watch.resume()

    async def _copy(self, file: io.FileIO, body: range) -> None:
        loop, position = asyncio.get_running_loop(), body.start
        while position < body.stop:
            count = min(_CHUNK, body.stop - position)
            # A read may outlive its request and the descriptor; pread moves nobody's position.
            chunk = await loop.run_in_executor(
                self._executor, os.pread, file.fileno(), count, position
            )
            if not chunk:
                break
            await self.write(chunk)
            position += len(chunk)


def close_in(executor: Executor, file: io.FileIO) -> None:
    """Close a file, in a thread: on a slow disk that would hold up the next request."""
    try:
        executor.submit(file.close)
    except RuntimeError:  # The executor has been shut down.
        file.close()


def read_from_memory(file: io.FileIO, start: int, room: bytearray | memoryview) -> bool:
    """Fill ``room`` from there on, if the system has all of that in memory. Never waits."""
    if _FROM_MEMORY is None:
        return False
    try:
        return os.preadv(file.fileno(), [room], start, _FROM_MEMORY) == len(room)
    except OSError:  # Not in memory, or a file system that does not tell.
        return False


def _read_all(file: io.FileIO, body: range) -> bytes:
    pieces, position = [], body.start
    while position < body.stop and (
        piece := os.pread(file.fileno(), body.stop - position, position)
    ):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)


def open_regular(path: str) -> tuple[io.FileIO, os.stat_result]:
    """Open a regular file that no symbolic link leads to; OSError if it is anything else.

    A file that is replaced as it is opened is opened again: what is kept open must be what is at
    the path.
    """
    for _ in range(_OPENED_AGAIN):
        file, status = _opened(path)
        with suppress(OSError):
            if os.path.samestat(status, os.stat(path, follow_symlinks=False)):
                return file, status
        file.close()
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _opened(path: str) -> tuple[io.FileIO, os.stat_result]:
    if os.path.realpath(path) != path:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    file = io.FileIO(path, opener=_opener)
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    except OSError:
        file.close()
        raise
    return file, status


def _opener(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe would keep the thread until somebody writes to it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _conditional_fields(request: web.BaseRequest) -> dict[str, str]:
    headers = request.headers
    return {
        name: ", ".join(headers.getall(name)) for name in _CONDITIONAL_FIELDS if name in headers
    }


def _error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()
