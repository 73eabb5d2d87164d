"""The exceptions form one tree, and their codes are a promise to other programs."""

from __future__ import annotations

import inspect

from audiostream import errors
from audiostream.errors import AudiostreamError, Conflict


def tree() -> list[type[AudiostreamError]]:
    classes = [value for _, value in inspect.getmembers(errors, inspect.isclass)]
    return [each for each in classes if each.__module__ == errors.__name__]


def test_every_exception_belongs_to_the_tree_and_says_when_it_is_raised() -> None:
    for each in tree():
        assert issubclass(each, AudiostreamError)
        assert each.__doc__


def test_codes_are_stable_and_different() -> None:
    assert sorted(each.code for each in tree()) == [
        "conflict",
        "forbidden",
        "internal",
        "invalid_message",
        "invalid_settings",
        "library_unavailable",
        "track_not_found",
        "unauthorized",
        "unknown_event",
    ]


def test_a_conflict_carries_the_state() -> None:
    refused = Conflict("too late", {"rev": 3})
    assert (str(refused), refused.state) == ("too late", {"rev": 3})
