"""``tracks.json``: which files it names and gives to whom, and what it may mean where it is wrong.

Here: reading it, its entries, and the files that nobody may play because an entry that gives a
file to someone cannot be matched to one. Not here: looking for audio files and making tracks of
them (``library``), what a file's place says (``folders``).

An entry with an owner whose ``audioUrl`` is no file of the media folder shares nothing of what it
may mean. That is, after decoding (percent signs, backslashes, URLs, case, Unicode, see
``_readings``):

1. every file of that name, wherever it lies and whatever its suffix;
2. every folder of that name, with all below it, since ``private/`` is a folder;
3. every folder that the entry names as the file's, with all below it, unless it has a file of 1;
   for a pattern such as ``private/*.mp3`` in any case;
4. where there is none of these, or no name to be had: everything that is not in a user's folder.

What lies in a user's folder stays that user's. An ``ownerId`` that cannot be understood counts as
one. An entry without owner gives nothing away that its file's place does not.
"""

from __future__ import annotations

import html
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .folders import place_of, spelling
from .search import fold
from .tags import CONTROLS, seconds

MANIFEST = "tracks.json"
MAX_ID_LENGTH = 128
_OWNER_KEYS = frozenset({"owner", "owners", "ownerid", "ownerids", "user", "userid"})
"""What people write for ``ownerId``, in letters alone: an entry with one of these has an owner."""
_NOTHING_SHARED = "nothing is shared, as nobody can tell what it means"
_SOME_SHARED = "what it may mean is nobody's"
_MAX_DECODED = 3
"""How often a name may be encoded: a URL in a URL is so twice."""
_MAX_DEPTH = 32
"""Folders of an ``audioUrl`` that are looked at, from its end."""
_SLASHES = re.compile(r"[\\/]+")
_ANY_SEPARATORS = re.compile(r"[\\/:?&#=;|]+")
_SUFFIX = re.compile(r"\.\w{2,5}\W*\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that ``tracks.json`` names, with what it says of it. ``path`` is as a track's."""

    id: str
    path: Path
    title: str = ""
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class Doubts:
    """What the entries may mean that give a file to someone and cannot be matched to one.

    Files by the keys of their names, folders by those of theirs, whole paths by theirs, each with
    the number of the entry; for a path also its owner. ``everything`` is the entry that may mean
    any file, 0 if there is none.
    """

    files: Mapping[str, int] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    paths: Mapping[str, tuple[int, str | None]] = field(default_factory=dict)
    everything: int = 0

    def entry_for(self, relative: str) -> int:
        """The number of an entry that may mean this file, 0 if there is none."""
        if self.everything or not (self.files or self.folders):
            return self.everything
        *folders, name = relative.split("/")
        found = (self.files.get(key, 0) for key in _keys_of_file(name))
        return next(filter(None, found), 0) or next(
            filter(None, (self.folders.get(_key(folder), 0) for folder in folders)), 0
        )

    def entry_against(self, relative: str, owner_id: str) -> int:
        """The number of an entry that gives this very file to another owner, 0 if there is none."""
        number, other = self.paths.get(_path_key(relative.split("/")), (0, owner_id))
        return number if other != owner_id else 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``tracks.json`` says. ``claimed``: files that are no tracks but by an entry of it.

    ``spellings`` are their names as ``folders.spelling`` gives them. ``is_readable`` is False where
    it cannot be understood; then nobody knows whose files are.
    """

    entries: tuple[Entry, ...] = ()
    claimed: frozenset[Path] = frozenset()
    spellings: frozenset[str] = frozenset()
    doubts: Doubts = field(default_factory=Doubts)
    left_out: tuple[str, ...] = ()
    is_readable: bool = True

    @property
    def shares(self) -> bool:
        """Whether files without an owner are shared at all."""
        return self.is_readable and not self.doubts.everything

    def why_not_shared(self, relative: str) -> str | None:
        """Why a file that no entry names and no user's folder holds is not shared, or None."""
        # On some disks both are one file; on others the entry may mean this one, and its owner.
        if spelling(relative) in self.spellings:
            return f"{MANIFEST} has its name in another spelling; rename it"
        if number := self.doubts.entry_for(relative):
            return _may_mean(number)
        return None


@dataclass(slots=True)
class _Doubt:
    """An entry that gives a file to someone and cannot be matched to one.

    ``readings`` are the paths that it may name, each as its parts. ``owner_id`` is as it is
    written, None in an entry that is only a name. ``is_private``: its file would be a user's by
    its place. ``means`` says what it comes to.
    """

    number: int
    owner_id: str | None
    problem: str
    readings: frozenset[tuple[str, ...]]
    is_private: bool
    means: str = ""


def read_entries(root: Path) -> list[Any]:
    """The entries of ``tracks.json``; none where there is no such file.

    Raises OSError and ValueError where it cannot be understood as a whole.
    """
    if any(name != MANIFEST and spelling(name) == MANIFEST for name in os.listdir(root)):
        raise ValueError("its name is spelled otherwise")
    path = root / MANIFEST
    try:
        path.lstat()
    except FileNotFoundError:
        return []
    if not path.is_file():  # a pipe would never end, a link to nothing is no absent file
        raise ValueError("no regular file")
    content = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_object)
    if not isinstance(content, list):
        raise ValueError("not an array")
    return content


