"""The exceptions form one tree; their codes and statuses are a promise to other programs."""

from __future__ import annotations

import inspect
from typing import Any

from audiostream import errors
from audiostream.errors import AudiostreamError, CloseCode, Conflict

CODES = {
    "conflict": (409, None),
    "forbidden": (403, None),
    "internal": (500, None),
    "invalid_message": (400, None),
    "invalid_settings": (500, None),
    "library_unavailable": (500, None),
    "rate_limited": (429, 4429),
    "state_unavailable": (503, 1013),
    "track_not_found": (404, None),
    "unauthorized": (401, 4401),
    "unknown_event": (500, None),
}
"""HTTP status and close code."""


def tree() -> list[type[Any]]:
    return [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == errors.__name__
    ]


def test_every_exception_is_an_audiostream_error_and_says_when_it_is_raised() -> None:
    assert all(issubclass(each, AudiostreamError) and each.__doc__ for each in tree())


def test_codes_statuses_and_close_codes_of_errors_are_stable() -> None:
    assert {each.code: (each.http_status, each.close_code) for each in tree()} == CODES
    assert len(tree()) == len(CODES)


def test_close_codes_are_stable() -> None:
    assert sorted(CloseCode) == [1001, 1003, 1009, 1013, 4401, 4403, 4408, 4429]


def test_a_conflict_carries_the_current_state() -> None:
    refused = Conflict("too late", {"rev": 3})
    assert (str(refused), refused.state) == ("too late", {"rev": 3})
