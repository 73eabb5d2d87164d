"""The heartbeat of all devices: pings those that are silent, aborts those that do not answer.

aiohttp's own heartbeat schedules a callback for each chunk that arrives (8 % of the CPU time of a
report) and keeps a timer for each device (500 bytes). Here one timer looks at all of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .device_websocket import DeviceWebSocket

HEARTBEAT = 30.0
"""Seconds without data before a ping; a device that does not answer within half of it is aborted.
Below the 60 s after which common proxies close an idle connection."""
SWEEPS = 15
"""How often all devices are looked at within HEARTBEAT: 2 s, in which 20,000 take 2 ms."""


class HeartbeatMonitor:
    """One for each application. Runs as long as there are connections."""

    def __init__(self) -> None:
        self._sockets: set[DeviceWebSocket] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, socket: DeviceWebSocket) -> None:
        """Watch a connection until ``discard``."""
        self._sockets.add(socket)
        if self._timer is None:
            self._schedule()

    def discard(self, socket: DeviceWebSocket) -> None:
        """Stop watching a connection."""
        self._sockets.discard(socket)

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEARTBEAT / SWEEPS, self._sweep)

    def _sweep(self) -> None:
        now, self._timer = asyncio.get_running_loop().time(), None
        for socket in tuple(self._sockets):
            idle = now - socket.received_at
            if idle >= 1.5 * HEARTBEAT:
                self.discard(socket)
                socket.miss_heartbeat()
            elif idle >= HEARTBEAT:
                socket.send_heartbeat()
        if self._sockets:
            self._schedule()
