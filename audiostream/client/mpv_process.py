"""Starts mpv as a child whose IPC connection is inherited: no socket file, no other user's access.

mpv ends when the connection closes, also where this process was killed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from .mpv_ipc import MAX_LINE, MpvConnection, MpvEvent

OPTIONS: Final = (
    "--idle=yes",
    "--no-config",
    "--no-video",
    "--ytdl=no",
    "--load-scripts=no",
    "--osc=no",
    "--input-terminal=no",
    "--input-default-bindings=no",
    "--msg-level=all=error",
    "--volume-max=100",
    "--cache=yes",
    "--demuxer-max-bytes=64MiB",
    "--demuxer-max-back-bytes=16MiB",
    "--prefetch-playlist=yes",
    "--stream-lavf-o=reconnect=1,reconnect_on_network_error=1,reconnect_delay_max=30",
)
"""What every mpv is started with.

A track is read ahead as far as 64 MiB go, so that an outage of the network is not heard; the next
one is opened before the end; a stream that breaks off is continued for 30 s.
"""
CLOSE_TIMEOUT: Final = 2.0
"""Seconds in which mpv ends once its connection is closed; then it is killed."""
KEPT_LINES: Final = 3
"""Lines of mpv's output that are named when it has ended."""

_TICKET: Final = re.compile(r"(ticket=)[^&\s'\"]+")

_log = logging.getLogger(__name__)


class MpvNotFound(Exception):
    """Raised when there is no mpv to start."""


@asynccontextmanager
async def running_mpv(
    executable: str, options: Sequence[str], on_event: Callable[[MpvEvent], None]
) -> AsyncIterator[MpvConnection]:
    """Start mpv, and end it with the block. ``options`` follow ``OPTIONS``.

    Raises ``MpvNotFound``. What mpv writes is logged; why it ended, too.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = await _spawn(executable, options, theirs)
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        reading = asyncio.create_task(_log_output(process, lines))
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_LINE)
        connection = MpvConnection(reader, writer, on_event)
        running = asyncio.create_task(connection.run())
        try:
            yield connection
        finally:
            was_running = not running.done()
            writer.close()
            running.cancel()
            await _end(process)
            await asyncio.gather(running, reading, return_exceptions=True)
            if not was_running:
                _log.warning("mpv ended with %s %s", process.returncode, "; ".join(lines))


async def _spawn(
    executable: str, options: Sequence[str], theirs: socket.socket
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            executable,
            *OPTIONS,
            *options,
            f"--input-ipc-client=fd://{theirs.fileno()}",
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except (FileNotFoundError, PermissionError):
        raise MpvNotFound(f"there is no program {executable!r}; install mpv") from None


async def _log_output(process: asyncio.subprocess.Process, lines: deque[str]) -> None:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    async for raw in process.stdout:
        line = _TICKET.sub(r"\1…", raw.decode(errors="replace").strip())
        if line:
            lines.append(line)
            _log.warning("mpv: %s", line)


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
