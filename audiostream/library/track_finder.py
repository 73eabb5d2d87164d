"""Finding the tracks of a media folder, and deciding whose they are."""

from __future__ import annotations

import os
import threading
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from .folders import USERS, Place, place_of
from .formats import UNSUPPORTED_SUFFIXES, suffix_of
from .manifest import Manifest
from .tags.fields import CONTROL_CHARACTERS
from .tracks import Track
from .walk import walk_audio_files

_TRACK_IDS: Final = uuid.UUID("6f1f2c1e-52a4-5c4b-9a55-6a3f1f0f7d11")
"""Namespace of the ids, which are made of paths: states and bookmarks refer to them for years."""

_access: Final = partial(
    os.access, mode=os.R_OK, effective_ids=os.access in os.supports_effective_ids
)
"""Whether a file may be read by the user that the server runs as."""


class TrackFinder:
    """Finds the tracks of a media folder.

    ``previous`` has the tracks of the last scan by id. ``left_out`` gets a sentence for each file
    that is no track but might be expected to be one.
    """

    def __init__(
        self, root: Path, manifest: Manifest, previous: Mapping[str, Track], left_out: list[str]
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._previous = previous
        self._left_out = left_out
        left_out.extend(manifest.left_out)

    def find(self, stop: threading.Event) -> Iterator[tuple[Track, os.stat_result]]:
        """Yield every track, without tags; those of ``tracks.json`` first."""
        for track in self._manifest.entries:
            with suppress(OSError):  # it vanished after the manifest was read
                if self._is_readable(track.path):
                    yield track, track.path.stat()
        unsupported: list[str] = []
        for path, status in walk_audio_files(self._root, self._left_out, stop):
            if path in self._manifest.claimed:
                continue
            suffix = suffix_of(path.name)
            if suffix in UNSUPPORTED_SUFFIXES:
                unsupported.append(
                    f"{self._name(path)!a}: {suffix} files are not served; convert it"
                )
                continue
            found = self.track_at(path)
            if found is not None and self._is_readable(path):
                yield found, status
        self._left_out.extend(unsupported)  # last: some folders have many, and the log is bounded

    def track_at(self, path: Path) -> Track | None:
        """Return the track of a file that no entry names, without tags; None if it is none."""
        relative = self._name(path)
        place = place_of(relative)
        if place.excluded_as or not (place.owners or self._manifest.shares):
            return None
        if reason := self._why_left_out(relative, place):
            self._left_out.append(reason)
            return None
        track_id = str(uuid.uuid5(_TRACK_IDS, unicodedata.normalize("NFC", relative)))
        known = self._previous.get(track_id)
        if known is not None and known.path == path:
            path = known.path  # the same object: two of each path would take twice the memory
        return Track(id=track_id, path=path, title="", owner_id=next(iter(place.owners), None))

    def _why_left_out(self, relative: str, place: Place) -> str | None:
        """Return why a file that no entry names is no track, None if it is one."""
        if CONTROL_CHARACTERS.search(relative):
            return f"{relative!a}: its name has characters that cannot be shown; rename it"
        if len(place.owners) > 1:
            return f"{relative}: it lies in the folders of several users"
        if place.owners:
            return None
        if place.is_under_users:
            return f"{relative}: it lies in {USERS}/ but in no user's folder"
        reason = self._manifest.why_not_shared(relative)
        return f"{relative}: {reason}" if reason else None

    def _is_readable(self, path: Path) -> bool:
        """Return whether this process may read a file; report it in ``left_out`` if not."""
        if _access(path):
            return True
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except FileNotFoundError:
            return False
        except OSError as error:
            self._left_out.append(f"{self._name(path)!a}: it cannot be read ({error.strerror})")
            return False
        return True

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
