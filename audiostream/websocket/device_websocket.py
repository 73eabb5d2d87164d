"""A device's WebSocket: ``web.WebSocketResponse`` whose close never waits for a stalled device.

aiohttp does the handshake and reads frames. What is sent goes through a ``SendQueue``, the close
frame too, so that it comes last. ``WebSocketResponse.close`` waits until a device has read all
that was sent before, and then closes the socket although more may have arrived: the kernel answers
that with a reset (RFC 9293 §3.10.7.1), which can overtake the close frame. Here the connection is
closed for writing alone, and read until the device ends it::

    close_nowait ──► held frames, close frame, FIN ──► the device ends the connection
                                                  └──► CLOSE_TIMEOUT ──► abort
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from .close_reasons import CloseConnection, CloseReason
from .heartbeat import HeartbeatMonitor
from .send_queue import SendQueue, WriteBatcher, encode_frame

PONG_TIMEOUT = 2.0
"""Seconds that ``send_ping`` waits for a pong; some clients do not answer pings."""
CLOSE_TIMEOUT = 1.0
"""Seconds that a device has to end the connection after a close frame, before it is aborted."""
CLOSE_POLL = 0.02
"""Seconds between two looks whether the connection has ended."""
MAX_CLOSE_TEXT = 123
"""Bytes of text in a close frame (RFC 6455 §5.5): 125 without the code."""

_READ_ERRORS = {
    WSCloseCode.PROTOCOL_ERROR: (CloseReason.PROTOCOL_ERROR, "the frame breaks RFC 6455"),
    WSCloseCode.INVALID_TEXT: (CloseReason.INVALID_UTF8, "text is UTF-8"),
    WSCloseCode.MESSAGE_TOO_BIG: (CloseReason.MESSAGE_TOO_LONG, "the message is too long"),
}
_SENDABLE_CODES = frozenset(WSCloseCode) - {WSCloseCode.ABNORMAL_CLOSURE}


class DeviceWebSocket(web.WebSocketResponse):
    """One connection. ``send_queue`` exists once it is prepared and the device still connected.

    Read with ``receive_text``, or with ``receive`` and hand what is no text to ``handle_control``.
    ``max_message`` is in bytes. Whoever receives sets ``received_at``, in the loop's seconds.
    """

    __slots__ = (
        "_has_missed_heartbeat",
        "_heartbeat_monitor",
        "_on_pong",
        "_pings",
        "_pong_timeout",
        "_request",
        "_transport",
        "is_closing",
        "received_at",
        "send_queue",
    )

    def __init__(self, max_message: int, heartbeat_monitor: HeartbeatMonitor) -> None:
        super().__init__(
            max_msg_size=max_message + 1,  # the first size that aiohttp refuses
            compress=False,  # 100 KiB for each idle device
            autoping=False,  # a pong must not overtake the held frames
            autoclose=False,
        )
        self.send_queue: SendQueue
        self.is_closing = False
        self.received_at = 0.0
        self._request: web.BaseRequest
        self._transport: asyncio.Transport
        self._heartbeat_monitor = heartbeat_monitor
        self._has_missed_heartbeat = False
        self._pings = 0
        self._on_pong: Callable[[], None] | None = None
        self._pong_timeout: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the connection has not ended yet."""
        return self._request.transport is not None

    @property
    def lost_reason(self) -> CloseReason:
        """Why a connection ended that had no close frame."""
        if self.send_queue.has_overflowed:
            return CloseReason.SLOW_READER
        if self._has_missed_heartbeat:
            return CloseReason.HEARTBEAT_TIMEOUT
        return CloseReason.CONNECTION_LOST

    async def open(self, request: web.BaseRequest, batcher: WriteBatcher) -> bool:
        """Upgrade the connection. Return False where the client left during the handshake."""
        await self.prepare(request)
        self.headers.clear()  # sent, and 300 bytes for each idle device
        self._request = request
        if request.transport is None:
            return False
        self._transport = request.transport
        self.send_queue = SendQueue(request.transport, batcher)
        self.received_at = asyncio.get_running_loop().time()
        self._heartbeat_monitor.add(self)
        return True

    async def receive_text(self) -> str:
        """Return the next text. Raises ``CloseConnection`` at the end of the connection."""
        while True:
            message = await self.receive()
            self.received_at = asyncio.get_running_loop().time()
            if message.type is WSMsgType.TEXT:
                return str(message.data)
            self.handle_control(message)

    def handle_control(self, message: WSMessage) -> None:
        """Answer a PING, note a PONG. Raises ``CloseConnection`` for all other than text."""
        if message.type is WSMsgType.PING:
            self.send_queue.send_control(WSMsgType.PONG, bytes(message.data))
        elif message.type is WSMsgType.PONG:
            if message.data == str(self._pings).encode():
                self._pong_received()
        elif message.type is WSMsgType.BINARY:
            raise CloseConnection(CloseReason.BINARY_MESSAGE, "frames are JSON text")
        elif message.type is WSMsgType.CLOSE:
            raise _closed_by_client(message.data)
        else:
            raise self._connection_ended(message.data)

    def send_heartbeat(self) -> None:
        """Send a PING whose pong only shows that the device is there."""
        self.send_queue.send_control(WSMsgType.PING, b"")

    def miss_heartbeat(self) -> None:
        """Abort the connection: the device has not answered for too long."""
        self._has_missed_heartbeat = True
        self._transport.abort()

    def send_ping(self, on_pong: Callable[[], None]) -> None:
        """Call ``on_pong`` once the device has read all that was sent before, or after
        PONG_TIMEOUT. One at a time; not called once the connection is closing.
        """
        self._pings += 1
        self._on_pong = on_pong
        self._pong_timeout = asyncio.get_running_loop().call_later(
            PONG_TIMEOUT, self._pong_received
        )
        self.send_queue.send_control(WSMsgType.PING, str(self._pings).encode())

    def close_nowait(self, code: int, text: str = "") -> None:
        """Send a close frame behind all that was sent, once; abort after CLOSE_TIMEOUT."""
        if self.is_closing:
            return
        self._begin_close()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self._transport.abort)
        payload = text.encode()[:MAX_CLOSE_TEXT].decode(errors="ignore").encode()
        self.send_queue.close(encode_frame(WSMsgType.CLOSE, code.to_bytes(2) + payload))
        if not self._transport.can_write_eof():  # TLS cannot be closed for writing alone
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the device has ended the connection already
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once, without a close frame and whatever is unsent."""
        self._begin_close()
        self.send_queue.close()
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection, which ``close_nowait`` or ``abort`` has begun."""
        while self.is_connected:  # noqa: ASYNC110 - aiohttp has no event for it
            await asyncio.sleep(CLOSE_POLL)

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True
    ) -> bool:
        """Send nothing: ``receive`` calls this before it returns an error, and aiohttp at the end
        of the request. Once the connection has ended, release aiohttp's timers.
        """
        return not self.is_connected and await super().close(code=code, drain=False)

    def _connection_ended(self, error: object) -> CloseConnection:
        if isinstance(error, WebSocketError) and error.code in _READ_ERRORS:
            return CloseConnection(*_READ_ERRORS[WSCloseCode(error.code)])
        return CloseConnection(self.lost_reason)

    def _begin_close(self) -> None:
        self.is_closing = True
        self._heartbeat_monitor.discard(self)
        self._forget_ping()

    def _pong_received(self) -> None:
        on_pong = self._on_pong
        self._forget_ping()
        if on_pong is not None:
            on_pong()

    def _forget_ping(self) -> None:
        self._on_pong = None
        if self._pong_timeout is not None:
            self._pong_timeout.cancel()
            self._pong_timeout = None


def _closed_by_client(code: int) -> CloseConnection:
    """A client's close frame is answered with its own code, or 1000 (RFC 6455 §5.5.1)."""
    if not code:
        return CloseConnection(CloseReason.CLIENT_CLOSED)
    if code in _SENDABLE_CODES or 3000 <= code < 5000:
        return CloseConnection(CloseReason.CLIENT_CLOSED, code=code)
    return CloseConnection(CloseReason.PROTOCOL_ERROR, "there is no such close code")
