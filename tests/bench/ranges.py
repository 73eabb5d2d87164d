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
CREDENTIALS = ("ticket", "cookie", "Bearer", "public")
"""What a request is authorized by; public: by nothing, where streams are public."""
NGINX_TARGETS = {"64 KiB": Target(0.4), "1 MiB": Target(0.6), WHOLE: Target(0.7)}
FILE_RESPONSE_TARGETS = {"64 KiB": Target(2.5)}


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows for every size, number of connections and credential, against each yardstick here.

    Ratios are by the server's processor time: at these rates the load generator is the limit.
    """
    media = one_track(folder)
    with ExitStack() as stack:
        contest = Contest(stack)
        public = {"AUDIOSTREAM_STREAM_AUTH": "public"}
        contest.add(OURS, lambda: servers.audiostream(folder, media, environment=public))
        contest.add("nginx", lambda: servers.nginx(folder, media))
        contest.add("FileResponse", lambda: servers.python("file_response", folder, str(media)))
        requests = {
            f"{OURS}, {name}": _request(contest.servers[OURS], name) for name in CREDENTIALS
        }
        contest.divide(OURS, requests)
        for size, count in {**SIZES, WHOLE: None}.items():
            targets = {
                "nginx": NGINX_TARGETS.get(size),
                "FileResponse": FILE_RESPONSE_TARGETS.get(size),
            }
            for connections in CONNECTIONS:

                def turn(
                    name: str, server: Server, count: int | None = count, many: int = connections
                ) -> Load:
                    return download_turn(server, requests.get(name, (f"/{AUDIO}", "")), count, many)

                loads = contest.loads(turn, rounds)
                many = f"{connections} connection{'s' if connections > 1 else ''}"
                for ours, credential in zip(requests, CREDENTIALS, strict=True):
                    row = Row("ranges", f"{credential}, {size}, {many}", "answers/s")
                    yield from contest.rows(row, loads, targets, ours=ours, by_cpu_time=True)


def _request(server: Server, credential: str) -> tuple[str, str]:
    """Return the target and the header fields of a request with a credential."""
    track = first_track(server)
    bare = f"/api/tracks/stream/{track['id']}"
    if credential == "ticket":
        return track["streamUrl"], ""
    if credential == "Bearer":
        return bare, f"Authorization: Bearer {servers.token('ada')}\r\n"
    if credential == "cookie":
        return bare, f"Cookie: {servers.session_cookie(server)}\r\n"
    return bare, ""


def costs(folder: Path, rounds: int) -> dict[int, float]:
    """Microseconds of the server's processor for one range of each size, at 32 connections."""
    with servers.audiostream(folder, one_track(folder)) as ours:
        request = _request(ours, "ticket")
        return {
            count: median(download_turn(ours, request, count, 32).cost for _ in range(rounds))
            for count in SIZES.values()
        }


def download_turn(
    server: Server, request: tuple[str, str], count: int | None, connections: int
) -> Load:
    """Ask for ``count`` bytes, or all, on some connections; the request is a path and fields."""
    path, fields = request
    with ExitStack() as stack:
        downloads = [Download.open(server, path, FIRST, count, fields)]
        downloads += [
            downloads[0].another(server, path, FIRST + STEP * (number % 128), count, fields)
            for number in range(1, connections)
        ]
        closing(stack, downloads)
        server.settle()  # letting connections in is no part of an answer
        window = WINDOW if count is not None and count < LARGE else LONG_WINDOW
        return clocked(server, lambda: download(downloads, window))
