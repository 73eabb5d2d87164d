"""Tags are read by a process of their own, which a broken file may take with it.

Here: that process, from its start to its end, and asking it. Not here: what it does
(``tags_worker``), and what becomes of its answers (``library``). Every method blocks.

A parser in the server's own process could be bounded in time only as far as it cooperates, and
would hold the interpreter meanwhile. The process is started for the first file that is asked for,
and has ended when the reader is closed; it also ends when the server does, of whatever cause, as
its input ends then.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from .tags import Tags

ANSWER_TIME = 10.0
"""Seconds for one file, in which a disk that sleeps may wake; its processor time is bounded, and
much shorter, in the process itself. One that still computes then is given up like a dead one."""
START_TIME = 30.0
"""Seconds until the process is there, on a machine that does other things too."""
END_TIME = 1.0
"""Seconds that it may take to end by itself."""
LOOK_EVERY = 0.1
"""Seconds between two looks at whether to stop."""
_BATCH_FILES = 64
_BATCH_BYTES = 4096
"""A batch fits into any pipe, so writing it never waits for the process to read."""
_AT_ONCE = 64 * 1024
_SECRETS = ("JWT_", "AUDIOSTREAM_")

_log = logging.getLogger(__name__)


class _Ended(Exception):
    """The process has ended while it had a question to answer."""


class _Late(Exception):
    """The process did not answer in time."""


class _Stopped(Exception):
    """The reader is to stop."""


class TagReader:
    """Reads tags until ``stop`` is set. ``on_wait`` is called often while it waits for answers."""

    def __init__(self, stop: threading.Event, on_wait: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self._on_wait = on_wait
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
        """Each file and what it says of itself, in this order.

        None for a file that cannot be read now: it may be asked for again. A file that ended the
        process says nothing. Stops early once ``stop`` is set, or where no process can be started.
        """
        with suppress(_Stopped):
            for batch in _batches(paths):
                rest = batch
                while rest and not self._stop.is_set():
                    worker = self._worker or self._start()
                    if worker is None:
                        return
                    for path, tags in self._ask(worker, rest):
                        yield path, tags
                        rest = rest[1:]

    def _ask(self, worker: _Worker, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
        """Answers up to the last one, or up to the file at which the process ended."""
        answered = 0
        try:
            worker.ask(paths)
            for path in paths:
                yield path, worker.answer(ANSWER_TIME)
                answered += 1
        except _Ended:
            _log.warning(
                "%a: its tags cannot be read; it is listed by its name", paths[answered].name
            )
            self._end()
            yield paths[answered], Tags()
        except _Late:
            _log.warning(
                "%a: the disk did not answer; its tags are read later", paths[answered].name
            )
            self._end(0.0)
            yield paths[answered], None

    def _start(self) -> _Worker | None:
        if importlib.util.find_spec("tinytag") is None:
            _log.warning("tags and durations are off: install audiostream[tags] to read them")
            return None
        try:
            self._worker = _Worker(self._stop, self._on_wait)
            self._worker.wait_until_ready()
        except (OSError, _Ended, _Late) as error:
            _log.warning(
                "no process to read tags with (%r); files are listed by their names", error
            )
            self._end()
        return self._worker

    def _end(self, timeout: float = END_TIME) -> None:
        if self._worker is not None:
            self._worker.end(0.0 if self._stop.is_set() else timeout)
            self._worker = None


class _Worker:
    """A running process, and what it has written that was not looked at."""

    def __init__(self, stop: threading.Event, on_wait: Callable[[], None]) -> None:
        self._stop = stop
        self._on_wait = on_wait
        self._written = b""
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-W", "ignore", "-m", f"{__package__}.tags_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            bufsize=0,
        )
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._selector = selectors.DefaultSelector()  # select() knows no descriptor above 1023
        self._selector.register(self._output, selectors.EVENT_READ)

    def wait_until_ready(self) -> None:
        """Raises ``_Ended``, ``_Late`` and ``_Stopped``."""
        self._line(START_TIME)

    def ask(self, paths: Sequence[Path]) -> None:
        """Raises ``_Ended``."""
        try:
            self._input.write(json.dumps([os.fspath(path) for path in paths]).encode() + b"\n")
        except OSError:
            raise _Ended from None

    def answer(self, timeout: float) -> Tags | None:
        """The next answer. Raises ``_Ended``, ``_Late`` and ``_Stopped``."""
        try:
            fields = json.loads(self._line(timeout))
            tags = None if fields is None else Tags(*fields)
        except (ValueError, TypeError, RecursionError):
            raise _Ended from None
        if tags is not None and not tags.is_sound():
            raise _Ended
        return tags

    def end(self, timeout: float) -> None:
        """End the process: by itself if it does so within ``timeout`` seconds."""
        with suppress(OSError):
            self._input.close()
        if not self._has_ended(timeout):
            self._process.kill()
            if not self._has_ended(END_TIME):  # the system ends it when its disk answers
                _log.warning("the process that read tags has not ended yet")
                self._process.poll()
        self._selector.close()
        self._output.close()

    def _has_ended(self, timeout: float) -> bool:
        """Whether the process ends within ``timeout`` seconds; its output ends with it."""
        deadline = time.monotonic() + timeout
        while self._selector.select(max(0.0, deadline - time.monotonic())):
            if not os.read(self._output.fileno(), _AT_ONCE):
                self._process.wait()
                return True
        return False

    def _is_computing(self) -> bool:
        """Whether it wants a processor rather than waits for a disk, where Linux says so.

        On a busy machine its processor time lasts longer than ``ANSWER_TIME``.
        """
        with suppress(OSError, IndexError):
            status = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8", "replace")
            return status.rpartition(")")[2].split()[0] == "R"
        return False

    def _line(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._written:
            if self._stop.is_set():
                raise _Stopped
            if time.monotonic() > deadline:
                raise _Ended if self._is_computing() else _Late
            if self._selector.select(LOOK_EVERY):
                data = os.read(self._output.fileno(), _AT_ONCE)
                if not data:
                    raise _Ended
                self._written += data
            else:
                self._on_wait()
        line, _, self._written = self._written.partition(b"\n")
        return line


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch, size = list[Path](), 0
    for path in paths:
        length = 6 * len(os.fspath(path)) + 4  # of JSON, where every character is escaped
        if batch and (len(batch) == _BATCH_FILES or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch


def _environment() -> dict[str, str]:
    """What the process is started with: the same modules, and no secret."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)
    }
    return environment | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
