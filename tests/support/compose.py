"""The services of ``compose.yaml`` as processes of this machine, where there is no Docker.

Command lines, environments and ``nginx.conf`` are those of the files; addresses, ports and paths
of containers are replaced by free ports of 127.0.0.1 and folders of the test.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.redis_server import HOST, RedisServer, program_path, reserved_port
from tests.support.server_process import SECRET, ServerProcess
from tests.support.waiting import wait_until

PROCESSES: Final = ("audiostream-1", "audiostream-2", "audiostream-3")
"""Names of services."""
START_TIMEOUT: Final = 30.0
"""Seconds."""


@cache
def services() -> dict[str, dict[str, Any]]:
    """Return the services of ``compose.yaml`` by name."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    found: dict[str, dict[str, Any]] = content["services"]
    return found


def instruction(name: str) -> str:
    """Return the arguments of an instruction of ``Dockerfile``, of the last one of its name."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found: list[str] = re.findall(rf"^{name} (.*)$", text, re.MULTILINE)
    return found[-1].strip()


def environment(service: str, **variables: str) -> dict[str, str]:
    """Return what a process is started with: of the image, and of its service.

    ``variables`` are those of the shell that runs ``docker compose``.
    """
    image = dict(each.split("=", 1) for each in shlex.split(instruction("ENV")))
    given: Mapping[str, str] = services()[service]["environment"]
    return image | {name: _interpolated(text, variables) for name, text in given.items()}


def _interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``${NAME:?message}``, and ``${NAME:-default}``."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if name not in variables and kind == "?":
            raise LookupError(f"{name}: {rest}")
        return variables.get(name, rest)

    return re.sub(r"\$\{(\w+):([?-])([^}]*)\}", value, text)


@dataclass
class Site:
    """nginx at ``port``, the processes behind it, and their Redis."""

    folder: Path
    media: Path
    redis: RedisServer
    port: int
    ports: Mapping[str, int]
    servers: dict[str, ServerProcess] = field(default_factory=dict)
    ended: list[ServerProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self, *names: str) -> None:
        """Start processes, and wait until they listen and have scanned."""
        for name in names:
            self.servers[name] = self._launch(name)
        for name in names:
            self.servers[name].wait_for_start()
            self.servers[name].wait_for_log("the library has")

    def stop(self, name: str) -> int:
        """Stop a process as ``docker compose stop`` does; return its exit code."""
        server = self.servers.pop(name)
        self.ended.append(server)
        return server.stop()

    def places(self, device: str) -> list[str]:
        """Return the processes to which a device has connected, the running ones alone."""
        line = f" device={device} "
        return [
            name
            for name, server in self.servers.items()
            if any("connected " in each and line in each for each in server.log)
        ]

    def close(self) -> None:
        """Kill all processes. None may have logged a traceback."""
        servers = (*self.ended, *self.servers.values())
        for server in servers:
            server.close()
        for server in servers:
            assert not [line for line in server.log if "Traceback" in line], "".join(server.log)

    def nginx_configuration(self) -> str:
        """Return ``nginx.conf`` with the addresses of this site."""
        text = (ROOT / "nginx.conf").read_text()
        for name, port in self.ports.items():
            address = services()[name]["networks"]["default"]["ipv4_address"]
            assert f"{address}:3000" in text
            text = text.replace(f"{address}:3000", f"{HOST}:{port}")
        temporary = "".join(
            f"{name}_temp_path {self.folder}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = text.replace("http {", f"http {{ {temporary}", 1)
        text = text.replace("/dev/stdout", f"{self.folder}/access.log")
        text = text.replace("worker_processes auto;", "worker_processes 2;")
        return text.replace("listen 3000;", f"listen {HOST}:{self.port};")

    def _launch(self, name: str) -> ServerProcess:
        environ = environment(name, JWT_SECRET=SECRET)
        assert environ["AUDIOSTREAM_REDIS"] == "redis://redis:6379/0"
        assert environ["AUDIOSTREAM_MEDIA"] == "/media"
        environ |= {
            "AUDIOSTREAM_REDIS": self.redis.url,
            "AUDIOSTREAM_MEDIA": str(self.media),
            "AUDIOSTREAM_STATE": str(self.folder / name / "state.sqlite3"),
            "AUDIOSTREAM_TRUSTED_PROXIES": HOST,  # nginx's here
            "AUDIOSTREAM_HOST": HOST,
            "AUDIOSTREAM_PORT": str(self.ports[name]),
            "PYTHONWARNINGS": "",  # as in the image
        }
        program, *command = json.loads(instruction("ENTRYPOINT"))
        assert program == "python"
        return ServerProcess.start(self.media, environ=environ, command=command)


@contextmanager
def running_site(folder: Path, media: Path) -> Iterator[Site]:
    """Run all services; skip the test where redis-server or nginx is missing."""
    nginx = _nginx_path()
    program, *options = shlex.split(services()["redis"]["command"])
    assert program == "redis-server"
    with ExitStack() as stack:
        redis = RedisServer(folder / "redis", program_path(), options=options)
        stack.callback(redis.close)
        redis.start()
        reserved = [stack.enter_context(reserved_port()) for _ in range(4)]
        front, *ports = [int(each.getsockname()[1]) for each in reserved]
        site = Site(folder, media, redis, front, dict(zip(PROCESSES, ports, strict=True)))
        stack.callback(site.close)
        stack.callback(_started_nginx(nginx, folder, site.nginx_configuration()))
        site.start(*PROCESSES)
        yield site


def _nginx_path() -> str:
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        assert "CI" not in os.environ, "CI has to install nginx"
        pytest.skip("nginx is not installed")
    return path


def _started_nginx(program: str, folder: Path, configuration: str) -> Callable[[], None]:
    """Start nginx, before the processes run; return what stops it."""
    (folder / "nginx.conf").write_text(configuration)
    log = (folder / "nginx.log").open("w")
    main = f"daemon off; pid {folder}/nginx.pid; error_log stderr;"
    process = subprocess.Popen(
        [program, "-c", f"{folder}/nginx.conf", "-e", "stderr", "-g", main], stderr=log
    )

    def stop() -> None:
        process.terminate()
        process.wait(START_TIMEOUT)
        log.close()

    try:
        wait_until((folder / "nginx.pid").exists, START_TIMEOUT)
    except AssertionError:
        stop()
        raise AssertionError((folder / "nginx.log").read_text()) from None
    return stop
