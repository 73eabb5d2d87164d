"""Plain ranges answered where their requests arrive, without aiohttp's request cycle.

Here: ``Shortcut``, a protocol in front of aiohttp's own on one connection; which requests it knows
well enough to answer, and how the answer is sent. Not here: who may hear what (``tokens``,
``library``), what a request gets and which headers say so (``streaming``), the waiting for clients
that take their time (``shipments``), HTTP in general: that is aiohttp's.

::

    bytes ──► one whole, plain GET of a stream, nothing else under way? ──no──► aiohttp
                  │ yes; if all but the positions of its range are as in the one before, that is
                  │ all that is read of it
              ticket good, file at rest and unchanged? ──no──► aiohttp
                  │ yes
              not much: bytes in memory? ──no──► aiohttp
                  │ yes, or much
              little: one write          more: the head, and sendfile
                  │                            │
                  └──── not all was taken ─────┴──► a Shipment, which waits for the client

Whatever is unusual goes to aiohttp, refusals too, and a connection on which something came that is
not a whole request without a body stays there: where the next request begins is then known to
aiohttp alone. Both ways answer alike (``tests/test_shortcut.py`` compares them), and who has said
all that he will say is answered on both.
"""

from __future__ import annotations

import asyncio
import errno
import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, NamedTuple, cast

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

from ...auth.cookies import SessionCookie
from ...errors import AudiostreamError
from ...ops.access_log import AccessLogger
from ...ops.proxies import PROXIES, Client
from ...services import FILES, LIBRARY, SESSION_COOKIE, SETTINGS, STREAMS, TOKENS, WALL_CLOCK
from ..open_files import TRUSTED_FOR, OpenFile
from ..readahead import is_in_memory, read_ahead
from ..response import (
    DESCRIPTORS,
    LISTENERS,
    SMALL,
    Asked,
    Part,
    Validators,
    WholeFile,
    choose_part,
    description,
    http_date,
    open_regular,
    positions,
    read_from_memory,
    read_range,
)
from ..transfer import Listeners, Shipment, WriteWatch, disconnect

LOG = logging.getLogger(__name__)

LITTLE: Final = 64 * 1024
"""Bytes up to which one read and one write are cheaper than a write and a ``sendfile``."""
LONGEST_HEAD: Final = 4096
"""Bytes of a request that is looked at; longer ones are aiohttp's."""
TRAY: Final = 64 * 1024
"""Bytes that are read at once."""
MOST_FIELDS: Final = 128
"""Fields that aiohttp takes in one request; more it refuses."""
ANSWERED_LOOK: Final = 0.05
"""Seconds between two looks whether a client that has said all has its answer."""
RENEWED_AFTER: Final = TRUSTED_FOR / 2
"""Seconds after which a descriptor in use is replaced by a fresh one."""

# A request line and fields in the plainest form that RFC 9112 has: no folding, no bare CR or LF,
# nothing beyond ASCII, no body behind it.
_REQUEST = re.compile(
    rb"GET (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9!#$%&'*+.^_`|~-]+:[\t -~]*\r\n)+)\r\n"
)
_FIELD = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r\n")
_STREAM = re.compile(rb"(?:/api)?/tracks/stream/([A-Za-z0-9_-]+)(?:\?ticket=([A-Za-z0-9_.-]+))?")
_COOKIES = re.compile(rb"[A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+(?:; [A-Za-z0-9_.-]+=[A-Za-z0-9_.-]+)*")

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"te"})
"""Fields of requests behind which something else than the next request may come."""
_GOES_ON = (b"content-length", b"transfer-encoding", b"upgrade")
"""What is said somewhere before anything that is neither a head nor an empty line."""
_OTHERS = frozenset(
    {
        b"authorization",
        b"origin",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
    }
)
"""Fields that change the answer and are not looked at here."""

# The value of a Range field as players write it, and where a request has it.
_POSITIONS = re.compile(rb"bytes=([0-9]{1,18})-([0-9]{0,18})")
_RANGE = re.compile(rb"\r\nrange:[\t ]*+([^\t\r\n ]*+)[\t ]*+\r\n", re.IGNORECASE)
_LONGEST_RANGE: Final = len(b"bytes=-") + 2 * 18

# A file system that rules sendfile out. All other failures are of one client or one file.
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

Fields = Mapping[bytes, bytes]


