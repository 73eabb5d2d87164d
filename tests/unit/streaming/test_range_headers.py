"""Generated headers of range requests: each has a decision that RFC 9110 allows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import FIELDS, SIZES, check_decision
from tests.support.long_tests import times

TAGS = st.sampled_from(('"v1"', 'W/"v1"', '"v2"', "*", '"', '""', "v1")) | st.text(max_size=10)
DATES = st.sampled_from(
    (
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "Tuesday, 14-Nov-23 22:13:20 GMT",
        "Tue Nov 14 22:13:20 2023",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Sun, 30 Feb 2025 00:00:00 GMT",
    )
) | st.text(max_size=40)
NUMBERS = st.just("") | st.integers(0, 1200).map(str) | st.integers(0).map(str) | st.text("0٣ -x")
RANGES = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: f"bytes={pair[0]}-{pair[1]}"),
    st.lists(st.tuples(NUMBERS, NUMBERS).map("-".join)).map(
        lambda specs: "bytes=" + ",".join(specs)
    ),
    st.text("bytesBYTES= \t-,0123456789", max_size=20),
    st.text(max_size=30),
    st.just("bytes=" + "9" * 5000 + "-"),
)
VALUES = {
    "If-Match": st.lists(TAGS, max_size=3).map(",".join),
    "If-None-Match": st.lists(TAGS, max_size=3).map(", ".join),
    "If-Modified-Since": DATES,
    "If-Unmodified-Since": DATES,
    "If-Range": TAGS | DATES,
    "Range": RANGES,
}


@settings(max_examples=times(1500))
@given(
    st.sampled_from(("GET", "HEAD")),
    st.fixed_dictionaries({}, optional={name: VALUES[name] for name in FIELDS}),
    st.sampled_from(SIZES) | st.integers(0, 2000),
)
def test_every_combination_of_range_headers_has_a_valid_decision(
    method: str, fields: dict[str, str], size: int
) -> None:
    check_decision(method, fields, size)


@settings(max_examples=times(500))
@given(st.integers(0, 1200), st.integers(0, 1200), st.integers(0, 1000))
def test_a_single_range_gets_the_bytes_that_it_names(first: int, last: int, size: int) -> None:
    got = [*range(size)][first : last + 1]
    decision = check_decision("GET", {"Range": f"bytes={first}-{last}"}, size)
    expected = 200 if first > last else 206 if got else 416
    assert decision.status == expected
    if got:
        assert decision == type(decision)(got[0], got[-1] + 1)  # type: ignore[call-arg]
