"""The programs that tests drive."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str) -> str:
    """Where a program is. Skips the test without it, except in CI, which has to install it."""
    path = shutil.which(name)
    if path is None:
        assert "CI" not in os.environ, f"CI has to install {name}"
        pytest.skip(f"{name} is not installed")
    return path
