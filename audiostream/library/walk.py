"""Walking through a media folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from .folders import excluded_kind, is_hidden
from .formats import AUDIO_TYPES, UNSUPPORTED_SUFFIXES, suffix_of

_AUDIO_SUFFIXES: Final = AUDIO_TYPES.keys() | UNSUPPORTED_SUFFIXES


def walk_audio_files(
    root: Path, left_out: list[str], stop: threading.Event
) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every regular audio file below ``root``, without following symbolic links.

    Hidden files and excluded folders are passed over. ``left_out`` gets a sentence for whatever
    else cannot be a track.
    """
    folders = [root]
    excluded: dict[str, list[str]] = {}
    while folders and not stop.is_set():
        for entry in _list_folder(folders.pop(), root, left_out):
            try:
                if entry.is_dir(follow_symlinks=False):
                    if kind := excluded_kind(entry.name):
                        excluded.setdefault(kind, []).append(entry.path)
                    else:
                        folders.append(Path(entry.path))
                elif _is_audio(entry):
                    if entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)
                    else:
                        left_out.append(_not_regular(root, entry))
            except OSError:
                continue  # it vanished between the listing and this look at it
    left_out.extend(_excluded_folders(root, excluded))


def _list_folder(folder: Path, root: Path, left_out: list[str]) -> list[os.DirEntry[str]]:
    """Return what is in a folder by name, but for hidden entries."""
    try:
        with os.scandir(folder) as listing:
            visible = (entry for entry in listing if not is_hidden(entry.name))
            return sorted(visible, key=lambda entry: entry.name)
    except OSError as error:
        name = folder.relative_to(root).as_posix()
        left_out.append(f"{name!a}: the folder cannot be read ({error.strerror})")
        return []


def _is_audio(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry has an audio suffix, or is a link to a folder of such files."""
    return suffix_of(entry.name) in _AUDIO_SUFFIXES or (entry.is_symlink() and entry.is_dir())


def _not_regular(root: Path, entry: os.DirEntry[str]) -> str:
    name = Path(entry.path).relative_to(root).as_posix()
    kind = "a symbolic link" if entry.is_symlink() else "no regular file"
    return f"{name!a}: it is {kind}"


def _excluded_folders(root: Path, excluded: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a sentence for each kind of excluded folder: some NAS put one into every folder."""
    for kind, paths in excluded.items():
        more = f", and {len(paths) - 1} more such folders" if len(paths) > 1 else ""
        yield f"{Path(paths[0]).relative_to(root).as_posix()!a}: it is {kind}{more}"


def walk_all(root: Path, stop: threading.Event) -> Iterator[str]:
    """Yield the paths below ``root`` of all files, served or not, and of all folders.

    Paths of folders end in a slash.
    """
    for folder, folders, files in os.walk(root):
        if stop.is_set():
            return
        above = "" if folder == str(root) else f"{Path(folder).relative_to(root).as_posix()}/"
        yield from (f"{above}{name}" for name in files)
        yield from (f"{above}{name}/" for name in folders)
