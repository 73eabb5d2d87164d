"""A large library is scanned and listed beside the event loop, and does not hold it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import write_wav
from tests.support.paths import ROOT

TRACKS = 50_000
LIMIT = 100.0
"""Milliseconds that the event loop may be held."""


def test_scans_and_lists_of_50000_tracks_hold_the_event_loop_for_less_than_100_ms() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_wav(folder / "first.wav", 0.1)
        for number in range(TRACKS - 1):
            album = folder / f"Artist {number // 120:03}" / f"Album {number // 12 % 10}"
            if number % 12 == 0:
                album.mkdir(parents=True)
            os.link(folder / "first.wav", album / f"{number % 12 + 1:02} A Song {number}.wav")
        command = [sys.executable, "-m", "tests.support.loop_gaps", name]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    held = json.loads(run.stdout)
    assert max(held.values()) < LIMIT, held
