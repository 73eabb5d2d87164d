"""What ``make test-long`` tries beyond ``make test``: more cases, more often, in more browsers."""

from __future__ import annotations

import os
from typing import Final

import pytest

IS_LONG: Final = "AUDIOSTREAM_LONG_TESTS" in os.environ
only_long: Final = pytest.mark.skipif(
    not IS_LONG, reason="it takes minutes: make test-long runs it"
)
"""Of a case that differs from one that is always run in its length or its kind alone."""


def times(count: int) -> int:
    """Return how often to try something: ``count``, or a third of it in ``make test``."""
    return count if IS_LONG else count // 3
