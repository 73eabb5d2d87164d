"""Searching over REST: what is found, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from yarl import URL

from tests.conftest import Client, Serve, write_wav

Token = Callable[..., str]


@pytest.fixture
async def client(serve: Serve, media: Path) -> Client:
    write_wav(media / "Don\u2019t Stop.wav", 0.1)
    write_wav(media / "Semi\u2010Charmed Life.wav", 0.1)
    return await serve()


@pytest.mark.parametrize(
    ("query", "title"),
    [("don't", "Don\u2019t Stop"), ("semi-charmed", "Semi\u2010Charmed Life")],
)
async def test_a_search_finds_titles_with_punctuation_that_keyboards_lack(
    client: Client, token: Token, query: str, title: str
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    async with client.get(f"/tracks?q={quote(query)}", headers=headers) as answer:
        assert [track["title"] for track in (await answer.json())["tracks"]] == [title]
        assert answer.headers["X-Total-Count"] == "1"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("x" * 200, 200),
        ("x" * 201, 400),
        (" ".join("x" * 16), 200),
        (" ".join("x" * 17), 400),
        ("a " * 3900, 400),
        ("\u00e4" * 201, 400),
    ],
    ids=["200", "201", "16 words", "17 words", "3900 words", "201 letters"],
)
async def test_a_search_above_the_limits_is_answered_with_400(
    client: Client, token: Token, query: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    for base in ("", "/api"):
        path = URL(f"{base}/tracks?q={quote_plus(query.strip())}", encoded=True)
        async with client.get(path, headers=headers) as answer:
            body = await answer.json()
            assert answer.status == status
            assert status == 200 or body["error"]["code"] == "invalid_message"
