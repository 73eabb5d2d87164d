"""The policy of conditional and range requests, as tables and as properties."""

from __future__ import annotations

import os
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audiostream.streaming.ranges import (
    ByteRange,
    Decision,
    NotModified,
    PreconditionFailed,
    RangeNotSatisfiable,
    Validators,
    WholeFile,
    decide,
    if_range_matches,
    parse_range,
    resolve_range,
)

LONG_AGO = 1_700_000_000


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        # No range, or nothing that has to be understood.
        (None, WholeFile()),
        ("", WholeFile()),
        ("bytes", WholeFile()),
        ("bytes=", WholeFile()),
        ("bytes=-", WholeFile()),
        ("bytes=--1", WholeFile()),
        ("bytes=-1-2", WholeFile()),
        ("bytes=1", WholeFile()),
        ("bytes=a-b", WholeFile()),
        ("bytes=0x0-0x4", WholeFile()),
        ("bytes=+1-4", WholeFile()),
        ("bytes=1_0-", WholeFile()),
        ("bytes=٣-٤", WholeFile()),
        ("bytes=²-", WholeFile()),
        ("bytes=5-2", WholeFile()),
        ("seconds=0-4", WholeFile()),
        ("items=0-4", WholeFile()),
        ("none", WholeFile()),
        # One range.
        ("bytes=0-4", ByteRange(0, 5)),
        ("bytes=3-7", ByteRange(3, 8)),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=0-10", ByteRange(0, 11)),
        ("bytes=10-10", ByteRange(10, 11)),
        ("bytes=0-", ByteRange(0, 11)),
        ("bytes=2-", ByteRange(2, 11)),
        ("bytes=10-", ByteRange(10, 11)),
        ("bytes=-5", ByteRange(6, 11)),
        ("bytes=-11", ByteRange(0, 11)),
        # The end lies behind the end of the file.
        ("bytes=0-11", ByteRange(0, 11)),
        ("bytes=10-11", ByteRange(10, 11)),
        ("bytes=5-1000", ByteRange(5, 11)),
        ("bytes=-12", ByteRange(0, 11)),
        ("bytes=5-" + "9" * 5000, ByteRange(5, 11)),
        ("bytes=-" + "9" * 5000, ByteRange(0, 11)),
        ("bytes=" + "0" * 5000 + "3-" + "0" * 5000 + "7", ByteRange(3, 8)),
        # So does the start.
        ("bytes=11-", RangeNotSatisfiable()),
        ("bytes=11-12", RangeNotSatisfiable()),
        ("bytes=11-100", RangeNotSatisfiable()),
        ("bytes=12-12", RangeNotSatisfiable()),
        ("bytes=12-100", RangeNotSatisfiable()),
        ("bytes=20-", RangeNotSatisfiable()),
        ("bytes=100-", RangeNotSatisfiable()),
        ("bytes=100-1000", RangeNotSatisfiable()),
        ("bytes=" + "9" * 5000 + "-", RangeNotSatisfiable()),
        ("bytes=-0", RangeNotSatisfiable()),
        # Case and white space.
        ("BYTES=0-4", ByteRange(0, 5)),
        ("Bytes = 0-4", ByteRange(0, 5)),
        ("bytes= \t0-4 ", ByteRange(0, 5)),
        ("bytes=,0-4 , ", ByteRange(0, 5)),
        ("bytes=0 - 4", WholeFile()),
        # Several ranges.
        ("bytes=0-0,-2", WholeFile()),
        ("bytes=0-1,5-8", WholeFile()),
        ("bytes=0-1,5-", WholeFile()),
        ("bytes=0-,1-,2-,3-,4-", WholeFile()),
        ("bytes=0-1, bytes=5-8", WholeFile()),
        ("bytes=20-,30-", WholeFile()),
    ],
)
def test_a_range_of_eleven_bytes_resolves_as_rfc_9110_says(
    asked: str | None, outcome: Decision
) -> None:
    assert resolve_range(parse_range(asked), 11) == outcome


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-9"])
def test_no_range_of_an_empty_file_is_satisfiable(asked: str) -> None:
    assert resolve_range(parse_range(asked), 0) == RangeNotSatisfiable()


sizes = st.integers(0, 2**63)

range_like = st.text(alphabet="bytesBYTES=0123456789-, \t٣²x", max_size=30)


