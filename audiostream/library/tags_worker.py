"""The process that reads tags: ``python -m audiostream.tags_worker``, on behalf of ``tag_reader``.

Here: what a file says of itself, put together, and the bounds of the process. Not here: who asks
and when (``tag_reader``), how tags are kept (``tags``), single formats (``id3``, ``durations``).

It reads lines from standard input, each a JSON array of paths, and answers on standard output a
line for every path: a JSON array of the fields of ``Tags``, or null for a file that cannot be read
now. It ends when its input does. A file is given ``CPU_TIME``, after which the system ends the
process, whatever loop it is in.
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

from . import durations, id3
from .bounded_file import BoundedFile, FileView
from .tags import Tags, cleaned, counted, seconds

READY: Final = b"ready\n"
CPU_TIME: Final = 2.0
"""Seconds of processor time for one file; the parsers give up before."""
MEMORY: Final = 96 * 1024 * 1024
"""Bytes that the process may allocate."""
NICENESS: Final = 5
_TAGS_IN_A_ROW: Final = 8
_UNREADABLE: Final = "\ufffd"
"""Stands where bytes were not text."""

_T = TypeVar("_T")


def main() -> None:
    """Answer until the input ends."""
    _limit()
    os.write(1, READY)
    for line in sys.stdin.buffer:
        for path in json.loads(line):
            signal.setitimer(signal.ITIMER_PROF, CPU_TIME)
            answer = _answer(path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            _write(json.dumps(answer).encode() + b"\n")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _limit() -> None:
    # The parent ends the process by closing its input; signals to the group are the parent's.
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
        return astuple(tags_of(path))
    except OSError:
        return None
    except Exception:  # whatever is wrong with one file, the others go on
        return astuple(Tags())


def tags_of(path: str) -> Tags:
    """What a file says of itself, of a broken one what can be read. Raises OSError, ``TooMuch``."""
    with BoundedFile(path) as file:
        fields, start = _id3(file)
        head = file.at(start, 12)
        if head.startswith(b"fLaC"):
            fields = _tiny(file, start) | fields
            duration = _duration(partial(durations.of_flac, file, start))
        elif head.startswith(b"OggS"):
            fields = _tiny(file, start) | fields
            duration = _duration(partial(durations.of_ogg, file))
        elif head.startswith(b"ftyp", 4):
            fields = _tiny(file, start) | fields
            duration = _duration(partial(durations.of_mp4, file))
        elif head.startswith(b"RIFF") and head.startswith(b"WAVE", 8):
            fields = _tiny(file, start) | _id3_of_wav(file) | fields
            duration = _duration(partial(durations.of_wav, file))
        else:
            fields = id3.read_v1(file) | fields
            duration = _duration(partial(durations.of_mpeg, file, start))
        return _tags(fields, duration)


def _part(read: Callable[[], _T], otherwise: _T) -> _T:
    """One part of what a file says: where it is broken, the others may not be."""
    try:
        return read()
    except OSError:
        raise
    except Exception:
        return otherwise


def _fields(read: Callable[[], id3.Fields]) -> id3.Fields:
    return _part(read, {})


def _duration(read: Callable[[], float | None]) -> float | None:
    return _part(read, None)


def _id3(file: BoundedFile) -> tuple[id3.Fields, int]:
    """The fields of the ID3v2 tags that a file begins with, and where they end."""
    fields: id3.Fields = {}
    start = 0
    for _ in range(_TAGS_IN_A_ROW):
        length = id3.tag_length(file.at(start, id3.HEADER))
        if not length:
            break
        fields = _fields(partial(id3.read_v2, file, start)) | fields
        start += length
    return fields, start


def _id3_of_wav(file: BoundedFile) -> id3.Fields:
    def read() -> id3.Fields:
        for chunk in durations.chunks(file):
            if chunk.name.lower() == b"id3 ":
                return id3.read_v2(file, chunk.begin)
        return {}

    return _fields(read)


def _tiny(file: BoundedFile, start: int) -> id3.Fields:
    return _fields(partial(_read_tiny, file, start))


def _read_tiny(file: BoundedFile, start: int) -> id3.Fields:
    found = TinyTag.get(file_obj=cast(BinaryIO, FileView(file, start)), duration=False)
    others = found.other.get("album artist", [""])
    fields = {
        "title": found.title,
        "artist": found.artist,
        "album": found.album,
        "album_artist": found.albumartist or others[0],
        "disc": found.disc,
        "track_number": found.track,
    }
    return {name: value for name, value in fields.items() if value}


def _tags(fields: id3.Fields, duration: float | None) -> Tags:
    return Tags(
        title=_text(fields, "title"),
        artist=_text(fields, "artist"),
        album=_text(fields, "album"),
        duration=seconds(duration),
        album_artist=_text(fields, "album_artist"),
        disc=_number(fields, "disc"),
        track_number=_number(fields, "track_number"),
    )


def _text(fields: id3.Fields, name: str) -> str | None:
    value = fields.get(name)
    return cleaned(value) if isinstance(value, str) and _UNREADABLE not in value else None


def _number(fields: id3.Fields, name: str) -> int | None:
    value = fields.get(name)
    return counted(value) if isinstance(value, int) else None


if __name__ == "__main__":
    main()
