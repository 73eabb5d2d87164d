"""The paths that an ``audioUrl`` may mean, and the keys by which inexact names are compared.

Windows, browsers, playlists and programs that encode twice write names in their own ways. Whatever
a name may be decoded to counts, because an entry that gives a file to a user must not leave that
file shared.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import unquote

from .folders import normalize_name
from .search import fold

PathParts: TypeAlias = tuple[str, ...]
"""A path as its folders and its name."""

MAX_DEPTH: Final = 32
"""Parts of a path that are compared, from its end."""
_MAX_DECODINGS: Final = 3
"""How often a name may be encoded: that of a URL in a URL is twice."""
_SLASHES: Final = re.compile(r"[\\/]+")
_ANY_SEPARATORS: Final = re.compile(r"[\\/:?&#=;|]+")
_SUFFIX: Final = re.compile(r"\.\w{2,5}\W*\Z")


def candidate_paths(audio_url: str) -> Iterator[PathParts]:
    """Yield the paths that an ``audioUrl`` may mean.

    ``private\\x.mp3``, ``/private/x.mp3``, ``file:///music/private/x%20y.mp3``,
    ``C:private:x.mp3`` and ``http://host/private/x.mp3?a=b#c`` are all understood.
    """
    for text in _decodings(audio_url):
        for path in {text, text.partition("?")[0], text.partition("#")[0]}:
            yield from _normalize(_SLASHES.split(path))
        for parts in _normalize(_ANY_SEPARATORS.split(text)):
            if _SUFFIX.search(parts[-1]):
                yield parts


def _decodings(audio_url: str) -> set[str]:
    texts = {audio_url}
    for _ in range(_MAX_DECODINGS):
        texts |= {
            decoded
            for text in texts
            for decoded in (
                unquote(text),
                unquote(text, "latin-1"),
                html.unescape(text),
                unicodedata.normalize("NFKC", text),
            )
        }
    return texts


def _normalize(parts: list[str]) -> Iterator[PathParts]:
    """Yield the path without ``.``, ``..`` and blank parts; nothing if none are left."""
    normalized: list[str] = []
    for part in parts:
        if part == "..":
            del normalized[-1:]
        elif part.strip(". "):
            normalized.append(part)
    if normalized:
        yield tuple(normalized[-MAX_DEPTH:])


def is_pattern(parts: PathParts) -> bool:
    """Return whether a path stands for several files. A ``?`` after a suffix begins a query."""
    name, mark, _ = parts[-1].partition("?")
    return "*" in parts[-1] or bool(mark and not _SUFFIX.search(name))


@lru_cache(4096)
def name_key(name: str) -> str:
    """Return the letters and digits of a name, folded: two names with the same may be one."""
    return "".join(filter(str.isalnum, fold(name))) or normalize_name(name)


def path_key(parts: Iterable[str]) -> str:
    """Return the key of a whole path."""
    return "/".join(map(name_key, parts))


def file_keys(name: str) -> tuple[str, str]:
    """Return the keys of a file name, without its suffix and with it."""
    stem = _SUFFIX.sub("", name)
    has_letters = any(map(str.isalnum, stem))
    return name_key(stem), name_key(name) if has_letters else normalize_name(name)


def folder_key(parts: PathParts) -> str:
    """Return the key of the innermost folder that is named without a pattern; "" without one."""
    for folder in reversed(parts[:-1]):
        if not set("*?") & set(folder):
            return name_key(folder)
    return ""
