"""Addresses as they are shown."""

from __future__ import annotations

import pytest

from audiostream.storage.redis_address import describe


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host", "redis://host:6379/0"),
        ("redis://host:7000/3", "redis://host:7000/3"),
        ("rediss://user:s3cret@host/1?ssl_password=s3cret", "rediss://host:6379/1"),
        ("redis://:s3cret@[::1]:7000", "redis://[::1]:7000/0"),
        ("redis://host?db=5&password=s3cret", "redis://host:6379/5"),
        ("redis://host/s3cret", "redis://host:6379/0"),
        ("unix://user:s3cret@/run/redis.sock?db=2&password=s3cret", "unix:///run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_the_password(url: str, shown: str) -> None:
    assert describe(url) == shown
