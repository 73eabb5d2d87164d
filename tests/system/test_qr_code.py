"""A QR code signs a phone in: drawn by the server where segno is installed, of its own paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audiostream.ops import optional_packages
from tests.conftest import Serve

Token = Callable[..., str]
PATH = "/#token=abc.def.ghi"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was drawn, as text."""
    segno = pytest.importorskip("segno", reason="the [qr] extra is not installed")
    texts: list[str] = []
    make = segno.make

    def record(text: str, **options: object) -> object:
        texts.append(text)
        return make(text, **options)

    monkeypatch.setattr(segno, "make", record)
    return texts


def bearer(token: Token, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}", **headers}


async def test_a_qr_code_is_an_svg_that_is_stored_nowhere(
    serve: Serve, token: Token, drawn: list[str]
) -> None:
    client = await serve()
    async with client.post("/session/qr", json={"path": PATH}, headers=bearer(token)) as answer:
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")
        assert answer.headers["Cache-Control"] == "no-store"
        text = await answer.text()
    assert text.startswith("<svg ")
    assert "abc" not in text
    assert drawn == [f"http://{client.host}:{client.port}{PATH}"]


async def test_a_qr_code_has_the_origin_of_the_page_where_the_host_is_this_servers(
    serve: Serve, token: Token, drawn: list[str]
) -> None:
    client = await serve()
    here = f"{client.host}:{client.port}"
    for origin, expected in (
        (f"https://{here}", f"https://{here}"),
        ("https://elsewhere.example", f"http://{here}"),
        ("null", f"http://{here}"),
    ):
        headers = bearer(token, Origin=origin)
        async with client.post("/session/qr", json={"path": PATH}, headers=headers) as answer:
            assert answer.status == 200
        assert drawn[-1] == expected + PATH


@pytest.mark.parametrize("path", [None, 7, "", "x", "//" + "x" * 2000, "/\n", "/é", "https://a/"])
async def test_a_qr_code_of_anything_but_a_path_is_refused(
    serve: Serve, token: Token, path: object
) -> None:
    client = await serve()
    async with client.post("/session/qr", json={"path": path}, headers=bearer(token)) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "invalid_message"


async def test_a_qr_code_needs_a_token(serve: Serve) -> None:
    async with (await serve()).post("/session/qr", json={"path": PATH}) as answer:
        assert answer.status == 401


async def test_without_segno_there_is_no_qr_code(
    serve: Serve, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optional_packages, "DRAWS_QR_CODES", False)
    client = await serve()
    async with client.post("/session/qr", json={"path": PATH}, headers=bearer(token)) as answer:
        assert answer.status == 404
        assert "audiostream[qr]" in (await answer.json())["error"]["message"]
