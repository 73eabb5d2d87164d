"""The files that are withheld from all users because an entry may give them to one.

An entry with an owner whose ``audioUrl`` is no file of the media folder shares nothing that it may
mean. After decoding (percent signs, backslashes, URLs, case, Unicode, see ``manifest_paths``) that
is:

1. every file of that name, in any folder and with any suffix;
2. every folder of that name, with all below it, since ``private/`` is a folder;
3. every folder that the entry names as the file's, with all below it, unless a file of 1 is in it;
   for a pattern such as ``private/*.mp3`` in any case;
4. where there is none of these, or no name at all: everything that is not in a user's folder.

What is in a user's folder stays that user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .folders import place_of
from .manifest_paths import PathParts, file_keys, folder_key, is_pattern, name_key, path_key


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedEntry:
    """An entry that gives a file to a user, or is only a name, and matches no file.

    ``owner_id`` is as it is written, None in an entry that is only a name. ``candidates`` are the
    paths that the entry may mean. ``is_in_users_folder`` is whether the file that it names would
    be a user's by its place.
    """

    number: int
    owner_id: str | None
    problem: str
    candidates: frozenset[PathParts]
    is_in_users_folder: bool


@dataclass(frozen=True, slots=True)
class WithheldFiles:
    """The files that unmatched entries may mean.

    ``files`` and ``folders`` have the number of an entry by the keys of names; ``paths`` has the
    number and the owner by the key of a path. ``everything`` is the number of the entry that may
    mean any file, 0 without one.
    """

    files: Mapping[str, int] = field(default_factory=dict)
    folders: Mapping[str, int] = field(default_factory=dict)
    paths: Mapping[str, tuple[int, str | None]] = field(default_factory=dict)
    everything: int = 0

    def entry_for(self, relative: str) -> int:
        """Return the number of an entry that may mean this file, 0 without one."""
        if self.everything or not (self.files or self.folders):
            return self.everything
        *folders, name = relative.split("/")
        by_name = (self.files.get(key, 0) for key in file_keys(name))
        by_folder = (self.folders.get(name_key(folder), 0) for folder in folders)
        return next(filter(None, by_name), 0) or next(filter(None, by_folder), 0)

    def entry_against(self, relative: str, owner_id: str) -> int:
        """Return the number of an entry that gives this path to another owner, 0 without one."""
        number, other = self.paths.get(path_key(relative.split("/")), (0, owner_id))
        return number if other != owner_id else 0


def withhold(
    unmatched: Sequence[UnmatchedEntry],
    all_paths: Iterable[str],
    owners: Mapping[str, str | None],
) -> tuple[WithheldFiles, list[str]]:
    """Return the files that the entries may mean, and a sentence for each entry.

    ``all_paths`` are those of all files and folders, the latter with a slash at their end;
    ``owners`` those of the files that other entries name. Sentences of entries that may mean every
    file come first.
    """
    index = _FolderIndex(all_paths, owners)
    files: dict[str, int] = {}
    folders: dict[str, int] = {}
    paths: dict[str, tuple[int, str | None]] = {}
    ambiguous, others = list[UnmatchedEntry](), list[UnmatchedEntry]()
    for entry in unmatched:
        names = {key for parts in entry.candidates for key in file_keys(parts[-1])}
        named_folders, is_ambiguous = index.match(entry, names)
        files.update(dict.fromkeys(names, entry.number))
        folders.update(dict.fromkeys(named_folders, entry.number))
        (ambiguous if is_ambiguous else others).append(entry)
        for parts in entry.candidates if entry.owner_id is not None else ():
            for start in range(len(parts)):
                paths.setdefault(path_key(parts[start:]), (entry.number, entry.owner_id))
    everything = ambiguous[0].number if ambiguous else 0
    sentences = [
        *(_sentence(entry, "nothing is shared, as it may mean any file") for entry in ambiguous),
        *(_sentence(entry, "the files that it may mean are not shared") for entry in others),
    ]
    return WithheldFiles(files, folders, paths, everything), sentences


def _sentence(entry: UnmatchedEntry, consequence: str) -> str:
    return f"entry {entry.number}: {entry.problem}; until it is mended {consequence}"


class _FolderIndex:
    """The names of the files and folders of a media folder, by their keys."""

    def __init__(self, all_paths: Iterable[str], owners: Mapping[str, str | None]) -> None:
        self._folders: set[str] = set()
        self._files: dict[str, set[tuple[str, str | None]]] = {}
        for relative in all_paths:
            *above, name = relative.split("/")
            keys = [name_key(folder) for folder in above]
            self._folders.update(keys)
            owner = next(iter(place_of(relative).owners), None) or owners.get(relative)
            location = (keys[-1] if keys else "", owner)
            for key in file_keys(name) if name else ():
                self._files.setdefault(key, set()).add(location)

    def match(self, entry: UnmatchedEntry, names: Iterable[str]) -> tuple[set[str], bool]:
        """Return the keys of the folders that an entry may mean, and whether it may mean any file.

        ``names`` are the keys of the files that it may mean. Files of another owner do not count
        as found.
        """
        found_in = {
            folder
            for name in names
            for folder, owner in self._files.get(name, ())
            if owner in {None, entry.owner_id}
        }
        itself = {name_key(parts[-1]) for parts in entry.candidates} & self._folders
        above = {
            key
            for parts in entry.candidates
            if (key := folder_key(parts)) in self._folders
            and (is_pattern(parts) or key not in found_in)
        }
        has_unknown_pattern = any(
            is_pattern(parts) and folder_key(parts) not in self._folders
            for parts in entry.candidates
        )
        is_bounded = found_in or itself or above or entry.is_in_users_folder
        is_ambiguous = has_unknown_pattern or not (is_bounded or entry.owner_id is None)
        return itself | above, is_ambiguous
