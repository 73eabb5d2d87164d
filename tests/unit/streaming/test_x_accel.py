"""Which requests nginx may answer, and what it is told."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.streaming.ranges import (
    ByteRange,
    Validators,
    WholeFile,
    decide,
    parse_range,
    response_headers,
)
from audiostream.streaming.x_accel import are_plain, file_uri, is_sendable, redirect_headers

NOW = 1_800_000_000.0
ROOT = Path("/srv/music")


def status(size: int = 1000, mtime: int = 1_700_000_000) -> os.stat_result:
    values = {"st_mtime_ns": mtime * 10**9 + 5, "st_ctime_ns": 7, "st_size": size, "st_ino": 3}
    return cast(os.stat_result, SimpleNamespace(st_mtime=mtime, **values))


@pytest.mark.parametrize(
    ("conditions", "is_plain"),
    [
        ({}, True),
        ({"Range": "bytes=0-"}, True),
        ({"Range": "bytes=00-0009"}, True),
        ({"Range": "bytes=-5"}, True),
        ({"Range": "bytes=5-9", "If-Range": '"tag"'}, True),
        ({"Range": "bytes=5-9", "If-Range": '""'}, True),
        ({"Range": "bytes=-"}, False),
        ({"Range": "bytes=1-2,4-5"}, False),
        ({"Range": "bytes=1-2, bytes=4-5"}, False),  # two headers
        ({"Range": "Bytes=1-2"}, False),
        ({"Range": "bytes = 1-2"}, False),
        ({"Range": "bytes=1-2 "}, False),
        ({"Range": "bytes=٣-٤"}, False),
        ({"Range": "bytes=0-" + "9" * 19}, False),
        ({"Range": "seconds=1-2"}, False),
        ({"Range": ""}, False),
        ({"If-Range": 'W/"tag"'}, False),
        ({"If-Range": '"tag", "tag"'}, False),
        ({"If-Range": "Tue, 14 Nov 2023 22:13:20 GMT"}, False),
        ({"If-None-Match": '"tag"'}, False),
        ({"If-Match": "*"}, False),
        ({"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"}, False),
        ({"If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:20 GMT", "Range": "bytes=0-"}, False),
    ],
)
def test_a_plain_request_has_at_most_one_range_and_one_strong_etag(
    conditions: dict[str, str], is_plain: bool
) -> None:
    assert are_plain(conditions) == is_plain


@pytest.mark.parametrize(
    ("asked", "file", "sendable"),
    [
        (None, status(), True),
        ("bytes=0-0", status(), True),
        ("bytes=999-", status(), True),
        ("bytes=-2000", status(), True),
        ("bytes=1000-", status(), False),
        ("bytes=9-5", status(), False),
        ("bytes=-0", status(), False),
        (None, status(size=0), False),
        ("bytes=0-", status(size=0), False),
        (None, status(mtime=int(NOW)), True),
        (None, status(mtime=int(NOW) + 1), False),
        (None, status(mtime=-1), False),
    ],
)
def test_bytes_that_exist_are_sendable_of_a_file_whose_date_has_come(
    asked: str | None, file: os.stat_result, sendable: bool
) -> None:
    assert is_sendable(parse_range(asked), file, NOW) == sendable


@given(
    first=st.integers(0, 30).map(str) | st.just(""),
    last=st.integers(0, 30).map(str) | st.just(""),
    if_range=st.sampled_from([None, "OURS", '"other"']),
    size=st.integers(0, 20),
)
def test_what_is_handed_over_is_decided_as_nginx_decides(
    first: str, last: str, if_range: str | None, size: int
) -> None:
    file = status(size)
    validators = Validators.from_stat(file, NOW)
    conditions = {"Range": f"bytes={first}-{last}"}
    if if_range is not None:
        conditions["If-Range"] = if_range.replace("OURS", validators.etag)
    if not are_plain(conditions):
        return
    if not is_sendable(parse_range(conditions["Range"]), file, NOW):
        return
    if conditions.get("If-Range", validators.etag) != validators.etag:
        expected: WholeFile | ByteRange = WholeFile()
    elif first:
        expected = ByteRange(int(first), min(int(last or size) + 1, size))
    else:
        expected = ByteRange(max(size - int(last), 0), size)
    assert decide("GET", conditions, validators, size, NOW) == expected


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4))
def test_a_uri_decodes_to_the_bytes_of_the_path(names: list[bytes]) -> None:
    names = [re.sub(rb"[/\0]", b"x", name) for name in names]
    path = ROOT.joinpath(*(os.fsdecode(name) for name in names))
    uri = file_uri("/protected/", ROOT, path)
    assert uri is not None
    assert re.fullmatch(r"/protected/[A-Za-z0-9_.~%/-]+", uri)
    assert unquote_to_bytes(uri) == b"/protected/" + os.fsencode(path.relative_to(ROOT))


@pytest.mark.parametrize("path", ["/srv/music2/song.flac", "/srv/song.flac", "/etc/passwd"])
def test_a_file_outside_the_media_folder_has_no_uri(path: str) -> None:
    assert file_uri("/protected/", ROOT, Path(path)) is None


def test_the_headers_name_the_file_and_both_etags() -> None:
    validators = Validators.from_stat(status(), NOW)
    described = response_headers(ByteRange(5, 10), validators, 1000, "/srv/music/a.flac")
    assert redirect_headers("/protected/a.flac", described, status()) == {
        "ETag": validators.etag,
        "Cache-Control": "private, no-cache",
        "Content-Type": "audio/flac",
        "X-Accel-Redirect": "/protected/a.flac",
        "X-Nginx-ETag": '"6553f100-3e8"',
    }
