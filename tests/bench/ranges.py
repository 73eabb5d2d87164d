"""Range requests: how many a second, beside nginx and aiohttp's own ``FileResponse``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from . import servers
from .clients import Download, Load, clocked, closing, download
from .contest import OURS, Contest
from .measure import Row, Target
from .media import AUDIO, first_track, one_track
from .servers import Server

SIZES = {"16 KiB": 16 << 10, "64 KiB": 64 << 10, "256 KiB": 256 << 10, "1 MiB": 1 << 20}
WHOLE = "whole file of 5 MiB"
CONNECTIONS = (1, 32, 256)
WINDOW, LONG_WINDOW = 0.15, 0.5
"""Seconds of one turn; the long one where an answer is so large that in the other each connection
has hardly more than its first."""
LARGE = 1 << 20
"""Bytes from which on the long one is needed."""
FIRST = 1_000_000
STEP = 12_345
"""Where ranges begin: all have seven digits, so that all answers are equally long."""
TARGETS = {
    "64 KiB": {"nginx": Target(0.35), "FileResponse": Target(2.5)},
    "1 MiB": {"nginx": Target(1.0)},
    WHOLE: {"nginx": Target(1.0)},
}


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows for every size and number of connections, against each yardstick that is here."""
    media = one_track(folder)
    with ExitStack() as stack:
        contest = Contest(stack)
        contest.add(OURS, lambda: servers.audiostream(folder, media))
        contest.add("nginx", lambda: servers.nginx(folder, media))
        contest.add("FileResponse", lambda: servers.python("file_response", folder, str(media)))
        path: str = first_track(contest.servers[OURS])["streamUrl"]
        for size, count in {**SIZES, WHOLE: None}.items():
            for connections in CONNECTIONS:

                def turn(
                    name: str, server: Server, count: int | None = count, many: int = connections
                ) -> Load:
                    return _turn(server, path if name == OURS else f"/{AUDIO}", count, many)

                what = f"{size}, {connections} connection{'s' if connections > 1 else ''}"
                loads = contest.loads(turn, rounds)
                bare = Row("ranges", what, "answers/s")
                yield from contest.rows(bare, loads, TARGETS.get(size, {}))


def costs(folder: Path, rounds: int) -> dict[int, float]:
    """Microseconds of the server's processor for one range of each size, at 32 connections."""
    with servers.audiostream(folder, one_track(folder)) as ours:
        path = first_track(ours)["streamUrl"]
        return {
            count: median(_turn(ours, path, count, 32).cost for _ in range(rounds))
            for count in SIZES.values()
        }


def _turn(server: Server, path: str, count: int | None, connections: int) -> Load:
    with ExitStack() as stack:
        downloads = [Download.open(server, path, FIRST, count)]
        downloads += [
            downloads[0].another(server, path, FIRST + STEP * (number % 128), count)
            for number in range(1, connections)
        ]
        closing(stack, downloads)
        server.settle()  # letting connections in is no part of an answer
        window = WINDOW if count is not None and count < LARGE else LONG_WINDOW
        return clocked(server, lambda: download(downloads, window))
