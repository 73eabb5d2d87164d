"""Clients that ask for much and read nothing cost little, and are cut."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import ServerProcess
from .test_covers import JPEG

Token = Callable[..., str]

CLIENTS = 200
MOST = 50.0
"""MiB that all of them may cost together."""
PICTURE = JPEG + bytes(9_000_000)
TRACKS = 10_000
PATIENCE = 30.0
"""Seconds within which a busy machine has cut all clients, whose stall timeout is one second."""


def memory_of(server: ServerProcess) -> float:
    """MiB that the server has in memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def descriptors_of(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def ask(server: ServerProcess, path: str, token: str | None) -> socket.socket:
    """Send a request on a connection that takes next to nothing of the answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    proof = "" if token is None else f"Authorization: Bearer {token}\r\n"
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{proof}\r\n".encode())
    return connection


@contextmanager
def asking(
    server: ServerProcess, paths: list[str], token: str | None
) -> Iterator[list[socket.socket]]:
    connections: list[socket.socket] = []
    try:
        for path in paths:
            connections.append(ask(server, path, token))
        yield connections
    finally:
        for connection in connections:
            connection.close()


def is_over(connection: socket.socket) -> bool:
    """Whether the server has ended a connection, read or not: nothing can be sent on it."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return info[0] != 1  # TCP_ESTABLISHED
