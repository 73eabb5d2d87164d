"""A case of the suite: what is sent, and what must be received."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from tests.support.raw_websocket import CLOSE, CONTINUATION, TEXT, frame

LONGEST = 16 * 1024
"""Bytes of the longest message, by default."""
KIB, MIB = 1024, 1024 * 1024
NORMAL, PROTOCOL_ERROR, UNSUPPORTED, NOT_UTF8, TOO_LONG = 1000, 1002, 1003, 1007, 1009
TOO_LONG_OR_BINARY = frozenset({UNSUPPORTED, TOO_LONG})

Received = tuple[str, str | bytes]
"""One answer: its kind (``id``, ``error`` or ``pong``), and the id, the code or the payload."""


@dataclass(frozen=True)
class Case:
    """What is sent, each piece by itself, and what must be seen.

    ``closes``: codes with which the server may end it; without any it goes on until the test closes
    it. ``pause`` is in seconds between pieces.
    """

    pieces: tuple[bytes, ...]
    receives: tuple[Received, ...] = ()
    closes: Collection[int | None] = ()
    pause: float = 0.0


def good(*pieces: bytes, receives: Collection[Received] = (), pause: float = 0.0) -> Case:
    """One after which the connection goes on."""
    return Case(pieces, tuple(receives), (), pause)


def fails(
    *pieces: bytes,
    closes: int | Collection[int | None] = PROTOCOL_ERROR,
    receives: Collection[Received] = (),
    pause: float = 0.0,
) -> Case:
    """One that the server ends."""
    codes = {closes} if isinstance(closes, int) else closes
    return Case(pieces, tuple(receives), codes, pause)


def question(frame_id: str, length: int = 0) -> bytes:
    """A message that is answered with ``frame_id``, of ``length`` bytes at least."""
    text = json.dumps({"event": "getCurrentState", "id": frame_id}, ensure_ascii=False)
    return text.encode().ljust(length)


def around(payload: bytes) -> bytes:
    """A question whose id is ``payload``, whatever these bytes are."""
    return b'{"event":"getCurrentState","id":"' + payload + b'"}'


def chops(data: bytes, size: int = 1) -> list[bytes]:
    """``data`` in pieces, as the network may cut it up."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(payload: bytes, size: int, opcode: int = TEXT) -> list[bytes]:
    """A message in frames of ``size`` bytes each."""
    parts = chops(payload, size) or [b""]
    last = len(parts) - 1
    return [
        frame(part, CONTINUATION if number else opcode, final=number == last)
        for number, part in enumerate(parts)
    ]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(code.to_bytes(2) + reason, CLOSE)


ASK, ANSWER = question("before"), ("id", "before")
"""The small text message of many cases, and what it is answered with."""
NO_JSON = ("error", "invalid_message")
OCTETS = 0.0003
"""Seconds between single octets, so that some of them arrive alone."""
KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")
"""A Greek word in UTF-8."""
EDITED = b"edited"
"""What stands behind bytes that are not UTF-8."""
