"""What systemd is told, over the socket that it names."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostream.ops import systemd


@pytest.fixture(params=["path", "abstract"])
def line(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = f"audiostream-test-{os.getpid()}" if request.param == "abstract" else tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name}" if request.param == "abstract" else str(name))
        line.settimeout(5.0)
        shown = f"@{name}" if request.param == "abstract" else str(name)
        monkeypatch.setenv("NOTIFY_SOCKET", shown)
        yield line


def test_a_message_arrives(line: socket.socket) -> None:
    systemd.notify("READY=1")
    assert line.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_nobody_listening_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify("READY=1")


async def test_the_watchdog_hears_from_the_loop(
    line: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    task = asyncio.create_task(systemd.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(line.recv, 100) == b"WATCHDOG=1"
    task.cancel()


@pytest.mark.parametrize(("usec", "pid"), [("", None), ("0", None), ("x", None), ("20000", "1")])
async def test_without_a_watchdog_it_ends_at_once(
    usec: str, pid: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    async with asyncio.timeout(5):
        await systemd.keep_alive()
