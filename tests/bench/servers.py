"""The servers that are measured, each a process on a core of its own.

Starts and stops them, and reads their CPU time and memory from ``/proc``.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from urllib.error import URLError
from urllib.request import Request, urlopen

from audiostream.auth.access_tokens import Tokens

ROOT = Path(__file__).resolve().parents[2]
YARDSTICKS = Path(__file__).parent / "yardsticks"
SECRET = "a secret of more than thirty-two bytes"
TOKENS = Tokens(SECRET)
PATIENCE = 30.0
"""Seconds to wait for what must come."""
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, GENERATOR_CORE = CORES[0], CORES[-1]
_LIMITS = (
    "SOCKETS_PER_USER",
    "WAITING_PER_ADDRESS",
    "COMMANDS_PER_SECOND",
    "REPORTS_PER_SECOND",
    "STREAMS_PER_USER",
)
UNLIMITED = {f"AUDIOSTREAM_{name}": "999999999" for name in _LIMITS}
"""One client stands for many here: what one client may do is no limit."""


_BESIDE = os.environ.get("BESIDE")
BESIDE: Path | None = Path(_BESIDE).resolve() if _BESIDE else None
"""A checkout of another commit to measure beside this one, by ``make bench BESIDE=FOLDER``."""


class Missing(Exception):
    """A yardstick is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that threads ``ran``, and that they ``waited``: ready, but others ran."""

    ran: float
    waited: float

    def __sub__(self, before: Times) -> Times:
        return Times(self.ran - before.ran, self.waited - before.waited)


def times(process: int | str) -> Times:
    """All threads of a process until now, by Linux's scheduler, which counts in nanoseconds.

    See ``sched-stats`` of the kernel's documentation.
    """
    ran = waited = 0
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            first, second, _ = (task / "schedstat").read_text().split()
            ran, waited = ran + int(first), waited + int(second)
    return Times(ran / 1e9, waited / 1e9)


def network_time(core: int) -> float:
    """Seconds until now of the kernel's own thread for a core's network work, 0.0 if not seen.

    It runs where there is more of that work than the kernel does beside a program.
    """
    thread = _network_thread(core)
    return times(thread).ran if thread else 0.0


@cache
def _network_thread(core: int) -> str | None:
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (each / "comm").read_text() == f"ksoftirqd/{core}\n":
                return each.name
    return None


@dataclass(frozen=True, slots=True)
class Server:
    """A process that listens at ``port`` of 127.0.0.1; ``log`` is where its stderr goes."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def times(self) -> Times:
        """What its threads have had of the processor until now."""
        return times(self.process.pid)

    def memory(self) -> int:
        """Bytes of resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def settle(self) -> None:
        """Wait until it rests: what one contestant has left over must not slow the next."""
        before, patience = self.times().ran, time.monotonic() + 1.0
        while time.monotonic() < patience:
            time.sleep(0.01)
            now = self.times().ran
            if now - before < 0.001:
                return
            before = now


def token(user: str) -> str:
    """An access token of a user."""
    return TOKENS.mint(user, time.time(), None)


def fetch(server: Server, path: str, user: str = "ada") -> tuple[Mapping[str, str], bytes]:
    """Headers and body of one answer. Raises ``URLError`` and ``ConnectionError``."""
    request = Request(server.url + path, headers={"Authorization": f"Bearer {token(user)}"})
    with urlopen(request, timeout=PATIENCE) as answer:
        return answer.headers, answer.read()


def session_cookie(server: Server, user: str = "ada") -> str:
    """A user's session cookie, as a Cookie field has it. Raises ``URLError``."""
    headers = {"Authorization": f"Bearer {token(user)}"}
    request = Request(f"{server.url}/api/session", headers=headers, method="POST")
    request.add_header("Host", "bench")  # the name depends on the port that a browser sees
    with urlopen(request, timeout=PATIENCE) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


