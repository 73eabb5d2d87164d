"""One entry of ``tracks.json``: the file that it names, its owner, and its fields."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .folders import place_of
from .manifest_paths import name_key
from .tags.fields import CONTROL_CHARACTERS, MAX_TEXT_LENGTH, clean_duration
from .tracks import Track

MAX_ID_LENGTH: Final = 128
"""Characters of a track's or a user's id."""
_OWNER_KEYS: Final = frozenset({"owner", "owners", "ownerid", "ownerids", "user", "userid"})
"""What people write for ``ownerId``, in letters alone: an entry with one of these has an owner."""


def stated_owner(item: Any) -> str | None:
    """Return the owner that an entry names; "" for one that cannot be understood, None for none.

    A key that is nearly ``ownerId``, and one inside another value, counts as an owner that cannot
    be understood: a typing error must not share a file.
    """
    if isinstance(item, dict) and isinstance(item.get("ownerId"), str):
        return str(item["ownerId"])
    pending = [item]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            if any(
                name_key(key) in _OWNER_KEYS for key, owner in value.items() if owner is not None
            ):
                return ""
            pending.extend(value.values())
    return None


def resolve_file(root: Path, item: Any) -> Path:
    """Return the path that an entry names, without symbolic links.

    Raises ``ValueError`` for one outside the media folder.
    """
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


def parse_entry(root: Path, path: Path, item: Mapping[str, Any]) -> Track:
    """Return the track of an entry, without tags; ``path`` is from ``resolve_file``.

    Raises ``ValueError`` for whatever is wrong with the entry.
    """
    if os.path.isabs(item["audioUrl"]):
        raise ValueError('"audioUrl" must be a path relative to the media folder')
    if not os.path.isfile(path):
        raise ValueError('"audioUrl" names no regular file')
    track_id = _text(item, "id")
    if track_id is None or "/" in track_id:
        raise ValueError(
            f'"id" must be 1 to {MAX_ID_LENGTH} characters, no control characters, no "/"'
        )
    return Track(
        duration=_duration(item),
        id=track_id,
        path=path,
        title=_text(item, "title") or "",
        artist=_text(item, "artist"),
        album=_text(item, "album"),
        owner_id=_owner(path.relative_to(root).as_posix(), item),
    )


def _duration(item: Mapping[str, Any]) -> float | None:
    duration = item.get("duration")
    if duration is None:
        return None
    is_number = isinstance(duration, int | float) and not isinstance(duration, bool)
    if not is_number or clean_duration(duration) is None:
        raise ValueError('"duration" must be a positive number of seconds')
    return clean_duration(duration)


def _owner(relative: str, item: Mapping[str, Any]) -> str | None:
    """Return the owner of an entry's file: the user whose folder it is in, or that it names."""
    owner_id = _text(item, "ownerId")
    if owner_id is None and stated_owner(item) is not None:
        raise ValueError('its owner must be named by "ownerId"')
    place = place_of(relative)
    if place.excluded_as:
        raise ValueError(f"its file lies in {place.excluded_as}")
    if len(place.owners) > 1:
        raise ValueError("its file lies in the folders of several users")
    if owner_id is not None and not place.owners <= {owner_id}:
        raise ValueError("its file lies in another user's folder")
    return owner_id or next(iter(place.owners), None)


def _text(item: Mapping[str, Any], name: str) -> str | None:
    text = item.get(name)
    if text is None:
        return None
    limit = MAX_ID_LENGTH if name in {"id", "ownerId"} else MAX_TEXT_LENGTH
    if not isinstance(text, str) or not 0 < len(text) <= limit or CONTROL_CHARACTERS.search(text):
        raise ValueError(f'"{name}" must be 1 to {limit} characters, no control characters')
    return text
