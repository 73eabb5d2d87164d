"""What the place of a file says: whether it is hidden, and whose it is.

Here: hidden names, the folders that are no part of a library, the user's folders, and when two
names are one. Not here: what ``tracks.json`` says of a file (``manifest``), looking into folders
(``library``). All of it is about names; no disk is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

USERS = "users"

_NO_LIBRARY: Mapping[str, str] = {
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
"""Folders that are no part of a library, by their ``spelling``, each with what it is.

They keep copies of files at paths that say nothing of who may play them. Those with a dot in front
(``.Trash-1000``, ``.snapshot``, ``.AppleDouble``, ``.@__thumb``) are hidden like any other.
"""
_MARKED = re.compile("[#@$~_]+[ .]?(recycled?|recycler|recycle[ ._-]?bin|trash|deleted|snapshots?)")
"""Spellings of what other systems keep, as Samba's ``_recycle`` and ``@snapshots`` on Btrfs."""
_SHADOW_COPY = "@gmt-"
"""How the name of a snapshot begins that Samba shows (MS-SMB2, previous versions)."""


def is_hidden(name: str) -> bool:
    """Whether a name is hidden: one dot in front hides, two or more are a name."""
    return name.startswith(".") and not name.startswith("..")


def no_library(name: str) -> str | None:
    """What a folder of this name is if it is no part of a library, else None."""
    spelled = spelling(name)
    if spelled.startswith(_SHADOW_COPY):
        return "a snapshot"
    if spelled not in _NO_LIBRARY and _MARKED.fullmatch(spelled):
        return "a recycle bin or a snapshot"
    return _NO_LIBRARY.get(spelled)


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder's path says of the files in it.

    ``owners`` are the ids of all ``users/<userId>/`` in it, wherever and in any case. Ids are
    compared to the letter: of two folders ``users/Ada`` and ``users/ada`` each is a user's own. A
    file below two users' folders is neither's. ``no_library`` says what the outermost folder is
    that is no part of a library, None where there is none.
    """

    owners: frozenset[str]
    is_below_users: bool
    no_library: str | None


def place_of(relative: str) -> Place:
    """The place of a file, by its path in the media folder."""
    return _place(relative.rpartition("/")[0])


@lru_cache(1024)
def _place(folder: str) -> Place:
    names = PurePosixPath(folder).parts
    is_users = [spelling(name) == USERS for name in names]
    return Place(
        owners=frozenset(
            unicodedata.normalize("NFC", owner)
            for above, owner in zip(is_users, names[1:], strict=False)
            if above
        ),
        is_below_users=any(is_users),
        no_library=next((what for name in names if (what := no_library(name))), None),
    )


def spelling(name: str) -> str:
    """A name, or a path, as disks and shares may compare it: two with the same may be one file.

    Some know no case or no form of Unicode, HFS+ skips characters that nobody sees, and SMB takes
    dots and spaces off the end.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold())
    if not folded.isascii():
        folded = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return "/".join(part.rstrip(". ") or part for part in folded.split("/"))
