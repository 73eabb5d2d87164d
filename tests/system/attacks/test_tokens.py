"""Every forged token is refused wherever one is accepted."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from audiostream import Settings
from tests.support.attack_target import AttackTarget
from tests.support.forged_tokens import forgeries, signed
from tests.support.raw_http import bearer
from tests.support.raw_websocket import frame
from tests.system.attacks.expectations import (
    OPEN_ROUTES,
    Token,
    all_but,
    cookie_of,
    routes,
    stream_url_of,
)
from tests.system.attacks.payloads import FIRST_FRAME


class TestTokens:
    """Every forged token is 401 wherever HTTP answers and 4401 on a socket, and never logged."""

    @pytest.fixture
    async def forged(self, target: AttackTarget, token: Token) -> dict[str, str]:
        """Forgeries, and genuine credentials of ada's that are no access tokens."""
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        genuine = {"a ticket": url.partition("ticket=")[2], "a session": cookie.partition("=")[2]}
        tokens = forgeries(time.time()) | genuine
        target.secrets |= set(tokens.values())
        return tokens

    @pytest.mark.parametrize(
        "path", ["/tracks", "/api/tracks/current-state", "/tracks/stream/hers"]
    )
    async def test_a_forged_token_is_401_over_rest(
        self, target: AttackTarget, forged: dict[str, str], path: str
    ) -> None:
        answers = {
            name: await target.ask("GET", path, bearer(token)) for name, token in forged.items()
        }
        found = {name: answer.essence for name, answer in answers.items()}
        assert all_but((401, "unauthorized"), found) == {}
        assert all(a.headers["www-authenticate"].startswith("Bearer") for a in answers.values())

    async def test_a_forged_token_is_401_on_every_route(
        self, target: AttackTarget, forged: dict[str, str], settings: Settings
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

    async def test_a_forged_token_is_refused_at_the_websocket_handshake(
        self, target: AttackTarget, forged: dict[str, str]
    ) -> None:
        found, in_query = {}, {}
        for name, token in forged.items():
            asked = "".join(f"%{byte:02x}" for byte in token.encode())
            ways = [("/ws", bearer(token)), ("/", bearer(token))]
            found[name] = {(await target.handshake(*way)).essence for way in ways}
            if len(asked) < 8000:
                async with target.socket(path=f"/ws?token={asked}") as device:
                    in_query[name] = await device.ending()
        assert all_but({(401, "unauthorized")}, found) == {}
        assert all_but("4401", in_query) == {}

    async def test_a_forged_token_in_the_first_frame_is_4401(
        self, target: AttackTarget, forged: dict[str, str]
    ) -> None:
        found: dict[str, str] = {}
        too_long: dict[str, str] = {}
        for name, token in forged.items():
            hello = frame(json.dumps({"event": "auth", "data": {"token": token}}))
            is_too_long = len(hello) - 8 > FIRST_FRAME  # 8: the frame's head and mask
            async with target.socket() as device:
                await device.send(hello)
                (too_long if is_too_long else found)[name] = await device.ending()
        assert all_but("4401", found) == {}
        assert all_but("1009", too_long) == {}

    async def test_a_forged_token_in_a_renewal_is_4401(
        self, target: AttackTarget, forged: dict[str, str], token: Token
    ) -> None:
        async def renewal(forgery: str) -> tuple[str, str]:
            async with target.socket(token()) as device:
                await device.say("auth", token=forgery)
                return await device.verdict(), await device.ending()

        outcomes = await asyncio.gather(*(renewal(forgery) for forgery in forged.values()))
        found = dict(zip(forged, outcomes, strict=True))
        assert all_but(("unauthorized", "4401"), found) == {}

    async def test_raw_bytes_in_the_authorization_header_are_401(
        self, target: AttackTarget, token: Token
    ) -> None:
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
            assert (await target.handshake("/ws", bearer(raw))).essence == (401, "unauthorized")

    async def test_a_malformed_authorization_header_is_401(
        self, target: AttackTarget, token: Token
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

    async def test_no_kind_of_credential_is_accepted_as_another(
        self, target: AttackTarget, token: Token
    ) -> None:
        target.secrets.add(token())
        url, cookie = await stream_url_of(target, token(), "hers"), await cookie_of(target, token())
        path, _, ticket = url.partition("?ticket=")
        name, _, session = cookie.partition("=")
        for credential in (token(), session):
            answer = await target.ask("GET", f"{path}?ticket={credential}")
            assert answer.essence == (401, "unauthorized")
        for credential in (token(), ticket):
            answer = await target.ask("GET", path, {"Cookie": f"{name}={credential}"})
            assert answer.essence == (401, "unauthorized")
        for genuine in (
            await target.ask("HEAD", url),
            await target.ask("HEAD", path, {"Cookie": cookie}),
            await target.ask("HEAD", path, bearer(token())),
        ):
            assert genuine.status == 200

    async def test_a_valid_token_is_accepted_on_every_way_that_forged_ones_took(
        self, target: AttackTarget, token: Token
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
