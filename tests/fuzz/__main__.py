"""``python -m tests.fuzz TARGET --seconds N [INPUT ...]``: run one target by atheris."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fuzz until the time is up; exit code 0 where nothing was found."""
    import atheris  # type: ignore[import-untyped]  # optional, and without types

    with atheris.instrument_imports(include=["audiostream", "json"]):
        from .targets import SEEDS, TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("inputs", nargs="*", help="files to play again, instead of new inputs")
    options = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[options.target]):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        where = options.inputs or [corpus]
        arguments = [sys.argv[0], f"-max_total_time={options.seconds}", "-max_len=4096", *where]
        atheris.Setup(arguments, TARGETS[options.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
