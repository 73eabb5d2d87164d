"""A WebSocket client that sends frames of any shape."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

from tests.support.raw_http import PATIENCE, RawConnection

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MASK = b"\x37\xfa\x21\x3d"


class RawWebSocket(RawConnection):
    """A WebSocket after its handshake, for frames of any shape; ``heard`` keeps all payloads."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes]
    ) -> None:
        super().__init__(reader, writer)
        self._heard = heard

    async def say(self, event: str, frame_id: object = None, **data: Any) -> None:
        content: dict[str, Any] = {"event": event, "data": data}
        if frame_id is not None:
            content["id"] = frame_id
        await self.send(frame(json.dumps(content)))

    async def receives(self) -> dict[str, Any]:
        """The next text frame's content; pings and pongs are passed over."""
        while True:
            opcode, payload = await self.frame()
            if opcode == TEXT:
                content: dict[str, Any] = json.loads(payload)
                return content
            assert opcode in {PING, PONG}, (opcode, payload)

    async def verdict(self) -> str:
        """The next frame as one word: an event's name, an error's code or a close code."""
        while True:
            try:
                opcode, payload = await self.frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return "cut"
            except TimeoutError:
                return "silence"
            if opcode == CLOSE:
                return str(struct.unpack("!H", payload[:2])[0])
            if opcode == TEXT:
                content = json.loads(payload)
                is_error = content["event"] == "error"
                return str(content["data"]["code"] if is_error else content["event"])

    async def ending(self) -> str:
        """The close code, what comes before it passed over; waits until the server hangs up."""
        while (verdict := await self.verdict()) not in {"cut", "silence"}:
            if verdict.isdigit():
                await self.send(frame(struct.pack("!H", int(verdict)), CLOSE))
                _, ended = await self.rest()
                return verdict if ended else f"{verdict}, but not hung up"
        return verdict

    async def frame(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload; the server neither fragments nor masks."""
        async with asyncio.timeout(PATIENCE):
            first, second = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80
            assert second < 0x80
            length = second
            if second >= 126:
                size = 2 if second == 126 else 8
                length = int.from_bytes(await self.reader.readexactly(size))
            payload = await self.reader.readexactly(length)
        self._heard.append(payload)
        return first & 0x0F, payload


def frame(
    payload: bytes | str = b"",
    opcode: int = TEXT,
    *,
    final: bool = True,
    reserved: int = 0,
    masked: bool = True,
    claimed: int | None = None,
) -> bytes:
    """A client's frame (RFC 6455 section 5.2), or what an attacker makes of one.

    ``reserved``: RSV1 to RSV3 as bits 4, 2 and 1. ``claimed``: a length that is not the payload's.
    """
    payload = payload.encode() if isinstance(payload, str) else payload
    length = len(payload) if claimed is None else claimed
    first = final << 7 | reserved << 4 | opcode
    if length < 126:
        head = struct.pack("!BB", first, masked << 7 | length)
    elif length < 2**16:
        head = struct.pack("!BBH", first, masked << 7 | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked << 7 | 127, length)
    if not masked:
        return head + payload
    key = (_MASK * (len(payload) // 4 + 1))[: len(payload)]
    veiled = int.from_bytes(payload) ^ int.from_bytes(key)
    return head + _MASK + veiled.to_bytes(len(payload))
