"""What the tests of attacks compare answers by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from audiostream import Settings, create_app
from tests.support.attack_target import AttackTarget
from tests.support.paths import WEB
from tests.support.raw_http import Answer, bearer

Token = Callable[..., str]
Headers = Mapping[str, str | bytes]


async def cookie_of(target: AttackTarget, token: str) -> str:
    """The session cookie that the server gives to the holder of ``token``."""
    opened = await target.ask("POST", "/session", bearer(token))
    assert opened.status == 204
    return opened.headers["set-cookie"].partition(";")[0]


async def stream_url_of(target: AttackTarget, token: str, track_id: str) -> str:
    """The stream's path with the ticket that the server gives to the holder of ``token``."""
    track = await target.ask("GET", f"/tracks/{track_id}", bearer(token))
    return str(json.loads(track.body)["streamUrl"])


def all_but(expected: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found that was not expected."""
    return {name: outcome for name, outcome in found.items() if outcome != expected}


def mismatches(
    documented: Mapping[str, tuple[Any, str]], found: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """What was answered otherwise than ``documented``, and what is documented."""
    pairs = {name: (found[name], answer) for name, (_, answer) in documented.items()}
    return {name: (got, answer) for name, (got, answer) in pairs.items() if got != answer}


def routes(settings: Settings) -> list[tuple[str, str]]:
    """Every method and path that the application answers, with ``{id}`` where a track goes."""
    return [
        (route.method, route.resource.canonical)
        for route in create_app(settings).router.routes()
        if route.resource is not None and route.method != "*"  # Socket.IO has its own tests
    ]


PAGES = {f"/{path.relative_to(WEB).as_posix()}" for path in WEB.rglob("*") if path.is_file()}
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


def is_refusal(answer: Answer, method: str) -> bool:
    """Whether it is an error object, or nothing for HEAD, and tells nothing of any audio."""
    telling = {"etag", "last-modified", "content-range", "accept-ranges"} & answer.headers.keys()
    if method == "HEAD":
        is_clean = answer.body == b"" and int(answer.headers.get("content-length", "0")) < 500
    else:
        is_clean = answer.error is not None and len(answer.body) < 500
    return answer.status in {401, 404} and is_clean and not telling


def comparable(answer: Answer, *leave_out: str) -> tuple[int, dict[str, str], bytes]:
    """All that a client can tell two answers apart by, but for the time and rev that they name."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    headers = {name: re.sub(r"[Mm]ax-[Aa]ge=\d+", "", value) for name, value in headers.items()}
    for name in leave_out:
        headers.pop(name, None)
    told = re.sub(rb'"(serverTime|updatedAt|rev)":\d+', b"", answer.body)
    return answer.status, headers, told
