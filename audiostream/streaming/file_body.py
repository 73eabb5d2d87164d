"""``FileBody``: sends a part of an open file on one connection, and never waits for the disk."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from aiohttp.abc import AbstractStreamWriter

from ..ops.aiohttp_compat import count_sent
from .readahead import COPY_SIZE, READ_AHEAD_SIZE, is_cached, read_ahead, read_cached
from .stall_timeout import StallTimeout

SENDFILE_THRESHOLD: Final = 128 * 1024
"""Bytes up to which one read and one write are cheaper than setting ``sendfile`` up; beyond,
copying costs more than it saves, and a slow client leaves more in memory than a socket's buffer."""


class FileBody:
    """The body of one response. ``sent`` is in bytes.

    ``stall_timeout`` is paused while the client has nothing to take. What is not in the page cache
    is read in ``executor``. ``on_sent`` is called with the bytes of each chunk.
    """

    def __init__(
        self,
        file: io.FileIO,
        transport: asyncio.WriteTransport,
        stall_timeout: StallTimeout,
        executor: Executor,
        on_sent: Callable[[int], None],
    ) -> None:
        self.sent = 0
        self._on_sent = on_sent
        self._file = file
        self._transport = transport
        self._stall_timeout = stall_timeout
        self._executor = executor

    async def load(self, part: range) -> None:
        """Read the next bytes of a part into the page cache. Raises OSError."""
        part = part[:READ_AHEAD_SIZE]
        if not is_cached(self._file, part):
            self._stall_timeout.pause()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, read_ahead, self._file, part)

    async def send(self, writer: AbstractStreamWriter, part: range) -> None:
        """Send a part, as far as the file goes.

        Raises ConnectionError if the client has left, and OSError if the disk fails.
        """
        can_sendfile = len(part) > SENDFILE_THRESHOLD
        while rest := part[self.sent :]:
            before = self.sent
            await self.load(rest)
            self._stall_timeout.resume()
            if can_sendfile:
                can_sendfile = await self._sendfile(writer, rest[:READ_AHEAD_SIZE])
            if not can_sendfile:
                await self._copy(writer, rest[:COPY_SIZE])
            if self.sent == before:  # the file has been cut short
                return
        await self._flush(writer)

    async def _sendfile(self, writer: AbstractStreamWriter, part: range) -> bool:
        """Send by ``sendfile``; False where TLS, the file system or the event loop forbid it."""
        await self._flush(writer)
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._file.seek(part.start)
        try:
            # The fallback of asyncio would read on to the end for a client that has gone.
            loop = asyncio.get_running_loop()
            await loop.sendfile(self._transport, self._file, part.start, len(part), fallback=False)
        except RuntimeError:
            return False
        finally:
            # sendfile leaves the file's position behind the last byte sent, also when it fails.
            sent = self._file.tell() - part.start
            self.sent += sent
            count_sent(writer, sent)
            self._on_sent(sent)
        return True

    async def _copy(self, writer: AbstractStreamWriter, part: range) -> None:
        data: bytes | bytearray = bytearray(len(part))
        if not read_cached(self._file, part.start, memoryview(data)):
            loop = asyncio.get_running_loop()
            # A read may outlive its request; pread does not move the position of another.
            data = await loop.run_in_executor(
                self._executor, os.pread, self._file.fileno(), len(part), part.start
            )
        await writer.write(data)
        self.sent += len(data)
        self._on_sent(len(data))

    async def _flush(self, writer: AbstractStreamWriter) -> None:
        """Wait until the system has accepted all that was written, or the connection is lost."""
        transport = self._transport
        if transport.is_closing() or not transport.get_write_buffer_size():
            return
        transport.set_write_buffer_limits(high=0)
        await writer.drain()
        if not transport.is_closing():  # a closed TLS transport has no buffer any more
            transport.set_write_buffer_limits()
