"""An HTTP client that sends any bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

PATIENCE = 5.0
"""Seconds to wait for an answer or an end that must come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. ``headers`` by lower-case name, ``body`` all that came behind them."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> Answer:
        head, separator, body = data.partition(b"\r\n\r\n")
        assert separator, f"no whole answer: {data[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return cls(int(first.split(" ")[1]), headers, body)

    @property
    def error(self) -> str | None:
        """The error's code where the body is one of the protocol's error objects."""
        with suppress(ValueError, TypeError, KeyError):
            content = json.loads(self.body)
            if content.keys() == {"error"} and isinstance(content["error"]["message"], str):
                return str(content["error"]["code"])
        return None

    @property
    def essence(self) -> tuple[int, str | None]:
        """Status and error code."""
        return self.status, self.error


class RawConnection:
    """One TCP connection on which anything may be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send what the server still takes: it may have hung up already, and rightly."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def drip(self, data: bytes, every: float, most: float = PATIENCE) -> None:
        """Send a byte ``every`` so many seconds, until the server has hung up."""
        for position in range(min(len(data), int(most / every))):
            if self.writer.is_closing() or self.reader.at_eof():
                return
            await self.send(data[position : position + 1])
            await asyncio.sleep(every)

    async def rest(self, patience: float = PATIENCE) -> tuple[bytes, bool]:
        """All that comes from now on, and whether the server hung up in time."""
        received = b""
        try:
            async with asyncio.timeout(patience):
                while data := await self.reader.read(65536):
                    received += data
        except ConnectionError:
            pass
        except TimeoutError:
            return received, False
        return received, True


def request(
    method: str,
    path: str | bytes,
    headers: Mapping[str, str | bytes] | None = None,
    body: bytes = b"",
) -> bytes:
    """A request for one answer; header values may be any bytes, and the path any spelling."""
    path = path.encode("latin-1") if isinstance(path, str) else path
    lines = [method.encode() + b" " + path + b" HTTP/1.1"]
    given: dict[str, str | bytes] = {"Host": "audiostream.test", "Connection": "close"}
    given |= {"Content-Length": str(len(body))} if body else {}
    for name, value in (given | dict(headers or {})).items():
        value = value.encode("latin-1") if isinstance(value, str) else value
        lines.append(name.encode() + b": " + value)
    return b"\r\n".join([*lines, b"", body])


def upgrade(path: str | bytes = "/ws", headers: Mapping[str, str | bytes] | None = None) -> bytes:
    """A WebSocket handshake."""
    handshake: dict[str, str | bytes] = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    return request("GET", path, handshake | dict(headers or {}))


def bearer(token: str | bytes) -> dict[str, str | bytes]:
    token = token.encode() if isinstance(token, str) else token
    return {"Authorization": b"Bearer " + token}
