"""Rules about paths: whether a file is hidden or excluded, and which user owns it.

The rules depend on names alone; no disk is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

USERS: Final = "users"
"""The folder whose subfolders belong to the users of their names."""
_EXCLUDED: Final[Mapping[str, str]] = {
    "#recycle": "the recycle bin of a Synology NAS",
    "@recycle": "the recycle bin of a QNAP NAS",
    "$recycle.bin": "the recycle bin of Windows",
    "recycler": "the recycle bin of Windows XP",
    "recycled": "the recycle bin of Windows 98",
    "trashbox": "the recycle bin of a Buffalo NAS",
    "files_trashbin": "the recycle bin of Nextcloud",
    "files_versions": "the old versions of Nextcloud",
    "network trash folder": "the recycle bin of AFP",
    "#snapshot": "the snapshots of a Synology NAS",
    "@recently-snapshot": "the snapshots of a QNAP NAS",
    "~snapshot": "the snapshots of a NetApp filer",
    "@eadir": "the index of a Synology NAS",
    "@tmp": "temporary files of a Synology NAS",
    "@sharebin": "the recycle bin of a Synology NAS",
    "@synoresource": "the index of a Synology NAS",
    "@transcode": "the index of a QNAP NAS",
    "@__thumb": "the index of a QNAP NAS",
    "system volume information": "the index and the snapshots of Windows",
    "lost+found": "what a check of the disk found",
    "found.000": "what a check of the disk found",
    "temporary items": "temporary files of macOS",
    "thevolumesettingsfolder": "the index of AFP",
    "thefindbycontentfolder": "the index of AFP",
    "__macosx": "the attributes of files that macOS has packed",
}
"""Folders that are no part of a library, by their normalized names, each with what it is.

They keep copies of files at paths from which an owner cannot be derived. Those with a dot in front
(``.Trash-1000``, ``.snapshot``, ``.AppleDouble``, ``.@__thumb``) are hidden like any other.
"""
_EXCLUDED_PATTERN: Final = re.compile(
    "[#@$~_]+[ .]?(recycled?|recycler|recycle[ ._-]?bin|trash|deleted|snapshots?)"
)
"""Names of such folders on other systems, as Samba's ``_recycle`` and Btrfs' ``@snapshots``."""
_SHADOW_COPY: Final = "@gmt-"
"""Prefix of the snapshots that Samba shows (MS-SMB2, previous versions)."""


def is_hidden(name: str) -> bool:
    """Return whether a name is hidden: one leading dot hides, two or more do not."""
    return name.startswith(".") and not name.startswith("..")


def excluded_kind(name: str) -> str | None:
    """Return what a folder of this name is, if it is no part of a library; otherwise None."""
    normalized = normalize_name(name)
    if normalized.startswith(_SHADOW_COPY):
        return "a snapshot"
    if normalized not in _EXCLUDED and _EXCLUDED_PATTERN.fullmatch(normalized):
        return "a recycle bin or a snapshot"
    return _EXCLUDED.get(normalized)


@dataclass(frozen=True, slots=True)
class Place:
    """The properties that a file has by its folders.

    ``owners`` are the ids of all ``users/<userId>/`` in it, at any depth and in any case. Ids are
    compared exactly: ``users/Ada`` and ``users/ada`` are the folders of two users. A file below
    two users' folders is neither's. ``excluded_as`` is the kind of the outermost excluded folder,
    None without one.
    """

    owners: frozenset[str]
    is_under_users: bool
    excluded_as: str | None


def place_of(relative: str) -> Place:
    """Return the place of a file by its path in the media folder."""
    return _place_of_folder(relative.rpartition("/")[0])


@lru_cache(1024)
def _place_of_folder(folder: str) -> Place:
    names = PurePosixPath(folder).parts
    is_users = [normalize_name(name) == USERS for name in names]
    return Place(
        owners=frozenset(
            unicodedata.normalize("NFC", owner)
            for above, owner in zip(is_users, names[1:], strict=False)
            if above
        ),
        is_under_users=any(is_users),
        excluded_as=next((kind for name in names if (kind := excluded_kind(name))), None),
    )


def normalize_name(name: str) -> str:
    """Return a name or a path as file systems may compare it: equal ones may be one file.

    Some ignore case or the form of Unicode, HFS+ ignores invisible characters, and SMB removes
    trailing dots and spaces.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold())
    if not folded.isascii():
        folded = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return "/".join(part.rstrip(". ") or part for part in folded.split("/"))
