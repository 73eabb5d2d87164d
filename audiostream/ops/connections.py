"""The one way to end a connection from the server's side while something is sent on it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, cast

_ITERATIONS_UNTIL_NOTICED: Final = 3
"""Loop iterations until nothing of a ``loop.sendfile`` is left: asyncio learns that the connection
has ended in the next one, its caller in the one after that."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: on, 0 s (socket(7))


def disconnect(transport: asyncio.BaseTransport, *, discard_unsent: bool = False) -> None:
    """End a connection, whatever is being sent on it. Does not wait for the end.

    With ``discard_unsent``, what the system has accepted but not sent is dropped too: it keeps
    megabytes for a slow client, minutes of music.

    ``transport.abort()`` alone closes the descriptor of a connection while ``loop.sendfile`` still
    waits for it, and leaves asyncio's writer registered under its number: the next connection gets
    that number, and hangs; the caller of ``sendfile`` waits for ever. So the connection is shut
    down first, which ends ``sendfile`` with an error, and closed when that has been noticed.
    """
    try:
        connection = transport.get_extra_info("socket")
    except AttributeError:  # of a TLS transport that is closed already (CPython 3.11)
        return
    if connection is not None and discard_unsent:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    if connection is None or cast(asyncio.Transport, transport).get_write_buffer_size():
        _abort_after(0, transport)  # sendfile begins only where no write is pending
        return
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
    _abort_after(_ITERATIONS_UNTIL_NOTICED, transport)


def _abort_after(iterations: int, transport: asyncio.BaseTransport) -> None:
    if iterations:
        asyncio.get_running_loop().call_soon(_abort_after, iterations - 1, transport)
    else:
        cast(asyncio.Transport, transport).abort()
