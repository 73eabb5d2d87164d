"""The log shows no credential, wherever a client puts it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.attack_target import under_attack
from tests.support.raw_http import bearer, request
from tests.support.raw_websocket import frame
from tests.support.server_process import Launch
from tests.system.attacks.expectations import Token, cookie_of, stream_url_of


class TestLog:
    """Credentials are not in the log, wherever a client has put them."""

    @pytest.mark.parametrize("as_json", ["0", "1"])
    async def test_no_line_of_the_log_shows_a_credential(
        self, launch: Launch, media: Path, token: Token, as_json: str
    ) -> None:
        with under_attack(launch, media, AUDIOSTREAM_LOG_JSON=as_json) as target:
            url = await stream_url_of(target, token(), "hers")
            cookie = await cookie_of(target, token())
            credentials = (token(), url.partition("=")[2], cookie.partition("=")[2])
            target.secrets |= set(credentials)
            for credential in credentials:
                for careless in self.careless(credential):
                    await target.exchange(careless)
            async with target.socket() as device:
                await device.send(frame(f'{{"event":"auth","data":{{"token":"{token()}"'))
                await device.ending()

    def careless(self, credential: str) -> Iterable[bytes]:
        """Requests, well-formed and not, with ``credential`` in various places."""
        for path in (
            f"/tracks/stream/hers?ticket={credential}",
            f"/ws?token={credential}",
            f"/tracks/hers?token={credential}&q={credential}",
            f"/tracks/stream/hers&ticket={credential}",
            f"/tracks/stream/hers?{credential}",
        ):
            yield request("GET", path)
        yield request("POST", "/tracks/play/song", bearer(credential), credential.encode())
        yield request("GET", "/tracks", {"Cookie": f"audiostream_session={credential}; broken"})
        for line in (
            f"Authorization : Bearer {credential}",
            f"Authorization Bearer {credential}",
            f"Authorization: Bearer\r\n {credential}",
            f"Authorization: Bearer \x00{credential}",
            f"Cookie: audiostream_session={credential}\r",
            f"Author\x7fization: Bearer {credential}",
        ):
            yield f"GET /tracks HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode("latin-1")
        yield f"GET /tracks/stream/hers?ticket={credential} HTTP/1.1 HTTP/1.1\r\n\r\n".encode()
        yield f"GET /ws?token={credential} NONSENSE/9\r\nHost: x\r\n\r\n".encode()
        yield f"{credential} / HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        yield f"POST /session HTTP/1.1\r\nContent-Length: {credential}\r\n\r\n".encode()
        yield b"GET /tracks/stream/hers?x=%s&ticket=%s HTTP/1.1\r\n\r\n" % (
            b"x" * 9000,
            credential.encode(),
        )
