"""A redis-server or valkey-server for tests, and a cluster of three of them.

Each runs in a folder of its own, on a free port of 127.0.0.1, and can be stopped, killed, frozen
and started again with or without its data. ``monitor`` collects what clients ask of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.waiting import PATIENCE, until, wait_until

HOST: Final = "127.0.0.1"
SLOTS: Final = 16_384
"""Hash slots of a cluster."""
START_TIMEOUT: Final = 30.0
"""Seconds in which a server answers, and a cluster agrees on who has which slots."""
Program = Literal["redis-server", "valkey-server"]


def program_path(program: Program = "redis-server") -> str:
    """Return where a server's program is; skip the test without it. CI has redis-server."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        assert program != "redis-server" or "CI" not in os.environ, f"CI has to install {program}"
        pytest.skip(f"{program} is not installed")
    return path


@dataclass
class RedisServer:
    """One server, which keeps its port when it is started again.

    ``options`` are more of its settings, as in ``("--maxclients", "5")``.
    """

    folder: Path
    program: str
    appendonly: bool = False
    password: str | None = None
    options: Sequence[str] = ()
    reserved: socket.socket = field(default_factory=lambda: reserved_port())
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def __post_init__(self) -> None:
        self.port = int(self.reserved.getsockname()[1])

    @property
    def url(self) -> str:
        secret = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{secret}{HOST}:{self.port}/0"

    @property
    def log(self) -> str:
        """What all its processes have logged."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start it, and wait until it answers with its data loaded."""
        assert self.process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--bind", HOST, "--port", str(self.port), "--dir", str(self.folder)]
        arguments += ["--logfile", str(self.folder / "log"), "--appendfsync", "everysec"]
        arguments += ["--appendonly", "yes" if self.appendonly else "no", "--daemonize", "no"]
        if self.password:
            arguments += ["--requirepass", self.password]
        self.process = subprocess.Popen([self.program, *arguments, *self.options])
        wait_until(self._is_ready, START_TIMEOUT)

    def stop(self) -> None:
        """End it as an operator does: what it has is written to its folder."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it: without ``appendonly`` all since the last ``stop`` is lost."""
        self._end(signal.SIGKILL)

    def restart(self, keeps_data: bool = True) -> None:
        """Stop it where it runs, and start it with what it had, or empty."""
        self.stop()
        if not keeps_data:
            self.forget()
        self.start()

    def forget(self) -> None:
        """Remove the data of a server that does not run."""
        assert self.process is None
        for path in self.folder.glob("*.rdb"):
            path.unlink()
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """Let it answer nothing, with its connections open, until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it if it runs, and give its port back."""
        self._end(signal.SIGKILL)
        self.reserved.close()

    def ask(self, *command: str) -> str:
        """Return the answer to one command, in the bytes of RESP2: ``+OK\\r\\n``, ``:1\\r\\n``.

        Raises ``OSError`` where it does not answer.
        """
        with closing(socket.create_connection((HOST, self.port), timeout=PATIENCE)) as link:
            if self.password:
                link.sendall(_encoded("AUTH", self.password))
                link.recv(100)
            link.sendall(_encoded(*command) + _encoded("QUIT"))
            answer = b""
            while part := link.recv(1 << 16):
                answer += part
        return answer.decode().removesuffix("+OK\r\n")

    @asynccontextmanager
    async def monitor(self) -> AsyncIterator[Monitor]:
        """Collect what this server is asked in the block, up to its end."""
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=1 << 26)
        monitor = Monitor()
        if self.password:
            writer.write(_encoded("AUTH", self.password))
            await reader.readline()
        writer.write(_encoded("MONITOR"))
        assert await reader.readline() == b"+OK\r\n"
        collecting = asyncio.create_task(monitor.collect(reader))
        try:
            yield monitor
            mark = uuid4().hex
            await asyncio.to_thread(self.ask, "ECHO", mark)
            await until(lambda: any(mark in line for line in monitor.lines))
            monitor.lines = [line for line in monitor.lines if mark not in line]
        finally:
            collecting.cancel()
            with suppress(asyncio.CancelledError):
                await collecting
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return self.ask("PING") == "+PONG\r\n"
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            if number != signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
            self.process.wait(START_TIMEOUT)
            self.process = None


