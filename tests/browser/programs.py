"""The programs that tests drive."""

from __future__ import annotations

import os
import shutil

import pytest


def program(*names: str) -> str:
    """Where the first of these programs is that is there.

    Skips the test without any, except in CI, which has to install one.
    """
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        assert "CI" not in os.environ, f"CI has to install {names[0]}"
        pytest.skip(f"{' or '.join(names)} is not installed")
    return path
