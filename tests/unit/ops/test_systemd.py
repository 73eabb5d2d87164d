"""Notifications reach systemd over the socket that the environment names."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostream.ops import systemd


@pytest.fixture(params=["path", "abstract"])
def notify_socket(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    name = f"audiostream-test-{os.getpid()}" if request.param == "abstract" else tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}" if request.param == "abstract" else str(name))
        receiver.settimeout(5.0)
        shown = f"@{name}" if request.param == "abstract" else str(name)
        monkeypatch.setenv("NOTIFY_SOCKET", shown)
        yield receiver


def test_a_notification_arrives_at_the_notify_socket(notify_socket: socket.socket) -> None:
    systemd.notify("READY=1")
    assert notify_socket.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_notify_without_a_listener_raises_nothing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify("READY=1")


async def test_the_event_loop_sends_keepalives_to_the_watchdog(
    notify_socket: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    task = asyncio.create_task(systemd.send_keepalives())
    for _ in range(3):
        assert await asyncio.to_thread(notify_socket.recv, 100) == b"WATCHDOG=1"
    task.cancel()


@pytest.mark.parametrize(("usec", "pid"), [("", None), ("0", None), ("x", None), ("20000", "1")])
async def test_keepalives_end_at_once_without_a_watchdog(
    usec: str, pid: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    async with asyncio.timeout(5):
        await systemd.send_keepalives()
