"""Answers from memory, and how they reach clients that take their time.

Here: ``Body``, one copy of which is sent to all who ask for it; ``Answers``, which has long bodies
made one after another, sends every answer in pieces, and ends those that nobody takes or that keep
memory for too long. Not here: audio, which is sent from its files (``streaming``, ``shortcut``),
and what stands in an answer (``rest``, ``covers``, ``pages``).

What waits in memory is at most ``MOST_HELD`` bytes of long bodies, whoever asked for them, and one
``PIECE`` for each connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from aiohttp import web
from aiohttp.typedefs import Handler

from ..errors import RateLimited
from ..ops.connections import disconnect
from ..ops.proxies import client_of
from ..streaming.stall_timeout import StallTimeout

PIECE: Final = 32 * 1024
"""Bytes that are given to a connection at once."""
MOST_HELD: Final = 16 * 1024 * 1024
"""Bytes of long bodies in memory, each counted once."""
MOST_KEPT: Final = 6 * 1024 * 1024
"""Bytes of these that are kept for who asks next, while there is room for them."""
MOST_WAITING: Final = 128
"""Answers of one listener that wait for their clients."""
MOST_QUEUED: Final = 256
"""Requests of one listener that wait for their bodies to be made."""
PATIENCE: Final = 60.0
"""Seconds in which a client has to take a byte. A player may pause, so audio waits for longer;
who has asked for a page, a list or a picture reads it at once."""
HURRY: Final = 1.0
"""The same while there is no room for another body."""
ROOM_WITHIN: Final = 30.0
"""Seconds after which the longest under way makes room, though its client reads."""
_LOOK_EVERY: Final = 0.1

Listener: TypeAlias = tuple[str, str | None]

_LISTENER: web.RequestKey[Listener] = web.RequestKey("audiostream_listener")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Body:
    """What is sent, its media type, its strong entity tag with its quotes, and its own headers.

    ``coding`` is its content coding; ``other_etags`` are those of the same content in others.
    """

    data: bytes
    media_type: str
    etag: str
    headers: Mapping[str, str]
    coding: str | None = None
    other_etags: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Body:
        etag = f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'
        return cls(data, media_type, etag, headers or {})


def answer(request: web.Request, body: Body, headers: Mapping[str, str]) -> web.Response:
    """200 with the body, or 304 where the client has it (RFC 9110 section 13.1.2)."""
    listed = ",".join(request.headers.getall("If-None-Match", ()))
    known = {tag.strip() for tag in listed.split(",")}
    headers = {**headers, **body.headers}
    for etag in (body.etag, *body.other_etags):
        if not known.isdisjoint({"*", etag, f"W/{etag}"}):
            return web.Response(status=304, headers={**headers, "ETag": etag})
    if body.coding is not None:
        headers["Content-Encoding"] = body.coding
    headers |= {"Content-Type": body.media_type, "ETag": body.etag}
    response = web.Response(body=body.data, headers=headers)
    response[_BODY] = body  # others share it for as long as it is being sent
    return response


def count_for(request: web.Request, user_id: str | None) -> None:
    """Count the answer to a request as one of this user's; without a user, of its address."""
    if user_id is not None:
        request[_LISTENER] = ("user", user_id)


@dataclass(eq=False, slots=True)
class _Delivery:
    """An answer that waits for its client. ``moved_at`` is when it last took something."""

    transport: asyncio.Transport
    listener: Listener
    began_at: float
    moved_at: float
    body: bytes
    watch: StallTimeout
    is_hurried: bool = field(default=False)
    is_cut: bool = field(default=False)

    def hurry(self) -> None:
        """End it soon, unless its client reads."""
        if not self.is_hurried:
            self.is_hurried = True
            self.watch.stop()
            self.watch = StallTimeout(self.transport, HURRY)

    def cut(self) -> None:
        """End it. It leaves once the connection is known to be lost."""
        self.is_cut = True
        _log.info("cut a client that takes too long to read, for others")
        disconnect(self.transport)


