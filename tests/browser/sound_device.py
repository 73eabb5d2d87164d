"""A sound device for browsers on machines without one: Firefox plays nothing at all there.

A PulseAudio of the tests' own discards its input in real time. On a busy machine it is a little
late, and the audio with it: tests that measure positions do without, in muted pages.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .programs import program

START_TIMEOUT = 20.0
"""Seconds."""


@pytest.fixture(scope="session")
def sound_device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address, for ``PULSE_SERVER``. Tests that use this have a Firefox that plays there."""
    folder = tmp_path_factory.mktemp("sound")
    address = folder / "native"
    process = subprocess.Popen(
        [
            *(program("pulseaudio"), "-n", "--exit-idle-time=-1", "--disallow-exit"),
            *("-L", "module-null-sink"),
            *("-L", f"module-native-protocol-unix auth-anonymous=1 socket={address}"),
        ],
        env=os.environ | {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(address, process)
        yield f"unix:{address}"
    finally:
        process.kill()
        process.wait()


def _wait_for(address: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not address.exists():
        assert process.poll() is None, "PulseAudio has ended"
        assert time.monotonic() < deadline, "PulseAudio does not listen"
        time.sleep(0.05)
