"""Accept-Encoding is parsed as RFC 9110 §12.5.3 says, and compression is reproducible."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiostream.api.content_coding import MIN_LENGTH, GzipPreference, compress


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
def test_gzip_is_chosen_where_accept_encoding_prefers_it(
    field: str | None, long: bool, short: bool
) -> None:
    preference = GzipPreference.of(field)
    assert preference.applies_to(MIN_LENGTH) is long
    assert preference.applies_to(MIN_LENGTH - 1) is short


@given(st.text(max_size=60))
def test_no_accept_encoding_header_raises(field: str) -> None:
    assert GzipPreference.of(field).if_long >= GzipPreference.of(field).if_short


def test_the_same_data_is_compressed_to_the_same_bytes() -> None:
    body = b"x" * MIN_LENGTH
    assert compress(body) == compress(body)
    assert gzip.decompress(compress(body)) == body
