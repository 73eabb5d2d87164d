"""The route of covers: the picture in the file or the default, for those who may play the track."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from audiostream.library import artwork
from audiostream.library.artwork import MAX_PICTURE, default_picture
from audiostream.services import LIBRARY
from tests.conftest import Client, Serve
from tests.support.pictures import (
    GIF,
    JPEG,
    PNG,
    SCRIPT,
    WEBP,
    flac,
    flac_with,
    m4a,
    m4a_with,
    mp3,
    mp3_with,
)

Token = Callable[..., str]
FORMATS = {"mp3": mp3, "flac": flac, "m4a": m4a}


@pytest.fixture
def auth(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


async def client_with(serve: Serve, media: Path, name: str, content: bytes) -> tuple[Client, str]:
    """An application with one more file, and the path of its cover."""
    (media / name).write_bytes(content)
    client = await serve()
    found = client.app[LIBRARY].tracks_for("ada")
    return client, next(f"/tracks/cover/{track.id}" for track in found if track.path.name == name)


@pytest.mark.parametrize("suffix", FORMATS)
async def test_the_picture_in_a_file_of_each_format_is_sent(
    serve: Serve, media: Path, auth: dict[str, str], suffix: str
) -> None:
    content = FORMATS[suffix](PNG)
    client, path = await client_with(serve, media, f"pictured.{suffix}", content)
    for base in ("", "/api"):
        async with client.get(base + path, headers=auth) as answer:
            assert (answer.status, await answer.read()) == (200, PNG)
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "private, max-age=3600"


async def test_head_of_a_cover_has_its_headers_and_no_body(
    serve: Serve, media: Path, auth: dict[str, str]
) -> None:
    client, path = await client_with(serve, media, "pictured.mp3", mp3(PNG))
    async with client.head(path, headers=auth) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(PNG))


async def test_a_cover_that_the_client_has_is_answered_with_304_until_the_file_changes(
    serve: Serve, media: Path, auth: dict[str, str]
) -> None:
    client, path = await client_with(serve, media, "pictured.mp3", mp3(PNG))
    async with client.get(path, headers=auth) as answer:
        etag = answer.headers["ETag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        async with client.get(path, headers=auth | {"If-None-Match": known}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
            assert answer.headers["ETag"] == etag
    (media / "pictured.mp3").write_bytes(mp3(JPEG))
    async with client.get(path, headers=auth | {"If-None-Match": etag}) as answer:
        assert (answer.status, await answer.read()) == (200, JPEG)


async def test_the_media_type_that_a_tag_claims_is_ignored(
    serve: Serve, media: Path, auth: dict[str, str]
) -> None:
    client, path = await client_with(serve, media, "a.mp3", mp3(JPEG, b"text/html"))
    async with client.get(path, headers=auth) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("write", [mp3_with, flac_with, m4a_with])
@pytest.mark.parametrize(
    "bad",
    [[b""], [SCRIPT], [b"BM" + bytes(60)], [b"", b"", SCRIPT], [PNG[:4]]],
    ids=["empty", "a script", "another type", "several", "cut off"],
)
async def test_a_picture_that_cannot_be_shown_does_not_hide_another(
    serve: Serve,
    media: Path,
    auth: dict[str, str],
    write: Callable[..., bytes],
    bad: list[bytes],
) -> None:
    name = {"mp3_with": "a.mp3", "flac_with": "a.flac", "m4a_with": "a.m4a"}[write.__name__]
    client, path = await client_with(serve, media, name, write(*bad, JPEG))
    async with client.get(path, headers=auth) as answer:
        assert (answer.status, await answer.read()) == (200, JPEG)


async def test_a_picture_that_is_too_large_does_not_hide_another(
    serve: Serve, media: Path, auth: dict[str, str]
) -> None:
    large = JPEG + bytes(MAX_PICTURE)
    client, path = await client_with(serve, media, "a.mp3", mp3_with(large, PNG))
    async with client.get(path, headers=auth) as answer:
        assert (answer.status, await answer.read()) == (200, PNG)


async def test_the_front_cover_is_preferred_to_other_pictures(
    serve: Serve, media: Path, auth: dict[str, str]
) -> None:
    pictures = (GIF, PNG, WEBP, JPEG)  # kind 3 is the front cover
    client, path = await client_with(serve, media, "a.flac", flac_with(*pictures))
    async with client.get(path, headers=auth) as answer:
        assert (answer.status, await answer.read()) == (200, JPEG)


async def test_a_file_without_a_picture_has_the_default_cover(
    serve: Serve, auth: dict[str, str]
) -> None:
    client = await serve()
    async with client.get("/tracks/cover/song", headers=auth) as answer:
        body, etag = await answer.read(), answer.headers["ETag"]
        assert (answer.status, body) == (200, default_picture("song", "Somebody").data)
        assert answer.headers["Content-Type"] == "image/svg+xml"
        policy = answer.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    fields = auth | {"If-None-Match": etag}
    async with client.get("/tracks/cover/song", headers=fields) as answer:
        assert answer.status == 304


@pytest.mark.parametrize(
    "content",
    [
        mp3(SCRIPT),
        mp3(b""),
        mp3(PNG, size=200_000_000),
        mp3(PNG)[:40],
        mp3(b"\xff\xd8\xff" + bytes(MAX_PICTURE)),
        b"ID3" + b"\xff" * 60,
        b"",
    ],
    ids=["a script", "nothing", "a false size", "cut off", "too large", "noise", "empty"],
)
async def test_a_hostile_file_has_the_default_cover(
    serve: Serve, media: Path, auth: dict[str, str], content: bytes
) -> None:
    client, path = await client_with(serve, media, "hostile.mp3", content)
    async with client.get(path, headers=auth) as answer:
        assert (answer.status, answer.content_type) == (200, "image/svg+xml")


async def test_a_cover_without_a_credential_is_answered_with_401(serve: Serve) -> None:
    async with (await serve()).get("/tracks/cover/song") as answer:
        assert answer.status == 401


async def test_the_cover_of_another_users_track_is_answered_as_that_of_an_unknown_one(
    serve: Serve, auth: dict[str, str]
) -> None:
    client = await serve()
    bodies = []
    for track_id in ("his", "nonsense"):
        async with client.get(f"/tracks/cover/{track_id}", headers=auth) as answer:
            bodies.append((answer.status, await answer.read()))
    assert bodies[0] == bodies[1]
    assert bodies[0][0] == 404


async def test_the_ticket_of_a_track_gives_its_cover_and_no_other(
    serve: Serve, auth: dict[str, str]
) -> None:
    client = await serve()
    async with client.get("/tracks/hers", headers=auth) as answer:
        ticket = (await answer.json())["streamUrl"].partition("?")[2]
    for track_id, status in (("hers", 200), ("song", 401)):
        async with client.get(f"/tracks/cover/{track_id}?{ticket}") as answer:
            assert answer.status == status


async def test_the_session_cookie_gives_streams_and_no_covers(
    serve: Serve, auth: dict[str, str]
) -> None:
    client = await serve()
    async with client.post("/session", headers=auth) as answer:
        assert answer.status == 204
    for base in ("", "/api"):
        async with client.get(f"{base}/tracks/stream/hers") as answer:
            assert answer.status == 200
        async with client.get(f"{base}/tracks/cover/hers") as answer:
            assert answer.status == 401


async def test_a_scan_reads_no_pictures(
    serve: Serve, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(artwork, "embedded_picture", asked.append)
    client = await serve()
    client.app[LIBRARY].scan()
    assert asked == []
