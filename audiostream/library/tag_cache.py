"""The cache of tags that scans have read, with fingerprints of the files they were read from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from .tags.fields import CONTROL_CHARACTERS, Tags

ScanRow: TypeAlias = tuple[
    str, str, str | None, str | None, str | None, float | None, str | None, int | None, int | None
]
"""A file as it is stored: its path in the media folder, its fingerprint, the fields of ``Tags``."""


class CachedTags(NamedTuple):
    """The tags of a file, and its fingerprint when they were read."""

    fingerprint: str
    tags: Tags


STALE: Final = ""
"""The fingerprint of a file whose present content was not read."""
NO_TAGS: Final = CachedTags(STALE, Tags())

TagCache: TypeAlias = dict[Path, CachedTags]


def fingerprint_of(status: os.stat_result) -> str:
    """Return the fingerprint of a file, which changes with it also if its mtime is restored.

    It is a text because some of these numbers do not fit into the integers of SQLite.
    """
    return f"{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_size:x}.{status.st_ino:x}"


def change_time_of(fingerprint: str) -> int | None:
    """Return when a file was added or last changed, its ctime, in epoch milliseconds.

    A copy may keep the mtime of its original, but not the ctime. None for ``STALE``, and for what
    is no fingerprint.
    """
    try:
        return int(fingerprint.split(".")[1], 16) // 1_000_000
    except (IndexError, ValueError):
        return None


def to_rows(root: Path, cache: TagCache) -> list[ScanRow]:
    """Return the rows of a cache, but for names that cannot be stored as text."""
    return [
        (name, cached.fingerprint, *astuple(cached.tags))
        for path, cached in cache.items()
        if not CONTROL_CHARACTERS.search(name := path.relative_to(root).as_posix())
    ]


def from_rows(root: Path, rows: Iterable[ScanRow]) -> TagCache:
    """Return the cache of these rows. Raises ``ValueError`` for a row that no scan makes."""
    parsed = [(_parse_row(row), row[0]) for row in rows]
    return {root / name: cached for cached, name in parsed}


def _parse_row(row: ScanRow) -> CachedTags:
    name, fingerprint, title, artist, album, duration, album_artist, disc, track_number = row
    tags = Tags(title, artist, album, duration, album_artist, disc, track_number)
    if not (
        isinstance(name, str)
        and os.path.normpath(name) == name
        and not name.startswith("/")
        and ".." not in name.split("/")
        and not CONTROL_CHARACTERS.search(name)
        and isinstance(fingerprint, str)
        and tags.is_valid()
    ):
        raise ValueError("not a row of a scan")
    return CachedTags(fingerprint, tags)
