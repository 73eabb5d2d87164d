"""Notifications to systemd: ready, alive, stopping (sd_notify(3)).

Without ``NOTIFY_SOCKET`` in the environment every function does nothing. ``WATCHDOG=1`` is sent
from the event loop: if the loop is blocked for ``WATCHDOG_USEC``, systemd restarts the server.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Send one message, such as ``READY=1``. Never raises: systemd has its own timeouts."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.setblocking(False)
        connection.sendto(message.encode(), address)


async def send_keepalives() -> None:
    """Send ``WATCHDOG=1`` at half the period that systemd asks for, until cancelled."""
    period = _watchdog_period()
    while period is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period / 2)


def _watchdog_period() -> float | None:
    """Return seconds, or None where no watchdog is set for this process."""
    text = os.environ.get("WATCHDOG_USEC", "")
    for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) and for_us else None
