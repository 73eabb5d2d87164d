"""RFC 6455 on the wire, as a server speaks it: bytes to whole messages, messages to frames.

Here: ``FrameReader``, which is fed what arrives, and how frames are written. Not here: sockets and
time limits (``sockets``), and what a text means (``messages``).

A frame (§5.2)::

    FIN · RSV1-3 · opcode │ MASK · length │ 16 or 64 more bits of it │ masking key │ payload
          1 byte          │     1 byte    │    after 126 or 127      │   4 bytes   │

Extensions are never agreed on, so the reserved bits are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

PROTOCOL_ERROR, UNSUPPORTED_DATA, NOT_UTF8, TOO_LONG = 1002, 1003, 1007, 1009

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_CONTROL: Final = 0x08
_WHOLE_TEXT: Final = _FINAL | _TEXT
_MASKED: Final = 0x80
_LONGEST_CONTROL: Final = 125
_OPCODES: Final = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})
_REGISTERED: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""Close codes below 3000 that may be sent (§7.4)."""

_LONG_HEAD, _LONGEST_HEAD = Struct("!BBH"), Struct("!BBQ")
_to_int = int.from_bytes  # looked up once, not twice for every frame


class Closing(Exception):
    """Raised to end a connection with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Ping:
    """Wants a pong with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping of the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The other side's last frame; ``code`` is None where it gives none."""

    code: int | None


Message = str | Ping | Pong | Close


class FrameReader:
    """Makes messages of bytes: text as ``str``, put together where it came in fragments.

    ``max_message`` is in bytes. ``unread`` is what no message has been made of yet, or more of what
    arrived with it. Not to be used any more once it has raised.
    """

    __slots__ = ("_at", "_begun", "_max_message", "unread")

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self.unread = b""
        self._at = 0
        self._begun: bytearray | None = None  # a message whose last fragment is to come

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        self.unread = self.unread[self._at :] + data if self.unread else data
        self._at = 0

    def read(self) -> Message | None:
        """The next whole message, None until more has arrived.

        Raises ``Closing``: 1002, 1003 for binary messages, 1007 for text that is not UTF-8, 1009
        as soon as a message says that it is too long.
        """
        try:
            while True:
                data, at = self.unread, self._at
                size = len(data)
                if size < at + 2:
                    return None
                first, longest = data[at], self._max_message
                if first != _WHOLE_TEXT or self._begun is not None:
                    longest = self._room(first, data[at + 1])
                length, start = data[at + 1] - _MASKED, at + 6
                if length < 0:
                    raise Closing(PROTOCOL_ERROR, "a client's frames are masked")
                if length > _LONGEST_CONTROL:
                    start += 2 if length == 126 else 8
                    if size < start - 4:
                        return None
                    length = _to_int(data[at + 2 : start - 4])
                if length > longest:
                    raise Closing(TOO_LONG, f"messages have at most {self._max_message} bytes")
                end = start + length
                if size < end:
                    return None
                if size > end:
                    self._at = end
                else:
                    self.unread, self._at = b"", 0
                # Unmasked (§5.3) all at once: of whole numbers that is fast.
                keys = (data[start - 4 : start] * (length // 4 + 1))[:length]
                payload = (_to_int(data[start:end]) ^ _to_int(keys)).to_bytes(length)
                if first == _WHOLE_TEXT:
                    return payload.decode()
                if first & _CONTROL:
                    return _control(first & _OPCODE, payload)
                if (text := self._put_together(first, payload)) is not None:
                    return text
        except UnicodeDecodeError:
            raise Closing(NOT_UTF8, "text is UTF-8") from None

    def _room(self, first: int, second: int) -> int:
        """How long the payload of such a frame may be. Most are whole texts and need not ask.

        Raises ``Closing`` where it may not come now.
        """
        opcode, is_final = first & _OPCODE, first & _FINAL
        if first & _RESERVED:
            raise Closing(PROTOCOL_ERROR, "no extension was agreed on")
        if opcode not in _OPCODES:
            raise Closing(PROTOCOL_ERROR, f"there is no opcode {opcode}")
        if opcode & _CONTROL:
            if not is_final or second & 0x7F > _LONGEST_CONTROL:
                raise Closing(PROTOCOL_ERROR, "control frames are short and not in fragments")
            return _LONGEST_CONTROL
        if (opcode == _CONTINUATION) != (self._begun is not None):
            raise Closing(PROTOCOL_ERROR, "the fragments of a message come one after the other")
        if opcode == _BINARY:
            raise Closing(UNSUPPORTED_DATA, "frames are JSON text")
        return self._max_message - len(self._begun or b"")

    def _put_together(self, first: int, payload: bytes) -> str | None:
        """The text whose fragments are all there with this one."""
        if self._begun is None:
            self._begun = bytearray()
        self._begun += payload
        if not first & _FINAL:
            return None
        whole, self._begun = bytes(self._begun), None
        return whole.decode()


def _control(opcode: int, payload: bytes) -> Message:
    if opcode == _PING:
        return Ping(payload)
    if opcode == _PONG:
        return Pong(payload)
    if not payload:
        return Close(None)
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or not (code in _REGISTERED or 3000 <= code < 5000):
        raise Closing(PROTOCOL_ERROR, "there is no such close code")
    payload[2:].decode()  # a reason is UTF-8, or no text at all (§5.5.1)
    return Close(code)


def text_frame(text: str) -> bytes:
    """A whole text message."""
    return _frame_of(_TEXT, text.encode())


def ping_frame(payload: bytes) -> bytes:
    """A question whether the other side is there."""
    return _frame_of(_PING, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping."""
    return _frame_of(_PONG, payload)


def close_frame(code: int, reason: str) -> bytes:
    """The last frame of a connection. ``reason`` is cut where a control frame ends."""
    said = reason.encode()[: _LONGEST_CONTROL - 2].decode(errors="ignore").encode()
    return _frame_of(_CLOSE, code.to_bytes(2) + said)


def _frame_of(opcode: int, payload: bytes) -> bytes:
    """A frame of a server: final, not masked."""
    first, length = _FINAL | opcode, len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return _LONG_HEAD.pack(first, 126, length) + payload
    return _LONGEST_HEAD.pack(first, 127, length) + payload


PING_FRAME: Final = _frame_of(_PING, b"")
