"""``StallTimeout``: a client that acknowledges nothing is disconnected, and no other."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

from audiostream.streaming.stall_timeout import StallTimeout
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has TCP_INFO")


async def test_a_client_that_takes_nothing_is_disconnected(transport: Any) -> None:
    StallTimeout(transport, 0.04)
    await until(lambda: transport.is_aborted)


async def test_a_client_is_not_disconnected_until_it_stops_taking_bytes(
    pair: tuple[socket.socket, socket.socket], transport: Any
) -> None:
    ours, client = pair
    StallTimeout(transport, 0.4)
    loop = asyncio.get_running_loop()
    for _ in range(30):
        ours.send(b"x")
        await loop.sock_recv(client, 10)
        await asyncio.sleep(0.02)
        assert not transport.is_aborted
    await until(lambda: transport.is_aborted)


@pytest.mark.parametrize("seconds", [None, 0.04])
async def test_a_client_is_not_disconnected_without_a_timeout_or_once_it_is_stopped(
    transport: Any, seconds: float | None
) -> None:
    StallTimeout(transport, seconds).stop()
    await asyncio.sleep(0.1)
    assert not transport.is_aborted
