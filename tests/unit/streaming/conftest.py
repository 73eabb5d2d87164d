"""A connection over which nothing but a test sends, for what is tested without a server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


class FakeTransport:
    """The transport of a real connection; asyncio has nothing to send on it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unsent = 0
        self.is_aborted = False

    def get_extra_info(self, name: str) -> socket.socket:
        return self.connection

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's connection and its client's, whose receive buffer is small."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        ours, _ = listener.accept()
        ours.setblocking(False)
        client.setblocking(False)
        with ours:
            yield ours, client


@pytest.fixture
def transport(pair: tuple[socket.socket, socket.socket]) -> FakeTransport:
    return FakeTransport(pair[0])
