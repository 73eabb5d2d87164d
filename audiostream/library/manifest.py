"""``tracks.json``: the tracks that it names, and the files that it keeps from being shared.

An entry with an owner that matches no file withholds all files that it may mean
(``withheld_files``). An ``ownerId`` that cannot be understood counts as an owner. An entry without
an owner shares nothing that its file's place does not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from .folders import USERS, normalize_name, place_of
from .manifest_entry import parse_entry, resolve_file, stated_owner
from .manifest_paths import MAX_DEPTH, candidate_paths
from .tracks import Track
from .withheld_files import UnmatchedEntry, WithheldFiles, withhold

MANIFEST: Final = "tracks.json"

ListPaths: TypeAlias = Callable[[], Iterable[str]]
"""Returns the paths of all files in the media folder, and of all folders with a slash at their end.

It is called only if there is an entry that may mean any of them.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``tracks.json``.

    ``entries`` are tracks without tags. ``claimed`` are the files that only entries make tracks
    of, and ``claimed_names`` their normalized names. ``is_readable`` is False where the file
    cannot be understood as a whole; then no file has a known owner.
    """

    entries: tuple[Track, ...] = ()
    claimed: frozenset[Path] = frozenset()
    claimed_names: frozenset[str] = frozenset()
    withheld: WithheldFiles = field(default_factory=WithheldFiles)
    left_out: tuple[str, ...] = ()
    is_readable: bool = True

    @property
    def shares(self) -> bool:
        """Whether files without an owner are shared at all."""
        return self.is_readable and not self.withheld.everything

    def why_not_shared(self, relative: str) -> str | None:
        """Return why a file outside users' folders that no entry names is not shared, or None."""
        # On some disks both are one file; on others the entry may mean this one, and its owner.
        if normalize_name(relative) in self.claimed_names:
            return f"{MANIFEST} has its name in another spelling; rename it"
        if number := self.withheld.entry_for(relative):
            return _may_mean(number)
        return None