@dataclass
class Monitor:
    """What a server was asked: ``lines`` as MONITOR writes them, without the time."""

    lines: list[str] = field(default_factory=list)

    @property
    def commands(self) -> list[str]:
        """The commands of clients, like ``"GET" "a"``: not what a script runs, nor AUTH or QUIT."""
        asked = [line.partition("] ") for line in self.lines]
        return [
            command
            for source, _, command in asked
            if not source.endswith(" lua") and not command.startswith(('"QUIT"', '"AUTH"'))
        ]

    def count(self, *names: str) -> int:
        """Return how many of the commands have one of some names; of all without a name."""
        wanted = {name.upper() for name in names}
        found = [command.split('"', 2)[1].upper() for command in self.commands]
        return sum(name in wanted for name in found) if wanted else len(found)

    async def collect(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.lines.append(line.decode(errors="replace").strip().partition(" ")[2])


@dataclass
class RedisCluster:
    """Three servers that share the hash slots, without replicas."""

    nodes: list[RedisServer]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def start(self) -> None:
        """Start all, assign the slots, and wait until each node knows of all."""
        for node in self.nodes:
            node.start()
        bounds = [SLOTS * number // len(self.nodes) for number in range(len(self.nodes) + 1)]
        for number, node in enumerate(self.nodes):
            _must(node, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            first, last = bounds[number], bounds[number + 1] - 1
            _must(node, "CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        for node in self.nodes[1:]:
            bus = str(_bus_port(node))
            _must(self.nodes[0], "CLUSTER", "MEET", HOST, str(node.port), bus)
        self.wait_until_complete()

    def wait_until_complete(self) -> None:
        wait_until(self.is_complete, START_TIMEOUT)

    def is_complete(self) -> bool:
        """Whether every node knows who has which slot."""
        answers = [node.ask("CLUSTER", "INFO") for node in self.nodes]
        known = f"cluster_known_nodes:{len(self.nodes)}\r\n"
        assigned = f"cluster_slots_ok:{SLOTS}\r\n"
        return all(
            "cluster_state:ok" in answer and known in answer and assigned in answer
            for answer in answers
        )

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@contextmanager
def running_redis(
    folder: Path,
    *options: str,
    program: Program = "redis-server",
    appendonly: bool = False,
    password: str | None = None,
) -> Iterator[RedisServer]:
    """Run one server in a folder; skip the test where its program is missing."""
    server = RedisServer(folder, program_path(program), appendonly, password, options)
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextmanager
def running_cluster(folder: Path, program: Program = "redis-server") -> Iterator[RedisCluster]:
    """Run a cluster of three nodes in a folder; skip the test where the program is missing."""
    path = program_path(program)
    with (
        closing(reserved_port()) as first,
        closing(reserved_port()) as second,
        closing(reserved_port()) as third,
    ):
        cluster = RedisCluster([])
        for number, bus in enumerate((first, second, third)):
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus.getsockname()[1]))
            node = RedisServer(folder / f"node-{number}", path, options=options)
            cluster.nodes.append(node)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()


def reserved_port() -> socket.socket:
    """A socket that keeps a free port from others; a server that sets SO_REUSEADDR gets it."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, 0))
    return reserved


def _bus_port(node: RedisServer) -> int:
    return int(node.options[node.options.index("--cluster-port") + 1])


def _must(node: RedisServer, *command: str) -> None:
    answer = node.ask(*command)
    assert answer == "+OK\r\n", answer


def _encoded(*command: str) -> bytes:
    """A command in RESP2."""
    parts = [text.encode() for text in command]
    encoded = [b"*%d\r\n" % len(parts)]
    encoded += [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"".join(encoded)
