"""nginx in front of a server, configured by DEPLOYMENT.md."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.waiting import PATIENCE, wait_until

DEPLOYMENT = (ROOT / "audiostream/DEPLOYMENT.md").read_text()


def proxy_map() -> str:
    """The documented ``map`` for the ``http`` block of every proxy."""
    found = re.search(r"`(map \$http_upgrade .*?\})`", DEPLOYMENT)
    assert found
    return found[1]


def nginx_blocks(heading: str) -> list[str]:
    """The blocks of nginx's configuration in one chapter of DEPLOYMENT.md."""
    _, found, chapter = DEPLOYMENT.partition(f"\n## {heading}\n")
    assert found
    return re.findall(r"```nginx\n(.*?)```", chapter.partition("\n## ")[0], re.DOTALL)


def proxy_location(server_url: str) -> str:
    """The documented ``location`` that forwards requests, to this server."""
    [location] = nginx_blocks("systemd and nginx")
    return location.replace("http://127.0.0.1:3000", server_url)


def x_accel_directives(media: Path, port: int) -> tuple[str, str]:
    """The documented ``http`` and ``server`` directives of an nginx that sends a folder's bytes."""
    http, protected = nginx_blocks("nginx sends the bytes")
    upstream = http.replace("127.0.0.1:3000", f"127.0.0.1:{port}")
    location = proxy_location("http://audiostream")
    return proxy_map() + upstream, location + protected.replace("/srv/music", str(media))


@contextmanager
def running_nginx(folder: Path, http: str, server: str) -> Iterator[str]:
    """Run nginx with these directives in its ``http`` and ``server`` blocks; yield its URL.

    It runs as the user of the tests, who alone can read their folders, and writes to ``folder``.
    Skips the test where nginx is not installed, except in CI.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        assert "CI" not in os.environ, "CI has to install nginx"
        pytest.skip("nginx is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log {folder}/access.log; {temporary}\n{http}\n"
        f"server {{ listen 127.0.0.1:{port};\n{server}\n}} }}"
    )
    with (folder / "nginx.log").open("w") as log:
        command = [program, "-c", f"{folder}/nginx.conf", "-e", "stderr"]
        process = subprocess.Popen(command, stderr=log)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
