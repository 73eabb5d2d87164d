"""Lists of tracks are compressed where the client accepts it, each coding with its own ETag."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.conftest import Client, Serve, write_wav

Token = Callable[..., str]


@pytest.fixture
def many(media: Path) -> Path:
    """A hundred tracks: a list of more than 4 KiB."""
    write_wav(media / "many/0.wav", 0.01)
    for number in range(1, 100):
        (media / f"many/{number}.wav").hardlink_to(media / "many/0.wav")
    return media


class ListRequester:
    """Requests lists without decompressing them."""

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
        yield ListRequester(client, session, token())


async def test_a_long_list_is_compressed_for_a_client_that_accepts_gzip(ask: ListRequester) -> None:
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


async def test_a_short_list_is_compressed_only_for_a_client_that_refuses_identity(
    ask: ListRequester,
) -> None:
    _, headers, _ = await ask("gzip", limit="5")
    assert "Content-Encoding" not in headers
    assert "Accept-Encoding" in headers["Vary"]
    _, headers, body = await ask("gzip, identity;q=0", limit="5")
    assert headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["tracks"]) == 5


@pytest.mark.parametrize("had", [None, "gzip"])
@pytest.mark.parametrize("accepts", [None, "gzip"])
async def test_a_list_that_the_client_has_in_either_coding_is_answered_with_304(
    ask: ListRequester, had: str | None, accepts: str | None
) -> None:
    tag = (await ask(had))[1]["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        status, headers, body = await ask(accepts, known)
        assert (status, body, headers["ETag"]) == (304, b"", tag)
        assert "Accept-Encoding" in headers["Vary"]
        assert "Content-Encoding" not in headers
    assert (await ask(accepts, '"other"'))[0] == 200
    assert (await ask(accepts, "*"))[0] == 304