class ManifestFile:
    """The ``tracks.json`` of a media folder, with the last content that could be parsed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._content: list[Any] | None = None

    def read(self, list_paths: ListPaths) -> Manifest:
        """Return the present manifest, or the last one that could be parsed.

        The latter is checked against the present files too.
        """
        notes: tuple[str, ...] = ()
        try:
            self._content = read_entries(self._root)
        except (OSError, ValueError, RecursionError) as error:
            note = f"{MANIFEST} cannot be understood ({type(error).__name__}): mend it and rescan"
            if self._content is None:
                note = f"{note}; until then only files under {USERS}/ are served"
                return Manifest(left_out=(note,), is_readable=False)
            notes = (f"{note}; its last good state stays",)
        return parse(self._root, self._content, list_paths, notes)


def read_entries(root: Path) -> list[Any]:
    """Return the entries of ``tracks.json``, none where there is no such file.

    Raises ``OSError`` and ``ValueError`` where it cannot be understood as a whole.
    """
    if any(name != MANIFEST and normalize_name(name) == MANIFEST for name in os.listdir(root)):
        raise ValueError("its name is spelled otherwise")
    path = root / MANIFEST
    try:
        path.lstat()
    except FileNotFoundError:
        return []
    if not path.is_file():  # a pipe would never end, and a link to nothing is no absent file
        raise ValueError("no regular file")
    content = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_object)
    if not isinstance(content, list):
        raise ValueError("not an array")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a key given twice has a list of both values, which is never valid."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        is_contradiction = key in content and content[key] != value
        content[key] = [content[key], value] if is_contradiction else value
    return content


def parse(
    root: Path, content: list[Any], list_paths: ListPaths, notes: tuple[str, ...] = ()
) -> Manifest:
    """Return the manifest of these entries; ``notes`` come first in its ``left_out``."""
    builder = _ManifestBuilder(root)
    for number, item in enumerate(content, 1):
        builder.add(number, item)
    return builder.build(list_paths, notes)


class _ManifestBuilder:
    """Collects the entries of a manifest one by one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tracks: dict[str, Track] = {}
        self._owners: dict[Path, str | None] = {}
        self._by_name: dict[str, Path] = {}
        self._disputed: set[Path] = set()
        self._unmatched: list[UnmatchedEntry] = []
        self._problems: list[str] = []

    def add(self, number: int, item: Any) -> None:
        path, owner_id = None, stated_owner(item)
        try:
            path = self._canonical(resolve_file(self._root, item))
            self._claim(path, owner_id)
            track = parse_entry(self._root, path, item)
            if track.id in self._tracks:
                raise ValueError("its id is taken by an entry before it")
            self._tracks[track.id] = track
        except ValueError as problem:
            is_matched = path is not None and os.path.isfile(path)
            if is_matched or (owner_id is None and not isinstance(item, str)):
                self._problems.append(f"{MANIFEST}, entry {number}: {problem}")
            else:
                self._unmatched.append(self._unmatched_entry(number, item, path, str(problem)))

    def _canonical(self, path: Path) -> Path:
        """Return the first spelling of a file that two entries spell differently."""
        first = self._by_name.setdefault(normalize_name(str(path)), path)
        return first if _is_same_file(first, path) else path

    def _claim(self, path: Path, owner_id: str | None) -> None:
        """Note a file's owner, also of a refused entry: the owner may be what is wrong."""
        if path in self._owners:
            if owner_id != self._owners[path]:
                self._disputed.add(path)
            raise ValueError("its file is named by an entry before it")
        self._owners[path] = owner_id

    def _unmatched_entry(
        self, number: int, item: Any, path: Path | None, problem: str
    ) -> UnmatchedEntry:
        name = item.get("audioUrl") if isinstance(item, dict) else item
        candidates = set(candidate_paths(name)) if isinstance(name, str) else set()
        is_in_users_folder = False
        if path is not None and path != self._root:  # a link may have led to another name
            relative = path.relative_to(self._root)
            candidates.add(relative.parts[-MAX_DEPTH:])
            is_in_users_folder = bool(place_of(relative.as_posix()).owners)
        return UnmatchedEntry(
            number=number,
            owner_id=stated_owner(item),
            problem=problem,
            candidates=frozenset(candidates),
            is_in_users_folder=is_in_users_folder,
        )

    def build(self, list_paths: ListPaths, notes: tuple[str, ...]) -> Manifest:
        names = {path: path.relative_to(self._root).as_posix() for path in self._owners}
        withheld, sentences = WithheldFiles(), list[str]()
        if self._unmatched:
            owners = {names[path]: owner_id for path, owner_id in self._owners.items()}
            withheld, sentences = withhold(self._unmatched, list_paths(), owners)
        self._problems.extend(
            f"{names[path]!a}: {MANIFEST} names several owners of it"
            for path in sorted(self._disputed)
        )
        entries = [
            track
            for track in self._tracks.values()
            if track.path not in self._disputed
            and not self._is_withheld(track, names[track.path], withheld)
        ]
        return Manifest(
            entries=tuple(entries),
            claimed=frozenset(self._owners),
            claimed_names=frozenset(map(normalize_name, names.values())),
            withheld=withheld,
            left_out=(*notes, *(f"{MANIFEST}, {line}" for line in sentences), *self._problems),
        )

    def _is_withheld(self, track: Track, name: str, withheld: WithheldFiles) -> bool:
        """Return whether another entry may give the file to another user, and report it."""
        if track.owner_id is None:
            number = withheld.entry_for(name)
        else:
            number = withheld.entry_against(name, track.owner_id)
        if number and not withheld.everything:  # that entry has a sentence of its own
            self._problems.append(f"{name!a}: {_may_mean(number)}")
        return bool(number)


def _is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths are one file, as on a disk that ignores case."""
    try:
        return one != other and os.path.samefile(one, other)
    except OSError:
        return False


def _may_mean(number: int) -> str:
    return f"{MANIFEST}, entry {number}, may mean it for someone; mend the entry"
