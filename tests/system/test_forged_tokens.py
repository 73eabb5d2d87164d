"""Forged credentials of every kind are refused on streams, covers, REST and both kinds of sockets.

Forged access tokens on REST and the native WebSocket are in ``attacks.test_tokens`` too.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from audiostream import Settings
from audiostream.app import tokens_of
from audiostream.auth.tickets import Identity
from tests.support.attack_target import AttackTarget
from tests.support.audio_files import write_wav
from tests.support.forged_tokens import forgeries, signed
from tests.support.raw_http import bearer, request
from tests.support.raw_websocket import frame
from tests.support.server_process import UNLIMITED, module_server

Token = Callable[..., str]
Door = Callable[[AttackTarget, str], Awaitable[Any]]

AT_ONCE = 16
"""Forgeries that are tried at a time."""
LONGEST_QUERY = 2500
"""Characters of a credential that still fits into a request line, each in three."""
REFUSED = (401, "unauthorized")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forged") / "media"
    entries = []
    for name in ("song", "users/ada/hers", "users/bob/his"):
        write_wav(folder / f"{name}.wav", 1.0)
        track_id = name.rpartition("/")[2]
        entries.append({"id": track_id, "audioUrl": f"{name}.wav", "duration": 1})
    (folder / "tracks.json").write_text(json.dumps(entries))
    return folder


@pytest.fixture(scope="module")
def target(media: Path) -> Iterator[AttackTarget]:
    with module_server(media, **UNLIMITED) as server:
        target = AttackTarget(server, media)
        yield target
        target.stop()


def more_forgeries(now: float, good: str, bobs: str) -> dict[str, str]:
    """Tokens for ``ada`` that nobody may accept; ``good`` and ``bobs`` are true ones."""
    ada = {"sub": "ada", "iat": int(now)}
    head, claims, signature = good.split(".")
    bobs_head, bobs_claims, bobs_signature = bobs.split(".")
    encrypted = signed({"sub": "ada"}, {"alg": "dir", "enc": "A256GCM"})
    milliseconds = int(now * 1000)
    return {
        "claims and header swapped": f"{claims}.{head}.{signature}",
        "signature and claims swapped": f"{head}.{signature}.{claims}",
        "backwards": f"{signature}.{claims}.{head}",
        "bob's signature": f"{head}.{claims}.{bobs_signature}",
        "bob's claims": f"{head}.{bobs_claims}.{signature}",
        "bob's token with ada's end": f"{bobs_head}.{bobs_claims}.{signature}",
        "two tokens": good + bobs,
        "two tokens with a dot": f"{good}.{bobs}",
        "a token within a token": signed(good, {"alg": "HS256", "cty": "JWT"}),
        "encrypted, it says": f"{encrypted}.{signature}.{signature}",
        "alg in a list": signed(ada, {"alg": ["HS256"]}),
        "alg null": signed(ada, {"alg": None}),
        "alg 256": signed(ada, {"alg": 256}),
        "alg true": signed(ada, {"alg": True}),
        "alg twice, the last none": signed(ada, '{"alg":"HS256","alg":"none"}'),
        "no alg": signed(ada, {"typ": "JWT"}),
        "ALG": signed(ada, {"ALG": "HS256"}),
        "PS256": signed(ada, {"alg": "PS256"}),
        "A256KW": signed(ada, {"alg": "A256KW"}),
        "a key from a file": signed(ada, {"alg": "HS256", "kid": "../../dev/null"}, key=""),
        "a key from elsewhere": signed(
            ada, {"alg": "HS256", "jku": "http://127.0.0.1:9/keys", "kid": "1"}, key="1"
        ),
        "a certificate": signed(ada, {"alg": "HS256", "x5c": ["QQ=="]}, key="A"),
        "its own claims as key": signed(ada, key=claims),
        "ended, in milliseconds": signed(ada | {"exp": milliseconds - 90_000}),
        "goes on for ever, in milliseconds": signed(ada | {"exp": milliseconds + 90_000}),
        "made in milliseconds": signed({"sub": "ada", "iat": milliseconds}),
        "valid from tomorrow": signed(ada | {"nbf": int(now) + 86_400}),
        "made tomorrow": signed({"sub": "ada", "iat": int(now) + 86_400}),
        "ended yesterday": signed(ada | {"exp": int(now) - 86_400}),
        "SUB": signed({"SUB": "ada"}),
        "another claim": signed({"user": "ada", "username": "ada", "userId": "ada"}),
        "sub in an object": signed({"sub": {"sub": "ada"}}),
        "claims in a claim": signed({"claims": ada}),
        "nearly the longest": signed(ada | {"x": "y" * 5000}, key="b secret"),
        "a deep nest in a claim": signed(f'{{"sub":"ada","x":{"[" * 1500}{"]" * 1500}', key="x"),
    }


UNICODE = {
    "accents": "\u00e9.\u00e9.\u00e9",
    "a note": "\N{MULTIPLE MUSICAL NOTES}",
    "Cyrillic that looks alike": "\u0435\u0443J.\u0435\u0443J.\u0435\u0443J",
    "fullwidth letters": "\uff45\uff59\uff2a\uff0e\uff45\uff59\uff2a\uff0e\uff45",
    "a zero-width blank": "\u200b",
    "half a character": "\ud800",
    "NUL": "\x00",
    "a line break": "\r\nX: y",
}
"""No tokens of ASCII at all: for doors that take any text."""


@pytest.fixture
def other_credentials(settings: Settings) -> dict[str, str]:
    """What is ada's own, and no access token."""
    tokens, now = tokens_of(settings), time.time()
    identity = Identity("ada", now + 900)
    session, _ = tokens.session(identity, now)
    return {
        "a ticket": tokens.ticket("ada", "hers", 60.0, now),
        "a session": session,
        "a cookie": f"audiostream_session={session}",
    }


