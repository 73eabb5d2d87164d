"""A real server that stands for a whole module of tests, and blocking connections to it.

Here: starting it once, what it must look like when the last test is over, and ``Line``. Not here:
servers for one test each (``conftest.launch``).
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.conftest import SECRET, ServerProcess

PATIENCE = 10.0
"""Seconds to wait for what must come."""
AUDIOSTREAM = ("-m", "audiostream", "--host", "127.0.0.1", "--port", "0")


@contextmanager
def standing(
    media: Path, command: Sequence[str] = AUDIOSTREAM, **environ: str
) -> Iterator[ServerProcess]:
    """A server whose library has been scanned.

    When all is over it has the descriptors that it had before, nothing in its log is an error, and
    it ends at a signal.
    """
    given = {
        "JWT_SECRET": SECRET,
        "AUDIOSTREAM_MEDIA": str(media),
        "AUDIOSTREAM_STATE": ":memory:",
        "PYTHONWARNINGS": "error",
    }
    process = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | given | environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    server = ServerProcess(process)
    threading.Thread(target=server.read_log, daemon=True).start()
    try:
        line = server.wait_for_log("listening at http://")
        server.port = int(re.findall(r"http://[0-9.]+:([0-9]+)", line)[0])
        server.wait_for_log("the library has")
        before = open_files(server)
        yield server
        wait_until(lambda: open_files(server) <= before)
        assert server.stop() == 0, "".join(server.log)
        server.wait_for_end()
        assert not errors_in(server), "".join(server.log)
    finally:
        process.kill()
        process.wait()
        server.wait_for_end()
        assert process.stderr is not None
        process.stderr.close()


def errors_in(server: ServerProcess) -> list[str]:
    """The lines of a log that no client may cause."""
    return [line for line in server.log if "Traceback" in line or " ERROR " in line]


def open_files(server: ServerProcess) -> int:
    """How many files and connections a server has open; 0 where the system does not tell.

    What it waits with (epoll) is not counted: some of that is made when it is first needed.
    """
    folder = Path(f"/proc/{server.process.pid}/fd")
    count = 0
    for number in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # closed since the folder was read
            count += not os.readlink(number).startswith("anon_inode:")
    return count


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait for what must become true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


class Line:
    """A connection on which anything may be sent. Whatever must come comes in time, or it fails.

    Sending never fails: a server may hang up on what it refuses, and what it said before can still
    be read.
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

    def say_all(self) -> None:
        """Send nothing more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection as a crash does: nothing is waited for."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self, count: int) -> bytes:
        """So many bytes, or fewer where the connection ends before."""
        while len(self._unread) < count and (data := self._receive()):
            self._unread += data
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def read_until(self, end: bytes) -> bytes:
        """All up to ``end``, or up to the connection's."""
        while end not in self._unread and (data := self._receive()):
            self._unread += data
        at = self._unread.find(end)
        at = len(self._unread) if at < 0 else at + len(end)
        data, self._unread = self._unread[:at], self._unread[at:]
        return data

    def rest(self) -> bytes:
        """All that comes until the server hangs up."""
        while data := self._receive():
            self._unread += data
        data, self._unread = self._unread, b""
        return data

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionError:
            return b""
