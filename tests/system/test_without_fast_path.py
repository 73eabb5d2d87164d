"""The fast path is optional: without its package, streams behave as before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300.0
"""Seconds; on an idle machine it takes less than 60."""
STREAMING_TESTS = (
    "streaming",
    "test_readahead.py",
    "test_both_ways.py::TestLastRequest",
    "test_both_ways.py::TestManyFields",
)


def test_streaming_tests_pass_on_a_copy_without_the_fast_path(tmp_path: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__", "node_modules", "fastpath")
    for name in ("audiostream", "tests", "setup.cfg"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, tmp_path)
    tests = [f"tests/system/{name}" for name in STREAMING_TESTS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
