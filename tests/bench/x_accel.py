"""Bytes that nginx sends by ``X-Accel-Redirect``, beside those that it passes on from the server.

Both are behind an nginx that DEPLOYMENT.md configures. The ratio is that of the server's own
processor time for an answer; nginx's is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.support.nginx import x_accel_directives

from . import servers
from .clients import Load
from .contest import OURS, Contest
from .measure import Row
from .media import first_track, one_track
from .ranges import SIZES, WHOLE, download_turn
from .servers import Server

PASSED_ON = "bytes by way of the server"
CONNECTIONS = 8
"""Half of the documented ``limit_conn``: connections of the turn before may still be closing."""


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """A row for every size."""
    media = one_track(folder)
    with ExitStack() as stack:
        contest = Contest(stack)
        redirects = {"AUDIOSTREAM_X_ACCEL": "/protected/"}
        contest.add(OURS, lambda: _behind_nginx(folder / "redirects", media, redirects))
        contest.add(PASSED_ON, lambda: _behind_nginx(folder / "passes", media, {}))
        if OURS not in contest.servers:
            yield Row("x_accel", "ticket", "answers/s", note="skipped: no nginx here")
            return
        targets = {name: first_track(each)["streamUrl"] for name, each in contest.servers.items()}
        for size, count in {**SIZES, WHOLE: None}.items():

            def turn(name: str, server: Server, count: int | None = count) -> Load:
                return download_turn(server, (targets[name], ""), count, CONNECTIONS)

            loads = contest.loads(turn, rounds)
            costs = [median(load.cost for load in loads[name]) for name in (OURS, PASSED_ON)]
            what = f"by nginx for the server, {size}, {CONNECTIONS} connections"
            row = Row("x_accel", what, "answers/s")
            for found in contest.rows(row, loads, {}, by_cpu_time=True):
                times = f"{costs[0]:.0f} and {costs[1]:.0f} µs of the server's processor"
                yield replace(found, note=f"{times}; {found.note}")


@contextmanager
def _behind_nginx(folder: Path, media: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server that is asked by way of nginx: its port is nginx's. Raises ``Missing``."""
    folder.mkdir()
    given = {"AUDIOSTREAM_TRUSTED_PROXIES": "127.0.0.1", **environment}
    with servers.audiostream(folder, media, environment=given) as ours:
        directives = x_accel_directives(media, ours.port)
        with servers.nginx(folder, media, *directives) as nginx:
            yield replace(ours, port=nginx.port)
