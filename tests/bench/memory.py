"""What the server takes: memory, the time until it answers, and the time to look at its music."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from . import servers
from .clients import closing, end_gap
from .events import NATIVE
from .measure import Row, Spread, Target
from .media import first_track, many_tracks
from .servers import ROOT, Server, fetch, until

SAMPLES = ROOT / "sample_media"
DEVICES = 1000
TRACKS = 10_000
REST = 0.3
"""Seconds after which what was just allocated for a moment is free again."""
_SCANNED = re.compile(r"the library has (\d+) tracks \(scanned in ([0-9.]+) s\)")


def measure(folder: Path, rounds: int) -> Iterator[Row]:
    """Rows for memory, start and scan."""
    yield from _memory(folder, rounds)
    yield from _scans(folder, rounds)


def start_up(folder: Path) -> float:
    """Seconds from the start of the process to its first answer."""
    began = time.perf_counter()
    with servers.audiostream(folder, SAMPLES, wait_for_scan=False):
        return time.perf_counter() - began


def per_device(folder: Path, media: Path) -> tuple[float, float, float]:
    """Bytes after the start, for each idle device, and for each user who plays on top of it."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.audiostream(folder, media))
        track_id = first_track(server)["id"]
        at_start = _resting(server)
        lines = [NATIVE.connect(server, f"user{number}") for number in range(DEVICES)]
        closing(stack, lines)
        idle = _resting(server)
        for each in lines:
            each.send(NATIVE.play(track_id))
            each.wait_for(1)
        end_gap(lines, NATIVE.round(track_id, 10.0))
        playing = _resting(server)
        return at_start, (idle - at_start) / DEVICES, (playing - idle) / DEVICES


def _memory(folder: Path, rounds: int) -> Iterator[Row]:
    starts = [start_up(folder) for _ in range(rounds)]
    yield Row("start", "first answer", "s", Spread.of(starts), target=Target(0.6, at_least=False))
    figures = [per_device(folder, SAMPLES) for _ in range(min(rounds, 3))]
    at_start, idle, playing = (Spread.of(each) for each in zip(*figures, strict=True))
    few = min(rounds, 3)
    limit = {"MiB": Target(45, at_least=False), "KiB": Target(17, at_least=False)}
    note = f"{few} rounds"
    yield Row(
        "memory", "after the start", "MiB", _in(at_start, 1 << 20), target=limit["MiB"], note=note
    )
    yield Row("memory", "idle device", "KiB", _in(idle, 1 << 10), target=limit["KiB"], note=note)
    yield Row(
        "memory", "user who plays, beside the device", "KiB", _in(playing, 1 << 10), note=note
    )
    with servers.audiostream(folder, many_tracks(folder, TRACKS)) as server:
        per_thousand = (_resting(server) - at_start.median) / (TRACKS / 1000)
    yield Row("memory", "1,000 tracks", "KiB", Spread.of([per_thousand / 1024]))


def _scans(folder: Path, rounds: int) -> Iterator[Row]:
    media, few = many_tracks(folder, TRACKS), min(rounds, 3)
    starts: list[tuple[float, list[float]]] = []
    restarts: list[tuple[float, list[float]]] = []
    for number in range(few):
        state = str(folder / f"scan-{number}.sqlite3")
        starts.append(_start_and_scan(folder, media, state))
        restarts.append(_start_and_scan(folder, media, state))
    note, unit = f"{few} rounds", "files/s"
    first, again, restarted = (
        Spread.of(TRACKS / max(seconds[scan], 0.05) for _, seconds in runs)
        for runs, scan in ((starts, 0), (starts, 1), (restarts, 0))
    )
    yield Row("scan", "10,000 files, never seen before", unit, first, note=note)
    yield Row("scan", "the same by the cache, after a restart", unit, restarted, note=note)
    yield Row("scan", "the same again, nothing changed", unit, again, note=note)
    for what, runs in (("the first start", starts), ("a restart", restarts)):
        complete = Spread.of(seconds for seconds, _ in runs)
        yield Row("scan", f"complete list after {what}", "s", complete, note=note)


def _start_and_scan(folder: Path, media: Path, state: str) -> tuple[float, list[float]]:
    """Seconds from the start to the first complete list, and of its scan and of another."""
    began = time.perf_counter()
    with servers.audiostream(folder, media, state, wait_for_scan=False) as server:
        until(lambda: _is_complete(server), "a complete list", 0.02)
        complete = time.perf_counter() - began
        until(lambda: bool(_scan_times(server)), "the scan")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(_scan_times(server)) > 1, "the second scan")
        server.process.terminate()
        server.process.wait()
        return complete, _scan_times(server)


def scan_seconds(folder: Path, tracks: int) -> float:
    """How long the first scan of so many files takes."""
    with servers.audiostream(folder, many_tracks(folder, tracks)) as server:
        return _scan_times(server)[0]


def _scan_times(server: Server) -> list[float]:
    return [float(found[1]) for found in _SCANNED.findall(server.log.read_text())]


def _is_complete(server: Server) -> bool:
    headers, body = fetch(server, "/api/tracks?limit=1")
    return headers["X-Total-Count"] == str(TRACKS) and bool(json.loads(body)["tracks"])


def _resting(server: Server) -> int:
    server.settle()
    time.sleep(REST)
    return round(median(server.memory() for _ in range(3)))


def _in(spread: Spread, unit: int) -> Spread:
    return Spread(spread.median / unit, spread.low / unit, spread.high / unit)
