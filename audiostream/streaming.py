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
import os
import re
import stat
import time
from collections import Counter
from collections.abc import Callable, Mapping
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

from .descriptors import Descriptors, OpenFile
from .errors import AudiostreamError, RateLimited, TrackNotFound, Unauthorized
from .formats import media_type
from .keys import FILES, LIBRARY, SESSION_COOKIE, SETTINGS, STREAMS, TOKENS, WALL_CLOCK
from .shipments import StallWatch
from .tokens import Identity, bearer_token

DESCRIPTORS = web.AppKey("audiostream_descriptors", Descriptors)

LOG = logging.getLogger(__name__)


async def stream(request: web.Request) -> web.StreamResponse:
    """``GET``, ``HEAD /tracks/stream/{id}``: the audio, for those who may hear it.

    Raises ``Unauthorized``, in the same words for unknown and for others' tracks
    ``TrackNotFound``, and ``RateLimited``.
    """
    track_id, limits = request.match_info["id"], request.app[SETTINGS].limits
    user_id = listener_of(request, track_id)
    track = request.app[LIBRARY].find(track_id, user_id)
    streams = request.app[STREAMS]
    listener = user_id or f"at {request.remote}"
    if streams[listener] >= limits.streams_per_user:
        raise RateLimited("too many streams at once; close one first")
    streams[listener] += 1

    return AudioFileResponse(
        track.path,
        executor=request.app[FILES],
        headers={"Vary": "Origin"},
        descriptors=request.app[DESCRIPTORS],
        stall_timeout=limits.stall_timeout,
        on_end=partial(count_out, streams, listener),
    )


def count_out(streams: Counter[str], listener: str) -> None:
    """One stream of a listener less. Who has none is not kept."""
    streams[listener] -= 1
    if not streams[listener]:
        del streams[listener]


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
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(headers=headers)
        self.headers["X-Content-Type-Options"] = "nosniff"
        replaceable = ("Cache-Control", "Content-Type")
        self._replaced = {name for name in replaceable if name in self.headers}
        self._path = os.fspath(path)
        self._executor = executor
        self._descriptors = descriptors
        self._stall_timeout = stall_timeout
        self._on_end = on_end

    def enable_compression(self, *args: object, **kwargs: object) -> None:
        """Do nothing: ranges count the bytes of the file, and audio is compressed already."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send everything; raises ConnectionResetError if the body could not be completed.

        Errors are answered here, not raised: the handler and the middlewares have returned, and
        only this response still passes ``on_response_prepare``, where CORS headers are added.
        """
        if self.prepared:
            return await self._send_headers(request)
        try:
            return await self._prepare(request)
        finally:
            self._on_end()

    async def _prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        opened = None if self._descriptors is None else self._descriptors.take(self._path)
        if opened is None:
            try:
                opened = await self._open()
            except OSError as error:
                return await self._refuse(request, error)
        try:
            return await self._answer(request, opened)
        finally:
            if self._descriptors is None:
                close_in(self._executor, opened.file)
            else:
                self._descriptors.give(opened)

    async def _open(self) -> OpenFile:
        now = time.monotonic()
        job = self._executor.submit(open_regular, self._path)
        try:
            file, status = await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            # The thread cannot be stopped, and what it opens from here on has no other owner.
            job.add_done_callback(self._close_unclaimed)
            raise
        return OpenFile(self._path, file, status, now)

    def _close_unclaimed(self, job: Future[tuple[io.FileIO, os.stat_result]]) -> None:
        if not job.cancelled() and job.exception() is None:
            close_in(self._executor, job.result()[0])

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
        if transport.get_write_buffer_size():
            await self._wait_until_taken(transport, writer)
        if len(data) < promised:
            transport.abort()
        await self.write_eof()
        if len(data) < promised:
            self._complain_of_end(promised - len(data))
        return writer

    async def _wait_until_taken(
        self, transport: asyncio.WriteTransport, writer: AbstractStreamWriter
    ) -> None:
        """Wait until the system has all that was written; a client that takes nothing is cut."""
        watch = StallWatch(transport, self._stall_timeout)
        transport.set_write_buffer_limits(high=0)
        try:
            await writer.drain()
        finally:
            watch.stop()
            transport.set_write_buffer_limits()

    async def _send_body(self, request: web.BaseRequest, file: io.FileIO, body: range) -> None:
        transport, writer = request.transport, request.writer
        if transport is None:
            raise ConnectionResetError("the client has gone")
        end = writer.output_size + len(body)
        watch = StallWatch(transport, self._stall_timeout)
        try:
            await self._send_bytes(transport, file, body)
        except ConnectionError:
            raise
        except Exception as error:
            # The status line is out: a lost connection is all that aiohttp may still hear of.
            LOG.warning("stopped sending %r: %r", self._path, error)
            raise ConnectionResetError("the body could not be sent") from error
        finally:
            watch.stop()
            # sendfile leaves the file's position behind the last byte sent, also when it fails.
            writer.output_size += max(file.tell() - body.start, 0)
            missing = end - writer.output_size
            if missing > 0:
                transport.abort()
            await self.write_eof()  # Writes nothing: it closes the books for the access log.
        if missing > 0:
            self._complain_of_end(missing)

    def _complain_of_end(self, missing: int) -> None:
        LOG.warning("%r ended %d bytes early", self._path, missing)
        raise ConnectionResetError("the file ended early")

    async def _send_bytes(
        self, transport: asyncio.WriteTransport, file: io.FileIO, body: range
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.sendfile(transport, file, body.start, len(body), fallback=False)
        except RuntimeError:
            # TLS, the file system or the event loop rules sendfile out, and nothing was sent. The
            # fallback of asyncio would read on to the end for a client that has gone.
            await self._copy(file, body)

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


def is_in_memory(file: io.FileIO, body: range) -> bool:
    """Whether both ends of a small range are, and so most likely all of it. Never waits."""
    end = bytearray(1)
    return read_from_memory(file, body[0], end) and read_from_memory(file, body[-1], end)


def _read_all(file: io.FileIO, body: range) -> bytes:
    pieces, position = [], body.start
    while position < body.stop and (
        piece := os.pread(file.fileno(), body.stop - position, position)
    ):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)


def open_regular(path: str) -> tuple[io.FileIO, os.stat_result]:
    """Open a regular file that no symbolic link leads to; OSError if it is anything else."""
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
