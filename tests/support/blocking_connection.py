"""A blocking TCP connection that sends any bytes."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Self

from tests.support.waiting import PATIENCE


class BlockingConnection:
    """A TCP connection on which any bytes may be sent. Reading fails after ``PATIENCE``.

    Sending never fails: a server may close the connection on a refused request, and its response
    can still be read.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send pieces one by one, ``pause`` seconds apart."""
        with suppress(ConnectionError):
            for number, piece in enumerate(pieces):
                if number and pause:
                    time.sleep(pause)
                self.socket.sendall(piece)

    def end_sending(self) -> None:
        """Shut down the sending side."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection, as a crash of the client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self, count: int) -> bytes:
        """Return so many bytes, or fewer where the connection ends before."""
        while len(self._unread) < count and (data := self._receive()):
            self._unread += data
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def read_until(self, end: bytes) -> bytes:
        """Return all up to ``end``, or up to the end of the connection."""
        while end not in self._unread and (data := self._receive()):
            self._unread += data
        at = self._unread.find(end)
        at = len(self._unread) if at < 0 else at + len(end)
        data, self._unread = self._unread[:at], self._unread[at:]
        return data

    def read_to_end(self) -> bytes:
        """Return all that comes until the server closes the connection."""
        while data := self._receive():
            self._unread += data
        data, self._unread = self._unread, b""
        return data

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionError:
            return b""