def plain_request(data: bytes) -> tuple[bytes, Fields] | None:
    """The target and the fields of one whole GET without a body, names in lower case, else None.

    Never two requests, nor one whose fields leave a doubt about where it ends (RFC 9112 §6).
    """
    if len(data) > LONGEST_HEAD:
        return None
    found = _REQUEST.fullmatch(data)
    if found is None:
        return None
    lines = _FIELD.findall(found[2])
    fields = {name.lower(): value.strip(b"\t ") for name, value in lines}
    if len(lines) > MOST_FIELDS:
        return None
    if len(fields) != len(lines) or b"host" not in fields or not _FRAMING.isdisjoint(fields):
        return None
    if fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return found[1], fields


class Question:
    """What a plain request for a stream asks, but for the positions of its range.

    A player that goes through a track or seeks in it sends the same bytes again and again, with
    other positions. These are read without the rest: ``again``.
    """

    __slots__ = (
        "_after",
        "_before",
        "client",
        "if_range",
        "session",
        "target",
        "ticket",
        "track_id",
    )

    def __init__(
        self,
        data: bytes,
        target: bytes,
        track_id: str,
        ticket: str | None,
        session: str | None,
        if_range: str | None,
        client: Client,
    ) -> None:
        self.client = client
        self.target = target
        self.track_id = track_id
        self.ticket = ticket
        self.session = session
        self.if_range = if_range
        self._before, self._after = data, b""  # nothing is like it
        found = _RANGE.search(data)
        if found is None or _POSITIONS.fullmatch(found[1]) is None:
            return
        if len(data) - len(found[1]) + _LONGEST_RANGE <= LONGEST_HEAD:
            self._before, self._after = data[: found.start(1)], data[found.end(1) :]

    @classmethod
    def read(
        cls, data: bytes, target: bytes, fields: Fields, cookie: SessionCookie, client: Client
    ) -> tuple[Question, Asked] | None:
        """What a plain request asks, None if it is for aiohttp."""
        stream = _STREAM.fullmatch(target)
        if stream is None or not _OTHERS.isdisjoint(fields):
            return None
        ticket, session = _text(stream[2]), _session(fields, cookie, client)
        if ticket is None and session is None:
            return None
        if_range = _text(fields.get(b"if-range"))
        question = cls(data, target, stream[1].decode(), ticket, session, if_range, client)
        return question, read_range(_text(fields.get(b"range")))

    def again(self, data: bytes) -> Asked | None:
        """The positions that a request names which is like this one but for them, else None."""
        if not (data.startswith(self._before) and data.endswith(self._after)):
            return None
        found = _POSITIONS.fullmatch(data, len(self._before), len(data) - len(self._after))
        if found is None:
            return None
        first, last = found.groups()
        return int(first), int(last) if last else None


def _session(fields: Fields, cookie: SessionCookie, client: Client) -> str | None:
    """The value of the session cookie, None where there is none or the Cookie field is unusual."""
    cookies = fields.get(b"cookie", b"")
    if _COOKIES.fullmatch(cookies) is None:
        return None
    name = cookie.name(client.host, is_tls=client.is_tls)
    values = dict(pair.split("=") for pair in cookies.decode().split("; "))
    return values.get(name)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


class Answer(NamedTuple):
    """To whom, with which status, and the bytes: a head, and a body from a file at rest.

    ``text`` begins with the head, of ``head`` bytes; where there is more of it, that is the body.
    """

    user_id: str
    status: int
    text: memoryview
    head: int
    opened: OpenFile
    body: range


class Heads(NamedTuple):
    """The heads of all answers of a second that are made of one open file, and its entity tag.

    ``part`` has room for the first and the last position, and for the number of bytes.
    """

    etag: str
    whole: bytes
    part: bytes


@lru_cache(maxsize=64)
def heads(opened: OpenFile, second: int) -> Heads:
    """``second`` is in whole epoch seconds."""
    size, validators = opened.status.st_size, Validators.of(opened.status, second)
    fields = description(WholeFile(), validators, range(size), size, opened.path)
    about = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    # In the order in which aiohttp writes them.
    common = "\r\nVary: Origin\r\nX-Content-Type-Options: nosniff\r\n"
    end = f"\r\nDate: {http_date(second)}\r\nServer: {SERVER_SOFTWARE}\r\n\r\n"
    whole = f"HTTP/1.1 200 OK{common}{about}Content-Length: {size}{end}"
    part = (
        f"HTTP/1.1 206 Partial Content{common}Content-Range: bytes \0-\0/{size}\r\n"
        f"{about}Content-Length: \0{end}"
    )
    template = part.replace("%", "%%").replace("\0", "%d")
    return Heads(validators.etag, whole.encode(), template.encode())


