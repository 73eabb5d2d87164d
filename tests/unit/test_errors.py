"""The exceptions form one tree; their codes and statuses are a promise to other programs."""

from __future__ import annotations

import inspect
from typing import Any

from audiostream import errors
from audiostream.errors import AudiostreamError, Conflict

STATUSES = {
    "conflict": 409,
    "device_not_found": 404,
    "forbidden": 403,
    "internal": 500,
    "invalid_message": 400,
    "invalid_settings": 500,
    "library_unavailable": 500,
    "rate_limited": 429,
    "state_unavailable": 503,
    "track_not_found": 404,
    "unauthorized": 401,
    "unavailable": 503,
    "unknown_event": 500,
}
"""The HTTP status of each code."""


def tree() -> list[type[Any]]:
    return [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == errors.__name__
    ]


def test_every_exception_is_an_audiostream_error_and_says_when_it_is_raised() -> None:
    assert all(issubclass(each, AudiostreamError) and each.__doc__ for each in tree())


def test_codes_and_statuses_of_errors_are_stable() -> None:
    assert {each.code: each.http_status for each in tree()} == STATUSES
    assert len(tree()) == len(STATUSES)


def test_a_conflict_carries_the_current_state() -> None:
    refused = Conflict("too late", {"rev": 3})
    assert (str(refused), refused.state) == ("too late", {"rev": 3})
