"""What attackers send: raw bytes on raw sockets, malformed frames, and tokens nobody may accept.

Here: the means, and ``Target``, which keeps every answer of the server and at the end looks for
what should never have been in one. Not here: what is sent to whom, and what must come back
(``test_attacks``).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import SECRET, Launch, ServerProcess

PATIENCE = 5.0
"""Seconds to wait for an answer or an end that must come."""
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
UNLIMITED = {
    f"AUDIOSTREAM_{name}": "100000"
    for name in (
        "SOCKETS_PER_USER",
        "WAITING_PER_ADDRESS",
        "COMMANDS_PER_SECOND",
        "REPORTS_PER_SECOND",
        "STREAMS_PER_USER",
    )
}
"""Settings under which no attack is refused merely for being one of many."""

_GIVEAWAYS = re.compile(rb'Traceback|\w+(?:Error|Exception)\b|File "|\.py\b|/site-packages/')
_MASK = b"\x37\xfa\x21\x3d"


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


class Wire:
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


class RawSocket(Wire):
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

    async def hears(self) -> dict[str, Any]:
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


@dataclass
class Target:
    """The server under attack, everything that it answered, and what it must not write down."""

    server: ServerProcess
    media: Path
    answers: list[bytes] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        async with self._connection() as (reader, writer):
            yield Wire(reader, writer)

    @asynccontextmanager
    async def socket(
        self, token: str | None = None, path: str | bytes = "/ws"
    ) -> AsyncIterator[RawSocket]:
        """A WebSocket, authenticated by header if there is a ``token``."""
        async with self._connection() as (reader, writer):
            writer.write(upgrade(path, bearer(token) if token else {}))
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield RawSocket(reader, writer, self.answers)

    async def exchange(self, data: bytes, patience: float = PATIENCE) -> tuple[bytes, bool]:
        """Send ``data`` on a connection of its own: all that came back, and whether it ended."""
        async with self.wire() as wire:
            await wire.send(data)
            received, ended = await wire.rest(patience)
        self.answers.append(received)
        return received, ended

    async def ask(
        self,
        method: str,
        path: str | bytes,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """The one answer to a well-formed request."""
        received, ended = await self.exchange(request(method, path, headers, body))
        assert ended, f"{method} {path!r} was answered, but the connection left open"
        return Answer.of(received)

    async def knock(self, path: str | bytes, headers: Mapping[str, str | bytes]) -> Answer:
        """The answer to a WebSocket handshake that should not succeed."""
        async with self.wire() as wire:
            await wire.send(upgrade(path, headers))
            async with asyncio.timeout(PATIENCE):
                head = await wire.reader.readuntil(b"\r\n\r\n")
                answer = Answer.of(head)
                length = int(answer.headers.get("content-length", "0"))
                data = head + await wire.reader.readexactly(length)
        self.answers.append(data)
        return Answer.of(data)

    def stop(self) -> None:
        """It must end as if nothing had been, and have given nothing away."""
        assert self.server.stop() == 0
        self.server.wait_for_end()
        given_away = [answer for answer in self.answers if self._gives_away(answer)]
        assert not given_away, given_away[:3]
        pieces = [p for s in self.secrets for p in re.split(r"[.\s]", s) if len(p) >= 16]
        leaks = [line for line in self.server.log if any(piece in line for piece in pieces)]
        assert not leaks, leaks[:3]

    def _gives_away(self, answer: bytes) -> bool:
        places = {str(self.media), str(self.media.resolve()), str(self.media.parent)}
        if any(place.encode() in answer for place in places):
            return True
        is_content = re.match(rb"HTTP/1\.1 [23]", answer) is not None
        return not is_content and _GIVEAWAYS.search(answer) is not None

    @asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


@contextmanager
def under_attack(launch: Launch, media: Path, **environ: str) -> Iterator[Target]:
    """A server whose media folder has been scanned; at the end it is stopped and searched."""
    server = launch(**{"AUDIOSTREAM_STATE": ":memory:", **UNLIMITED, **environ})
    server.wait_for_log("the library has")
    target = Target(server, media)
    yield target
    target.stop()


def signed(
    claims: Mapping[str, Any] | str,
    header: Mapping[str, Any] | str | None = None,
    *,
    key: str = SECRET,
    digest: str = "sha256",
) -> str:
    """A JWT with a true HMAC; as text, claims and header may be anything."""
    texts = (header if header is not None else {"alg": "HS256", "typ": "JWT"}, claims)
    parts = [_base64(t if isinstance(t, str) else json.dumps(t)) for t in texts]
    signature = hmac.digest(key.encode(), ".".join(parts).encode(), digest)
    return ".".join([*parts, _base64(signature)])


def forgeries(now: float) -> dict[str, str]:
    """Tokens for ``ada`` that nobody may accept, by what is wrong with them."""
    ada, much = {"sub": "ada", "iat": int(now)}, "9" * 2500
    good = signed(ada)
    head, claims, signature = good.split(".")
    other_head, other_claims = _base64('{"alg":"HS256"}'), _base64('{"sub":"bob"}')
    return (
        {
            f"alg {name}": f"{signed(ada, {'alg': name}).rpartition('.')[0]}."
            for name in ("none", "None", "NONE", "nOnE", "")
        }
        | {f"alg {name}, signed as HS256": signed(ada, {"alg": name}) for name in _ALGORITHMS}
        | {f"crit {crit!r}": signed(ada, _critical(crit)) for crit in _CRITICAL}
        | {
            f"{claim} {value[:12]}": signed(f'{{"sub":"ada","{claim}":{value}}}')
            for claim in ("exp", "nbf", "iat")
            for value in (*_NO_DATES, much, f"-{much}", f"1e{much}")
        }
        | {f"sub {sub[:20]}": signed(f'{{"sub":{sub}}}') for sub in (*_NO_USERS, much)}
        | {
            "HS512": signed(ada, {"alg": "HS512"}, digest="sha512"),
            "HS384": signed(ada, {"alg": "HS384"}, digest="sha384"),
            "another key": signed(ada, key="b secret of more than thirty-two bytes"),
            "no key": signed(ada, key=""),
            "the key in the header": signed(
                ada, {"alg": "HS256", "jwk": {"kty": "oct", "k": "QQ"}, "kid": "x"}, key="A"
            ),
            "a changed claim": f"{head}.{other_claims}.{signature}",
            "a changed header": f"{other_head}.{claims}.{signature}",
            "a changed signature": f"{head}.{claims}.{_base64(hashlib.sha256(b'').digest())}",
            "a cut signature": good[:-1],
            "no signature": f"{head}.{claims}.",
            "two parts": f"{head}.{claims}",
            "four parts": f"{good}.{signature}",
            "five parts": f"{good}.{signature}.{signature}",
            "dots": "..",
            "a word": "nonsense",
            "padding": f"{head}=.{claims}=.{signature}=",
            "percent signs": "%".join(good),
            "expired": signed(ada | {"exp": int(now) - 60}),
            "not yet valid": signed(ada | {"nbf": int(now) + 300}),
            "issued in the future": signed(ada | {"iat": int(now) + 300}),
            "no sub": signed({"iat": int(now)}),
            "no claims": signed({}),
            "claims that are a list": signed('["ada"]'),
            "claims that are no JSON": signed("ada"),
            "claims in a deep nest": signed("[" * 2000 + "]" * 2000),
            "a header that is a list": signed(ada, '["HS256"]'),
            "a header that is no JSON": signed(ada, "HS256"),
            "a header in a deep nest": signed(ada, "[" * 2000 + "]" * 2000),
            "a header with blanks": signed(ada, '  { "alg":"none"}'),
            "an unencoded payload": signed(ada, {"alg": "HS256", "b64": False, "crit": ["b64"]}),
            "5,000 digits in exp": signed(f'{{"sub":"ada","exp":{"9" * 5000}}}'),
            "5,000 digits in sub": signed(f'{{"sub":{"9" * 5000}}}'),
            "5,000 digits in the header": signed(ada, f'{{"alg":"HS256","x":{"9" * 5000}}}'),
        }
    )


_ALGORITHMS = ("none", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 ", "")
_CRITICAL: tuple[Any, ...] = (["x"], ["exp"], ["x", "x"], [], "x", [1], {}, None)
_NO_DATES = (
    '"9999999999"',
    '"soon"',
    "-1",
    "1e30",
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    "true",
    "[]",
    "{}",
)
_NO_USERS = (
    '""',
    "null",
    "true",
    "1.5",
    "[]",
    '["ada"]',
    "{}",
    '"a\\u0000b"',
    '"a\\nb"',
    '"\\u007f"',
    '"\\u0085"',
    '"\\ud800"',
    f'"{"x" * 129}"',
)


def _critical(crit: Any) -> dict[str, Any]:
    """A header that names extensions which must be understood (RFC 7515 section 4.1.11)."""
    return {"alg": "HS256", "x": 1, "exp": 1, "crit": crit}


def _base64(content: str | bytes) -> str:
    content = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
