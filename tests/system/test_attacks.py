"""Attacks on the real server process, each with the answer that the protocol documents.

Here: what may be sent on purpose by somebody who means harm: forged proofs, malformed frames and
requests, other people's ids. Not here: what goes wrong by itself (``test_faults``).

``Target`` keeps all answers. After every test the server must stop cleanly, without a traceback
in its log; no answer may hold a path or an exception's text, and no log line a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import statistics
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from audiostream import Settings, create_app
from audiostream.app import tokens_of
from audiostream.auth.tickets import Identity
from audiostream.streaming.open_files import TRUSTED_FOR
from audiostream.websocket import gateway
from tests.conftest import Launch, Serve, write_wav
from tests.support.paths import WEB
from tests.support.raw_http import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    Answer,
    RawSocket,
    Target,
    bearer,
    forgeries,
    frame,
    request,
    signed,
    under_attack,
    upgrade,
)
from tests.support.ws_client import Peer, connect

Token = Callable[..., str]
Headers = Mapping[str, str | bytes]

FRAME, BODY = 16 * 1024, 16 * 1024
"""Bytes of the longest frame and of the longest body, by default."""
FIRST_FRAME = 4 * 1024
"""Bytes of the longest frame before authentication, by default."""
METHODS = ("GET", "HEAD")


@pytest.fixture
def target(launch: Launch, media: Path) -> Iterator[Target]:
    with under_attack(launch, media) as target:
        yield target


async def cookie_of(target: Target, token: str) -> str:
    """The session cookie that the server gives to the holder of ``token``."""
    opened = await target.ask("POST", "/session", bearer(token))
    assert opened.status == 204
    return opened.headers["set-cookie"].partition(";")[0]


async def stream_url_of(target: Target, token: str, track_id: str) -> str:
    """The stream's path with the ticket that the server gives to the holder of ``token``."""
    track = await target.ask("GET", f"/tracks/{track_id}", bearer(token))
    return str(json.loads(track.body)["streamUrl"])


