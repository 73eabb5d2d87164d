"""The floor of Python: frames and JSON are read with as little as that takes, and nothing is done.

A frame with an ``id`` is answered by a text that is always the same, as long as our server's. It
checks nothing, and knows no client but the benchmark's.
``python -m tests.bench.yardsticks.bare PORT``
"""

from __future__ import annotations

import asyncio
import json
import sys
from json.scanner import make_scanner
from typing import cast

from aiohttp import WSMsgType

from audiostream.websocket.send_queue import encode_frame

ANSWER = encode_frame(WSMsgType.TEXT, b"x" * 470)
_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]


class Handshake(asyncio.Protocol):
    """What comes first is taken for an upgrade, unless it says that it is none."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._is_upgraded = False

    def data_received(self, data: bytes) -> None:
        if self._is_upgraded:
            self._answer(data)
        elif b"Upgrade:" not in data:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            self._is_upgraded = True
            self._transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\n"
                b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            )

    def _answer(self, data: bytes) -> None:
        answers = at = 0
        while at < len(data):
            length, start = data[at + 1] - 128, at + 6
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4]), at + 8
            at = start + length
            mask = (data[start - 4 : start] * (length // 4 + 1))[:length]
            payload = int.from_bytes(data[start:at]) ^ int.from_bytes(mask)
            frame = _scan(payload.to_bytes(length).decode(), 0)[0]
            answers += frame.get("id") is not None
        if answers:
            self._transport.write(ANSWER * answers)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Handshake, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
