"""Token buckets: a rate on average, a burst at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audiostream.rate_limit import BURST_SECONDS, TokenBucket, TokenBuckets


def test_a_token_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(10.0, 100.0)
    assert [bucket.try_acquire(100.0) for _ in range(21)] == [True] * 20 + [False]
    assert not bucket.try_acquire(100.05)
    assert bucket.try_acquire(100.15)


def test_an_unused_token_bucket_does_not_grow_beyond_the_burst() -> None:
    bucket = TokenBucket(1.0, 0.0)
    assert [bucket.try_acquire(1000.0) for _ in range(3)] == [True, True, False]


@given(st.floats(1, 100), st.lists(st.floats(0, 2), max_size=200))
def test_a_token_bucket_never_allows_more_than_rate_and_burst(
    rate: float, waits: list[float]
) -> None:
    bucket, now, allowed = TokenBucket(rate, 0.0), 0.0, 0
    for wait in waits:
        now += wait
        allowed += bucket.try_acquire(now)
    assert allowed <= rate * (now + BURST_SECONDS) + 1e-6


class TestTokenBuckets:
    def test_each_key_has_a_bucket_of_its_own(self) -> None:
        buckets = TokenBuckets(1.0)
        assert [buckets.try_acquire(key, 5.0) for key in "aaabba"] == [
            True,
            True,
            False,
            True,
            True,
            False,
        ]
        assert buckets.try_acquire("a", 6.0)

    def test_full_buckets_are_dropped_from_memory(self) -> None:
        buckets = TokenBuckets(10.0)
        for number in range(1000):
            buckets.try_acquire(f"user-{number}", number * 0.01)
        buckets.try_acquire("user-0", 10.0)
        assert len(buckets) <= 1 + BURST_SECONDS / 0.01

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=200))
    def test_dropping_full_buckets_allows_no_key_more(self, takes: list[tuple[str, float]]) -> None:
        buckets, now = TokenBuckets(2.0), 0.0
        alone = {key: TokenBucket(2.0, 0.0) for key in "abc"}
        for key, wait in takes:
            now += wait
            assert buckets.try_acquire(key, now) == alone[key].try_acquire(now)
