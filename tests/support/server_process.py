"""``python -m audiostream`` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import wait_until

SECRET = "a secret of more than thirty-two bytes"
START_TIMEOUT = 30.0
"""Seconds in which a server starts, stops, or logs what is waited for."""
COMMAND = ("-m", "audiostream", "--host", "127.0.0.1", "--port", "0")
UNLIMITED = {
    f"AUDIOSTREAM_{name}": "100000"
    for name in (
        "SOCKETS_PER_USER",
        "WAITING_PER_ADDRESS",
        "COMMANDS_PER_SECOND",
        "REPORTS_PER_SECOND",
        "STREAMS_PER_USER",
    )
}
"""Settings under which no attack is refused merely for being one of many."""


@dataclass
class ServerProcess:
    """A server on a free port, and all that it logs."""

    process: subprocess.Popen[str]
    port: int = 0
    log: list[str] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    def start(
        cls,
        media: Path,
        *arguments: str,
        environ: Mapping[str, str],
        command: Sequence[str] = COMMAND,
        python: str | None = None,
        cwd: Path | None = None,
    ) -> ServerProcess:
        """Start a server whose warnings are errors, without a state file unless one is named."""
        given = {
            "JWT_SECRET": SECRET,
            "AUDIOSTREAM_MEDIA": str(media),
            "AUDIOSTREAM_STATE": ":memory:",
            "PYTHONWARNINGS": "error",
        }
        if "--state" in arguments:
            del given["AUDIOSTREAM_STATE"]
        process = subprocess.Popen(
            [python or sys.executable, *command, *arguments],
            env={**os.environ, **given, **environ},
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        )
        server = cls(process)
        threading.Thread(target=server.read_log, daemon=True).start()
        return server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def errors(self) -> list[str]:
        """The lines of the log that no client may cause."""
        return [line for line in self.log if "Traceback" in line or " ERROR " in line]

    @property
    def open_files(self) -> int:
        """How many files and connections the process has open; 0 where /proc does not tell.

        epoll and eventfd are not counted: some of these are opened with their first use.
        """
        folder = Path(f"/proc/{self.process.pid}/fd")
        count = 0
        for number in folder.iterdir() if folder.is_dir() else ():
            with suppress(OSError):  # closed since the folder was read
                count += not os.readlink(number).startswith("anon_inode:")
        return count

    def read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.news:
                self.log.append(line)
                self.news.notify_all()
        with self.news:
            self.log.append("END")
            self.news.notify_all()

    def wait_for_start(self) -> None:
        """Wait until the server listens, and read its port."""
        line = self.wait_for_log("listening at http://")
        self.port = int(re.findall(r"http://[0-9.]+:([0-9]+)", line)[0])

    def wait_for_end(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until all that an ended process has logged was read."""
        with self.news:
            assert self.news.wait_for(lambda: "END" in self.log, timeout)

    def wait_for_log(self, text: str, timeout: float = START_TIMEOUT) -> str:
        """Return the first line with ``text``, logged already or soon."""

        def found() -> str | None:
            return next((line for line in self.log if text in line or line == "END"), None)

        with self.news:
            line = self.news.wait_for(found, timeout)
        assert line is not None, "".join(self.log)
        assert line != "END", "".join(self.log)
        return line

    async def logs(self, text: str) -> str:
        """Do the same without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for_log, text)

    def stop(self) -> int:
        """Ask the process to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_TIMEOUT)

    def close(self) -> None:
        """Kill the process if it runs still, and read its log to the end."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.wait_for_end()
        assert self.process.stderr is not None
        self.process.stderr.close()


Launch = Callable[..., ServerProcess]
"""What the fixture ``launch`` is."""


@contextmanager
def module_server(
    media: Path, command: Sequence[str] = COMMAND, **environ: str
) -> Iterator[ServerProcess]:
    """A server for a whole module of tests, whose library has been scanned.

    In the end it has no more files open than in the beginning, nothing in its log is an error, and
    it stops at a signal.
    """
    server = ServerProcess.start(media, command=command, environ=environ)
    try:
        server.wait_for_start()
        server.wait_for_log("the library has")
        before = server.open_files
        yield server
        wait_until(lambda: server.open_files <= before)
        assert server.stop() == 0, "".join(server.log)
        server.wait_for_end()
        assert not server.errors, "".join(server.log)
    finally:
        server.close()


def refused_start(
    media: Path, state: Path, *, cwd: Path | None = None, descriptors: Sequence[int] = ()
) -> tuple[int, list[str]]:
    """Return the exit code and the log of a server that ends at once; it inherits descriptors."""
    command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", "0"]
    environ = {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(media)}
    done = subprocess.run(
        [*command, "--state", str(state)],
        env=os.environ | environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        pass_fds=descriptors,
    )
    return done.returncode, done.stderr.splitlines()
