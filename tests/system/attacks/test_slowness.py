"""Slow and half requests end in time."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from tests.support.attack_target import AttackTarget, under_attack
from tests.support.raw_http import Answer, bearer, request, upgrade
from tests.support.raw_websocket import frame
from tests.support.server_process import Launch
from tests.system.attacks.expectations import Token, stream_url_of
from tests.system.attacks.payloads import TOLERATED_MESSAGES


class TestSlowness:
    """Who takes too long to say something is not waited for; drips do not buy time."""

    async def test_slow_headers_end_with_the_connection(self, launch: Launch, media: Path) -> None:
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

    async def test_a_slow_body_is_408(self, launch: Launch, media: Path, token: Token) -> None:
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

    async def test_a_client_that_disconnects_mid_request_is_no_error(
        self, target: AttackTarget, token: Token
    ) -> None:
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
            upgrade("/ws", bearer(token())) + frame(TOLERATED_MESSAGES["20 levels"][0]) * 50,
        ):
            for wait in (0.0, 0.05):
                async with target.connect() as wire:
                    await wire.send(said)
                    await asyncio.sleep(wait)
        assert (await target.ask("GET", "/healthz")).status == 200

    async def crawl(self, target: AttackTarget, head: bytes, data: bytes) -> tuple[bytes, bool]:
        """Send ``head`` at once and ``data`` as slowly as might pass for being alive."""
        async with target.connect() as wire:
            await wire.send(head)
            dripping = asyncio.create_task(wire.drip(data, 0.2))
            received, ended = await wire.rest()
            dripping.cancel()
            await asyncio.wait({dripping})
        target.answers.append(received)
        return received, ended
