"""The exceptions form one tree, and their codes are a promise to other programs."""

from __future__ import annotations

import inspect

from audiostream import errors
from audiostream.errors import AudiostreamError, Conflict


def tree() -> list[type[AudiostreamError]]:
    found = []
    for _, value in inspect.getmembers(errors, inspect.isclass):
        if value.__module__ == errors.__name__:
            assert issubclass(value, AudiostreamError)
            found.append(value)
    return found


def test_every_exception_says_when_it_is_raised() -> None:
    assert all(each.__doc__ for each in tree())


def test_codes_are_stable_and_different() -> None:
    assert sorted(each.code for each in tree()) == [
        "conflict",
        "forbidden",
        "internal",
        "invalid_message",
        "invalid_settings",
        "library_unavailable",
        "rate_limited",
        "state_unavailable",
        "track_not_found",
        "unauthorized",
        "unknown_event",
    ]


def test_a_conflict_carries_the_state() -> None:
    refused = Conflict("too late", {"rev": 3})
    assert (str(refused), refused.state) == ("too late", {"rev": 3})
