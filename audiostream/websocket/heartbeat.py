"""The heartbeat of all devices: pings those that are silent, aborts those that do not answer.

aiohttp's own heartbeat schedules a callback for each chunk that arrives (8 % of the CPU time of a
report) and keeps a timer for each device (500 bytes). Here one timer looks at all of them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

HEARTBEAT = 30.0
"""Seconds without data before a ping; a device that does not answer within half of it is aborted.
Below the 60 s after which common proxies close an idle connection."""
SWEEPS = 15
"""How often all devices are looked at within HEARTBEAT: 2 s, in which 20,000 take 2 ms."""


class Connection(Protocol):
    """``received_at`` is when the device last sent something, in the loop's seconds."""

    received_at: float

    def send_heartbeat(self) -> None:
        """Ping the device."""

    def miss_heartbeat(self) -> None:
        """Abort the connection."""


class HeartbeatMonitor:
    """One for each application. Runs as long as there are connections."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Watch a connection until ``discard``."""
        self._connections.add(connection)
        if self._timer is None:
            self._schedule()

    def discard(self, connection: Connection) -> None:
        """Stop watching a connection."""
        self._connections.discard(connection)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEARTBEAT / SWEEPS, self._sweep)

    def _sweep(self) -> None:
        now, self._timer = asyncio.get_running_loop().time(), None
        for connection in tuple(self._connections):
            idle = now - connection.received_at
            if idle >= 1.5 * HEARTBEAT:
                self.discard(connection)
                connection.miss_heartbeat()
            elif idle >= HEARTBEAT:
                connection.send_heartbeat()
        if self._connections:
            self._schedule()
