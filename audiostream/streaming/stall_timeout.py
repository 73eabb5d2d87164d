"""The timeout of a client that takes no byte of what is sent to it."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

from ..ops.connections import disconnect

_log = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0
"""Seconds between two checks of what a client has acknowledged."""

_TCP_INFO_SIZE: Final = 256
"""Bytes of ``struct tcp_info`` that are read; the kernel gives as many as it has."""
_BYTES_ACKED: Final = struct.Struct("=Q")
_BYTES_ACKED_OFFSET: Final = 120
"""Bytes before ``tcpi_bytes_acked`` in that struct (linux/tcp.h), whose layout is an ABI."""


class StallTimeout:
    """Disconnects a client that takes no byte for ``timeout`` seconds, until stopped.

    What a client has taken is what its TCP has acknowledged; where the system does not report
    that, or with None for ``timeout``, no client is disconnected. ``stalled_since`` is in seconds
    of ``time.monotonic``, infinity while the server is the one that has to do something.
    """

    __slots__ = (
        "_acked",
        "_connection",
        "_next_check",
        "_on_stop",
        "_timeout",
        "_transport",
        "stalled_since",
    )

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        timeout: float | None,
        *,
        on_stop: Callable[[StallTimeout], None] | None = None,
    ) -> None:
        self.stalled_since = math.inf
        self._transport = transport
        self._connection: socket.socket | None = transport.get_extra_info("socket")
        self._timeout = timeout
        self._on_stop = on_stop
        self._acked: int | None = -1
        self._next_check: asyncio.TimerHandle | None = None
        self.resume()

    def pause(self) -> None:
        """Do not count: there is nothing for the client to take."""
        self.stalled_since = math.inf

    def resume(self) -> None:
        """Count from now on: there are bytes for the client to take."""
        self.stalled_since = time.monotonic()
        if self._next_check is None:
            self._schedule_check()

    def stop(self) -> None:
        """End the timeout: the response is over. Calls ``on_stop`` once."""
        if self._next_check is not None:
            self._next_check.cancel()
            self._next_check = None
        self._timeout = None
        on_stop, self._on_stop = self._on_stop, None
        if on_stop is not None:
            on_stop(self)

    def disconnect(self, *, discard_unsent: bool = False) -> None:
        """End the connection."""
        self.stalled_since = math.inf  # it is not to be chosen again
        disconnect(self._transport, discard_unsent=discard_unsent)

    def _schedule_check(self) -> None:
        if self._timeout is not None:
            delay = min(self._timeout / 4, CHECK_INTERVAL)
            self._next_check = asyncio.get_running_loop().call_later(delay, self._check)

    def _check(self) -> None:
        acked, now = _bytes_acked(self._connection), time.monotonic()
        if acked is None:
            self.pause()
            return
        if acked != self._acked:
            self._acked = acked
            if self.stalled_since < math.inf:
                self.stalled_since = now
        elif self._timeout is not None and now - self.stalled_since >= self._timeout:
            _log.info("disconnected a client that takes no bytes")
            self.disconnect()
            return
        self._schedule_check()


def _bytes_acked(connection: socket.socket | None) -> int | None:
    """Return how many bytes the peer has acknowledged: ``tcpi_bytes_acked`` of Linux's TCP_INFO."""
    if connection is None or not hasattr(socket, "TCP_INFO") or sys.platform != "linux":
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    except OSError:
        return None
    end = _BYTES_ACKED_OFFSET + _BYTES_ACKED.size
    return int(_BYTES_ACKED.unpack_from(info, _BYTES_ACKED_OFFSET)[0]) if len(info) >= end else None
