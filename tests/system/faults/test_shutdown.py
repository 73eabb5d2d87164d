"""A stop of the server, and what systemd is notified of."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from tests.support.server_process import UNLIMITED, Launch, ServerProcess
from tests.support.waiting import PATIENCE
from tests.support.ws_client import connect
from tests.system.faults.support import (
    EVENTS,
    LONG,
    ActingUser,
    acting_user,
    add_track,
    download,
    on_linux,
    ready,
    sleeper,
    unlimited_session,
    unsent,
)

Token = Callable[..., str]


@on_linux
class TestShutdown:
    async def test_a_shutdown_closes_devices_with_1001_and_ends_within_5_s(
        self, launch: Launch, media: Path, token: Token, state: Path
    ) -> None:
        add_track(media, "long", bytes(LONG))
        server = await ready(launch, "--state", str(state), **UNLIMITED)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(unlimited_session())
            idle = [
                await stack.enter_async_context(
                    connect(session, f"{server.url}/ws", token(f"user-{number}"))
                )
                for number in range(50)
            ]
            stream = await stack.enter_async_context(download(server.port, "long", token()))
            assert stream.answer.status == 200
            ada = await stack.enter_async_context(acting_user(session, server, token()))
            for _ in range(5):
                await stack.enter_async_context(sleeper(server.port, token()))
            await self.fill(server, ada)
            server.process.send_signal(signal.SIGTERM)
            exit_code, *codes = await asyncio.gather(
                asyncio.to_thread(server.process.wait, 5.0),
                ada.phone.closed(),
                *(device.closed() for device in idle),
            )
        assert (exit_code, set(codes)) == (0, {1001})
        assert "reason=slow_reader" not in "".join(server.log)

    async def fill(self, server: ServerProcess, user: ActingUser) -> None:
        """Act until the system takes no more for those who do not read, but before they are cut."""
        before: list[int] = []
        while (now := sorted(unsent(server).values())[-6:]) != before:
            assert user.rev < 3 * EVENTS
            before = now
            await user.act(100)
        assert min(now) > 0


# What systemd receives


@pytest.fixture(params=["path", "abstract"])
def notify(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Where systemd listens, and the name of that."""
    name = f"audiostream-faults-{os.getpid()}"
    is_abstract = request.param == "abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}" if is_abstract else str(tmp_path / "notify"))
        line.settimeout(PATIENCE)
        yield line, f"@{name}" if is_abstract else str(tmp_path / "notify")


@on_linux
def test_systemd_is_notified_of_ready_watchdog_and_stopping(
    launch: Launch, notify: tuple[socket.socket, str]
) -> None:
    line, name = notify
    period = 1.0
    server = launch(NOTIFY_SOCKET=name, WATCHDOG_USEC=str(round(period * 1e6)))
    received = [line.recv(100)]
    while received[-1] != b"READY=1":
        received.append(line.recv(100))
    moments = []
    for _ in range(6):
        assert line.recv(100) == b"WATCHDOG=1"
        moments.append(time.monotonic())
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert max(gaps) < period
    assert statistics.median(gaps) == pytest.approx(period / 2, abs=0.1)
    assert server.stop() == 0
    line.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            received.append(line.recv(100))
    assert set(received) <= {b"READY=1", b"WATCHDOG=1", b"STOPPING=1"}
    assert received.count(b"READY=1") == received.count(b"STOPPING=1") == 1
