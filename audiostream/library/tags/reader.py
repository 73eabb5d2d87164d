"""``TagReader``, which reads the tags of files through a worker process.

In the server's own process a parser could be bounded in time only as far as it cooperates, and it
would hold the interpreter lock meanwhile. The worker is started for the first file and has exited
when the reader is closed. It also exits when the server does, however that happens, because its
input ends then.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from .fields import Tags
from .worker_process import (
    EXIT_TIMEOUT,
    StopRequested,
    WorkerExited,
    WorkerProcess,
    WorkerTimeout,
)

ANSWER_TIMEOUT = 10.0
"""Seconds for one file, in which a disk may spin up. Processor time is bounded in the worker and
much shorter; a worker that still computes after this is given up as if it had exited."""
_BATCH_FILES: Final = 64
"""Files that the worker is asked for at once."""
_BATCH_BYTES: Final = 4096
"""A batch fits into any pipe (POSIX: PIPE_BUF, 4096 on Linux), so writing it never blocks."""

_log = logging.getLogger(__name__)


class TagReader:
    """Reads tags until ``stop`` is set. ``on_wait`` is called often while it waits for answers."""

    def __init__(self, stop: threading.Event, on_wait: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self._on_wait = on_wait
        self._worker: WorkerProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_worker()

    def read(self, paths: Sequence[Path]) -> Iterator[tuple[Path, Tags | None]]:
        """Yield each file and its tags, in this order.

        None for a file that cannot be read now: it may be asked for again. For a file that ends
        the worker the tags are empty. Stops early once ``stop`` is set, or where no worker can be
        started.
        """
        with suppress(StopRequested):
            for batch in _batches(paths):
                rest = batch
                while rest and not self._stop.is_set():
                    worker = self._worker or self._start_worker()
                    if worker is None:
                        return
                    for path, tags in self._request(worker, rest):
                        yield path, tags
                        rest = rest[1:]

    def _request(
        self, worker: WorkerProcess, paths: Sequence[Path]
    ) -> Iterator[tuple[Path, Tags | None]]:
        """Yield the answers up to the last one, or up to the file that ended the worker."""
        answered = 0
        try:
            worker.request(paths)
            for path in paths:
                yield path, worker.next_answer(ANSWER_TIMEOUT)
                answered += 1
        except WorkerExited:
            failed = paths[answered]
            _log.warning("%a: its tags cannot be read; it is listed by its name", failed.name)
            self._close_worker()
            yield failed, Tags()
        except WorkerTimeout:
            failed = paths[answered]
            _log.warning("%a: the disk did not answer; its tags are read later", failed.name)
            self._close_worker(0.0)
            yield failed, None

    def _start_worker(self) -> WorkerProcess | None:
        if importlib.util.find_spec("tinytag") is None:
            _log.warning("tags and durations are off: install audiostream[tags] to read them")
            return None
        try:
            self._worker = WorkerProcess(self._stop, self._on_wait)
            self._worker.wait_until_ready()
        except (OSError, WorkerExited, WorkerTimeout) as error:
            _log.warning(
                "no process to read tags with (%r); files are listed by their names", error
            )
            self._close_worker()
        return self._worker

    def _close_worker(self, timeout: float = EXIT_TIMEOUT) -> None:
        if self._worker is not None:
            self._worker.close(0.0 if self._stop.is_set() else timeout)
            self._worker = None


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch, size = list[Path](), 0
    for path in paths:
        length = 6 * len(os.fspath(path)) + 4  # of JSON, where every character may be escaped
        if batch and (len(batch) == _BATCH_FILES or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch
