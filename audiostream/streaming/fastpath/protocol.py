"""``FastPathProtocol``: answer plain range requests where they arrive, and forward the rest.

::

    bytes ──► one whole, plain GET of a stream, and aiohttp is idle? ──no──► aiohttp
                  │ yes; a request that differs from the one before in its range
                  │ alone is not parsed again
              credential, track and limit good? ──no──► aiohttp
                  │ yes
              file open? ──no──► open it in a thread, then ask again
                  │ yes
              up to COPY_LIMIT: one write          more: the head, and sendfile
                  │                                     │
                  └──── the client accepts no more ─────┴──► send the rest

A connection on which anything but plain requests has come is left to aiohttp, which alone knows
where the next request begins. Both ways give the same bytes (``tests/system/test_differential``).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from aiohttp import web

from ...ops.access_log import AccessLogger
from ...ops.aiohttp_compat import (
    access_logger_of,
    hold_idle_timer,
    is_idle,
    restart_idle_timer,
)
from ...ops.connections import disconnect
from ...ops.half_close import HalfCloseProtocol
from ...ops.proxies import Client
from ..ranges import ByteRangeSpec
from ..stall_timeout import StallTimeout
from .open_files import OpenFile
from .request import Fields, RangeRequest, parse_head
from .responder import RangeResponder, RangeResponse
from .transfer import FileTransfer


class FastPathProtocol(HalfCloseProtocol):
    """One connection: answer what the responder can, and forward everything else to aiohttp.

    While a file is opened or sent, what arrives waits, and reading stops behind it. aiohttp's idle
    timer does not count then, and begins anew behind each answer given here.
    """

    __slots__ = (
        *("_early", "_end_work", "_fd", "_is_plain", "_may_redirect", "_request", "_responder"),
    )

    def __init__(self, responder: RangeResponder, fallback: web.RequestHandler) -> None:
        super().__init__(fallback, responder.read_buffer)
        self._responder = responder
        self._fd: int
        self._is_plain = True
        self._may_redirect = False  # whether nginx sends what this peer forwards
        self._request: RangeRequest | None = None  # the last one
        self._end_work: Callable[[], object] | None = None  # set while a file is opened or sent
        self._early: bytes | None = None  # what has arrived meanwhile; b"" is the end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._fd = transport.get_extra_info("socket").fileno()
        # Bytes that are written to the descriptor itself are not encrypted.
        self._is_plain = transport.get_extra_info("sslcontext") is None
        responder = self._responder
        self._may_redirect = bool(responder.x_accel) and responder.proxies.trusts(self._remote())

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._end_work is not None:
            self._end_work()
        self._responder.watcher.forget(self._fd)
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        if self._end_work is None:
            return super().eof_received()
        self._early = b""
        return True

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._read_buffer[:nbytes])
        if self._end_work is None:
            self._receive(data)
        else:
            self._early = data
            self._transport.pause_reading()

    def _receive(self, data: bytes) -> None:
        if not self._is_plain or not self._answer(data, time.monotonic(), may_open=True):
            self._forward(data)

    def _answer(self, data: bytes, began: float, *, may_open: bool) -> bool:
        """Answer a request, or open its file and answer then; return False to leave it to aiohttp.

        ``began`` is in seconds of ``time.monotonic``.
        """
        parsed = self._parse(data)
        if parsed is None or not self._may_answer():
            return False
        request, spec = parsed
        responder = self._responder
        found = responder.locate(request)
        if found is None:
            return False
        owner, path = found
        now = time.monotonic()  # opening may have taken long
        opened = responder.files.cached(path, now)
        if opened is None:
            return may_open and self._open(owner, path, data, began)
        is_for_nginx = self._may_redirect and request.is_forwarded
        compose = responder.redirect if is_for_nginx else responder.respond
        response = compose(request, spec, opened)
        if response is None:
            return False
        restart_idle_timer(self._fallback, now)
        sent = self._write(response)
        if sent == len(response.body):
            self._log(request, response, began, sent)
        else:
            log = partial(self._log, request, response, began)
            self._send_rest(response.body, sent, opened, owner, log)
        return True

    def _parse(self, data: bytes) -> tuple[RangeRequest, ByteRangeSpec] | None:
        last = self._request
        if last is not None and (spec := last.match_repeat(data)) is not None:
            return last, spec
        head = parse_head(data)
        if head is None:
            self._is_plain = False
            return None
        parsed = RangeRequest.parse(data, head, self._responder.session_cookie, self._client)
        if parsed is not None:
            self._request = parsed[0]
        return parsed

    def _client(self, fields: Fields) -> Client:
        def field(name: str) -> str:
            return fields.get(name.encode(), b"").decode()

        return self._responder.proxies.client(self._remote(), False, field("host"), field)

    def _remote(self) -> str | None:
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else None if peer is None else str(peer)

    def _may_answer(self) -> bool:
        """Return whether all requests before have been answered."""
        return is_idle(self._fallback) and not self._transport.get_write_buffer_size()

    def _open(self, owner: Hashable, path: str, data: bytes, began: float) -> bool:
        """Open a file, then answer the request in ``data``. It counts as a stream meanwhile."""
        try:
            opening = self._responder.files.open(path)
        except RuntimeError:  # the executor has been shut down
            return False
        slot = self._responder.stream_slots.acquire(owner, self._transport)
        slot.pause()
        self._end_work = slot.stop
        hold_idle_timer(self._fallback)
        opening.add_done_callback(partial(self._opened, data, began))
        return True

    def _opened(self, data: bytes, began: float, _: asyncio.Future[Any]) -> None:
        if self._end_work is None or self._transport.is_closing():
            return
        self._end_work()
        self._end_work = None
        restart_idle_timer(self._fallback, time.monotonic())
        if not self._answer(data, began, may_open=False):
            self._forward(data)
        self._resume()

    def _write(self, response: RangeResponse) -> int:
        """Write what the system accepts, the head in any case; return the body's bytes of it.

        The transport would copy the rest: here it is sent from the file when there is room.
        """
        try:
            sent = os.write(self._fd, response.data)
        except OSError:  # no room, or a client that has left: the next call reports it
            sent = 0
        if sent < response.head_size:
            self._transport.write(bytes(response.data[sent : response.head_size]))
            return 0
        return sent - response.head_size

    def _send_rest(
        self, body: range, sent: int, opened: OpenFile, owner: Hashable, log: Callable[[int], None]
    ) -> None:
        new_transfer = self._responder.new_transfer
        transfer = new_transfer(self._transport, self._fd, opened, body, sent)
        if not transfer.send():
            self._end(transfer, log)
            return
        files, watcher = self._responder.files, self._responder.watcher
        files.retain(opened)
        hold_idle_timer(self._fallback)
        slot = self._responder.stream_slots.acquire(owner, self._transport)
        task = asyncio.create_task(transfer.send_rest(slot, files, watcher))
        task.add_done_callback(partial(self._sent_rest, transfer, slot, log))
        self._end_work = task.cancel

    def _sent_rest(
        self,
        transfer: FileTransfer,
        slot: StallTimeout,
        log: Callable[[int], None],
        _: asyncio.Task[None],
    ) -> None:
        slot.stop()
        self._responder.files.release(transfer.opened)
        self._end_work = None
        self._end(transfer, log)
        self._resume()

    def _end(self, transfer: FileTransfer, log: Callable[[int], None]) -> None:
        log(transfer.sent)
        self._responder.note_failure(transfer.failure)
        if transfer.is_complete:
            restart_idle_timer(self._fallback, time.monotonic())
        else:
            disconnect(self._transport)

    def _resume(self) -> None:
        """Take what has arrived while a file was opened or sent."""
        if self._end_work is not None or self._early is None or self._transport.is_closing():
            return
        early, self._early = self._early, None
        if early:
            self._transport.resume_reading()
            self._receive(early)
        elif not super().eof_received():
            self._transport.close()

    def _log(self, request: RangeRequest, response: RangeResponse, began: float, sent: int) -> None:
        """Write a line to the access log; ``sent`` counts the body's bytes."""
        logger = access_logger_of(self._fallback)
        if isinstance(logger, AccessLogger) and logger.enabled:
            path, seconds = request.target.partition(b"?")[0].decode(), time.monotonic() - began
            length, status = response.head_size + sent, response.status
            logger.log_response(request.client.address, "GET", path, status, length, seconds)