@given(st.text() | range_like | range_like.map("bytes={}".format), sizes)
@example("bytes=" + "1" * 5000 + "-" + "1" * 4999, 5)
def test_any_text_in_a_range_header_resolves_within_the_file_or_is_ignored(
    text: str, size: int
) -> None:
    match resolve_range(parse_range(text), size):
        case ByteRange(start, stop):
            assert 0 <= start < stop <= size
        case other:
            assert other in (WholeFile(), RangeNotSatisfiable())


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_well_formed_range_is_the_slice_of_the_same_bytes(
    data: bytes, first: int, length: int
) -> None:
    asked = {
        f"bytes={first}-{first + length}": data[first : first + length + 1],
        f"bytes={first}-": data[first:],
        f"bytes=-{length}": data[-length:] if length else b"",
    }
    for header, expected in asked.items():
        decision = resolve_range(parse_range(header), len(data))
        if isinstance(decision, ByteRange):
            assert data[decision.start : decision.stop] == expected
        else:
            assert (decision, expected) == (RangeNotSatisfiable(), b"")


TAG = '"5f-400-1"'

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"

SECOND_BEFORE = "Tue, 14 Nov 2023 22:13:19 GMT"

SECOND_AFTER = "Tue, 14 Nov 2023 22:13:21 GMT"

VERSION = Validators(TAG, LONG_AGO)

MUCH_LATER = LONG_AGO + 1e6