class Desk:
    """Answers requests at once or not at all. For one thread: that of the loop."""

    def __init__(self, app: web.Application) -> None:
        self.listeners: Listeners = app[LISTENERS]
        self.tray = memoryview(bytearray(TRAY))
        self.descriptors = app[DESCRIPTORS]
        self.may_sendfile = sys.platform == "linux"  # elsewhere os.sendfile differs
        self.writable = WriteWatch()
        self.session_cookie = app[SESSION_COOKIE]
        self.proxies = app[PROXIES]
        self._streams = app[STREAMS]
        self._streams_per_user = app[SETTINGS].limits.streams_per_user
        self._wall_clock = app[WALL_CLOCK]
        self._tokens = app[TOKENS]
        self._library = app[LIBRARY]
        self._files = app[FILES]
        self._renewing: set[str] = set()
        # What to write on: again the same, as fresh memory costs more than filling it.
        self._sheet = memoryview(bytearray(LITTLE + LONGEST_HEAD))

    def answer(self, question: Question, asked: Asked, now: float) -> Answer | None:
        """The whole answer to a plain request, good until the next one is made.

        ``now`` is in seconds of ``time.monotonic``.
        """
        if not self.may_sendfile:
            return None  # aiohttp's way copies where it has to
        try:
            user_id = self._listener(question)
            if self._streams[user_id] >= self._streams_per_user:
                return None
            path = self._library.find(question.track_id, user_id).path
        except AudiostreamError:
            return None
        opened = self.descriptors.at_rest(os.fspath(path), now)
        if opened is None:
            return None
        if opened.opened_at < now - RENEWED_AFTER and opened.path not in self._renewing:
            self._renew(opened.path)
        lines = heads(opened, int(time.time()))
        if question.if_range is not None and question.if_range != lines.etag:
            return None
        return self._part(user_id, opened, lines, asked)

    def read_ahead(self, shipment: Shipment, then: Callable[[BaseException | None], None]) -> None:
        """Have a thread read what a shipment waits for, and tell ``then`` how that ended."""
        opened = shipment.opened
        loop = asyncio.get_running_loop()
        try:
            job = loop.run_in_executor(self._files, read_ahead, opened.file, shipment.cold)
        except RuntimeError as error:  # the executor has been shut down
            then(error)
            return
        self.descriptors.lend(opened)  # also beyond the end of the connection

        def done(job: asyncio.Future[None]) -> None:
            self.descriptors.take_back(opened)
            then(None if job.cancelled() else job.exception())

        job.add_done_callback(done)

    def close(self) -> None:
        """When all connections have ended."""
        self.writable.close()

    def _listener(self, question: Question) -> str:
        """Whose good ticket or cookie this is. Raises ``Unauthorized``."""
        if question.ticket is not None:
            ticket, track_id = question.ticket, question.track_id
            return self._tokens.verify_ticket(ticket, track_id, self._wall_clock()).user_id
        return self._tokens.verify_session(question.session or "", self._wall_clock()).user_id

    def _part(self, user_id: str, opened: OpenFile, lines: Heads, asked: Asked) -> Answer | None:
        size = opened.status.st_size
        decision = choose_part(asked, size)
        body = positions(decision, size)
        if not body:
            return None
        length, head = len(body), lines.whole
        if isinstance(decision, Part):
            head = lines.part % (body.start, body.stop - 1, length)
        if length > LITTLE:
            if length <= SMALL and not is_in_memory(opened.file, body):
                return None
            return Answer(user_id, decision.status, memoryview(head), len(head), opened, body)
        text = self._sheet[: len(head) + length]
        text[: len(head)] = head
        if not read_from_memory(opened.file, body.start, text[len(head) :]):
            return None
        return Answer(user_id, decision.status, text, len(head), opened, body)

    def _renew(self, path: str) -> None:
        """Open a file again that is in use, before its descriptor is too old to be trusted."""
        now = time.monotonic()

        def renewed(job: asyncio.Future[tuple[io.FileIO, os.stat_result]]) -> None:
            self._renewing.remove(path)
            if not job.cancelled() and job.exception() is None:
                # Whoever asks next is told of a failure by aiohttp's way.
                self.descriptors.give(OpenFile(path, *job.result(), now))

        loop = asyncio.get_running_loop()
        with suppress(RuntimeError):  # the executor has been shut down
            job = loop.run_in_executor(self._files, open_regular, path)
            self._renewing.add(path)
            job.add_done_callback(renewed)