@contextmanager
def audiostream(
    folder: Path,
    media: Path,
    state: str = ":memory:",
    *,
    wait_for_scan: bool = True,
    environment: Mapping[str, str] | None = None,
    checkout: Path = ROOT,
) -> Iterator[Server]:
    """The server as a user runs it behind a proxy, with one client's limits raised.

    ``checkout`` is the folder whose ``audiostream`` package is run.
    """
    given = {
        "AUDIOSTREAM_ACCESS_LOG": "0",  # as its yardsticks: none of them logs requests
        "JWT_SECRET": SECRET,
        "AUDIOSTREAM_MEDIA": str(media),
        "AUDIOSTREAM_STATE": state,
        **UNLIMITED,
        **(environment or {}),
    }
    port = _free_port()
    command = [sys.executable, "-m", "audiostream", "--host", "127.0.0.1", "--port", str(port)]
    with _running("audiostream", command, folder, port, given, checkout) as server:
        if wait_for_scan:
            until(lambda: "the library has" in server.log.read_text(), "the scan")
        yield server


@contextmanager
def python(module: str, folder: Path, *arguments: str) -> Iterator[Server]:
    """A yardstick written in Python. Raises ``Missing``."""
    port = _free_port()
    command = [sys.executable, "-m", f"tests.bench.yardsticks.{module}", str(port), *arguments]
    with _running(module, command, folder, port) as server:
        yield server


@contextmanager
def node(folder: Path) -> Iterator[Server]:
    """The Socket.IO server of Node. Raises ``Missing``."""
    program = shutil.which("node")
    if program is None or not (YARDSTICKS / "node_modules" / "socket.io").is_dir():
        raise Missing("no node with socket.io here")
    port = _free_port()
    command = [program, str(YARDSTICKS / "socketio_server.js"), str(port)]
    with _running("node", command, folder, port) as server:
        yield server


def redis_program() -> str | None:
    """Where redis-server is, None where it is not installed."""
    return shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def nginx(folder: Path, media: Path, http: str = "", server: str = "") -> Iterator[Server]:
    """One nginx process that serves a folder, with more directives in the blocks of these names.

    Raises ``Missing``.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Missing("no nginx here")
    port = _free_port()
    settings = folder / "nginx.conf"
    template = Template((YARDSTICKS / "nginx.conf").read_text())
    settings.write_text(
        template.substitute(folder=folder, media=media, port=port, http=http, server=server)
    )
    command = [program, "-p", str(folder), "-c", str(settings), "-e", str(folder / "nginx.error")]
    with _running("nginx", command, folder, port) as running:
        yield running


@contextmanager
def _running(
    name: str,
    command: list[str],
    folder: Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Iterator[Server]:
    log = folder / f"{name}-{port}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**_clean_environment(), **(environment or {})},
            stdout=sink,
            stderr=sink,
            preexec_fn=_pin_to_server_core,
        )
    server = Server(name, process, port, log)
    try:
        until(lambda: _answers(server), name)
        yield server
    finally:
        process.kill()
        process.wait()


def until(is_so: Callable[[], bool], what: str, pause: float = 0.002) -> None:
    """Wait until ``is_so()``. Raises ``TimeoutError``."""
    patience = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > patience:
            raise TimeoutError(f"{what} has not come in {PATIENCE:.0f} s")
        time.sleep(pause)


def _answers(server: Server) -> bool:
    """Whether something answers, be it 404. Raises ``Missing`` where the process has ended."""
    if server.process.poll() is not None:
        log = server.log.read_text()
        if found := re.search(r"ModuleNotFoundError: No module named '(\w+)'", log):
            raise Missing(f"no {found[1]} here")
        raise RuntimeError(f"{server.name} ended at its start:\n{log[-2000:]}")
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return line.recv(5) == b"HTTP/"
    except (URLError, OSError):
        return False


def _pin_to_server_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {SERVER_CORE})


def _clean_environment() -> dict[str, str]:
    ours = ("AUDIOSTREAM_", "JWT_", "CORS_")
    return {name: text for name, text in os.environ.items() if not name.startswith(ours)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