def decided(method: str = "GET", /, **fields: str) -> Decision:
    """Decide for a file of 1,024 bytes; ``If_Match`` stands for ``If-Match``."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return decide(method, named, VERSION, 1024, MUCH_LATER)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, WholeFile()),
        ({"If_Match": TAG}, WholeFile()),
        ({"If_Match": "*"}, WholeFile()),
        ({"If_Match": f'"x,y", {TAG}'}, WholeFile()),
        ({"If_Match": '"other"'}, PreconditionFailed()),
        ({"If_Match": f"W/{TAG}"}, PreconditionFailed()),
        ({"If_Match": TAG.strip('"')}, PreconditionFailed()),
        ({"If_Match": ""}, PreconditionFailed()),
        ({"If_Unmodified_Since": DATE}, WholeFile()),
        ({"If_Unmodified_Since": SECOND_AFTER}, WholeFile()),
        ({"If_Unmodified_Since": SECOND_BEFORE}, PreconditionFailed()),
        ({"If_Unmodified_Since": "yesterday"}, WholeFile()),
        ({"If_None_Match": TAG}, NotModified()),
        ({"If_None_Match": f"W/{TAG}"}, NotModified()),
        ({"If_None_Match": "*"}, NotModified()),
        ({"If_None_Match": f'"x", {TAG} ,"y"'}, NotModified()),
        ({"If_None_Match": '"other"'}, WholeFile()),
        ({"If_None_Match": f"{TAG} garbage"}, WholeFile()),
        ({"If_Modified_Since": DATE}, NotModified()),
        ({"If_Modified_Since": SECOND_AFTER}, NotModified()),
        ({"If_Modified_Since": SECOND_BEFORE}, WholeFile()),
        ({"If_Modified_Since": f"{DATE}, {DATE}"}, WholeFile()),
        # The two older forms of a date.
        ({"If_Modified_Since": "Tuesday, 14-Nov-23 22:13:20 GMT"}, NotModified()),
        ({"If_Modified_Since": "Tue Nov 14 22:13:20 2023"}, NotModified()),
        # A tag outweighs a date, in either direction.
        ({"If_Match": TAG, "If_Unmodified_Since": SECOND_BEFORE}, WholeFile()),
        ({"If_None_Match": '"other"', "If_Modified_Since": DATE}, WholeFile()),
        # "Is it still this one" comes before "is there a newer one", and both before Range.
        ({"If_Match": '"other"', "If_None_Match": TAG}, PreconditionFailed()),
        ({"If_Match": TAG, "If_None_Match": TAG}, NotModified()),
        ({"If_None_Match": TAG, "Range": "bytes=0-0"}, NotModified()),
        ({"If_None_Match": TAG, "Range": "bytes=5000-"}, NotModified()),
        ({"If_Match": '"other"', "Range": "bytes=0-0"}, PreconditionFailed()),
        ({"If_Match": TAG, "Range": "bytes=0-0"}, ByteRange(0, 1)),
    ],
)
def test_preconditions_are_evaluated_in_the_order_of_rfc_9110(
    fields: dict[str, str], outcome: Decision
) -> None:
    assert decided(**fields) == outcome


@pytest.mark.parametrize(
    ("if_range", "outcome"),
    [
        (TAG, ByteRange(0, 1)),
        (f" {TAG}\t", ByteRange(0, 1)),
        (f"W/{TAG}", WholeFile()),
        ('"other"', WholeFile()),
        (f'{TAG}, "other"', WholeFile()),
        (TAG.strip('"'), WholeFile()),
        ("*", WholeFile()),
        ("", WholeFile()),
        (DATE, ByteRange(0, 1)),
        (SECOND_BEFORE, WholeFile()),
        (SECOND_AFTER, WholeFile()),
        (DATE.replace("GMT", "+0200"), WholeFile()),
        ("Tue, 99 Nov 2023 22:13:20 GMT", WholeFile()),
    ],
)
def test_if_range_applies_the_range_only_to_exactly_this_version(
    if_range: str, outcome: Decision
) -> None:
    assert decided(Range="bytes=0-0", If_Range=if_range) == outcome


def test_a_date_is_a_strong_validator_only_two_seconds_after_it() -> None:
    assert not if_range_matches(DATE, VERSION, LONG_AGO + 0.9)
    assert not if_range_matches(DATE, VERSION, LONG_AGO + 1.9)
    assert if_range_matches(DATE, VERSION, LONG_AGO + 2.0)
    assert if_range_matches(TAG, VERSION, LONG_AGO + 0.9)
    assert if_range_matches(None, VERSION, LONG_AGO + 0.9)


def test_head_ignores_range_and_honours_preconditions() -> None:
    assert decided("HEAD", Range="bytes=0-0") == WholeFile()
    assert decided("HEAD", Range="bytes=5000-") == WholeFile()
    assert decided("HEAD", If_None_Match=TAG) == NotModified()


header_like = st.text() | st.sampled_from([TAG, DATE, "*", "bytes=0-0"])

headers_like = st.dictionaries(
    st.sampled_from(
        [
            "If-Match",
            "If-Unmodified-Since",
            "If-None-Match",
            "If-Modified-Since",
            "If-Range",
            "Range",
        ]
    ),
    header_like,
)


@given(headers_like, sizes, st.floats(0, 1e11))
def test_decide_raises_for_no_combination_of_headers(
    headers: dict[str, str], size: int, now: float
) -> None:
    decision = decide("GET", headers, VERSION, size, now)
    if "If-Range" in headers and headers["If-Range"] not in (TAG, DATE):
        assert not isinstance(decision, ByteRange | RangeNotSatisfiable)


def test_validators_change_with_the_content_and_are_never_later_than_now(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, LONG_AGO * 10**9 + 999_999_999))
    first = Validators.from_stat(path.stat(), MUCH_LATER)
    assert first.last_modified == DATE
    assert first.etag.startswith('"')
    os.utime(path, ns=(0, LONG_AGO * 10**9 + 999_999_998))
    assert Validators.from_stat(path.stat(), MUCH_LATER).etag != first.etag
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(0, before.st_mtime_ns))
    after = Validators.from_stat(path.stat(), MUCH_LATER)
    assert after.etag != Validators.from_stat(before, MUCH_LATER).etag
    assert Validators.from_stat(path.stat(), LONG_AGO - 1.5).last_modified == (
        "Tue, 14 Nov 2023 22:13:18 GMT"
    )


@pytest.mark.parametrize("seconds", [-(2**62), -(10**11), -62_135_596_801, -1, 0, 10**11, 2**62])
def test_a_file_of_any_modification_time_has_valid_validators(seconds: int) -> None:
    status = SimpleNamespace(
        st_mtime_ns=seconds * 10**9, st_ctime_ns=1, st_size=5, st_ino=2**64 - 1
    )
    validators = Validators.from_stat(cast(os.stat_result, status), MUCH_LATER)
    assert re.fullmatch('"[-0-9a-f]+"', validators.etag)
    assert len(validators.last_modified) == len("Thu, 01 Jan 1970 00:00:00 GMT")
    assert validators.last_modified.endswith(" GMT")
    assert parsedate_to_datetime(validators.last_modified).timestamp() == validators.mtime
    assert (
        decide("GET", {"If-None-Match": validators.etag}, validators, 5, MUCH_LATER).status == 304
    )