@pytest.fixture
def forged(target: AttackTarget, token: Token, other_credentials: dict[str, str]) -> dict[str, str]:
    """All that is forged, wherever it was thought of, and ``other_credentials``."""
    now = time.time()
    found = forgeries(now) | more_forgeries(now, token(), token("bob")) | other_credentials
    target.secrets |= set(found.values()) | {token(), token("bob")}
    return found


def by_bearer(path: str) -> Door:
    async def knock(target: AttackTarget, credential: str) -> Any:
        return (await target.ask("GET", path, bearer(credential))).essence

    return knock


def by_query(path: str, name: str) -> Door:
    async def knock(target: AttackTarget, credential: str) -> Any:
        asked = f"{path}?{name}={quote(credential, safe='', errors='surrogatepass')}"
        return (await target.ask("GET", asked)).essence

    return knock


def by_cookie(path: str) -> Door:
    async def knock(target: AttackTarget, credential: str) -> Any:
        cleared = await target.ask("DELETE", "/session")
        name = cleared.headers["set-cookie"].partition("=")[0]
        headers = {"Cookie": f"{name}={credential}"}
        return (await target.ask("GET", path, headers)).essence

    return knock


async def native_by_header(target: AttackTarget, credential: str) -> Any:
    return (await target.handshake("/ws", bearer(credential))).essence


async def native_by_query(target: AttackTarget, credential: str) -> Any:
    asked = quote(credential, safe="", errors="surrogatepass")
    async with target.socket(path=f"/ws?token={asked}") as device:
        await device.say("getCurrentState")  # a token that is good is answered with nothing
        verdict = await device.verdict()
        if verdict != "unauthorized":
            return verdict
        return REFUSED if await device.ending() == "4401" else verdict


async def native_by_frame(target: AttackTarget, credential: str) -> Any:
    hello = json.dumps({"event": "auth", "data": {"token": credential}})
    async with target.socket() as device:
        await device.send(frame(hello))
        verdict = await device.verdict()
        if verdict == "1009" and len(hello) > 4096:  # too long for a first frame
            return REFUSED
        if verdict not in {"unauthorized", "invalid_message"}:
            return verdict
        return REFUSED if await device.ending() == "4401" else verdict


SOCKETIO = "/socket.io/?EIO=4&transport=websocket"


async def enter_socketio(
    target: AttackTarget, query: str, headers: Mapping[str, str | bytes], auth: object
) -> Any:
    """What the namespace answers: ``REFUSED``, or the packet."""
    handshake = request(
        "GET",
        SOCKETIO + query,
        {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            **headers,
        },
    )
    async with target.connect() as wire:
        await wire.send(handshake)
        async with asyncio.timeout(10):
            head = await wire.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            assert (await _packet(wire.reader)).startswith("0{")
            await wire.send(frame("40" + ("" if auth is None else json.dumps(auth))))
            answer = await _packet(wire.reader)
    target.answers.append(answer.encode())
    is_refused = answer.startswith("44") and json.loads(answer[2:])["data"] == {
        "code": "unauthorized"
    }
    return REFUSED if is_refused else answer


async def _packet(reader: asyncio.StreamReader) -> str:
    length = (await reader.readexactly(2))[1]
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2))
    return (await reader.readexactly(length)).decode()


async def socketio_by_auth(target: AttackTarget, credential: str) -> Any:
    return await enter_socketio(target, "", {}, {"token": credential})


async def socketio_by_header(target: AttackTarget, credential: str) -> Any:
    return await enter_socketio(target, "", bearer(credential), None)


async def socketio_by_query(target: AttackTarget, credential: str) -> Any:
    asked = quote(credential, safe="", errors="surrogatepass")
    return await enter_socketio(target, f"&token={asked}", {}, None)


async def socketio_by_polling(target: AttackTarget, credential: str) -> Any:
    path = "/socket.io/?EIO=4&transport=polling"
    opened = await target.ask("GET", path)
    path += f"&sid={json.loads(opened.body[1:])['sid']}"
    await target.ask("POST", path, {}, f"40{json.dumps({'token': credential})}".encode())
    answer = (await target.ask("GET", path)).body
    is_refused = answer.startswith(b"44") and b'"unauthorized"' in answer
    return REFUSED if is_refused else answer


