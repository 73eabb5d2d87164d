"""``python -m tests.bench [--only ranges,events] [--rounds 5] [--out FOLDER]``.

Measures, prints a table after each part, and writes ``results.json`` and ``results.svg``. The exit
code is 1 where a part could not be measured; a target that is not met is no failure.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from . import (
    capacity,
    cluster_costs,
    costs,
    events,
    growth,
    listeners,
    memory,
    processes,
    ranges,
    report,
    saver,
    x_accel,
)
from .capacity import Answer
from .measure import Row
from .servers import CORES, GENERATOR_CORE, SERVER_CORE

PARTS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "ranges": ranges.measure,
    "x_accel": x_accel.measure,
    "events": events.measure,
    "processes": processes.measure,
    "listeners": listeners.measure,
    "memory": memory.measure,
    "saver": saver.measure,
    "growth": growth.measure,
    "cluster": cluster_costs.measure,
}
CAPACITY = "capacity"
BOXES = 4


def main() -> int:
    """Run the parts, and answer the exit code."""
    options = _options()
    _prepare()
    rows: list[Row] = []
    answers: list[Answer] = []
    failed, began = False, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="audiostream-bench-") as name:
        for part in options.only:
            since = time.monotonic()
            try:
                if part == CAPACITY:
                    answers = _computed(Path(name), options.rounds)
                    text = report.capacity_table(answers)
                else:
                    found = list(PARTS[part](Path(name), options.rounds))
                    rows += found
                    text = report.table(found)
            except Exception:
                traceback.print_exc()
                failed = True
                continue
            print(f"\n{part} ({time.monotonic() - since:.0f} s)\n\n{text}", flush=True)
    print(f"\n{report.verdict(rows)}; {time.monotonic() - began:.0f} s in all")
    if options.out is not None and not failed:
        _write(options.out, rows, answers, options.rounds)
    return int(failed)


def _computed(folder: Path, rounds: int) -> list[Answer]:
    found = costs.measure(folder, rounds)
    return [
        capacity.carried(behaviour, found, box, boxes)
        for behaviour in capacity.BEHAVIOURS
        for box, boxes in ((capacity.CORE, 1), (capacity.BOX, 1), (capacity.BOX, BOXES))
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    everything = [*PARTS, CAPACITY]
    parser.add_argument(
        "--only", type=_parts, default=everything, help=f"of {', '.join(everything)}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of every measurement")
    parser.add_argument("--out", type=Path, help="folder for results.json and results.svg")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    named = text.split(",")
    for part in named:
        if part not in {*PARTS, CAPACITY}:
            raise argparse.ArgumentTypeError(f"there is no part {part!r}")
    return named


def _prepare() -> None:
    """Take the generator's core, and all the files that the system allows."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {GENERATOR_CORE})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are to end with it
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # nothing here is cyclic enough to matter within minutes
    print(_machine(), f"servers on core {SERVER_CORE}, load on core {GENERATOR_CORE}", sep="; ")
    if SERVER_CORE == GENERATOR_CORE:
        print("one core alone: the load takes its time from the servers", file=sys.stderr)


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {len(CORES)} cores, Python " + (
        platform.python_version()
    )


def _write(folder: Path, rows: list[Row], answers: list[Answer], rounds: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    machine = {
        "description": _machine(),
        "measured": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
    }
    content = report.as_json(rows, answers, machine)
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "results.svg").write_text(report.plot(rows, f"ours by theirs; {_machine()}"))


if __name__ == "__main__":
    sys.exit(main())
