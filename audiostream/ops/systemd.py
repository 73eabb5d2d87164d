"""Telling systemd that the server is ready, alive, and stopping (sd_notify(3)).

Here: the messages and the socket they go to. Not here: anything, where ``NOTIFY_SOCKET`` is not
set: then every function does nothing.

``WATCHDOG=1`` is sent from the event loop. If the loop stands still for ``WATCHDOG_USEC``,
systemd restarts the server.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress


def notify(message: str) -> None:
    """Send one message, such as ``READY=1``. Never fails: a lost message is systemd's to notice."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.sendto(message.encode(), address)


async def keep_alive() -> None:
    """Send ``WATCHDOG=1`` at half the period that systemd asks for, until cancelled."""
    period = _watchdog_period()
    while period is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period / 2)


def _watchdog_period() -> float | None:
    """In seconds; None where nobody watches this process."""
    text = os.environ.get("WATCHDOG_USEC", "")
    for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(text) / 1e6 if text.isascii() and text.isdigit() and int(text) and for_us else None
