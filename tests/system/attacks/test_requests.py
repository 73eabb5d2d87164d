"""Malformed and smuggled requests are refused, and say nothing of the server."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib

import pytest

from audiostream import Settings
from tests.support.attack_target import AttackTarget, without_tokens
from tests.support.raw_http import Answer, bearer, request
from tests.system.attacks.expectations import Token, all_but, routes
from tests.system.attacks.payloads import BODY, SECOND, nested, smuggled


class TestRequests:
    """Requests that two servers could read differently are refused, and the connection ends."""

    async def test_no_request_is_smuggled_behind_another(
        self, target: AttackTarget, token: Token
    ) -> None:
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
        assert all_but(([b"400"], True), found) == {}
        state = await target.ask("GET", "/tracks/current-state", bearer(token()))
        assert json.loads(state.body)["rev"] == 0

    async def test_a_malformed_request_is_refused_without_details_of_the_server(
        self, target: AttackTarget, token: Token
    ) -> None:
        """The parser refuses before there is a route, in plain text; it quotes only the client."""
        for shape in smuggled(token()).values():
            received, _ = await target.exchange(shape + SECOND, 2.0)
            assert str(target.media).encode() not in received
            assert not re.search(rb"Traceback|Error\(|\.py", without_tokens(received))

    async def test_a_well_formed_request_of_each_kind_is_answered(
        self, target: AttackTarget, token: Token
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

    async def test_a_malformed_json_body_is_400(self, target: AttackTarget, token: Token) -> None:
        found = {}
        for name, body in BODIES.items():
            for route in ("play/song", "pause/song", "update-state/song"):
                path = f"/api/tracks/{route}"
                answer = await target.ask("POST", path, bearer(token()), body)
                found[f"{name}, {route}"] = answer.essence
        assert all_but((400, "invalid_message"), found) == {}

    @pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
    async def test_a_body_too_long_is_413_chunked_or_compressed(
        self, target: AttackTarget, token: Token, coding: str | None
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

    async def test_endless_headers_are_refused(self, target: AttackTarget) -> None:
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

    async def test_other_methods_of_a_route_are_405(
        self, target: AttackTarget, token: Token, settings: Settings
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
