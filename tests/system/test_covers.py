"""A track has a picture for those who may hear it, whatever its file holds."""

from __future__ import annotations

import base64
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from audiostream.api import artwork as covers
from audiostream.api.artwork import default_picture, embedded_picture, media_type_of
from audiostream.services import SERVICES
from tests.conftest import Client, Serve

Token = Callable[..., str]

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(40) + b"\xff\xd9"
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L" + bytes(14)
GIF = b"GIF89a\1\0\1\0\0\0\0;"
SCRIPT = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
MPEG_FRAME = b"\xff\xfb\x90\x00" + bytes(413)


def mp3(picture: bytes, claimed: bytes = b"image/png", size: int | None = None) -> bytes:
    """ID3v2.3 with one APIC frame, which may claim another size than it has."""
    content = b"\0" + claimed + b"\0\x03\0" + picture
    frame = b"APIC" + struct.pack(">IH", size or len(content), 0) + content
    total = size or len(frame)
    syncsafe = bytes(total >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + syncsafe + frame + MPEG_FRAME * 20


def flac(picture: bytes) -> bytes:
    """STREAMINFO and one PICTURE block."""
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes.fromhex("0ac442f000000000") + bytes(16)
    kind = b"image/png"
    block = struct.pack(">II", 3, len(kind)) + kind + bytes(20)
    block += struct.pack(">I", len(picture)) + picture
    return (
        b"fLaC"
        + b"\0"
        + len(info).to_bytes(3, "big")
        + info
        + b"\x86"
        + len(block).to_bytes(3, "big")
        + block
    )


def atom(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + name + body


def m4a(picture: bytes) -> bytes:
    """The atoms down to one ``covr``."""
    data = atom(b"data", struct.pack(">II", 14, 0), picture)
    items = atom(b"ilst", atom(b"covr", data))
    meta = atom(b"meta", bytes(4), atom(b"hdlr", bytes(25)), items)
    kind = atom(b"ftyp", b"M4A ", bytes(4))
    return kind + atom(b"moov", atom(b"udta", meta))


FORMATS = {"mp3": mp3, "flac": flac, "m4a": m4a}


@pytest.fixture
def auth(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


async def client_with(serve: Serve, media: Path, name: str, content: bytes) -> tuple[Client, str]:
    """An application with one more file, and the path of its cover."""
    (media / name).write_bytes(content)
    client = await serve()
    found = client.app[SERVICES].library.tracks_for("ada")
    return client, next(f"/tracks/cover/{track.id}" for track in found if track.path.name == name)


class TestThePictureInAFile:
    @pytest.mark.parametrize("suffix", FORMATS)
    async def test_it_is_sent(
        self, serve: Serve, media: Path, auth: dict[str, str], suffix: str
    ) -> None:
        content = FORMATS[suffix](PNG)
        client, path = await client_with(serve, media, f"pictured.{suffix}", content)
        for base in ("", "/api"):
            async with client.get(base + path, headers=auth) as answer:
                assert (answer.status, await answer.read()) == (200, PNG)
                assert answer.headers["Content-Type"] == "image/png"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "private, max-age=3600"

    async def test_head_has_the_headers_alone(
        self, serve: Serve, media: Path, auth: dict[str, str]
    ) -> None:
        client, path = await client_with(serve, media, "pictured.mp3", mp3(PNG))
        async with client.head(path, headers=auth) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert answer.headers["Content-Length"] == str(len(PNG))

    async def test_it_is_not_sent_twice(
        self, serve: Serve, media: Path, auth: dict[str, str]
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

    @pytest.mark.parametrize(
        ("picture", "media_type"),
        [
            (PNG, "image/png"),
            (JPEG, "image/jpeg"),
            (WEBP, "image/webp"),
            (GIF, "image/gif"),
            (SCRIPT, None),
            (b"<html>", None),
            (b"BM" + bytes(60), None),
            (b"", None),
        ],
    )
    def test_the_bytes_say_what_it_is(self, picture: bytes, media_type: str | None) -> None:
        assert media_type_of(picture) == media_type

    async def test_what_the_tag_claims_does_not_count(
        self, serve: Serve, media: Path, auth: dict[str, str]
    ) -> None:
        client, path = await client_with(serve, media, "a.mp3", mp3(JPEG, b"text/html"))
        async with client.get(path, headers=auth) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"


def mp3_with(*pictures: bytes) -> bytes:
    """Like ``mp3``, with several APIC frames: the front cover in each."""
    frames = b""
    for picture in pictures:
        content = b"\0image/png\0\x03\0" + picture
        frames += b"APIC" + struct.pack(">IH", len(content), 0) + content
    syncsafe = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + syncsafe + frames + MPEG_FRAME * 20


def flac_with(*pictures: bytes) -> bytes:
    """Like ``flac``, with several PICTURE blocks of different kinds."""
    whole = flac(b"")
    info, kind = whole[: len(whole) - len(whole[42:])], b"image/png"
    blocks = []
    for number, picture in enumerate(pictures):
        block = struct.pack(">II", number, len(kind)) + kind + bytes(20)
        block += struct.pack(">I", len(picture)) + picture
        last = 0x80 if number == len(pictures) - 1 else 0
        blocks.append(bytes([last | 6]) + len(block).to_bytes(3, "big") + block)
    return info + b"".join(blocks)


def m4a_with(*pictures: bytes) -> bytes:
    """Like ``m4a``, with several pictures in one ``covr``."""
    data = [atom(b"data", struct.pack(">II", 14, 0), picture) for picture in pictures]
    items = atom(b"ilst", atom(b"covr", *data))
    meta = atom(b"meta", bytes(4), atom(b"hdlr", bytes(25)), items)
    return atom(b"ftyp", b"M4A ", bytes(4)) + atom(b"moov", atom(b"udta", meta))


class TestSeveralPictures:
    @pytest.mark.parametrize("write", [mp3_with, flac_with, m4a_with])
    @pytest.mark.parametrize(
        "bad",
        [[b""], [SCRIPT], [b"BM" + bytes(60)], [b"", b"", SCRIPT], [PNG[:4]]],
        ids=["empty", "a script", "another type", "several", "cut off"],
    )
    async def test_one_that_cannot_be_shown_does_not_hide_a_good_one(
        self,
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

    async def test_one_that_is_too_large_does_not_either(
        self, serve: Serve, media: Path, auth: dict[str, str]
    ) -> None:
        large = JPEG + bytes(covers.MAX_PICTURE)
        client, path = await client_with(serve, media, "a.mp3", mp3_with(large, PNG))
        async with client.get(path, headers=auth) as answer:
            assert (answer.status, await answer.read()) == (200, PNG)

    async def test_the_front_cover_comes_before_others(
        self, serve: Serve, media: Path, auth: dict[str, str]
    ) -> None:
        pictures = (GIF, PNG, WEBP, JPEG)  # kind 3 is the front cover
        client, path = await client_with(serve, media, "a.flac", flac_with(*pictures))
        async with client.get(path, headers=auth) as answer:
            assert (answer.status, await answer.read()) == (200, JPEG)


class TestTheDefault:
    async def test_a_file_without_a_picture_has_one(
        self, serve: Serve, auth: dict[str, str]
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
            mp3(b"\xff\xd8\xff" + bytes(covers.MAX_PICTURE)),
            b"ID3" + b"\xff" * 60,
            b"",
        ],
        ids=["a script", "nothing", "a false size", "cut off", "too large", "noise", "empty"],
    )
    async def test_a_hostile_file_gets_it(
        self, serve: Serve, media: Path, auth: dict[str, str], content: bytes
    ) -> None:
        client, path = await client_with(serve, media, "hostile.mp3", content)
        async with client.get(path, headers=auth) as answer:
            assert (answer.status, answer.content_type) == (200, "image/svg+xml")

    def test_a_link_out_of_the_folder_is_not_followed(self, media: Path, tmp_path: Path) -> None:
        (tmp_path / "outside.mp3").write_bytes(mp3(PNG))
        (media / "link.mp3").symlink_to(tmp_path / "outside.mp3")
        assert embedded_picture(str(media / "link.mp3")) is None

    def test_without_the_tags_extra_there_is_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tinytag", None)
        (tmp_path / "a.mp3").write_bytes(mp3(PNG))
        assert embedded_picture(str(tmp_path / "a.mp3")) is None

    def test_an_album_shares_a_colour_and_each_track_has_its_pattern(self) -> None:
        one, other = (default_picture(id_, "Album").data.decode() for id_ in ("1", "2"))
        assert one == default_picture("1", "Album").data.decode()
        assert one != other
        assert one.partition("<path")[0] == other.partition("<path")[0]

    @pytest.mark.parametrize("name", ["", "</style><script>", "\ud800", "☃" * 5000])
    def test_no_name_stands_in_it(self, name: str) -> None:
        picture = default_picture(name, name).data
        ElementTree.fromstring(picture)  # noqa: S314
        assert b"script" not in picture
        assert len(picture) < 2000


class TestWhoMaySeeIt:
    async def test_nobody_without_a_proof(self, serve: Serve) -> None:
        async with (await serve()).get("/tracks/cover/song") as answer:
            assert answer.status == 401

    async def test_others_tracks_are_unknown(self, serve: Serve, auth: dict[str, str]) -> None:
        client = await serve()
        bodies = []
        for track_id in ("his", "nonsense"):
            async with client.get(f"/tracks/cover/{track_id}", headers=auth) as answer:
                bodies.append((answer.status, await answer.read()))
        assert bodies[0] == bodies[1]
        assert bodies[0][0] == 404

    async def test_the_tracks_ticket_is_enough(self, serve: Serve, auth: dict[str, str]) -> None:
        client = await serve()
        async with client.get("/tracks/hers", headers=auth) as answer:
            ticket = (await answer.json())["streamUrl"].partition("?")[2]
        for track_id, status in (("hers", 200), ("song", 401)):
            async with client.get(f"/tracks/cover/{track_id}?{ticket}") as answer:
                assert answer.status == status

    async def test_the_session_cookie_opens_streams_alone(
        self, serve: Serve, auth: dict[str, str]
    ) -> None:
        client = await serve()
        async with client.post("/session", headers=auth) as answer:
            assert answer.status == 204
        for base in ("", "/api"):
            async with client.get(f"{base}/tracks/stream/hers") as answer:
                assert answer.status == 200
            async with client.get(f"{base}/tracks/cover/hers") as answer:
                assert answer.status == 401


async def test_no_picture_is_read_by_a_scan(
    serve: Serve, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(covers, "embedded_picture", asked.append)
    client = await serve()
    client.app[SERVICES].library.scan()
    assert asked == []
