"""Sending: encoded frames, bounded for each device, written once per loop iteration.

``WebSocketResponse.send_str`` would await a slow device, and with it whoever sends to that device.
``SendQueue.send_text`` never awaits: it writes to the public ``request.transport``, and a device
that does not read is disconnected::

    Room ──► SendQueue.send_text ──► held until the end of the loop iteration ──► transport.write
                    │                 (WriteBatcher, while messages are handled)
                    └── over MAX_UNSENT ──► transport.abort
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import Final

from aiohttp import WSMsgType

MAX_UNSENT: Final = 256 * 1024
"""Bytes that may wait for a device. 500 events, or a minute of a lost connection."""
MAX_HELD_QUEUES: Final = 64
"""Queues that hold frames before all are written: a batch must not delay the first of many."""
MAX_HELD: Final = 16 * 1024
"""Bytes that one queue holds before it writes: larger writes are not faster."""

_FINAL: Final = 0x80
"""The FIN bit (RFC 6455 §5.2)."""
_LENGTH_16, _LENGTH_64 = Struct("!BBH"), Struct("!BBQ")


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """Return a server's frame: final, not masked (RFC 6455 §5.2)."""
    first, length = _FINAL | opcode, len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return _LENGTH_16.pack(first, 126, length) + payload
    return _LENGTH_64.pack(first, 127, length) + payload


class WriteBatcher:
    """Holds the frames of all queues from the first message of a loop iteration to its end.

    One for each application: what many messages send to one device goes out in one write.
    """

    __slots__ = ("_frame", "_holding", "_text", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._holding: list[SendQueue] = []
        self._text, self._frame = "", encode_frame(WSMsgType.TEXT, b"")

    def open(self) -> None:
        """Hold frames from now on, until the end of the loop iteration."""
        if not self.is_open:
            self.is_open = True
            asyncio.get_running_loop().call_soon(self._close)

    def encode(self, text: str) -> bytes:
        """Return a text frame. A broadcast is encoded once for all devices of its room."""
        if text != self._text:
            self._text, self._frame = text, encode_frame(WSMsgType.TEXT, text.encode())
        return self._frame

    def hold(self, queue: SendQueue) -> None:
        """Flush ``queue`` at the end of the loop iteration, or once many queues are held."""
        self._holding.append(queue)
        if len(self._holding) >= MAX_HELD_QUEUES:
            self._flush()

    def _close(self) -> None:
        self.is_open = False
        self._flush()

    def _flush(self) -> None:
        holding, self._holding = self._holding, []
        for queue in holding:
            queue.flush()


class SendQueue:
    """What one device still has to receive. The unsent rest waits in the transport's buffer.

    ``has_overflowed`` tells a slow reader from a connection that was lost otherwise.
    """

    __slots__ = ("_batcher", "_held", "_held_size", "_is_closed", "_transport", "has_overflowed")

    def __init__(self, transport: asyncio.WriteTransport, batcher: WriteBatcher) -> None:
        self._transport = transport
        self._batcher = batcher
        self._held: list[bytes] | None = None
        self._held_size = 0
        self._is_closed = False
        self.has_overflowed = False

    def send_text(self, text: str) -> None:
        """Queue a text frame. Never awaits; aborts a device with over MAX_UNSENT bytes unsent."""
        self._send(self._batcher.encode(text))

    def send_control(self, opcode: int, payload: bytes) -> None:
        """Queue a PING or PONG frame behind the text before it."""
        self._send(encode_frame(opcode, payload))

    def _send(self, frame: bytes) -> None:
        if self._is_closed or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + self._held_size > MAX_UNSENT:
            self.has_overflowed = True
            self._transport.abort()
        elif not self._batcher.is_open:
            self._transport.write(frame)
        elif self._held is None:
            self._held, self._held_size = [frame], len(frame)
            self._batcher.hold(self)
        else:
            self._held.append(frame)
            self._held_size += len(frame)
            if self._held_size >= MAX_HELD:
                self._write_held()
                self._held = []  # the batcher still has this queue

    def flush(self) -> None:
        """Write the held frames."""
        self._write_held()
        self._held = None

    def close(self, frame: bytes = b"") -> None:
        """Write the held frames and ``frame`` behind them; drop everything from now on."""
        if frame and not self._is_closed and not self._transport.is_closing():
            self._write_held()
            self._transport.write(frame)
        self._held = None
        self._is_closed = True

    def _write_held(self) -> None:
        held = self._held
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
        self._held_size = 0
