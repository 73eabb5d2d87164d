"""What a response says: status, headers and body, for each kind of request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aiohttp import web

from audiostream.library.formats import AUDIO_TYPES
from tests.support.stream_server import (
    CONTENT,
    LAST_MODIFIED,
    LONG_AGO,
    Handler,
    Start,
)


@pytest.mark.usefixtures("each_way")
async def test_a_plain_get_gets_the_whole_file_with_its_headers(start: Start, track: Path) -> None:
    answer = await (await start(track)).ask()
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Length"] == "1024"
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Last-Modified"] == LAST_MODIFIED
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"].startswith('"')
    assert "Content-Range" not in answer.headers
    assert "Content-Encoding" not in answer.headers


@pytest.mark.usefixtures("each_way")
async def test_a_range_request_gets_206_with_the_headers_of_the_whole_file(
    start: Start, track: Path
) -> None:
    server = await start(track)
    whole = await server.ask()
    answer = await server.ask(Range="bytes=1000-2000")
    assert (answer.status, answer.body) == (206, CONTENT[1000:])
    assert answer.headers["Content-Range"] == "bytes 1000-1023/1024"
    assert answer.headers["Content-Length"] == "24"
    for name in ("Content-Type", "ETag", "Last-Modified", "Cache-Control", "Accept-Ranges"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "asked", ["bytes=0-0,5-9", "seconds=1-2", "bytes=5-2", "bytes=٣-", "bytes=0-" + "," * 9 + "1-"]
)
async def test_several_malformed_or_unknown_ranges_get_the_whole_file(
    start: Start, track: Path, asked: str
) -> None:
    answer = await (await start(track)).ask(Range=asked)
    assert (answer.status, answer.body) == (200, CONTENT)


async def test_two_range_headers_get_the_whole_file(start: Start, track: Path) -> None:
    connection = await (await start(track)).connect()
    connection.send("GET /track HTTP/1.1", "Host: x", "Range: bytes=0-1", "Range: bytes=0-1")
    assert await connection.read_answer() == ("200", CONTENT)
    connection.close()


async def test_a_request_header_that_is_not_utf_8_does_not_disturb_a_range(
    start: Start, track: Path
) -> None:
    connection = await (await start(track)).connect()
    head = b"GET /track HTTP/1.1\r\nHost: x\r\nX-Name: caf\xe9\r\nRange: bytes=0-3\r\n\r\n"
    connection.writer.write(head)
    assert await connection.read_answer() == ("206", CONTENT[:4])
    connection.close()


async def test_an_unsatisfiable_range_gets_416_with_the_size_of_the_file(
    start: Start, track: Path
) -> None:
    server = await start(track)
    for asked in ("bytes=1024-", "bytes=-0"):
        answer = await server.ask(Range=asked)
        assert (answer.status, answer.body) == (416, b"")
        assert answer.headers["Content-Range"] == "bytes */1024"
        assert answer.headers["Content-Length"] == "0"


async def test_a_matching_validator_gets_304_without_a_body(start: Start, track: Path) -> None:
    server = await start(track)
    whole = await server.ask()
    for condition in (
        {"If_None_Match": whole.headers["ETag"]},
        {"If_Modified_Since": whole.headers["Last-Modified"]},
    ):
        answer = await server.ask(**condition)
        assert (answer.status, answer.body) == (304, b"")
        for name in ("ETag", "Last-Modified", "Cache-Control"):
            assert answer.headers[name] == whole.headers[name]
        assert "Content-Length" not in answer.headers
        assert "Content-Type" not in answer.headers


async def test_if_match_with_another_version_gets_412(start: Start, track: Path) -> None:
    answer = await (await start(track)).ask(If_Match='"other"')
    assert (answer.status, answer.body) == (412, b"")


async def test_head_gets_the_headers_of_get_without_a_body(start: Start, track: Path) -> None:
    server = await start(track)
    whole = await server.ask()
    answer = await server.ask("HEAD", Range="bytes=0-0")
    assert (answer.status, answer.body) == (200, b"")
    for name in whole.headers.keys() - {"Date"}:
        assert answer.headers[name] == whole.headers[name]
    assert answer.headers.keys() == whole.headers.keys()


async def test_an_empty_file_is_sent_whole_and_has_no_satisfiable_range(
    start: Start, folder: Path
) -> None:
    path = folder / "empty.flac"
    path.touch()
    server = await start(path)
    answer = await server.ask()
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    answer = await server.ask(Range="bytes=0-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize("by", ["ETag", "Last-Modified"])
async def test_if_range_continues_an_unchanged_file_and_restarts_a_replaced_one(
    start: Start, track: Path, by: str
) -> None:
    server = await start(track)
    held = (await server.ask()).headers[by]
    answer = await server.ask(Range="bytes=1000-", If_Range=held)
    assert (answer.status, answer.body) == (206, CONTENT[1000:])

    replacement = track.with_suffix(".new")
    replacement.write_bytes(CONTENT[::-1])
    os.utime(replacement, (LONG_AGO - 1, LONG_AGO - 1))  # older, and yet another version
    replacement.replace(track)
    answer = await server.ask(Range="bytes=1000-", If_Range=held)
    assert (answer.status, answer.body) == (200, CONTENT[::-1])


async def test_a_compressed_sidecar_file_is_never_served(start: Start, track: Path) -> None:
    for suffix in (".mp3.gz", ".mp3.br"):
        track.with_suffix(suffix).write_bytes(b"something else")
    answer = await (await start(track)).ask(Accept_Encoding="gzip, br")
    assert answer.body == CONTENT
    assert "Content-Encoding" not in answer.headers


async def test_a_compressing_middleware_leaves_a_range_uncompressed(
    start: Start, track: Path
) -> None:
    @web.middleware
    async def compress(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    answer = await (await start(track, middlewares=(compress,))).ask(Range="bytes=0-3")
    assert (answer.status, answer.body) == (206, CONTENT[:4])


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        *((f"x{suffix}", media_type) for suffix, media_type in AUDIO_TYPES.items()),
        ("LOUD.MP3", "audio/mpeg"),
        ("two.dots.FlaC", "audio/flac"),
        ("page.html", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
async def test_the_suffix_of_a_file_decides_its_content_type(
    start: Start, folder: Path, name: str, media_type: str
) -> None:
    path = folder / name
    path.write_bytes(b"x")
    answer = await (await start(path)).ask()
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_headers_of_the_caller_are_sent_but_cannot_replace_the_etag(
    start: Start, track: Path
) -> None:
    ours = {"Cache-Control": "no-store", "ETag": '"forged"', "X-Track": "7"}
    answer = await (await start(track, headers=ours)).ask()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Track"] == "7"
    assert answer.headers["ETag"] != '"forged"'


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Range": "bytes=0-0"},
        {"Range": "bytes=9999-"},
        {"If_None_Match": "*"},
        {"If_Match": "x"},
    ],
)
@pytest.mark.parametrize("name", ["track.mp3", "missing.mp3"])
async def test_every_response_passes_on_response_prepare_once(
    start: Start, track: Path, name: str, fields: dict[str, str]
) -> None:
    async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
        assert "X-Seen" not in response.headers
        response.headers["X-Seen"] = str(response.status)

    server = await start(track.with_name(name), prepared=allow_origin)
    answer = await server.ask(**fields)
    assert answer.headers["X-Seen"] == str(answer.status)


def replace(path: Path) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(CONTENT[::-1])
    new.replace(path)


async def test_a_replaced_or_truncated_file_is_sent_as_it_is_now(start: Start, track: Path) -> None:
    server = await start(track)
    first = await server.ask()
    replace(track)
    second = await server.ask()
    assert second.body == CONTENT[::-1]
    assert second.headers["ETag"] != first.headers["ETag"]
    os.truncate(track, 10)
    assert (await server.ask()).body == CONTENT[::-1][:10]
    os.unlink(track)
    assert (await server.ask()).status == 404
    replace(track)
    assert (await server.ask()).body == CONTENT[::-1]
    os.unlink(track)
    os.symlink(__file__, track)
    assert (await server.ask()).status == 404
