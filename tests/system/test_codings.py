"""Lists are compressed where the client accepts it, each coding under a tag of its own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st

from audiostream.api.content_coding import WORTHWHILE, Wish, compressed
from tests.conftest import Client, Serve, write_wav

Token = Callable[..., str]


@pytest.mark.parametrize(
    ("field", "long", "short"),
    [
        (None, False, False),
        ("", False, False),
        ("gzip", True, False),
        ("GZIP", True, False),
        ("x-gzip", True, False),
        ("br, deflate, gzip", True, False),
        ("br, deflate", False, False),
        ("gzip;q=0.001", True, False),
        ("gzip ; Q=0.5", True, False),
        ("gzip;q=0", False, False),
        ("gzip;q=0.0, identity", False, False),
        ("*", True, False),
        ("*;q=0", False, False),
        ("gzip;q=0, *", False, False),
        ("gzip;q=0.5, identity", False, False),
        ("gzip;q=0.5, identity;q=0.5", True, False),
        ("identity;q=0.1, gzip", True, False),
        ("identity;q=0, gzip", True, True),
        ("gzip, *;q=0", True, True),
        ("identity;q=0", False, False),
        ("identity;q=0, *", True, True),
        ("identity, *;q=0", False, False),
        ("gzip;q=2", False, False),
        ("gzip;q=x", False, False),
        ("gzip;q=0.1234", False, False),
        ("g zip, , ;q=1, ,gzip", True, False),
        ("gzip\x00", False, False),
    ],
)
def test_the_choice(field: str | None, long: bool, short: bool) -> None:
    wish = Wish.of(field)
    assert wish.is_gzip(WORTHWHILE) is long
    assert wish.is_gzip(WORTHWHILE - 1) is short


@given(st.text(max_size=60))
def test_no_field_raises(field: str) -> None:
    assert Wish.of(field).if_long >= Wish.of(field).if_short


def test_equal_bodies_are_equal_bytes() -> None:
    body = b"x" * WORTHWHILE
    assert compressed(body) == compressed(body)
    assert gzip.decompress(compressed(body)) == body


@pytest.fixture
def many(media: Path) -> Path:
    """A hundred tracks: a list of more than 4 KiB."""
    write_wav(media / "many/0.wav", 0.01)
    for number in range(1, 100):
        (media / f"many/{number}.wav").hardlink_to(media / "many/0.wav")
    return media


class Asking:
    """Asks for lists as they are sent."""

    def __init__(self, client: Client, session: ClientSession, token: str) -> None:
        self._url = client.make_url("/tracks")
        self._session = session
        self._bearer = {"Authorization": f"Bearer {token}"}

    async def __call__(
        self,
        accepts: str | None = None,
        known: str | None = None,
        method: str = "GET",
        **query: str,
    ) -> tuple[int, Any, bytes]:
        headers = dict(self._bearer)
        if accepts is not None:
            headers["Accept-Encoding"] = accepts
        if known is not None:
            headers["If-None-Match"] = known
        async with self._session.request(
            method,
            self._url.with_query(query),
            headers=headers,
            skip_auto_headers=["Accept-Encoding"],
        ) as answer:
            return answer.status, answer.headers, await answer.read()


@pytest.fixture
async def ask(serve: Serve, token: Token, many: Path) -> Any:
    client = await serve()
    async with ClientSession(auto_decompress=False) as session:
        yield Asking(client, session, token())


async def test_a_long_list_is_compressed_for_who_accepts_it(ask: Asking) -> None:
    _, plain_headers, plain = await ask()
    status, headers, body = await ask("gzip, br")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == plain
    assert len(body) == int(headers["Content-Length"]) < len(plain) / 2
    assert len(json.loads(plain)["tracks"]) == 103
    assert "Content-Encoding" not in plain_headers
    for each in (headers, plain_headers):
        assert "Accept-Encoding" in each["Vary"]
    assert headers["ETag"] != plain_headers["ETag"]
    assert headers["Content-Type"] == plain_headers["Content-Type"]
    _, only_headers, nothing = await ask("gzip", method="HEAD")
    assert nothing == b""
    for name in ("ETag", "Content-Length", "Content-Encoding"):
        assert only_headers[name] == headers[name]


async def test_a_short_one_is_not_unless_it_must(ask: Asking) -> None:
    _, headers, _ = await ask("gzip", limit="5")
    assert "Content-Encoding" not in headers
    assert "Accept-Encoding" in headers["Vary"]
    _, headers, body = await ask("gzip, identity;q=0", limit="5")
    assert headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["tracks"]) == 5


@pytest.mark.parametrize("had", [None, "gzip"])
@pytest.mark.parametrize("accepts", [None, "gzip"])
async def test_an_unchanged_list_is_not_sent_again_in_whichever_coding(
    ask: Asking, had: str | None, accepts: str | None
) -> None:
    tag = (await ask(had))[1]["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        status, headers, body = await ask(accepts, known)
        assert (status, body, headers["ETag"]) == (304, b"", tag)
        assert "Accept-Encoding" in headers["Vary"]
        assert "Content-Encoding" not in headers
    assert (await ask(accepts, '"other"'))[0] == 200
    assert (await ask(accepts, "*"))[0] == 304
