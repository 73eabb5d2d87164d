"""Sending responses from memory to clients that read slowly.

Long bodies are written in chunks, each of which waits for the one before. A client that reads
nothing is disconnected after a timeout, which is shorter while memory for other bodies is short.
Audio is not sent here but from its files (``streaming``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from ..ops.aiohttp_compat import drain
from ..ops.connections import disconnect
from ..ops.proxies import client_of
from ..streaming.stall_timeout import StallTimeout
from .errors import exception_response
from .responses import BODY

CHUNK_SIZE: Final = 32 * 1024
"""Bytes that are written to a connection at once, so also what each one holds in memory."""
MAX_PENDING: Final = 128
"""Unfinished responses of one requester."""
STALL_TIMEOUT: Final = 60.0
"""Seconds in which a client has to take a byte. A paused player may take longer, so audio has
another limit; a page, a list or a picture is read at once."""
SHORT_STALL_TIMEOUT: Final = 1.0
"""The same while there is no memory for another body."""

Requester: TypeAlias = tuple[str, str | None]
"""``("user", id)``, or ``("address", address)`` before a user is known."""

_REQUESTER: web.RequestKey[Requester] = web.RequestKey("audiostream_requester")
_log = logging.getLogger(__name__)


def attribute_to_user(request: web.Request, user_id: str | None) -> None:
    """Count a request as this user's in all limits; None leaves it to its address."""
    if user_id is not None:
        request[_REQUESTER] = ("user", user_id)


def requester_of(request: web.Request) -> Requester:
    """Return whose limits a request counts for."""
    requester: Requester = request.get(_REQUESTER, ("address", client_of(request).address))
    return requester


@dataclass(eq=False, slots=True, kw_only=True)
class PendingResponse:
    """A response that its client has not taken yet; times in seconds of ``time.monotonic``.

    ``body`` is empty unless it is long.
    """

    transport: asyncio.Transport
    requester: Requester
    body: bytes
    stall_timeout: StallTimeout
    started_at: float
    progressed_at: float
    is_urgent: bool = False
    is_aborted: bool = False

    def shorten_timeout(self) -> None:
        """Disconnect the client soon, unless it reads."""
        if not self.is_urgent:
            self.is_urgent = True
            self.stall_timeout.stop()
            self.stall_timeout = StallTimeout(self.transport, SHORT_STALL_TIMEOUT)

    def abort(self) -> None:
        """Disconnect the client. Stays pending until the connection is known to be lost."""
        self.is_aborted = True
        _log.info("disconnected a client that reads too slowly")
        disconnect(self.transport)


class ResponseSender:
    """Sends the responses of one application. ``stall_timeout`` in seconds, None for no end."""

    def __init__(self, stall_timeout: float | None) -> None:
        self._stall_timeout = stall_timeout
        self._pending: dict[PendingResponse, None] = {}

    @property
    def pending_bodies(self) -> list[bytes]:
        """The long bodies that are being sent; those that clients share more than once."""
        return [each.body for each in self._pending if each.body]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Send what the handler returned, or the error that it raised.

        One middleware for both: a WebSocket waits in each, and takes 300 bytes more.
        """
        try:
            response = await handler(request)
        except Exception as error:
            response = exception_response(request, error)
        return await self.send(request, response)

    async def send(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Send a ``web.Response``, and wait until the client has taken it.

        Other responses (WebSockets, audio) send themselves.
        """
        transport = request.transport
        if transport is None or response.prepared or not isinstance(response, web.Response):
            return response
        body = response.body
        if isinstance(body, bytes) and len(body) > CHUNK_SIZE and request.method != "HEAD":
            streamed = _without_body(response, len(body))
            with suppress(ConnectionError):  # the client disconnected, or was disconnected
                await self._send_chunks(request, transport, streamed, body)
            response.pop(BODY, None)
            return streamed
        with suppress(ConnectionError):
            await response.prepare(request)
            await response.write_eof()
            if transport.get_write_buffer_size():
                with self._track(request, transport):
                    await drain(request)
        return response

    def make_room(self, *, abort_oldest: bool) -> None:
        """Shorten the timeout of all long bodies, and with ``abort_oldest`` end the oldest one."""
        long = [each for each in self._pending if each.body and not each.is_aborted]
        for each in long:
            each.shorten_timeout()
        if long and abort_oldest:
            min(long, key=lambda each: each.started_at).abort()

    async def _send_chunks(
        self,
        request: web.Request,
        transport: asyncio.Transport,
        response: web.StreamResponse,
        body: bytes,
    ) -> None:
        with self._track(request, transport, body) as pending:
            await response.prepare(request)
            for start in range(0, len(body), CHUNK_SIZE):
                await response.write(memoryview(body)[start : start + CHUNK_SIZE])
                await drain(request)
                pending.progressed_at = time.monotonic()
            await response.write_eof()

    @contextmanager
    def _track(
        self, request: web.Request, transport: asyncio.Transport, body: bytes = b""
    ) -> Iterator[PendingResponse]:
        now = time.monotonic()
        pending = PendingResponse(
            transport=transport,
            requester=requester_of(request),
            body=body,
            stall_timeout=StallTimeout(transport, self._stall_timeout),
            started_at=now,
            progressed_at=now,
        )
        self._pending[pending] = None
        self._enforce_limit(pending.requester)
        transport.set_write_buffer_limits(high=0)
        try:
            yield pending
        finally:
            pending.stall_timeout.stop()
            transport.set_write_buffer_limits()
            del self._pending[pending]

    def _enforce_limit(self, requester: Requester) -> None:
        """Abort the response of a requester over ``MAX_PENDING`` that made no progress longest."""
        pending = [
            each for each in self._pending if each.requester == requester and not each.is_aborted
        ]
        if len(pending) > MAX_PENDING:
            min(pending, key=lambda each: each.progressed_at).abort()


def _without_body(response: web.Response, length: int) -> web.StreamResponse:
    """Return the same response, for a body that is written in chunks."""
    streamed = web.StreamResponse(
        status=response.status, reason=response.reason, headers=response.headers
    )
    streamed.cookies.update(response.cookies)
    streamed.content_length = length
    if response.keep_alive is False:
        streamed.force_close()
    return streamed