def parse(
    root: Path,
    content: list[Any],
    all_files: Callable[[], Iterable[str]],
    left_out: tuple[str, ...] = (),
) -> Manifest:
    """What the entries come to, after what was ``left_out`` before.

    ``all_files`` gives the paths of all files in the media folder, tracks or not, and of all
    folders, with a slash at their end. It is called where an entry may mean any of them.
    """
    entries: dict[str, Entry] = {}
    owners: dict[Path, str | None] = {}
    spelled: dict[str, Path] = {}
    problems, disputed, doubted = [], set(), []
    for number, item in enumerate(content, 1):
        path, owner_id = None, _said_owner(item)
        try:
            path = _file_of(root, item)
            first = spelled.setdefault(spelling(str(path)), path)
            path = first if _is_one_file(first, path) else path
            if path in owners:
                if owner_id != owners[path]:
                    disputed.add(path)
                raise ValueError("its file is named by an entry before it")
            owners[path] = owner_id  # also of a refused entry: its owner may be what is wrong
            entry = _parse_entry(root, path, item)
            if entry.id in entries:
                raise ValueError("its id is taken by an entry before it")
            entries[entry.id] = entry
        except ValueError as problem:
            is_a_file = path is not None and os.path.isfile(path)
            if not is_a_file and (owner_id is not None or isinstance(item, str)):
                doubted.append(_doubt(root, path, item, number, str(problem)))
            else:
                problems.append(f"{MANIFEST}, entry {number}: {problem}")
    names = {path: path.relative_to(root).as_posix() for path in owners}
    said = {names[path]: owner_id for path, owner_id in owners.items()}
    doubts = _resolved(doubted, all_files(), said) if doubted else Doubts()
    problems.extend(
        f"{names[path]!a}: {MANIFEST} names several owners of it" for path in sorted(disputed)
    )
    kept = []
    for entry in entries.values():
        if entry.path not in disputed:
            name = names[entry.path]
            if entry.owner_id is None:
                against = doubts.entry_for(name)
            else:
                against = doubts.entry_against(name, entry.owner_id)
            if not against:
                kept.append(entry)
            elif not doubts.everything:
                problems.append(f"{name!a}: {_may_mean(against)}")
    return Manifest(
        tuple(kept),
        frozenset(owners),
        frozenset(map(spelling, names.values())),
        doubts,
        (*left_out, *map(_sentence, sorted(doubted, key=_widest_first)), *problems),
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name given twice has both values, which nothing understands."""
    content: dict[str, Any] = {}
    for name, value in pairs:
        is_said_otherwise = name in content and content[name] != value
        content[name] = [content[name], value] if is_said_otherwise else value
    return content


def _may_mean(number: int) -> str:
    return f"{MANIFEST}, entry {number}, may mean it for someone; mend the entry"


def _sentence(doubt: _Doubt) -> str:
    return f"{MANIFEST}, entry {doubt.number}: {doubt.problem}; until it is mended {doubt.means}"


def _widest_first(doubt: _Doubt) -> bool:
    return doubt.means != _NOTHING_SHARED


def _said_owner(item: Any) -> str | None:
    """The owner that an entry names; empty for one that cannot be understood, None for none.

    Also under a name that is nearly ``ownerId``, and inside another value: a slip in the name
    makes nothing shared.
    """
    if isinstance(item, dict) and isinstance(item.get("ownerId"), str):
        return str(item["ownerId"])
    waiting = [item]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if any(said is not None and _key(name) in _OWNER_KEYS for name, said in value.items()):
                return ""
            waiting.extend(value.values())
    return None


def _file_of(root: Path, item: Any) -> Path:
    """The file that an entry names, without links. Raises ValueError outside the folder."""
    if not isinstance(item, dict):
        raise ValueError("it is no object")
    audio_url = item.get("audioUrl")
    if not isinstance(audio_url, str) or not audio_url or "\0" in audio_url:
        raise ValueError('"audioUrl" must be a path relative to the media folder')
    try:
        path = Path(os.path.realpath(root / audio_url))
    except (OSError, ValueError):
        raise ValueError('"audioUrl" is no path') from None
    if not path.is_relative_to(root):
        raise ValueError('"audioUrl" points outside the media folder')
    return path


def _is_one_file(one: Path, other: Path) -> bool:
    """Whether two spellings of a name are one file, as on a disk that knows no case."""
    try:
        return one != other and os.path.samefile(one, other)
    except OSError:
        return False


def _parse_entry(root: Path, path: Path, item: Mapping[str, Any]) -> Entry:
    if os.path.isabs(item["audioUrl"]):
        raise ValueError('"audioUrl" must be a path relative to the media folder')
    if not os.path.isfile(path):
        raise ValueError('"audioUrl" names no regular file')
    track_id = _text(item, "id")
    if track_id is None or "/" in track_id:
        raise ValueError(
            f'"id" must be 1 to {MAX_ID_LENGTH} characters, no control characters, no "/"'
        )
    duration = item.get("duration")
    if duration is not None and (
        isinstance(duration, bool)
        or not isinstance(duration, int | float)
        or seconds(duration) is None
    ):
        raise ValueError('"duration" must be a positive number of seconds')
    return Entry(
        id=track_id,
        path=path,
        title=_text(item, "title") or "",
        artist=_text(item, "artist"),
        album=_text(item, "album"),
        duration=seconds(duration),
        owner_id=_owner_of(path.relative_to(root).as_posix(), item),
    )


def _owner_of(relative: str, item: Mapping[str, Any]) -> str | None:
    """Whose an entry's file is: the user's whose folder holds it, or whom the entry names."""
    owner_id = _text(item, "ownerId")
    if owner_id is None and _said_owner(item) is not None:
        raise ValueError('its owner must be named by "ownerId"')
    place = place_of(relative)
    if place.no_library:
        raise ValueError(f"its file lies in {place.no_library}")
    if len(place.owners) > 1:
        raise ValueError("its file lies in the folders of several users")
    if owner_id is not None and not place.owners <= {owner_id}:
        raise ValueError("its file lies in another user's folder")
    return owner_id or next(iter(place.owners), None)


def _text(item: Mapping[str, Any], name: str) -> str | None:
    text = item.get(name)
    if text is None:
        return None
    limit = MAX_ID_LENGTH if name in {"id", "ownerId"} else 1024
    if not isinstance(text, str) or not 0 < len(text) <= limit or CONTROLS.search(text):
        raise ValueError(f'"{name}" must be 1 to {limit} characters, no control characters')
    return text


def _doubt(root: Path, path: Path | None, item: Any, number: int, problem: str) -> _Doubt:
    named = item.get("audioUrl") if isinstance(item, dict) else item
    readings = set(_readings(named)) if isinstance(named, str) else set()
    is_private = False
    if path is not None and path != root:  # it may lead through a link, to another name
        relative = path.relative_to(root)
        readings.add(relative.parts[-_MAX_DEPTH:])
        is_private = bool(place_of(relative.as_posix()).owners)
    return _Doubt(number, _said_owner(item), problem, frozenset(readings), is_private)


def _readings(audio_url: str) -> Iterator[tuple[str, ...]]:
    """A name as Windows, a browser, a playlist or a program that encodes twice may write it.

    ``private\\x.mp3``, ``/private/x.mp3``, ``file:///music/private/x%20y.mp3``, ``C:private:x.mp3``
    and ``http://host/private/x.mp3?a=b#c`` are all read.
    """
    for text in _decoded(audio_url):
        for cut in {text, text.partition("?")[0], text.partition("#")[0]}:
            yield from _parts(_SLASHES.split(cut))
        for parts in _parts(_ANY_SEPARATORS.split(text)):
            if _SUFFIX.search(parts[-1]):
                yield parts


def _decoded(audio_url: str) -> set[str]:
    texts = {audio_url}
    for _ in range(_MAX_DECODED):
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


def _parts(split: list[str]) -> Iterator[tuple[str, ...]]:
    parts: list[str] = []
    for part in split:
        if part == "..":
            del parts[-1:]
        elif part.strip(". "):
            parts.append(part)
    if parts:
        yield tuple(parts[-_MAX_DEPTH:])


def _resolved(
    doubted: list[_Doubt], all_files: Iterable[str], said: Mapping[str, str | None]
) -> Doubts:
    """What the entries may mean among ``all_files``, by the rules above.

    ``said`` has the owners of the files that entries name as they are.
    """
    there = _There(all_files, said)
    files: dict[str, int] = {}
    folders: dict[str, int] = {}
    paths: dict[str, tuple[int, str | None]] = {}
    everything = 0
    for doubt in doubted:
        names, inside, above, is_clear = there.meant_by(doubt)
        files.update(dict.fromkeys(names, doubt.number))
        folders.update(dict.fromkeys(inside | above, doubt.number))
        doubt.means = _SOME_SHARED if is_clear else _NOTHING_SHARED
        if not is_clear:
            everything = everything or doubt.number
        for parts in doubt.readings if doubt.owner_id is not None else ():
            for start in range(len(parts)):
                paths.setdefault(_path_key(parts[start:]), (doubt.number, doubt.owner_id))
    return Doubts(files, folders, paths, everything)


class _There:
    """The names of the files and folders that are there, by their keys.

    ``all_files`` are paths in the media folder; those of folders end in a slash.
    """

    def __init__(self, all_files: Iterable[str], said: Mapping[str, str | None]) -> None:
        self._folders: set[str] = set()
        self._files: dict[str, set[tuple[str, str | None]]] = {}
        for relative in all_files:
            *above, name = relative.split("/")
            keys = [_key(folder) for folder in above]
            self._folders.update(keys)
            owner = next(iter(place_of(relative).owners), None) or said.get(relative)
            held = (keys[-1] if keys else "", owner)
            for key in _keys_of_file(name) if name else ():
                self._files.setdefault(key, set()).add(held)

    def meant_by(self, doubt: _Doubt) -> tuple[set[str], set[str], set[str], bool]:
        """The keys of files, of folders and of folders of the file that an entry may mean.

        And whether that is all that it may mean. Somebody else's files are not what it means.
        """
        names = {key for parts in doubt.readings for key in _keys_of_file(parts[-1])}
        holders = {
            folder
            for name in names
            for folder, owner in self._files.get(name, ())
            if owner in {None, doubt.owner_id}
        }
        inside = {_key(parts[-1]) for parts in doubt.readings} & self._folders
        above = {
            key
            for parts in doubt.readings
            if (key := _folder_key(parts)) in self._folders
            and (_is_pattern(parts) or key not in holders)
        }
        is_clear = not any(
            _is_pattern(parts) and _folder_key(parts) not in self._folders
            for parts in doubt.readings
        ) and bool(holders or inside or above or doubt.is_private or doubt.owner_id is None)
        return names, inside, above, is_clear


def _is_pattern(parts: tuple[str, ...]) -> bool:
    """Whether a path stands for several files. A ``?`` after a suffix begins a URL's query."""
    name, mark, _ = parts[-1].partition("?")
    return "*" in parts[-1] or bool(mark and not _SUFFIX.search(name))


def _folder_key(parts: tuple[str, ...]) -> str:
    """The key of the innermost folder that a path names; empty where it names none."""
    for folder in reversed(parts[:-1]):
        if not set("*?") & set(folder):
            return _key(folder)
    return ""


def _keys_of_file(name: str) -> tuple[str, str]:
    """The keys of a file's name, without its suffix and with it."""
    stem = _SUFFIX.sub("", name)
    is_named = any(map(str.isalnum, stem))
    return _key(stem), _key(name) if is_named else spelling(name)


def _path_key(parts: Iterable[str]) -> str:
    return "/".join(map(_key, parts))


@lru_cache(4096)
def _key(name: str) -> str:
    """A name in letters and numbers alone, by which two that may be one are compared."""
    return "".join(filter(str.isalnum, fold(name))) or spelling(name)
