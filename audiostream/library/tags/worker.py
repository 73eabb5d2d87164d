"""The worker process that reads tags: ``python -m audiostream.library.tags.worker``.

It reads lines from standard input, each a JSON array of paths, and writes to standard output
``READY`` and then a line for every path: a JSON array of the fields of ``Tags``, or null for a
file that cannot be read now. It exits when its input ends. A file has ``CPU_TIME``, after which
the kernel kills the process, also inside a loop that no Python code could interrupt.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from functools import partial
from typing import BinaryIO, Final, TypeVar, cast

from tinytag import TinyTag

from ..bounded_file import BoundedFile, FileView
from ..formats import detect_format
from . import id3
from .fields import Tags, clean_duration, clean_number, clean_text

READY: Final = b"ready\n"
"""The first line of the output."""
CPU_TIME: Final = 2.0
"""Seconds of processor time for one file, more than the parsers need to reach their own limit."""
MEMORY: Final = 96 * 1024 * 1024
"""Bytes that the process may allocate."""
NICENESS: Final = 5
"""Added to the priority value: a scan must not take the processor from streams."""
_MAX_ID3_TAGS: Final = 8
"""ID3v2 tags in a row at the beginning of a file; some programs add theirs before another's."""
_REPLACEMENT: Final = "\ufffd"
"""The character that tinytag puts where bytes are not in the encoding of the text."""

_T = TypeVar("_T")


def main() -> None:
    """Answer until the input ends."""
    _set_limits()
    _write(READY)
    for line in sys.stdin.buffer:
        for path in json.loads(line):
            signal.setitimer(signal.ITIMER_PROF, CPU_TIME)
            answer = _answer(path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            _write(json.dumps(answer).encode() + b"\n")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _set_limits() -> None:
    # The parent ends the process by closing its input; signals to the group are for the parent.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with suppress(OSError):
        os.nice(NICENESS)
    for limit, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, MEMORY)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))


def _answer(path: str) -> tuple[object, ...] | None:
    try:
        return astuple(read_tags(path))
    except OSError:
        return None
    except Exception:  # whatever is wrong with one file, the others are read
        return astuple(Tags())


def read_tags(path: str) -> Tags:
    """Return the tags of a file; of a damaged one, those that can be read.

    Raises ``OSError`` and ``ReadLimitExceeded``.
    """
    with BoundedFile(path) as file:
        fields, start = _read_id3v2(file)
        kind = detect_format(file.read_at(start, 12))
        others: id3.Fields = {}
        if kind.uses_tinytag:
            others = _fields(partial(_read_tinytag, file, start))
        if kind.read_tags is not None:
            others = others | _fields(partial(kind.read_tags, file, start))
        duration = None
        if kind.read_duration is not None:
            duration = _or_none(partial(kind.read_duration, file, start))
        return _tags_of(others | fields, duration)


def _or_none(read: Callable[[], _T]) -> _T | None:
    """Return one part of what a file holds, None where that part is damaged."""
    try:
        return read()
    except OSError:
        raise
    except Exception:
        return None


def _fields(read: Callable[[], id3.Fields]) -> id3.Fields:
    return _or_none(read) or {}


def _read_id3v2(file: BoundedFile) -> tuple[id3.Fields, int]:
    """Return the fields of the ID3v2 tags that a file begins with, and the offset behind them."""
    fields: id3.Fields = {}
    start = 0
    for _ in range(_MAX_ID3_TAGS):
        length = id3.tag_length(file.read_at(start, id3.HEADER))
        if not length:
            break
        fields = _fields(partial(id3.read_v2, file, start)) | fields
        start += length
    return fields, start


def _read_tinytag(file: BoundedFile, start: int) -> id3.Fields:
    found = TinyTag.get(file_obj=cast(BinaryIO, FileView(file, start)), duration=False)
    album_artists = found.other.get("album artist", [""])
    fields = {
        "title": found.title,
        "artist": found.artist,
        "album": found.album,
        "album_artist": found.albumartist or album_artists[0],
        "disc": found.disc,
        "track_number": found.track,
    }
    return {name: value for name, value in fields.items() if value}


def _tags_of(fields: id3.Fields, duration: float | None) -> Tags:
    return Tags(
        title=_text(fields, "title"),
        artist=_text(fields, "artist"),
        album=_text(fields, "album"),
        duration=clean_duration(duration),
        album_artist=_text(fields, "album_artist"),
        disc=_number(fields, "disc"),
        track_number=_number(fields, "track_number"),
    )


def _text(fields: id3.Fields, name: str) -> str | None:
    value = fields.get(name)
    return clean_text(value) if isinstance(value, str) and _REPLACEMENT not in value else None


def _number(fields: id3.Fields, name: str) -> int | None:
    value = fields.get(name)
    return clean_number(value) if isinstance(value, int) else None


if __name__ == "__main__":
    main()