def others_than(expected: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found that was not expected."""
    return {name: outcome for name, outcome in found.items() if outcome != expected}


def unlike(
    documented: Mapping[str, tuple[Any, str]], found: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """What was answered otherwise than ``documented``, and what is documented."""
    pairs = {name: (found[name], answer) for name, (_, answer) in documented.items()}
    return {name: (got, answer) for name, (got, answer) in pairs.items() if got != answer}


class TestTokens:
    """Every forged token is 401 wherever HTTP answers and 4401 on a socket, and never logged."""

    @pytest.fixture
    async def forged(self, target: Target, token: Token) -> dict[str, str]:
        """Forgeries, and genuine proofs of ada's that are no access tokens."""
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        genuine = {
            "a ticket": url.partition("ticket=")[2],
            "a session": cookie.partition("=")[2],
        }
        tokens = forgeries(time.time()) | genuine
        target.secrets |= set(tokens.values())
        return tokens

    @pytest.mark.parametrize(
        "path", ["/tracks", "/api/tracks/current-state", "/tracks/stream/hers"]
    )
    async def test_over_rest(self, target: Target, forged: dict[str, str], path: str) -> None:
        answers = {
            name: await target.ask("GET", path, bearer(token)) for name, token in forged.items()
        }
        found = {name: answer.essence for name, answer in answers.items()}
        assert others_than((401, "unauthorized"), found) == {}
        assert all(a.headers["www-authenticate"].startswith("Bearer") for a in answers.values())

    async def test_over_rest_for_every_route(
        self, target: Target, forged: dict[str, str], settings: Settings
    ) -> None:
        body = b'{"currentTime": 1, "isPlaying": true}'
        named = [name for name in forged if name in {"HS512", "expired", "a ticket", "no sub"}]
        for method, path in routes(settings):
            if path in OPEN_ROUTES or (method, path) in OPEN_ROUTES:
                continue
            for name in named:
                answer = await target.ask(
                    method, path.replace("{id}", "song"), bearer(forged[name]), body
                )
                essence = (401, None if method == "HEAD" else "unauthorized")
                assert answer.essence == essence, (method, path, name)

    async def test_on_the_handshake(self, target: Target, forged: dict[str, str]) -> None:
        found, in_query = {}, {}
        for name, token in forged.items():
            asked = "".join(f"%{byte:02x}" for byte in token.encode())
            ways = [("/ws", bearer(token)), ("/", bearer(token))]
            found[name] = {(await target.knock(*way)).essence for way in ways}
            if len(asked) < 8000:
                async with target.socket(path=f"/ws?token={asked}") as device:
                    in_query[name] = await device.ending()
        assert others_than({(401, "unauthorized")}, found) == {}
        assert others_than("4401", in_query) == {}

    async def test_by_first_frame(self, target: Target, forged: dict[str, str]) -> None:
        found: dict[str, str] = {}
        too_long: dict[str, str] = {}
        for name, token in forged.items():
            hello = frame(json.dumps({"event": "auth", "data": {"token": token}}))
            is_too_long = len(hello) - 8 > FIRST_FRAME  # 8: the frame's head and mask
            async with target.socket() as device:
                await device.send(hello)
                (too_long if is_too_long else found)[name] = await device.ending()
        assert others_than("4401", found) == {}
        assert others_than("1009", too_long) == {}

    async def test_by_renewal(self, target: Target, forged: dict[str, str], token: Token) -> None:
        async def renewal(forgery: str) -> tuple[str, str]:
            async with target.socket(token()) as device:
                await device.say("auth", token=forgery)
                return await device.verdict(), await device.ending()

        outcomes = await asyncio.gather(*(renewal(forgery) for forgery in forged.values()))
        found = dict(zip(forged, outcomes, strict=True))
        assert others_than(("unauthorized", "4401"), found) == {}

    async def test_raw_bytes_in_the_header(self, target: Target, token: Token) -> None:
        secret = "only-for-the-eyes-of-the-server"
        target.secrets |= {secret, token()}
        head, _, rest = token().encode().partition(b".")
        for raw in (
            b"\xff\xfe" + secret.encode(),
            "é".encode() + token().encode(),
            token().encode() + b"\xf0\x9f\x8e\xb5",
            head + b"\xa0." + rest,
            b"\x80" * 4000 + secret.encode(),
        ):
            for path in ("/tracks", "/tracks/stream/hers", "/api/tracks/hers"):
                answer = await target.ask("GET", path, bearer(raw))
                assert answer.essence == (401, "unauthorized"), (path, raw[:40])
            assert (await target.knock("/ws", bearer(raw))).essence == (401, "unauthorized")

    async def test_other_schemes_and_shapes_of_the_header(
        self, target: Target, token: Token
    ) -> None:
        target.secrets.add(token())
        for value in (
            "",
            "Bearer",
            "Bearer ",
            token(),
            f"Basic {token()}",
            f"Bearer{token()}",
            f"Bearer {token()} {token()}",
            f"Bearer {token()},Bearer {token()}",
            f'Bearer "{token()}"',
        ):
            answer = await target.ask("GET", "/tracks", {"Authorization": value})
            assert answer.essence == (401, "unauthorized"), value

    async def test_a_token_is_no_ticket_and_no_cookie(self, target: Target, token: Token) -> None:
        target.secrets.add(token())
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        path, _, ticket = url.partition("?ticket=")
        name, _, session = cookie.partition("=")
        for proof in (token(), session):
            answer = await target.ask("GET", f"{path}?ticket={proof}")
            assert answer.essence == (401, "unauthorized")
        for proof in (token(), ticket):
            answer = await target.ask("GET", path, {"Cookie": f"{name}={proof}"})
            assert answer.essence == (401, "unauthorized")
        for genuine in (
            await target.ask("HEAD", url),
            await target.ask("HEAD", path, {"Cookie": cookie}),
            await target.ask("HEAD", path, bearer(token())),
        ):
            assert genuine.status == 200

    async def test_a_good_token_opens_every_door_that_was_tried(
        self, target: Target, token: Token
    ) -> None:
        now = time.time()
        for good in (token(), signed({"sub": "ada", "exp": now + 90, "nbf": now + 10, "iat": now})):
            assert (await target.ask("GET", "/tracks", bearer(good))).status == 200
            for path, by_header in (("/ws", good), ("/", good), (f"/ws?token={good}", None)):
                async with target.socket(by_header, path) as device:
                    await device.say("getCurrentState")
                    assert await device.verdict() == "trackState"
            async with target.socket() as device:
                await device.say("auth", token=good)
                assert await device.verdict() == "authenticated"
        late = signed({"sub": "ada", "exp": now - 10})
        assert (await target.ask("GET", "/tracks", bearer(late))).status == 200


class TestLog:
    """Where proofs travel, and where a careless client puts them, the log does not show them."""

    @pytest.mark.parametrize("as_json", ["0", "1"])
    async def test_no_line_shows_a_proof(
        self, launch: Launch, media: Path, token: Token, as_json: str
    ) -> None:
        with under_attack(launch, media, AUDIOSTREAM_LOG_JSON=as_json) as target:
            url = await stream_url_of(target, token(), "hers")
            cookie = await cookie_of(target, token())
            proofs = (token(), url.partition("=")[2], cookie.partition("=")[2])
            target.secrets |= set(proofs)
            for proof in proofs:
                for careless in self.careless(proof):
                    await target.exchange(careless)
            async with target.socket() as device:
                await device.send(frame(f'{{"event":"auth","data":{{"token":"{token()}"'))
                await device.ending()

    def careless(self, proof: str) -> Iterable[bytes]:
        """Requests, well-formed and not, with ``proof`` in various places."""
        for path in (
            f"/tracks/stream/hers?ticket={proof}",
            f"/ws?token={proof}",
            f"/tracks/hers?token={proof}&q={proof}",
            f"/tracks/stream/hers&ticket={proof}",
            f"/tracks/stream/hers?{proof}",
        ):
            yield request("GET", path)
        yield request("POST", "/tracks/play/song", bearer(proof), proof.encode())
        yield request("GET", "/tracks", {"Cookie": f"audiostream_session={proof}; broken"})
        for line in (
            f"Authorization : Bearer {proof}",
            f"Authorization Bearer {proof}",
            f"Authorization: Bearer\r\n {proof}",
            f"Authorization: Bearer \x00{proof}",
            f"Cookie: audiostream_session={proof}\r",
            f"Author\x7fization: Bearer {proof}",
        ):
            yield f"GET /tracks HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode("latin-1")
        yield f"GET /tracks/stream/hers?ticket={proof} HTTP/1.1 HTTP/1.1\r\n\r\n".encode()
        yield f"GET /ws?token={proof} NONSENSE/9\r\nHost: x\r\n\r\n".encode()
        yield f"{proof} / HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        yield f"POST /session HTTP/1.1\r\nContent-Length: {proof}\r\n\r\n".encode()
        yield b"GET /tracks/stream/hers?x=%s&ticket=%s HTTP/1.1\r\n\r\n" % (
            b"x" * 9000,
            proof.encode(),
        )


def nested(levels: int) -> str:
    """JSON of an array in an array and so on."""
    return "[" * levels + "0" + "]" * levels


def inside(value: str) -> str:
    """A command that carries ``value`` where nobody looks."""
    return f'{{"event":"getCurrentState","data":{{"x":{value}}}}}'


def play(**members: str) -> str:
    """A ``playTrack`` with the given JSON values."""
    data = {"trackId": '"song"'} | members
    text = ",".join(f'"{name}":{value}' for name, value in data.items())
    return f'{{"event":"playTrack","data":{{{text}}}}}'


BOMB = zlib.compress(bytes(12 * 2**20), wbits=-15)
"""12 MiB that fit into one frame, or into one body."""

FATAL = (
    {
        "one byte too long": (frame(" " * (FRAME + 1)), "1009"),
        "a megabyte": (frame(" " * 2**20), "1009"),
        "a terabyte, so it says": (frame("{", claimed=2**40), "1009"),
        "the longest length there is": (frame("{", claimed=2**64 - 1), "1009"),
        "too long in two parts": (
            frame(" " * 9000, final=False) + frame(" " * 9000, CONTINUATION),
            "1009",
        ),
        "200,000 brackets": (frame(nested(200_000)), "1009"),
        "200,000 open brackets": (frame("[" * 200_000), "1009"),
        "binary": (frame(b"\x00\x01", BINARY), "1003"),
        "binary that is JSON": (frame(inside("1"), BINARY), "1003"),
        "empty binary": (frame(b"", BINARY), "1003"),
        "no UTF-8": (frame(b"\xff\xfe"), "1007"),
        "an overlong slash": (frame(b'{"event":"\xc0\xaf"}'), "1007"),
        "a surrogate in UTF-8": (frame(b'{"event":"\xed\xa0\x80"}'), "1007"),
        "half a character": (frame(b'{"event":"\xe2\x82'), "1007"),
        "a deflate bomb": (frame(BOMB, reserved=4), "1002"),
        "a small deflated message": (
            frame(zlib.compress(b"{}", wbits=-15)[:-1], reserved=4),
            "1002",
        ),
        "RSV2": (frame(inside("1"), reserved=2), "1002"),
        "RSV3": (frame(inside("1"), reserved=1), "1002"),
        "all reserved bits": (frame(inside("1"), reserved=7), "1002"),
        "a ping in parts": (frame("", PING, final=False), "1002"),
        "a close in parts": (frame(struct.pack("!H", 1000), CLOSE, final=False), "1002"),
        "a long ping": (frame("x" * 126, PING), "1002"),
        "a long close": (frame(struct.pack("!H", 1000) + b"x" * 124, CLOSE), "1002"),
        "a ping with a 64-bit length": (frame("", PING, claimed=2**40), "1002"),
        "a continuation of nothing": (frame("{}", CONTINUATION), "1002"),
        "text within text": (frame("{", final=False) + frame("{}", final=False), "1002"),
        "binary within text": (frame("{", final=False) + frame(b"{}", BINARY), "1002"),
        "a close of one byte": (frame(b"\x03", CLOSE), "1002"),
        "no mask": (frame(inside("1"), masked=False), "1002"),
        "a ping without a mask": (frame("", PING, masked=False), "1002"),
        "RSV1 on a ping": (frame("", PING, reserved=4), "1002"),
        "RSV2 on a close": (frame(b"", CLOSE, reserved=2), "1002"),
    }
    | {f"opcode {code:#x}": (frame("", code), "1002") for code in (*range(3, 8), *range(11, 16))}
    | {
        f"close code {code}": (frame(struct.pack("!H", code), CLOSE), "1002")
        for code in (0, 999, 1004, 1005, 1015, 2999)
    }
)
"""Frames that end the connection, and the close code."""

TOLERATED = {
    "no JSON": ("hello", "invalid_message"),
    "nothing": ("", "invalid_message"),
    "blanks up to the limit": (" " * FRAME, "invalid_message"),
    "half an object": ('{"event":"getCurrentState"', "invalid_message"),
    "two objects": ('{"event":"getCurrentState"}{}', "invalid_message"),
    "single quotes": ("{'event':'getCurrentState'}", "invalid_message"),
    "a comment": ('{"event":"getCurrentState"}//', "invalid_message"),
    "a byte order mark": ('\ufeff{"event":"getCurrentState"}', "invalid_message"),
    "a control character": ('{"event":"a\nb"}', "invalid_message"),
    "an array": ('["getCurrentState"]', "invalid_message"),
    "null": ("null", "invalid_message"),
    "a number": ("1e400", "invalid_message"),
    "NaN alone": ("NaN", "invalid_message"),
    "no event": ("{}", "invalid_message"),
    "an empty event": ('{"event":""}', "invalid_message"),
    "an event that is a number": ('{"event":1}', "invalid_message"),
    "an event that is an array": ('{"event":["playTrack"]}', "invalid_message"),
    "data that are an array": ('{"event":"playTrack","data":["song"]}', "invalid_message"),
    "data that are text": ('{"event":"playTrack","data":"song"}', "invalid_message"),
    "an id that is an object": ('{"event":"getCurrentState","id":{}}', "invalid_message"),
    "an id of 1e400": ('{"event":"getCurrentState","id":1e400}', "invalid_message"),
    "an id of 2,500 digits": (
        f'{{"event":"getCurrentState","id":{"9" * 2500}}}',
        "invalid_message",
    ),
    "an id of 10 KB": (f'{{"event":"getCurrentState","id":"{"x" * 10_000}"}}', "invalid_message"),
    "as deep as fits": (nested(FRAME // 2 - 1), "invalid_message"),
    "as deep as fits, in data": (inside(nested(FRAME // 2 - 30)), "invalid_message"),
    "only open brackets": ("[" * FRAME, "invalid_message"),
    "only open objects": ('{"a":' * (FRAME // 5), "invalid_message"),
    "objects as deep as fits": ('{"a":' * 2700 + "0" + "}" * 2700, "invalid_message"),
    "100 levels": (inside(nested(100)), "invalid_message"),
    "33 levels": (inside(nested(31)), "invalid_message"),
    "NaN": (play(currentTime="NaN"), "invalid_message"),
    "Infinity": (play(currentTime="Infinity"), "invalid_message"),
    "-Infinity": (play(currentTime="-Infinity"), "invalid_message"),
    "1e400": (play(currentTime="1e400"), "invalid_message"),
    "-1e400": (play(currentTime="-1e400"), "invalid_message"),
    "400 digits": (play(currentTime="9" * 400), "invalid_message"),
    "5,000 digits": (play(currentTime="9" * 5000), "invalid_message"),
    "5,000 digits in ifRev": (play(ifRev="9" * 5000), "invalid_message"),
    "1e400 in ifRev": (play(ifRev="1e400"), "invalid_message"),
    "NaN where nobody looks": (inside("NaN"), "invalid_message"),
    "a negative position": (play(currentTime="-1"), "invalid_message"),
    "a position that is text": (play(currentTime='"1"'), "invalid_message"),
    "a position that is true": (play(currentTime="true"), "invalid_message"),
    "a track that is a number": (play(trackId="1"), "invalid_message"),
    "a track that is a path": (play(trackId='"../../etc/passwd"'), "track_not_found"),
    "a track with a NUL": (play(trackId='"song\\u0000"'), "track_not_found"),
    "a track that is a surrogate": (play(trackId='"\\ud800"'), "track_not_found"),
    "a track of 16,000 characters": (play(trackId=f'"{"x" * 16_000}"'), "track_not_found"),
    "an event of the server": ('{"event":"trackPlaying","data":{}}', "unknown_event"),
    "an event that is a method": ('{"event":"__class__","data":{}}', "unknown_event"),
    "an event that is a surrogate": ('{"event":"\\udfff"}', "unknown_event"),
    "an event of 16,000 characters": (f'{{"event":"{"x" * 16_000}"}}', "unknown_event"),
    "the last of two events": ('{"event":"nope","event":"getCurrentState"}', "trackState"),
    "the last of two events, reversed": (
        '{"event":"getCurrentState","event":"nope"}',
        "unknown_event",
    ),
    "the last of two data": (
        '{"event":"playTrack","data":{"trackId":"none"},"data":{"trackId":"song"}}',
        "trackPlaying",
    ),
    "the last of two tracks": (
        '{"event":"playTrack","data":{"trackId":"song","trackId":"none"}}',
        "track_not_found",
    ),
    "the last of 2,000 keys": (inside("{" + '"a":1,' * 2000 + '"a":1}'), "trackState"),
    "1,000 ids": ("{" + '"id":1,' * 1000 + '"event":"getCurrentState"}', "trackState"),
    "brackets in a string": (inside(json.dumps("[" * 8000)), "trackState"),
    "many brackets side by side": (inside(f"[{'[],' * 4000}[]]"), "trackState"),
    "20 levels": (inside(nested(18)), "trackState"),
    "an escaped key": ('{"\\u0065vent":"getCurrentState"}', "trackState"),
    "a prototype": ('{"__proto__":{"event":"x"},"event":"getCurrentState"}', "trackState"),
}
"""Text that is answered on a connection that goes on: the event, or the error's code."""


class TestFrames:
    """Malformed frames have their documented answers, and nobody else notices."""

    async def test_those_that_end_the_connection(self, target: Target, token: Token) -> None:
        assert unlike(FATAL, await self.endings(target, token())) == {}

    async def endings(self, target: Target, token: str | None = None) -> dict[str, str]:
        """How each attack ends its connection."""

        async def ending(attack: bytes) -> str:
            async with target.socket(token) as device:
                await device.send(attack)
                return await device.ending()

        endings = await asyncio.gather(*(ending(attack) for attack, _ in FATAL.values()))
        return dict(zip(FATAL, endings, strict=True))

    async def test_those_that_are_only_answered(self, target: Target, token: Token) -> None:
        found = {}
        async with target.socket(token()) as device:
            for name, (text, _) in TOLERATED.items():
                assert len(text.encode()) <= FRAME, name
                await device.send(frame(text))
                found[name] = await device.verdict()
            await device.say("getCurrentState", "still there?")
            assert (await device.hears())["id"] == "still there?"
        assert unlike(TOLERATED, found) == {}

    async def test_before_authentication_too(self, target: Target) -> None:
        assert unlike(FATAL, await self.endings(target)) == {}

    async def test_a_first_frame_is_short(self, target: Target, token: Token) -> None:
        hello = json.dumps({"event": "auth", "data": {"token": token()}})
        async with target.socket() as device:
            await device.send(frame(hello + " " * (FIRST_FRAME - len(hello))))
            assert await device.verdict() == "authenticated"
            await device.send(frame(inside("1") + " " * 10_000))
            assert await device.verdict() == "trackState"
        async with target.socket() as device:
            await device.send(frame(hello + " " * (FIRST_FRAME - len(hello) + 1)))
            assert await device.ending() == "1009"

    async def test_a_first_frame_that_is_no_auth_is_4401(self, target: Target) -> None:
        found = {}
        texts = {n: t for n, (t, _) in TOLERATED.items() if len(t.encode()) <= FIRST_FRAME}
        for name, text in texts.items():
            async with target.socket() as device:
                await device.send(frame(text))
                found[name] = await device.ending()
        assert others_than("4401", found) == {}

    async def test_fragments_that_are_in_order_are_one_message(
        self, target: Target, token: Token
    ) -> None:
        text = inside(json.dumps("é" * 500)).encode()
        first, *middle = (text[at : at + 1] for at in range(len(text)))
        async with target.socket(token()) as device:
            await device.send(frame(first, final=False))
            for byte in middle:
                await device.send(frame(byte, CONTINUATION, final=False))
            await device.send(frame("", PING) + frame("", CONTINUATION))
            assert await device.verdict() == "trackState"

    async def test_compression_is_never_agreed_on(self, target: Target, token: Token) -> None:
        for offer in (
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=15",
        ):
            async with target.wire() as wire:
                headers = bearer(token()) | {"Sec-WebSocket-Extensions": offer}
                await wire.send(upgrade("/ws", headers))
                answer = Answer.of(await wire.reader.readuntil(b"\r\n\r\n"))
                assert (answer.status, answer.headers.get("sec-websocket-extensions")) == (
                    101,
                    None,
                )
                await wire.send(frame(BOMB, reserved=4))
                device = RawSocket(wire.reader, wire.writer, target.answers)
                assert await device.ending() == "1002"


class TestHandshake:
    @pytest.mark.parametrize("path", ["/ws", "/"])
    async def test_a_foreign_origin_is_403(self, target: Target, token: Token, path: str) -> None:
        host = f"127.0.0.1:{target.server.port}"
        found = {}
        origins = (
            "https://evil.example",
            "null",
            "",
            "file://",
            "*",
            "http://127.0.0.1",
            "http://127.0.0.1:1",
            f"http://127.0.0.1.evil.example:{target.server.port}",
            f"http://evil.127.0.0.1:{target.server.port}",
            f"http://localhost:{target.server.port}",
            f"http://{host}.evil.example",
            f"http://{host}@evil.example",
            f"http://evil.example#{host}",
            f"http://evil.example/{host}",
            f"ftp://{host}",
            f"{host}",
            "http://[::1]",
            "http://[",
            "http://127.0.0.1:99999",
            "\xff\xfe",
        )
        for origin in origins:
            headers = {"Origin": origin, "Host": host}
            answers = [
                await target.knock(path, headers),
                await target.knock(path, headers | bearer(token())),
                await target.knock(f"{path}?token={token()}", headers),
            ]
            found[origin] = {answer.essence for answer in answers}
        assert others_than({(403, "forbidden")}, found) == {}
        own = {"Origin": f"http://{host}", "Host": host}
        answer = await target.knock("/ws", own | bearer("x"))
        assert answer.essence == (401, "unauthorized")
        assert (await target.knock("/ws?token=x", own)).status == 101

    async def test_half_a_handshake_is_refused(self, target: Target, token: Token) -> None:
        for headers in (
            {"Sec-WebSocket-Key": "short"},
            {"Sec-WebSocket-Key": ""},
            {"Sec-WebSocket-Key": "é" * 24},
            {"Sec-WebSocket-Version": "12"},
            {"Sec-WebSocket-Version": "9" * 5000},
            {"Connection": "close"},
            {"Upgrade": "h2c"},
        ):
            answer = await target.knock("/ws", headers | bearer(token()))
            assert 400 <= answer.status < 500, headers
            assert answer.error is not None, answer

    @pytest.mark.parametrize("habit", ["silent", "pinging", "dripping", "stuck in a frame"])
    async def test_one_that_does_not_authenticate_in_time_is_4408(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, habit: str
    ) -> None:
        monkeypatch.setattr(gateway, "AUTH_TIMEOUT", 0.5)
        client = await serve()
        reader, writer = await asyncio.open_connection(client.host, client.port)
        device = RawSocket(reader, writer, [])
        await device.send(upgrade())
        await reader.readuntil(b"\r\n\r\n")
        if habit == "stuck in a frame":
            await device.send(frame('{"event":"auth",', claimed=1000))
        data = {"pinging": frame("", PING) * 40, "dripping": frame("x" * 100)}.get(habit, b"")
        every = 0.1 if habit == "dripping" else 0.01
        dripping = asyncio.create_task(device.drip(data, every))
        assert await device.ending() == "4408"
        await dripping
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestBystanders:
    async def test_a_hundred_other_users_notice_nothing(
        self, target: Target, token: Token, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each of them still gets every answer and hears no event but its own."""
        async with contextlib.AsyncExitStack() as stack:
            session = ClientSession(connector=TCPConnector(limit=0))
            await stack.enter_async_context(session)
            others = [
                Bystander(
                    await stack.enter_async_context(
                        connect(session, f"{target.server.url}/ws", token(f"user-{number}"))
                    )
                )
                for number in range(100)
            ]
            before = await latency(others, asyncio.sleep(2))
            during = await latency(others, onslaught(target, token("mallory")))
            for other in others:
                await other.device.heard_nothing()
        with capsys.disabled():
            print(
                f"\nevent latency of 100 other users, median: {before * 1000:.1f} ms before, "
                f"{during * 1000:.1f} ms during the attacks, ratio {during / before:.2f}"
            )


class Bystander:
    """Somebody who plays, pause by pause, and counts on an answer to each."""

    def __init__(self, device: Peer) -> None:
        self.device = device
        self.rev = 0

    async def act_until(self, over: asyncio.Event) -> list[float]:
        """How long each answer took, in seconds."""
        took = []
        while not over.is_set():
            began = time.perf_counter()
            answer = await self.device.ask("playTrack", trackId="song", currentTime=self.rev % 50)
            took.append(time.perf_counter() - began)
            self.rev += 1
            assert (answer["event"], answer["data"]["rev"]) == ("trackPlaying", self.rev)
            await asyncio.sleep(0.2)
        return took


async def latency(others: Iterable[Bystander], meanwhile: Awaitable[None]) -> float:
    """The median time to an answer, in seconds, for as long as ``meanwhile`` takes."""
    over = asyncio.Event()

    async def end() -> None:
        try:
            await meanwhile
        finally:
            over.set()

    _, *took = await asyncio.gather(end(), *(other.act_until(over) for other in others))
    return statistics.median(seconds for each in took for seconds in each or ())


async def onslaught(target: Target, token: str) -> None:
    """Every malformed frame, request and proof once more, eight at a time."""

    async def by_socket(attack: bytes) -> None:
        async with target.socket(token) as device:
            await device.send(attack)
            await device.rest(0.05)

    async def by_request(attack: bytes) -> None:
        await target.exchange(attack, 0.5)

    attacks = [partial(by_socket, attack) for attack, _ in FATAL.values()]
    attacks += [partial(by_socket, frame(text)) for text, _ in TOLERATED.values()]
    attacks += [partial(by_request, head + SECOND) for head in smuggled(token).values()]
    attacks += [
        partial(by_request, request("GET", "/tracks", bearer(forged)))
        for forged in forgeries(time.time()).values()
    ]
    queue = iter(attacks)

    async def worker() -> None:
        for attack in queue:
            await attack()

    await asyncio.gather(*(worker() for _ in range(8)))


class TestStreams:
    """Whoever may not hear a track gets an error object, and not one byte of audio."""

    def spellings(self) -> Iterable[str]:
        """Ways to write the path of ada's track, and ways around it."""
        for base in ("/tracks/stream", "/api/tracks/stream"):
            yield f"{base}/hers"
        yield from (
            "//tracks/stream/hers",
            "/tracks//stream/hers",
            "/tracks/stream//hers",
            "/tracks/stream/hers/",
            "/tracks/stream/hers//",
            "/./tracks/stream/hers",
            "/tracks/stream/./hers",
            "/x/../tracks/stream/hers",
            "/tracks/stream/x/../hers",
            "/tracks/stream/../stream/hers",
            "/tracks%2fstream%2fhers",
            "/tracks/stream%2fhers",
            "/tracks/stream%2Fhers",
            "/tracks/stream/%2fhers",
            "/tracks/stream/hers%2f",
            "/tracks/stream/..%2fhers",
            "/tracks/stream/..%2f..%2fusers%2fada%2fhers.wav",
            "/tracks/stream/%2e%2e%2fusers%2fada%2fhers.wav",
            "/tracks/stream/%252e%252e%252fusers%252fada%252fhers.wav",
            "/tracks/stream/..%5cusers%5cada%5chers.wav",
            "/tracks/stream/..\\users\\ada\\hers.wav",
            "/tracks/stream/%c0%ae%c0%ae%c0%afusers%c0%afada%c0%afhers.wav",
            "/tracks/stream/users/ada/hers.wav",
            "/tracks/stream/users%2fada%2fhers.wav",
            "/tracks/stream/%00",
            "/tracks/stream/hers%00",
            "/tracks/stream/%00hers",
            "/tracks/stream/hers%00.wav",
            "/tracks/stream/hers%0d%0aX-Evil:%201",
            "/tracks/stream/hers%20",
            "/tracks/stream/hers%ff",
            "/tracks/stream/%68%65%72%73",
            "/%74racks/stream/hers",
            "/TRACKS/STREAM/HERS",
            "/Tracks/Stream/hers",
            "/tracks/stream/HERS",
            "/tracks/stream/hers;a=b",
            "/tracks/stream;a=b/hers",
            "/tracks/stream/hers%3ba=b",
            "/tracks/stream/hers.wav",
            "/tracks/stream/hers?",
            "/tracks/stream/hers?ticket",
            "/tracks/stream/hers?ticket=",
            "/tracks/stream/hers?ticket=..&ticket=..",
            "/tracks/stream/hers?user=ada&userId=ada&sub=ada",
            "/tracks/stream/hers#x",
            "/tracks/stream/" + "x" * 7000,
            "/tracks/stream/" + "../" * 2000 + "hers",
            "/users/ada/hers.wav",
            "/media/users/ada/hers.wav",
            "/sample_media/users/ada/hers.wav",
            "/../../../../../../etc/passwd",
            "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
            "/player.js/../../../../users/ada/hers.wav",
            "/tracks.json",
            "/web/../settings.py",
            "http://audiostream.test/tracks/stream/hers",
            "http://ada:ada@audiostream.test/tracks/stream/hers",
        )

    @pytest.fixture
    async def strangers(
        self, target: Target, token: Token, settings: Settings
    ) -> dict[str, tuple[str, Headers]]:
        """Proofs that do not open ada's track, as what goes into the query and the headers."""
        now, tokens = time.time(), tokens_of(settings)
        long_ago = now - 30 * 86_400
        _, _, song_ticket = (await stream_url_of(target, token("bob"), "song")).partition("=")
        _, _, her_ticket = (await stream_url_of(target, token(), "song")).partition("=")
        old_ticket = tokens.ticket("ada", "hers", 60.0, long_ago)
        old_session, _ = tokens.session(Identity("ada", long_ago), long_ago)
        cookie = await cookie_of(target, token("bob"))
        expiry, user, mac = her_ticket.split(".")
        found: dict[str, tuple[str, Headers]] = {
            "nothing": ("", {}),
            "a broken token": ("", bearer("nonsense")),
            "an expired token": ("", bearer(token("ada", -60))),
            "a forged token": ("", bearer(signed({"sub": "ada"}, key="x"))),
            "another user's token": ("", bearer(token("bob"))),
            "a user of a similar name": ("", bearer(token("Ada"))),
            "a user that is a path": ("", bearer(token("../ada"))),
            "an expired ticket": (f"ticket={old_ticket}", {}),
            "a prolonged ticket": (f"ticket={int(expiry) + 9999}.{user}.{mac}", {}),
            "another track's ticket": (f"ticket={her_ticket}", {}),
            "another user's ticket": (f"ticket={song_ticket}", {}),
            "another user's cookie": ("", {"Cookie": cookie}),
            "an expired cookie": ("", {"Cookie": f"{cookie.partition('=')[0]}={old_session}"}),
            "all of another user's": (
                f"ticket={song_ticket}",
                bearer(token("bob")) | {"Cookie": cookie},
            ),
        }
        target.secrets |= {token(), token("bob"), song_ticket, her_ticket, old_ticket, cookie}
        return found

    async def test_no_proof_of_a_stranger_opens_any_spelling(
        self, target: Target, strangers: dict[str, tuple[str, Headers]]
    ) -> None:
        for path in self.spellings():
            for name, (query, headers) in strangers.items():
                joint = "&" if "?" in path else "?"
                asked = f"{path}{joint}{query}" if query else path
                for method in METHODS:
                    answer = await target.ask(method, asked, headers)
                    assert is_a_refusal(answer, method), (method, asked[:200], name, answer)

    async def test_not_even_a_part_or_a_version(
        self, target: Target, strangers: dict[str, tuple[str, Headers]]
    ) -> None:
        for name, (query, headers) in strangers.items():
            for more in (
                {"Range": "bytes=0-0"},
                {"Range": "bytes=-1"},
                {"Range": "bytes=99999999-"},
                {"If-None-Match": "*"},
                {"If-Match": '"x"'},
                {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
            ):
                for method in METHODS:
                    path = f"/tracks/stream/hers?{query}"
                    answer = await target.ask(method, path, {**headers, **more})
                    assert is_a_refusal(answer, method), (method, name, more, answer)

    async def test_the_owner_hears_it_by_every_proof(self, target: Target, token: Token) -> None:
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        audio = (target.media / "users/ada/hers.wav").read_bytes()
        path = url.partition("?")[0]
        for asked, headers in ((url, {}), (path, {"Cookie": cookie}), (path, bearer(token()))):
            answer = await target.ask("GET", asked, headers)
            assert (answer.status, answer.body) == (200, audio)
            answer = await target.ask("HEAD", asked, headers)
            assert (answer.status, answer.body) == (200, b"")
        target.answers.clear()  # audio may hold any bytes

    async def test_where_streams_are_public_owned_ones_are_not(
        self, launch: Launch, media: Path
    ) -> None:
        with under_attack(launch, media, AUDIOSTREAM_STREAM_AUTH="public") as target:
            assert (await target.ask("HEAD", "/tracks/stream/song")).status == 200
            for path in self.spellings():
                for method in METHODS:
                    answer = await target.ask(method, path)
                    assert is_a_refusal(answer, method), (method, path[:200], answer)
            same = [await target.ask("GET", f"/tracks/stream/{one}") for one in ("hers", "none")]
            assert normal(same[0]) == normal(same[1])


def is_a_refusal(answer: Answer, method: str) -> bool:
    """Whether it is an error object, or nothing for HEAD, and tells nothing of any audio."""
    telling = {"etag", "last-modified", "content-range", "accept-ranges"} & answer.headers.keys()
    if method == "HEAD":
        is_clean = answer.body == b"" and int(answer.headers.get("content-length", "0")) < 500
    else:
        is_clean = answer.error is not None and len(answer.body) < 500
    return answer.status in {401, 404} and is_clean and not telling


class TestFiles:
    """What is no regular file inside the folder is no track, whenever it got there."""

    KINDS = ("link", "chain", "pipe", "folder", "listener")

    @pytest.fixture
    def treasure(self, tmp_path: Path) -> Path:
        """A file beside the media folder."""
        write_wav(tmp_path / "treasure.wav", 1.0)
        return tmp_path / "treasure.wav"

    def make(self, kind: str, path: Path, treasure: Path) -> None:
        match kind:
            case "link":
                path.symlink_to(treasure)
            case "chain":
                path.with_suffix(".link").symlink_to(treasure)
                path.symlink_to(path.with_suffix(".link"))
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "listener":
                with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
                    listener.bind(path.name)
            case "device":
                os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero

    def name_all(self, media: Path, paths: Mapping[str, str]) -> None:
        entries = json.loads((media / "tracks.json").read_text())
        entries += [{"id": track, "audioUrl": path} for track, path in paths.items()]
        (media / "tracks.json").write_text(json.dumps(entries))

    async def essences(
        self, target: Target, token: str, tracks: Iterable[str]
    ) -> dict[str, tuple[Any, ...]]:
        found = {}
        for track in tracks:
            got = await target.ask("GET", f"/tracks/stream/{track}", bearer(token))
            head = await target.ask("HEAD", f"/tracks/stream/{track}", bearer(token))
            found[track] = (*got.essence, head.status, head.body)
        return found

    NOT_THERE = (404, "track_not_found", 404, b"")

    async def test_behind_an_entry_of_the_manifest(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        for kind in self.KINDS:
            self.make(kind, media / f"{kind}.wav", treasure)
        (media / "out").symlink_to(treasure.parent)
        (media / "bait.wav").symlink_to(media / "users/bob/his.wav")
        paths = {kind: f"{kind}.wav" for kind in self.KINDS} | {
            "through a folder": "out/treasure.wav",
            "by dots": "../treasure.wav",
            "by many dots": "users/../../treasure.wav",
            "by its whole name": str(treasure),
            "by URL": treasure.as_uri(),
            "etc": "/etc/passwd",
            "memory": "/proc/self/environ",
            "the manifest": "..",
            "nothing": "none.wav",
            "of bob's": "bait.wav",
        }
        self.name_all(media, paths)
        with under_attack(launch, media) as target:
            tracks = [name.replace(" ", "%20") for name in paths]
            found = await self.essences(target, token(), tracks)
            listed = await target.ask("GET", "/tracks", bearer(token()))
        assert found == dict.fromkeys(tracks, self.NOT_THERE)
        ids = {track["id"] for track in json.loads(listed.body)["tracks"]}
        assert ids == {"song", "other", "hers"}

    async def test_put_in_place_after_the_scan(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        write_wav(media / "album/track.wav", 1.0)
        tracks = [*self.KINDS, "album"]
        for kind in self.KINDS:
            write_wav(media / f"{kind}.wav", 1.0)
        self.name_all(
            media, {kind: f"{kind}.wav" for kind in self.KINDS} | {"album": "album/track.wav"}
        )
        with under_attack(launch, media) as target:
            before = await self.essences(target, token(), tracks)
            assert {found[0] for found in before.values()} == {200}
            target.answers.clear()
            for kind in self.KINDS:
                (media / f"{kind}.wav").unlink()
                self.make(kind, media / f"{kind}.wav", treasure)
            shutil.move(media / "album", treasure.parent / "album")
            (media / "album").symlink_to(treasure.parent / "album")
            await asyncio.sleep(TRUSTED_FOR)  # of a folder above an open file that moved
            after = await self.essences(target, token(), tracks)
        assert after == dict.fromkeys(tracks, self.NOT_THERE)

    async def test_a_device_node(
        self, launch: Launch, media: Path, treasure: Path, token: Token
    ) -> None:
        write_wav(media / "later.wav", 1.0)
        try:
            self.make("device", media / "device.wav", treasure)
            (media / "device.wav").open("rb").close()
        except PermissionError:
            pytest.skip("device nodes may not be made or opened here")
        self.name_all(media, {"device": "device.wav", "later": "later.wav"})
        with under_attack(launch, media) as target:
            (media / "later.wav").unlink()
            self.make("device", media / "later.wav", treasure)
            found = await self.essences(target, token(), ("device", "later"))
        assert found == dict.fromkeys(("device", "later"), self.NOT_THERE)


SECOND = b"POST /tracks/play/other HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
"""The request that is to be smuggled in behind another."""


def smuggled(token: str) -> dict[str, bytes]:
    """Requests of which two servers could disagree where they end, up to what is smuggled in."""
    start = f"POST /tracks/play/song HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"

    def headers(*lines: str, body: str = "", end: str = "\r\n") -> bytes:
        return (start + "".join(line + end for line in lines) + end + body).encode("latin-1")

    two, chunked = "2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked"
    plain = {
        "CL and TE": headers("Content-Length: 2", chunked, body=two),
        "TE and CL": headers(chunked, "Content-Length: 2", body=two),
        "CL 0 and TE": headers("Content-Length: 0", chunked, body=two),
        "two lengths": headers("Content-Length: 2", "Content-Length: 3", body="{}"),
        "two lengths in one": headers("Content-Length: 2, 3", body="{}"),
        "TE xchunked": headers("Transfer-Encoding: xchunked", body=two),
        "TE identity": headers("Transfer-Encoding: identity", body=two),
        "TE chunked, identity": headers("Transfer-Encoding: chunked, identity", body=two),
        "TE chunked twice": headers(chunked, chunked, body=two),
        "TE chunked, chunked": headers("Transfer-Encoding: chunked, chunked", body=two),
        "TE x and chunked": headers("Transfer-Encoding: x", chunked, body=two),
        "TE with a tab inside": headers("Transfer-Encoding: chun\tked", body=two),
        "TE with a vertical tab": headers("Transfer-Encoding: \x0bchunked", body=two),
        "TE in quotes": headers('Transfer-Encoding: "chunked"', body=two),
        "TE with a name in two": headers("Transfer Encoding: chunked", body=two),
        "TE of HTTP/1.0": headers(chunked, body=two).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "a blank before the colon of TE": headers("Transfer-Encoding : chunked", body=two),
        "a blank before the colon of CL": headers("Content-Length : 2", body="{}"),
        "a tab before the colon": headers("Content-Length\t: 2", body="{}"),
        "a blank before a name": headers("X: 1", " Content-Length: 2", body="{}"),
        "a folded line": headers("X: 1", " 2", "Content-Length: 2", body="{}"),
        "a folded TE": headers("Transfer-Encoding:", " chunked", body=two),
        "a folded first line": start.replace("Host: x", " Host: x").encode() + b"\r\n",
        "bare line feeds": headers("Content-Length: 2", body="{}").replace(b"\r\n", b"\n"),
        "one bare line feed": headers("X: 1\nContent-Length: 2", body="{}"),
        "a bare line feed at the end": headers("Content-Length: 2\r\n").removesuffix(b"\r\n\r\n")
        + b"\n\r\n{}",
        "a bare carriage return": headers("X: 1\rContent-Length: 2", body="{}"),
        "a NUL in a value": headers("X: \x00", "Content-Length: 2", body="{}"),
        "a NUL in a name": headers("X\x00: 1", "Content-Length: 2", body="{}"),
        "no colon": headers("X", "Content-Length: 2", body="{}"),
        "no name": headers(": 1", "Content-Length: 2", body="{}"),
        "a name of letters that are none": headers("Content-Length\xa0: 2", body="{}"),
        "a tab in the request line": headers().replace(b"POST /", b"POST\t/"),
        "a blank in the path": headers().replace(b"/song ", b"/so ng "),
        "a control character in the path": headers().replace(b"/song", b"/so\x01ng"),
        "two hosts": headers("Host: y", "Content-Length: 2", body="{}"),
        "no host": headers("Content-Length: 2", body="{}").replace(b"Host: x\r\n", b""),
        "no version": headers().replace(b" HTTP/1.1", b""),
        "version 1.x": headers().replace(b"HTTP/1.1", b"HTTP/1.x"),
        "version 9.9": headers().replace(b"HTTP/1.1", b"HTTP/9.9"),
        "version 2.0": headers().replace(b"HTTP/1.1", b"HTTP/2.0"),
        "a method of punctuation": headers().replace(b"POST ", b"P(ST "),
    }
    lengths = ("-1", "+2", "2_0", "0x2", "2.0", "2e0", "2 2", "2;", "", '"2"', "\xb2", "9" * 5000)
    sizes = ("-1", "+2", "0x2", "2_0", " 2", "g", "", "2 2", "1" * 17, "f" * 5000)
    return (
        plain
        | {f"a length of {n[:9]!r}": headers(f"Content-Length: {n}", body="{}") for n in lengths}
        | {
            f"a chunk of {size[:9]!r}": headers(chunked, body=f"{size}\r\n{{}}\r\n0\r\n\r\n")
            for size in sizes
        }
        | {
            "a chunk longer than it says": headers(chunked, body="2\r\n{}xx\r\n0\r\n\r\n"),
            "a chunk with a bare line feed": headers(chunked, body="2\n{}\r\n0\r\n\r\n"),
            "a chunk that ends in a line feed": headers(chunked, body="2\r\n{}\n0\r\n\r\n"),
            "a chunk with a line feed in its extension": headers(
                chunked, body="2;a\nb\r\n{}\r\n0\r\n\r\n"
            ),
        }
    )


class TestRequests:
    """Requests that two servers could read differently are refused, and the connection ends."""

    async def test_smuggling(self, target: Target, token: Token) -> None:
        target.secrets.add(token())
        authorized = SECOND.replace(b"Host", f"Authorization: Bearer {token()}\r\nHost".encode())
        shapes = smuggled(token())
        exchanges = [target.exchange(shape + authorized) for shape in shapes.values()]
        found = {
            name: (re.findall(rb"HTTP/1\.[01] (\d{3})", received), ended)
            for name, (received, ended) in zip(
                shapes, await asyncio.gather(*exchanges), strict=True
            )
        }
        assert others_than(([b"400"], True), found) == {}
        state = await target.ask("GET", "/tracks/current-state", bearer(token()))
        assert json.loads(state.body)["rev"] == 0

    async def test_a_refusal_of_malformed_requests_says_nothing_of_the_server(
        self, target: Target, token: Token
    ) -> None:
        """The parser refuses before there is a route, in plain text; it quotes only the client."""
        for shape in smuggled(token()).values():
            received, _ = await target.exchange(shape + SECOND, 2.0)
            assert str(target.media).encode() not in received
            assert not re.search(rb"Traceback|Error\(|\.py", received)

    async def test_a_well_formed_request_of_that_kind_is_answered(
        self, target: Target, token: Token
    ) -> None:
        head = f"POST /tracks/play/song HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token()}\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        for body in (
            "Content-Length: 2\r\n\r\n{}",
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        ):
            received, ended = await target.exchange((head + body).encode() + last)
            assert re.findall(rb"HTTP/1\.[01] (\d{3})", received) == [b"200", b"200"]
            assert ended

    async def test_bad_json_is_400(self, target: Target, token: Token) -> None:
        found = {}
        for name, body in BODIES.items():
            for route in ("play/song", "pause/song", "update-state/song"):
                path = f"/api/tracks/{route}"
                answer = await target.ask("POST", path, bearer(token()), body)
                found[f"{name}, {route}"] = answer.essence
        assert others_than((400, "invalid_message"), found) == {}

    @pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
    async def test_a_body_too_long_is_413_however_it_is_packed(
        self, target: Target, token: Token, coding: str | None
    ) -> None:
        body = b" " * (BODY + 1)
        headers = bearer(token())
        if coding is not None:
            blanks = b" " * (12 * 2**20)
            body = gzip.compress(blanks) if coding == "gzip" else zlib.compress(blanks)
            assert len(body) < BODY
            headers["Content-Encoding"] = coding
        answer = await target.ask("POST", "/tracks/play/song", headers, body)
        assert answer.essence == (413, "too_large")
        headers |= {"Transfer-Encoding": "chunked"}
        received, ended = await target.exchange(
            request("POST", "/tracks/play/song", headers)
            + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        )
        assert (Answer.of(received).essence, ended) == ((413, "too_large"), True)

    async def test_headers_without_end_are_refused(self, target: Target) -> None:
        start = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
        for head in (
            f"{start}X: {'x' * 100_000}",
            f"{start}{'x' * 100_000}: 1",
            start + "\r\n".join(f"X-{number}: 1" for number in range(20_000)),
            start.replace("healthz", "tracks/stream/" + "x" * 100_000),
        ):
            received, ended = await target.exchange(f"{head}\r\n\r\n".encode())
            assert ended
            assert re.findall(rb"HTTP/1\.[01] (\d{3})", received) in ([b"400"], [b"431"])

    async def test_other_methods_are_405(
        self, target: Target, token: Token, settings: Settings
    ) -> None:
        offered: dict[str, set[str]] = {}
        for method, path in routes(settings):
            offered.setdefault(path, set()).add(method)
        for path, known in offered.items():
            for method in {"PUT", "PATCH", "DELETE", "POST", "TRACE", "PROPFIND"} - known:
                if any(method in offered[p] for p in offered if fits(path, p)):
                    continue
                answer = await target.ask(method, path.replace("{id}", "song"), bearer(token()))
                assert answer.essence == (405, "method_not_allowed"), (method, path)


def fits(path: str, pattern: str) -> bool:
    """Whether a route of ``pattern`` would also take ``path``."""
    return re.fullmatch(pattern.replace("{id}", "[^/]+"), path.replace("{id}", "song")) is not None


BODIES = {
    "no JSON": b"hello",
    "half an object": b"{",
    "two objects": b"{}{}",
    "an array": b"[]",
    "text": b'"x"',
    "null": b"null",
    "a number": b"1e400",
    "no UTF-8": b'{"currentTime":\xff}',
    "UTF-16": '{"currentTime": 1, "isPlaying": true}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"currentTime": 1, "isPlaying": true}',
    "a NUL": b'{"currentTime": 1, "isPlaying": true}\x00',
    "NaN": b'{"currentTime": NaN, "isPlaying": true}',
    "Infinity": b'{"currentTime": Infinity, "isPlaying": true}',
    "1e400": b'{"currentTime": 1e400, "isPlaying": true}',
    "5,000 digits": b'{"currentTime": %s, "isPlaying": true}' % (b"9" * 5000),
    "2,500 digits": b'{"currentTime": %s, "isPlaying": true}' % (b"9" * 2500),
    "a negative position": b'{"currentTime": -1, "isPlaying": true}',
    "a deep nest": nested(BODY // 2 - 1).encode(),
    "a deep nest inside": b'{"currentTime": 1, "isPlaying": true, "x": %s}'
    % nested(BODY // 2 - 30).encode(),
    "open brackets": b"[" * BODY,
    "open objects": b'{"a":' * (BODY // 5),
    "40 levels": b'{"currentTime": 1, "isPlaying": true, "x": %s}' % nested(40).encode(),
    "a form": b"currentTime=1&isPlaying=true",
}
"""Bodies that no command accepts."""


class TestSlowness:
    """Who takes too long to say something is not waited for; drips do not buy time."""

    async def test_slow_headers_are_cut(self, launch: Launch, media: Path) -> None:
        first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        with under_attack(launch, media, AUDIOSTREAM_HEADER_TIMEOUT="1") as target:
            outcomes = await asyncio.gather(
                self.crawl(target, b"", b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 200),
                self.crawl(target, b"GET /healthz HTTP/1.1\r\n", b"X: 1\r\n" * 40),
                self.crawl(target, first, first[:-2] + b"x" * 200),
                self.crawl(target, upgrade()[:-2], b"X: 1\r\n" * 40),
                self.crawl(target, b"", b""),
                self.crawl(target, b"GET /healthz HTTP/1.1\r\n", b""),
            )
            assert [ended for _, ended in outcomes] == [True] * 6
            for received, _ in outcomes:
                assert not re.search(rb"HTTP/1\.1 (1|3|50)", received)

    async def test_slow_bodies_are_cut(self, launch: Launch, media: Path, token: Token) -> None:
        environ = {"AUDIOSTREAM_BODY_TIMEOUT": "1", "AUDIOSTREAM_HEADER_TIMEOUT": "1"}
        length, chunked = b"Content-Length: 999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
        with under_attack(launch, media, **environ) as target:
            ada = bearer(token())
            read = {
                (path, end, drip): request("POST", f"/tracks/{path}/song", ada)[:-2] + end
                for path in ("play", "pause", "update-state")
                for end, body in ((length, b" " * 100), (chunked, b"1\r\n \r\n" * 20))
                for drip in (b"", body)
            }
            unread = {
                (path, length, b" " * 100): request("POST", path, headers)[:-2] + length
                for path, headers in (("/session", ada), ("/tracks/play/song", {}), ("/x", ada))
            }
            attacks = read | unread
            outcomes = await asyncio.gather(
                *(self.crawl(target, head, drip) for (*_, drip), head in attacks.items())
            )
            found = dict(zip(attacks, outcomes, strict=True))
            essences = {Answer.of(found[attack][0]).essence for attack in read}
            assert essences == {(408, "too_slow")}
            assert [attack for attack, (_, ended) in found.items() if not ended] == []
            state = await target.ask("GET", "/tracks/current-state", ada)
            assert json.loads(state.body)["rev"] == 0

    async def test_who_leaves_in_the_middle_is_no_error(self, target: Target, token: Token) -> None:
        url = await stream_url_of(target, token(), "hers")
        play = request("POST", "/tracks/play/song", bearer(token()))[:-2]
        hello = frame(json.dumps({"event": "auth", "data": {"token": token()}}))
        for said in (
            b"GET / HT",
            play,
            play + b"Content-Length: 9\r\n\r\n{",
            play + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{",
            play + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n",
            request("GET", url),
            request("GET", "/tracks", bearer(token())),
            upgrade(),
            upgrade() + hello[:9],
            upgrade() + hello,
            upgrade("/ws", bearer(token())) + frame("{", final=False),
            upgrade("/ws", bearer(token())) + frame(TOLERATED["20 levels"][0]) * 50,
        ):
            for wait in (0.0, 0.05):
                async with target.wire() as wire:
                    await wire.send(said)
                    await asyncio.sleep(wait)
        assert (await target.ask("GET", "/healthz")).status == 200

    async def crawl(self, target: Target, head: bytes, data: bytes) -> tuple[bytes, bool]:
        """Send ``head`` at once and ``data`` as slowly as might pass for being alive."""
        async with target.wire() as wire:
            await wire.send(head)
            dripping = asyncio.create_task(wire.drip(data, 0.2))
            received, ended = await wire.rest()
            dripping.cancel()
            await asyncio.wait({dripping})
        target.answers.append(received)
        return received, ended


def routes(settings: Settings) -> list[tuple[str, str]]:
    """Every method and path that the application answers, with ``{id}`` where a track goes."""
    return [
        (route.method, route.resource.canonical)
        for route in create_app(settings).router.routes()
        if route.resource is not None and route.method != "*"  # Socket.IO has its own tests
    ]


PAGES = {f"/{page.name}" for page in WEB.iterdir()}
OPEN_ROUTES: set[str | tuple[str, str]] = {
    *PAGES,
    "/",
    "/ws",
    "/healthz",
    "/api/healthz",
    "/openapi.json",
    ("DELETE", "/session"),
    ("DELETE", "/api/session"),
}
"""Routes that answer everybody the same."""


def normal(answer: Answer, *leave_out: str) -> tuple[int, dict[str, str], bytes]:
    """All that a client can tell two answers apart by, but for the time that they name."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    headers = {name: re.sub(r"[Mm]ax-[Aa]ge=\d+", "", value) for name, value in headers.items()}
    for name in leave_out:
        headers.pop(name, None)
    return answer.status, headers, re.sub(rb'"serverTime":\d+', b"", answer.body)


class TestIsolation:
    """Whatever of ada's bob names, he is answered as if it did not exist, and she hears nothing."""

    HERS = ("hers", "ada", "user_ada", "adas-phone")
    UNKNOWN = "none"

    @pytest.fixture
    async def phone(self, target: Target, token: Token) -> AsyncIterator[RawSocket]:
        """Ada listens to her own track on a device with a label."""
        async with target.socket(path=f"/ws?token={token()}&deviceId=adas-phone") as phone:
            await phone.say("playTrack", "mine", trackId="hers", currentTime=5)
            assert (await phone.hears())["event"] == "trackPlaying"
            yield phone
            await phone.say("getCurrentState", "the last")
            answer = await phone.hears()
            assert answer["id"] == "the last"
            state = answer["data"]
            assert (state["trackId"], state["rev"], state["isPlaying"]) == ("hers", 1, True)
            assert state["deviceId"] == "adas-phone"

    async def test_every_route(
        self, target: Target, phone: RawSocket, token: Token, settings: Settings
    ) -> None:
        bob = bearer(token("bob", 3600))
        telltale = []
        for method, path in dict.fromkeys(routes(settings)):
            dated = ("etag",) if path.endswith("current-state") else ()  # it names the time
            for more in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": "*"}):
                unknown = await self.asked(target, method, path, self.UNKNOWN, bob | more)
                for name in self.HERS:
                    answer = await self.asked(target, method, path, name, bob | more)
                    if normal(answer, *dated) != normal(unknown, *dated):
                        telltale.append((method, path, name))
                if "{id}" in path:
                    assert unknown.essence == (404, None if method == "HEAD" else "track_not_found")
        assert telltale == []

    async def asked(
        self, target: Target, method: str, path: str, name: str, headers: Headers
    ) -> Answer:
        """The answer where ``name`` stands for every id that a request can hold."""
        query = f"?userId={name}&deviceId={name}&trackId={name}&room={name}&q={name}"
        data = {"trackId": name, "userId": name, "deviceId": name, "room": name}
        body = json.dumps(data | {"currentTime": 1, "isPlaying": True, "resume": True}).encode()
        filled = path.replace("{id}", name) + query
        return await target.ask(method, filled, headers, body if method == "POST" else b"")

    async def test_every_event(self, target: Target, phone: RawSocket, token: Token) -> None:
        answers: dict[str, list[dict[str, Any]]] = {}
        async with target.socket(token("bob")) as device:
            for event in EVENTS:
                for name in (self.UNKNOWN, *self.HERS):
                    data = dict.fromkeys(("trackId", "userId", "deviceId", "room", "user"), name)
                    await device.say(event, "q", **data, currentTime=1, isPlaying=True, resume=True)
                    answer = await device.hears()
                    answer["data"].pop("serverTime", None)
                    answers.setdefault(event, []).append(answer)
        for event, (unknown, *hers) in answers.items():
            assert hers == [unknown] * len(hers), event
            if event in {"playTrack", "pauseTrack", "updateStreaming"}:
                assert unknown["data"]["code"] == "track_not_found"

    async def test_every_name_in_a_renewal_and_a_handshake(
        self, target: Target, phone: RawSocket, token: Token
    ) -> None:
        outcomes = set()
        for name in (self.UNKNOWN, *self.HERS):
            async with target.socket(token("bob")) as device:
                await device.say("auth", "q", token=name, userId=name, deviceId=name)
                outcomes.add((json.dumps(await device.hears()), await device.ending()))
            async with target.socket() as device:
                await device.say("auth", "q", token=name, userId=name, deviceId=name)
                outcomes.add((json.dumps(await device.hears()), await device.ending()))
        assert len(outcomes) == 1
        refused = set()
        for name in (*self.HERS, "none"):
            async with target.socket(path=f"/ws?token={name}") as device:
                refused.add((json.dumps(await device.hears()), await device.ending()))
        assert len(refused) == 1

    async def test_under_a_borrowed_label_bob_is_still_bob(
        self, target: Target, phone: RawSocket, token: Token
    ) -> None:
        path = f"/ws?token={token('bob')}&deviceId=adas-phone&userId=ada&room=user_ada"
        async with target.socket(path=path) as device:
            for event, frame_id in (("playTrack", 1), ("pauseTrack", 2), ("updateStreaming", 3)):
                await device.say(
                    event, frame_id, trackId="song", userId="ada", currentTime=7, isPlaying=False
                )
                answer = await device.hears()
                assert (answer["id"], answer["data"]["trackId"]) == (frame_id, "song")
            await device.say("auth", 4, token=token("bob"), deviceId="adas-phone", userId="ada")
            assert (await device.hears())["data"]["room"] == "user_bob"
            await device.say("auth", 5, token=token("ada"))
            assert await device.ending() == "4403"


EVENTS = (
    "playTrack",
    "pauseTrack",
    "updateStreaming",
    "getCurrentState",
    "trackPlaying",
    "trackPaused",
    "trackUpdated",
    "trackState",
    "authenticated",
    "tokenExpiring",
    "error",
    "join",
    "subscribe",
)
"""What clients send, what only the server sends, and what other servers would understand."""
