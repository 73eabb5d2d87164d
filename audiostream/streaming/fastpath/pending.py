"""``PendingTransfer``: continue a ``FileTransfer`` whenever its client or the disk is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from ..readahead import read_ahead
from ..stall_timeout import StallTimeout
from .open_files import OpenFileCache
from .transfer import FileTransfer
from .writability import WritabilityWatcher


class PendingTransfer:
    """A transfer that waits for its client to accept more, or for the disk.

    ``slot`` counts it as a stream and ends the connection of a client that accepts nothing;
    ``on_end`` is called once, when all has been sent or the transfer has ended otherwise.
    """

    __slots__ = ("_executor", "_fd", "_files", "_on_end", "_slot", "_transfer", "_watcher")

    def __init__(
        self,
        transfer: FileTransfer,
        fd: int,
        *,
        slot: StallTimeout,
        files: OpenFileCache,
        executor: Executor,
        watcher: WritabilityWatcher,
        on_end: Callable[[], None],
    ) -> None:
        self._transfer = transfer
        self._fd = fd
        self._slot = slot
        self._files = files
        self._executor = executor
        self._watcher = watcher
        self._on_end: Callable[[], None] | None = on_end
        files.retain(transfer.opened)

    def start(self) -> None:
        """Wait for what the transfer needs next."""
        if self._transfer.cold:
            self._slot.pause()
            self._read_ahead()
        else:
            self._watcher.once(self._fd, self._send)

    def end(self) -> None:
        """Release everything, however much has been sent."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            self._slot.stop()
            self._files.release(self._transfer.opened)
            on_end()

    def _send(self) -> None:
        if self._transfer.send():
            self.start()
        else:
            self.end()

    def _read_ahead(self) -> None:
        opened, loop = self._transfer.opened, asyncio.get_running_loop()
        try:
            job = loop.run_in_executor(self._executor, read_ahead, opened.file, self._transfer.cold)
        except RuntimeError as error:  # the executor has been shut down
            self._continue(error)
            return
        self._files.retain(opened)  # the thread may outlive the connection

        def read(job: asyncio.Future[None]) -> None:
            self._files.release(opened)
            self._continue(None if job.cancelled() else job.exception())

        job.add_done_callback(read)

    def _continue(self, error: BaseException | None) -> None:
        if self._on_end is None:  # the connection was lost meanwhile
            return
        if error is not None:
            self._transfer.fail(error)
            self.end()
            return
        self._transfer.resume()
        self._slot.resume()
        self._send()