class Shortcut(asyncio.BufferedProtocol):
    """One connection: answers what it can, and hands everything else to ``behind``.

    What arrives is read into the desk's tray: asyncio would make room for 256 KiB at each read.

    aiohttp knows nothing of what is answered here and would take the connection for idle. Idle time
    begins with the last answer, whoever gave it, and who gave it counts: aiohttp behind each of its
    own, and here from an answer until aiohttp has been waiting for a request, has got one, and
    waits for another. What arrives meanwhile, half a request or an empty line, changes nothing.
    """

    __slots__ = (
        "_behind",
        "_came_early",
        "_closing_answered",
        "_closing_idle",
        "_connection",
        "_desk",
        "_end_shipment",
        "_has_heads_alone",
        "_idle_since",
        "_is_plain",
        "_last_bytes",
        "_question",
        "_transport",
        "_waited_for",
    )

    def __init__(self, desk: Desk, behind: web.RequestHandler) -> None:
        self._desk = desk
        self._behind = behind
        self._transport: asyncio.Transport
        self._connection: int
        self._is_plain = True
        self._question: Question | None = None  # the last one
        self._idle_since = 0.0
        self._closing_idle: asyncio.TimerHandle | None = None
        self._waited_for: object = None  # that of aiohttp at the last answer from here
        self._closing_answered: asyncio.TimerHandle | None = None
        self._has_heads_alone = True
        self._last_bytes = b""
        self._end_shipment: Callable[[], None] | None = None
        self._came_early: bytes | None = None  # while a shipment was under way; b"" is the end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connection = transport.get_extra_info("socket").fileno()
        self._behind.connection_made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        if self._end_shipment is not None:
            self._end_shipment()
        self._desk.writable.forget(self._connection)
        for timer in (self._closing_idle, self._closing_answered):
            if timer is not None:
                timer.cancel()
        self._behind.connection_lost(error)

    def eof_received(self) -> bool:
        if self._end_shipment is not None:
            self._came_early = b""
            return True
        self._behind.eof_received()
        if not self._has_heads_alone or not hasattr(self._behind, "_waiter"):
            return False  # what waits for the rest of a body, or for frames, ends
        if self._is_idle():
            return False
        if self._closing_answered is None:
            self._close_when_answered()
        return True

    def pause_writing(self) -> None:
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        self._behind.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._desk.tray

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._desk.tray[:nbytes])
        if self._end_shipment is not None:
            self._came_early = data
            self._transport.pause_reading()
        elif self._is_plain:
            self._take(data)
        else:
            self._leave_to_aiohttp(data)

    def _take(self, data: bytes) -> None:
        began, read = time.monotonic(), self._read(data)
        if read is None or not self._may_answer() or not self._answer(*read, began):
            self._leave_to_aiohttp(data)

    def _read(self, data: bytes) -> tuple[Question, Asked] | None:
        """What a request asks: by its positions if it is like the last one, else all is read."""
        last = self._question
        if last is not None and (asked := last.again(data)) is not None:
            return last, asked
        request = plain_request(data)
        if request is None:
            self._is_plain = False
            return None
        client = self._client(request[1])
        read = Question.read(data, *request, self._desk.session_cookie, client)
        if read is not None:
            self._question = read[0]
        return read

    def _client(self, fields: Fields) -> Client:
        """Who asks."""

        def field(name: str) -> str:
            return fields.get(name.encode(), b"").decode()

        peer = self._transport.get_extra_info("peername")
        remote = str(peer[0]) if isinstance(peer, tuple) else None if peer is None else str(peer)
        return self._desk.proxies.client(remote, False, field("host"), field)

    def _leave_to_aiohttp(self, data: bytes) -> None:
        if self._has_heads_alone:
            seen = (self._last_bytes + data).lower()
            self._has_heads_alone = not any(name in seen for name in _GOES_ON)
            self._last_bytes = seen[1 - max(map(len, _GOES_ON)) :]
        self._behind.data_received(data)

    def _may_answer(self) -> bool:
        """Whether all requests before have been answered."""
        return self._is_idle() and not self._transport.get_write_buffer_size()

    def _is_idle(self) -> bool:
        """Whether aiohttp waits for a request, as it finds out itself.

        Should it find out in another way one day, all requests are left to it.
        """
        waiter = self._waiter()
        return waiter is not None and not waiter.done()

    def _waiter(self) -> asyncio.Future[None] | None:
        """What aiohttp waits for the next request with: another one for each of them."""
        return getattr(self._behind, "_waiter", None)

    def _answer(self, question: Question, asked: Asked, began: float) -> bool:
        """Answer in full, or do nothing and say so."""
        answer = self._desk.answer(question, asked, began)
        if answer is None:
            return False
        self._count_idle(began)
        taken = self._write(answer.text)
        if taken < answer.head:
            self._transport.write(bytes(answer.text[taken : answer.head]))
            taken = answer.head
        if taken - answer.head < len(answer.body):
            self._ship(answer, taken - answer.head, question.target, began)
        else:
            self._note(question.target, answer.status, began, taken)
        return True

    def _write(self, text: memoryview) -> int:
        """Write what the system takes at once, and say how many bytes that is.

        A transport would keep the rest: here that is read from the file when it is wanted.
        """
        try:
            return os.write(self._connection, text)
        except OSError:  # no room, or a client that left: whatever comes next will tell
            return 0

    def _note(self, target: bytes, status: int, began: float, length: int) -> None:
        """Write the line of the access log."""
        logger = self._behind.access_logger
        if isinstance(logger, AccessLogger) and logger.enabled:
            remote = None if self._question is None else self._question.client.address
            path, taken = target.partition(b"?")[0].decode(), time.monotonic() - began
            logger.log_response(remote, "GET", path, status, length, taken)

    def _ship(self, answer: Answer, sent: int, target: bytes, began: float) -> None:
        """Send a file's bytes but for those ``sent``, at once if the system takes them all."""
        shipment = Shipment(self._transport, self._connection, answer.opened, answer.body, sent)
        if shipment.send():
            self._hold(shipment, answer, target, began)
            return
        if not shipment.is_whole:
            disconnect(self._transport)
        if shipment.failure in _NO_SENDFILE:
            self._desk.may_sendfile = False
        self._note(target, answer.status, began, answer.head + shipment.sent)

    def _hold(self, shipment: Shipment, answer: Answer, target: bytes, began: float) -> None:
        """Send the rest as the client takes it. What comes meanwhile waits."""
        desk = self._desk
        desk.descriptors.lend(shipment.opened)
        watch = desk.listeners.begin(answer.user_id, self._transport)

        def end() -> None:
            self._end_shipment = None
            watch.stop()
            desk.descriptors.take_back(shipment.opened)
            self._note(target, answer.status, began, answer.head + shipment.sent)
            if shipment.is_whole:
                self._be_idle()
            else:
                disconnect(self._transport)

        def wait() -> None:
            if not shipment.cold:
                desk.writable.once(self._connection, go_on)
                return
            watch.pause()
            desk.read_ahead(shipment, was_read)

        def was_read(error: BaseException | None) -> None:
            if self._end_shipment is not end:
                return
            if error is not None:
                shipment.fail(error)
                end()
                return
            shipment.was_read()
            watch.resume()
            go_on()

        def go_on() -> None:
            if shipment.send():
                wait()
            else:
                end()

        self._end_shipment = end
        wait()

    def _be_idle(self) -> None:
        """After a shipment: take what came meanwhile, and wait for the next request."""
        self._idle_since = time.monotonic()
        early, self._came_early = self._came_early, None
        if self._transport.is_closing() or early is None:
            return
        if not early:
            self._transport.close()
            return
        self._transport.resume_reading()
        self._take(early)

    def _close_when_answered(self) -> None:
        """The client has said all: let go of it behind the last answer."""
        if self._is_idle():
            self._transport.close()
            return
        loop = asyncio.get_running_loop()
        self._closing_answered = loop.call_later(ANSWERED_LOOK, self._close_when_answered)

    def _count_idle(self, since: float) -> None:
        self._idle_since = since
        waiter = self._waiter()
        if waiter is not self._waited_for:
            self._behind.keep_alive(False)  # it counts from its own last answer
            self._waited_for = waiter
        if self._closing_idle is None:
            self._close_idle_after(self._behind.keepalive_timeout)

    def _close_idle_after(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._closing_idle = loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._closing_idle = None
        if self._waiter() is not self._waited_for or not self._is_idle():
            return  # aiohttp has got a request since, and counts behind its answer
        longest = self._behind.keepalive_timeout
        is_sending = self._end_shipment is not None
        left = longest if is_sending else self._idle_since + longest - time.monotonic()
        if left > 0:
            self._close_idle_after(left)
        else:
            self._transport.close()
