"""The player's files are sent from memory, each with its type and its entity tag."""

from __future__ import annotations

from audiostream.api.pages import PATHS, WEB
from tests.conftest import Serve


async def test_every_file_of_the_page_is_sent_whole(serve: Serve) -> None:
    client = await serve()
    for path in PATHS:
        async with client.get(path) as answer:
            assert (answer.status, await answer.read()) == (200, (WEB / path[1:]).read_bytes())
            assert answer.headers["Cache-Control"] == "no-cache", path
            etag = answer.headers["ETag"]
        async with client.get(path, headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b""), path
            assert answer.headers["ETag"] == etag


async def test_head_of_the_page_has_its_length_and_no_body(serve: Serve) -> None:
    client = await serve()
    async with client.head("/openapi.json") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) == (WEB / "openapi.json").stat().st_size


def test_every_file_in_web_has_a_route() -> None:
    files = {path.relative_to(WEB).as_posix() for path in WEB.rglob("*.*")}
    assert {path[1:] for path in PATHS} == files
