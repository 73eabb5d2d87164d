"""The parent's side of the worker process: starting it, asking it and ending it.

All methods block.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

from .fields import Tags

START_TIMEOUT: Final = 30.0
"""Seconds until the process is ready, on a machine that has other work too."""
EXIT_TIMEOUT: Final = 1.0
"""Seconds in which the process may exit by itself."""
STOP_POLL_INTERVAL: Final = 0.1
"""Seconds between two checks of whether to stop."""
_READ_SIZE: Final = 64 * 1024
"""Bytes of one read of its answers: what a pipe holds on Linux."""
_SECRETS: Final = ("JWT_", "AUDIOSTREAM_")
"""Prefixes of the environment variables that the process does not get."""

_log = logging.getLogger(__name__)


class WorkerExited(Exception):
    """The process has exited, or is no use any more, while it had a question to answer."""


class WorkerTimeout(Exception):
    """The process did not answer in time."""


class StopRequested(Exception):
    """The reader is to stop."""


class WorkerProcess:
    """A running process, and its output that was not read yet.

    ``on_wait`` is called every ``STOP_POLL_INTERVAL`` seconds while an answer is awaited.
    """

    def __init__(self, stop: threading.Event, on_wait: Callable[[], None]) -> None:
        self._stop = stop
        self._on_wait = on_wait
        self._buffer = b""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-W", "ignore", "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            bufsize=0,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._selector = selectors.DefaultSelector()  # select(2) has no descriptor above 1023
        self._selector.register(self._output, selectors.EVENT_READ)

    def wait_until_ready(self) -> None:
        """Raises ``WorkerExited``, ``WorkerTimeout`` and ``StopRequested``."""
        self._read_line(START_TIMEOUT)

    def request(self, paths: Sequence[Path]) -> None:
        """Ask for the tags of a batch of files. Raises ``WorkerExited``."""
        try:
            self._input.write(json.dumps([os.fspath(path) for path in paths]).encode() + b"\n")
        except OSError:
            raise WorkerExited from None

    def next_answer(self, timeout: float) -> Tags | None:
        """Return the tags of the next file, None if it cannot be read now.

        Raises ``WorkerExited``, ``WorkerTimeout`` and ``StopRequested``.
        """
        try:
            fields = json.loads(self._read_line(timeout))
            tags = None if fields is None else Tags(*fields)
        except (ValueError, TypeError, RecursionError):
            raise WorkerExited from None
        if tags is not None and not tags.is_valid():
            raise WorkerExited
        return tags

    def close(self, timeout: float) -> None:
        """End the process, which may exit by itself within ``timeout`` seconds."""
        with suppress(OSError):
            self._input.close()
        if not self._exits_within(timeout):
            self._process.kill()
            if not self._exits_within(EXIT_TIMEOUT):  # it is killed once its disk answers
                _log.warning("the process that read tags has not exited yet")
                self._process.poll()
        self._selector.close()
        self._output.close()

    def _exits_within(self, timeout: float) -> bool:
        """Return whether the process exits, and with it its output, within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while self._selector.select(max(0.0, deadline - time.monotonic())):
            if not os.read(self._output.fileno(), _READ_SIZE):
                self._process.wait()
                return True
        return False

    def _is_computing(self) -> bool:
        """Return whether the process is runnable rather than waiting for a disk; Linux alone.

        On a busy machine its limit of processor time takes longer to reach than the timeout.
        """
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8", "replace")
            return status.rpartition(")")[2].split()[0] == "R"
        return False

    def _read_line(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            if self._stop.is_set():
                raise StopRequested
            if time.monotonic() > deadline:
                raise WorkerExited if self._is_computing() else WorkerTimeout
            if self._selector.select(STOP_POLL_INTERVAL):
                data = os.read(self._output.fileno(), _READ_SIZE)
                if not data:
                    raise WorkerExited
                self._buffer += data
            else:
                self._on_wait()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def _environment() -> dict[str, str]:
    """Return the environment of the process: the same import path, and no secret."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)
    }
    return environment | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
