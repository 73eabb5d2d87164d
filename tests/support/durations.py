"""What a file of given bytes is read to last."""

from __future__ import annotations

from pathlib import Path

from audiostream.library.tags.worker import read_tags


def duration_of(path: Path, content: bytes | None = None) -> float | None:
    """The duration of a file, into which ``content`` is written first."""
    if content is not None:
        path.write_bytes(content)
    return read_tags(str(path)).duration