class Answers:
    """Of one application. ``patience`` is in seconds, None for no end.

    Where much waits, those are cut first who read nothing.
    """

    def __init__(self, patience: float | None) -> None:
        self._patience = patience
        self._waiting: dict[_Delivery, None] = {}
        self._bodies: WeakValueDictionary[Hashable, Body] = WeakValueDictionary()
        self._kept: OrderedDict[Hashable, Body] = OrderedDict()
        self._queued: Counter[Listener] = Counter()
        self._threads: dict[str, Executor] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._own_turns: WeakValueDictionary[Listener, asyncio.Lock] = WeakValueDictionary()

    async def shared(
        self,
        request: web.Request,
        kind: str,
        key: Hashable,
        make: Callable[[], Body],
    ) -> Body:
        """The body that is made now, or was made under the same key and is there still.

        ``make`` may block: each kind has a thread. One is made at a time, and only when there is
        room for the one before; several threads would each keep what they once used. Of all
        that a listener asks for one is in that queue, so that nobody waits for a hundred others.
        Raises ``RateLimited`` for one that has too many in it.
        """
        listener = _listener_of(request)
        if self._queued[listener] >= MOST_QUEUED:
            raise RateLimited("too many requests at once; wait for the answers")
        self._queued[listener] += 1
        own_turn = self._own_turns.setdefault(listener, asyncio.Lock())
        try:
            async with own_turn:
                body = self._bodies.get((kind, key))
                if body is None:
                    async with self._turns[kind]:
                        body = self._bodies.get((kind, key)) or await self._made((kind, key), make)
            return body
        finally:
            self._queued[listener] -= 1
            if not self._queued[listener]:
                del self._queued[listener]

    async def _made(self, key: tuple[str, Hashable], make: Callable[[], Body]) -> Body:
        body = await asyncio.get_running_loop().run_in_executor(self._thread_of(key[0]), make)
        await self._room_for(len(body.data))
        self._bodies[key] = self._kept[key] = body
        while sum(len(each.data) for each in self._kept.values()) > MOST_KEPT:
            self._kept.popitem(last=False)
        return body

    def _thread_of(self, kind: str) -> Executor:
        thread = self._threads.get(kind)
        if thread is None:
            thread = self._threads[kind] = ThreadPoolExecutor(1, f"audiostream-{kind}")
        return thread

    def close(self) -> None:
        """When nothing is asked for any more."""
        for thread in self._threads.values():
            thread.shutdown(wait=False)

    async def send(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send what a handler answered, and wait until the client has taken it.

        Sockets and audio are let through: they look after themselves.
        """
        transport = request.transport
        if transport is None or response.prepared or not isinstance(response, web.Response):
            return response
        body = response.body
        if isinstance(body, bytes) and len(body) > PIECE and request.method != "HEAD":
            headed = _without_body(response, len(body))
            with suppress(ConnectionError):  # the client left, or was cut
                await self._send_long(request, transport, headed, body)
            response.pop(_BODY, None)  # from here on it may be forgotten
            return headed
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
            if transport.get_write_buffer_size():
                with self._wait(request, transport):
                    await request.writer.drain()
        return response

    async def _send_long(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        response: web.StreamResponse,
        body: bytes,
    ) -> None:
        with self._wait(request, transport, body) as delivery:
            await response.prepare(request)
            left = memoryview(body)
            while left:
                await response.write(left[:PIECE])
                await request.writer.drain()
                delivery.moved_at = time.monotonic()
                left = left[PIECE:]
            await response.write_eof()

    @contextmanager
    def _wait(
        self, request: web.Request, transport: asyncio.Transport, body: bytes = b""
    ) -> Iterator[_Delivery]:
        now = time.monotonic()
        listener = _listener_of(request)
        watch = StallTimeout(transport, self._patience)
        delivery = _Delivery(transport, listener, now, now, body, watch)
        self._waiting[delivery] = None
        self._limit(listener)
        transport.set_write_buffer_limits(high=0)
        try:
            yield delivery
        finally:
            delivery.watch.stop()
            transport.set_write_buffer_limits()
            del self._waiting[delivery]

    def _limit(self, listener: Listener) -> None:
        """One more answer than one listener may have under way ends another of theirs."""
        theirs = [each for each in self._waiting if each.listener == listener and not each.is_cut]
        if len(theirs) > MOST_WAITING:
            min(theirs, key=lambda each: each.moved_at).cut()

    async def _room_for(self, size: int) -> None:
        """Wait until that many bytes more may be in memory, and make those wait no more who idle.

        A body that is larger than all that may be held has room where nothing else is.
        """
        began = time.monotonic()
        while (held := self._held()) and held + size > MOST_HELD:
            if self._kept:
                self._kept.popitem(last=False)
                continue
            long = [each for each in self._waiting if each.body and not each.is_cut]
            for each in long:
                each.hurry()
            if long and time.monotonic() - began >= ROOM_WITHIN:
                min(long, key=lambda each: each.began_at).cut()
            await asyncio.sleep(_LOOK_EVERY)

    def _held(self) -> int:
        """Bytes of long bodies, those that are shared and those of one answer alone."""
        bodies = [body.data for body in self._bodies.values()]
        bodies += [each.body for each in self._waiting]
        return sum({id(body): len(body) for body in bodies}.values())


_BODY = web.ResponseKey("audiostream_body", Body)
ANSWERS = web.AppKey("audiostream_answers", Answers)


@web.middleware
async def send_in_pieces(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send every answer as ``Answers.send`` does. All that may answer otherwise is inside."""
    return await request.app[ANSWERS].send(request, await handler(request))


def _listener_of(request: web.Request) -> Listener:
    listener: Listener = request.get(_LISTENER, ("address", client_of(request).address))
    return listener


def _without_body(response: web.Response, length: int) -> web.StreamResponse:
    """The same answer, for a body that is written by itself."""
    headed = web.StreamResponse(
        status=response.status, reason=response.reason, headers=response.headers
    )
    headed.cookies.update(response.cookies)
    headed.content_length = length
    if response.keep_alive is False:
        headed.force_close()
    return headed