STREAM, COVER = "/tracks/stream/hers", "/tracks/cover/hers"
DOORS: dict[str, Door] = {
    "REST": by_bearer("/tracks"),
    "a stream by header": by_bearer(STREAM),
    "a stream by ticket": by_query(STREAM, "ticket"),
    "a stream by cookie": by_cookie(STREAM),
    "a cover by header": by_bearer(COVER),
    "a cover by ticket": by_query(COVER, "ticket"),
    "a cover by cookie": by_cookie(COVER),
    "a socket by header": native_by_header,
    "a socket by query": native_by_query,
    "a socket by first frame": native_by_frame,
    "Socket.IO by auth": socketio_by_auth,
    "Socket.IO by header": socketio_by_header,
    "Socket.IO by query": socketio_by_query,
    "Socket.IO by polling": socketio_by_polling,
}
FITS = {"a stream by ticket": "a ticket", "a cover by ticket": "a ticket"} | {
    f"a {what} by cookie": "a session" for what in ("stream", "cover")
}
"""Which of ada's other credentials is right there. For covers a cookie may be refused as well."""


async def tried(target: AttackTarget, door: str, credentials: Mapping[str, str]) -> dict[str, Any]:
    """What was answered otherwise than by a refusal, by the name of the forgery."""
    room = asyncio.Semaphore(AT_ONCE)

    async def outcome(credential: str) -> Any:
        async with room:
            return await DOORS[door](target, credential)

    outcomes = await asyncio.gather(*(outcome(credential) for credential in credentials.values()))
    return {
        name: found for name, found in zip(credentials, outcomes, strict=True) if found != REFUSED
    }


@pytest.mark.parametrize("door", DOORS)
async def test_a_forged_credential_is_refused_where_a_valid_one_is_accepted(
    target: AttackTarget, token: Token, forged: dict[str, str], door: str
) -> None:
    if door.startswith("Socket.IO"):
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    is_long = {
        name for name, credential in forged.items() if len(quote(credential)) > LONGEST_QUERY * 3
    }
    for_query = door.endswith(("query", "ticket"))
    left_out = {FITS.get(door)} | (is_long if for_query else set())
    credentials = {name: credential for name, credential in forged.items() if name not in left_out}
    assert len(credentials) > 41
    async with target.socket(token()) as phone:
        assert await tried(target, door, credentials) == {}
        await phone.say("getDevices")
        assert len((await phone.receives())["data"]["devices"]) == 1, "one of them was let in"
    true, asked = forged[FITS[door]] if door in FITS else token(), len(target.answers)
    if door != "a cover by cookie":
        assert await DOORS[door](target, true) != REFUSED
    del target.answers[asked:]  # audio may hold any bytes


@pytest.mark.parametrize(
    "door",
    [
        *("a stream by ticket", "a cover by ticket", "a socket by query"),
        *("a socket by first frame", "Socket.IO by auth", "Socket.IO by query"),
    ],
)
async def test_a_credential_that_is_not_ascii_is_refused(
    target: AttackTarget, token: Token, door: str
) -> None:
    if door.startswith("Socket.IO"):
        pytest.importorskip("socketio", reason="the [socketio] extra is not installed")
    spoilt = {f"a true one and {name}": token() + text for name, text in UNICODE.items()}
    target.secrets.add(token())
    assert await tried(target, door, UNICODE | spoilt) == {}


async def test_a_ticket_is_refused_for_another_track_or_user(
    target: AttackTarget, settings: Settings
) -> None:
    tokens, now = tokens_of(settings), time.time()
    expiry, user, mac = tokens.ticket("ada", "hers", 60.0, now).split(".")
    bobs = tokens.ticket("bob", "hers", 60.0, now).split(".")
    arabic = "".join(chr(0x660 + int(digit)) for digit in expiry)
    others = {
        "of another track": tokens.ticket("ada", "song", 60.0, now),
        "of no track": tokens.ticket("ada", "", 60.0, now),
        "that has ended": tokens.ticket("ada", "hers", 60.0, now - 30 * 86_400),
        "with a later end": f"{int(expiry) + 3600}.{user}.{mac}",
        "with an end that is no number": f"{expiry}x.{user}.{mac}",
        "with an end in other digits": f"{arabic}.{user}.{mac}",
        "with a negative end": f"-{expiry}.{user}.{mac}",
        "with an endless end": f"{'9' * 13}.{user}.{mac}",
        "in bob's name": f"{expiry}.{bobs[1]}.{mac}",
        "with bob's signature": f"{expiry}.{user}.{bobs[2]}",
        "with a cut signature": f"{expiry}.{user}.{mac[:-1]}",
        "without a signature": f"{expiry}.{user}.",
        "without a user": f"{expiry}..{mac}",
        "in another order": f"{user}.{expiry}.{mac}",
        "of four parts": f"{expiry}.{user}.{mac}.{mac}",
        "of another secret": tokens_of(
            Settings(jwt_secret="b secret of more than thirty-two bytes", media=settings.media)
        ).ticket("ada", "hers", 60.0, now),
    }
    target.secrets |= set(others.values())
    for door in ("a stream by ticket", "a cover by ticket"):
        assert await tried(target, door, others) == {}
