"""The tracks: found in a media folder, named by its ``tracks.json``, each with its owner.

Here: scanning, ids, titles, who may play what, and that a track's path never leaves the folder.
Not here: sending a file (``streaming``), tickets (``tokens``), keeping what a scan found
(``store``), what is inside a file (``tag_reader``), threads: ``scan`` blocks, and the
caller gives it a thread of its own.

Readers on other threads see one whole catalogue or the next, never half of one. What cannot be
understood is left out and reported, and never becomes readable by more people because of it.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from functools import partial
from heapq import merge
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import LibraryError, TrackNotFound
from . import manifest as manifests
from .folders import USERS, Place, is_hidden, no_library, place_of
from .formats import AUDIO_TYPES, OTHER_AUDIO, suffix_of
from .manifest import MANIFEST, Entry, Manifest
from .search import fold as _fold
from .search import parse_query, searchable
from .tag_reader import TagReader
from .tags import CONTROLS as _CONTROLS
from .tags import MAX_NUMBER, Tags, cleaned

PUBLISH_EVERY = 1.0
"""Seconds between two partial catalogues of a scan."""
PUBLISH_TIME = 0.1
"""Seconds that making such a catalogue may take; if it takes longer, they are made less often."""
SORTED_AT_ONCE = 2000
"""Tracks that are sorted in one call."""
SETTLED_EVERY = 5000
"""New tracks after which the garbage collector is told that they stay."""
MAX_REPORTED = 50
"""Lines of the log that one scan may spend on what it left out."""

Row: TypeAlias = tuple[
    str, str, str | None, str | None, str | None, float | None, str | None, int | None, int | None
]
"""A file as it can be kept: its path in the folder, its identity, and the fields of its tags."""
_UNREAD = ""
"""The identity of a file whose tags are not those of its present content, or of none."""
_TRACK_IDS = uuid.UUID("6f1f2c1e-52a4-5c4b-9a55-6a3f1f0f7d11")
_SUFFIXES = AUDIO_TYPES.keys() | OTHER_AUDIO
_SORT_KEY = itemgetter(2)
_NUMBER = re.compile("[0-9]+")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Track:
    """One piece of audio. ``path`` is absolute, without links, and a regular file when scanned.

    ``duration`` is in seconds, None where unknown; ``owner_id`` is None for shared tracks.
    """

    id: str
    path: Path
    title: str
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    owner_id: str | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None

    def playable_by(self, user_id: str | None) -> bool:
        """Whether ``user_id`` may play it; None is nobody in particular."""
        return self.owner_id is None or self.owner_id == user_id


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is: tracks found so far, seconds since it began."""

    found: int
    elapsed: float


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan came to. ``left_out`` has a sentence each, with paths inside the folder."""

    tracks: int
    added: int
    removed: int
    left_out: tuple[str, ...]
    elapsed: float


Listed: TypeAlias = tuple[Track, str, str]
"""A track, what a search looks at, and what lists are sorted by."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tracks at one moment, by id and in the order of lists."""

    by_id: Mapping[str, Track] = field(default_factory=dict)
    ordered: tuple[Listed, ...] = ()

    def followed_by(self, tracks: Mapping[str, Track]) -> Catalogue:
        """The catalogue of ``tracks``; those that are the same objects as before keep their place.

        No call here works on more than ``SORTED_AT_ONCE`` tracks: while one does, no other thread
        runs, and a sort of 50,000 takes 100 ms on a small machine.
        """
        stayed = (listed for listed in self.ordered if tracks.get(listed[0].id) is listed[0])
        came = (track for track in tracks.values() if self.by_id.get(track.id) is not track)
        listed = ((track, _words(track), _order(track)) for track in came)
        runs = []
        while run := sorted(islice(listed, SORTED_AT_ONCE), key=_SORT_KEY):
            runs.append(run)
        return Catalogue(tracks, tuple(merge(stayed, *runs, key=_SORT_KEY)))


class Library:
    """The tracks of one media folder. Raises ``LibraryError`` if it cannot be read."""

    def __init__(self, media: Path) -> None:
        if not os.path.isdir(media) or not os.access(media, os.R_OK | os.X_OK):
            raise LibraryError(
                "the media folder cannot be read. Check that it exists and who may read it."
            )
        self.version = 0
        self.ready = False
        self._root = media.resolve()
        self._catalogue = Catalogue()
        self._named: list[Any] | None = None
        self._tags: _Known = {}
        self._scanning = threading.Lock()
        self._publish_at = 0.0
        self._new = 0

    def find(self, track_id: str, user_id: str | None) -> Track:
        """The track of that id. Raises ``TrackNotFound`` if there is none for this user."""
        track = self._catalogue.by_id.get(track_id)
        if track is None or not track.playable_by(user_id):
            raise TrackNotFound("there is no such track")
        return track

    @property
    def size(self) -> int:
        """How many tracks there are, all users' together."""
        return len(self._catalogue.ordered)

    def tracks_for(self, user_id: str | None, query: str = "") -> list[Track]:
        """What a user may play, by album artist, album, disc, track number and title.

        Every word of ``query`` must occur in one of these; case, accents and signs do not matter.
        Raises ``InvalidMessage`` for a query that is too long.
        """
        wanted = parse_query(query)
        return [
            track
            for track, words, _ in self._catalogue.ordered
            if track.playable_by(user_id) and all(word.is_in(words) for word in wanted)
        ]

    def restore(self, rows: Iterable[Row]) -> None:
        """Publish what a scan of an earlier process found, as far as nothing is known yet. Blocks.

        No audio file is looked at: that is for the next scan, which reads the tags of those alone
        that have changed. Whose they are is decided anew. Raises ``ValueError`` for what no scan
        has found.
        """
        with self._scanning:
            sound = [(_known(row), row[0]) for row in rows]
            known = {self._root / name: found for found, name in sound}
            if self.ready or not known:
                return
            self._tags, manifest = known, self._read_manifest(threading.Event())
            tracks: dict[str, Track] = {}
            for entry in manifest.entries:
                named = _named(entry)
                tracks.setdefault(entry.id, _completed(named, self._known_tags(entry.path)))
            for path in known.keys() - manifest.claimed:
                track = self._track_of(path, manifest, [])
                if track is not None:
                    tracks.setdefault(track.id, _completed(track, self._known_tags(path)))
                    self._settle()
            self._publish(tracks)
            self.ready = True

    def rows(self) -> list[Row]:
        """What the last scan found, for ``restore``."""
        return [
            (name, identity, *astuple(tags))
            for path, (identity, tags) in self._tags.items()
            if not _CONTROLS.search(name := self._name(path))
        ]

    def scan(
        self,
        on_progress: Callable[[ScanProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> ScanReport:
        """Read the folder anew and publish what is there. Blocks; call it in a worker thread.

        All files are found first, and listed by name or with the tags they had; then the tags of
        those that have changed are read. What is there is published about every second, by a first
        scan from the beginning, by a later one once all files are found. ``on_progress`` is called
        for every track found. Once ``stop`` is set, it ends soon, and what was published before
        stays.
        """
        with self._scanning:
            return self._scan(on_progress, stop or threading.Event())

    def _scan(
        self, on_progress: Callable[[ScanProgress], None] | None, stop: threading.Event
    ) -> ScanReport:
        began = time.monotonic()
        self._publish_at = began + PUBLISH_EVERY
        before = self._catalogue.by_id
        left_out: list[str] = []
        files: _Known = {}
        tracks: dict[str, Track] = {}
        unread: dict[Path, tuple[Track, str]] = {}
        for track, status in self._found(left_out, stop):
            if stop.is_set():
                break
            if track.id in tracks:
                left_out.append(f"{self._name(track.path)}: its id is taken by another track")
                continue
            identity, (known, tags) = _identity(status), self._tags.get(track.path, _NOTHING)
            if known != identity:
                unread[track.path] = track, identity
                known = _UNREAD
            files[track.path] = known, tags
            tracks[track.id] = _unless_same(_completed(track, tags), before.get(track.id))
            if track.id not in before:
                self._settle()
            if on_progress is not None:
                on_progress(ScanProgress(len(tracks), time.monotonic() - began))
            if not self.ready:
                self._publish_soon(tracks)
        self._read_tags(unread, files, tracks, stop)
        if stop.is_set():
            return ScanReport(len(before), 0, 0, tuple(left_out), time.monotonic() - began)
        self._tags = files
        self._publish(tracks)
        self.ready = True
        _report(left_out)
        added = sum(track_id not in before for track_id in tracks)
        removed = sum(track_id not in tracks for track_id in before)
        elapsed = time.monotonic() - began
        return ScanReport(len(tracks), added, removed, tuple(left_out), elapsed)

    def _found(
        self, left_out: list[str], stop: threading.Event
    ) -> Iterator[tuple[Track, os.stat_result]]:
        """Every track: those that ``tracks.json`` names first, so that owners are known."""
        manifest, unserved = self._read_manifest(stop), list[str]()
        left_out.extend(manifest.left_out)
        for entry in manifest.entries:
            with suppress(OSError):  # it vanished between the manifest and the look at it
                if self._can_be_read(entry.path, left_out):
                    yield _named(entry), entry.path.stat()
        for path, status in _audio_files(self._root, left_out, stop):
            if path in manifest.claimed:
                continue
            if suffix_of(path.name) in OTHER_AUDIO:
                unserved.append(
                    f"{self._name(path)!a}: {suffix_of(path.name)} files are not served; convert it"
                )
                continue
            track = self._track_of(path, manifest, left_out)
            if track is not None and self._can_be_read(path, left_out):
                yield track, status
        left_out.extend(unserved)  # last: they are many in some folders, and the log is bounded

    def _read_tags(
        self,
        unread: Mapping[Path, tuple[Track, str]],
        files: _Known,
        tracks: dict[str, Track],
        stop: threading.Event,
    ) -> None:
        """Complete the tracks of ``unread``, and note in ``files`` what was read."""
        if not self.ready and not stop.is_set():
            self._publish(dict(tracks))
        with TagReader(stop, lambda: self._publish_soon(tracks)) as reader:
            for path, tags in reader.read(list(unread)):
                if tags is not None:
                    track, identity = unread[path]
                    files[path] = identity, tags
                    completed = _completed(track, tags)
                    tracks[track.id] = _unless_same(completed, self._catalogue.by_id.get(track.id))
                self._publish_soon(tracks)

    def _can_be_read(self, path: Path, left_out: list[str]) -> bool:
        """Whether this process may read a file; otherwise a line says why."""
        if _access(path):
            return True
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except FileNotFoundError:
            return False
        except OSError as error:
            left_out.append(f"{self._name(path)!a}: it cannot be read ({error.strerror})")
            return False
        return True

    def _publish_soon(self, tracks: dict[str, Track]) -> None:
        """Publish a part of a scan, unless that was done a moment ago."""
        began = time.monotonic()
        if began >= self._publish_at:
            self._publish(dict(tracks))
            took = time.monotonic() - began
            self._publish_at = began + took + PUBLISH_EVERY * max(1.0, took / PUBLISH_TIME)

    def _publish(self, tracks: dict[str, Track]) -> None:
        if tracks != self._catalogue.by_id:
            self._catalogue = self._catalogue.followed_by(tracks)
            self.version += 1

    def _settle(self) -> None:
        """Take what there is out of the garbage collector's sight, now and then.

        A full collection holds all threads for as long as it looks at every object: 100 to 400 ms
        with 50,000 tracks, which are freed without it when the last reference goes. What else is
        in a cycle at that moment is not freed any more, so it is done for new tracks alone.
        """
        self._new += 1
        if self._new % SETTLED_EVERY == 0:
            gc.freeze()

    def _read_manifest(self, stop: threading.Event) -> Manifest:
        """What ``tracks.json`` says now, or said when it could last be understood.

        Also what it said last is checked against the files that are there now.
        """
        broken: tuple[str, ...] = ()
        try:
            self._named = manifests.read_entries(self._root)
        except (OSError, ValueError, RecursionError) as error:
            why = f"{MANIFEST} cannot be understood ({type(error).__name__}): mend it and rescan"
            if self._named is None:
                hint = f"{why}; until then only files under {USERS}/ are served"
                return Manifest(left_out=(hint,), is_readable=False)
            broken = (f"{why}; its last good state stays",)
        return manifests.parse(
            self._root, self._named, lambda: _all_files(self._root, stop), broken
        )

    def _track_of(
        self,
        path: Path,
        manifest: Manifest,
        left_out: list[str],
    ) -> Track | None:
        relative = self._name(path)
        place = place_of(relative)
        if place.no_library or not (place.owners or manifest.shares):
            return None
        if why := _why_left_out(relative, place, manifest):
            left_out.append(why)
            return None
        track_id = str(uuid.uuid5(_TRACK_IDS, unicodedata.normalize("NFC", relative)))
        known = self._catalogue.by_id.get(track_id)
        return Track(
            id=track_id,
            path=known.path if known is not None and known.path == path else path,
            title="",
            owner_id=next(iter(place.owners), None),
        )

    def _known_tags(self, path: Path) -> Tags:
        return self._tags.get(path, _NOTHING)[1]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


_Known: TypeAlias = dict[Path, tuple[str, Tags]]
"""The identity of each file when its tags were read, and these."""
_NOTHING = _UNREAD, Tags()


def _identity(status: os.stat_result) -> str:
    """What tells one content of a file from another, also where a program restores its mtime.

    A text: some of these numbers do not fit into the integers of SQLite.
    """
    return f"{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_size:x}.{status.st_ino:x}"


_access = partial(os.access, mode=os.R_OK, effective_ids=os.access in os.supports_effective_ids)
"""Whether a file may be read by the user that the server runs as."""


def _known(row: Row) -> tuple[str, Tags]:
    """A row as a scan would have made it. Raises ``ValueError`` for any other."""
    name, identity, title, artist, album, duration, album_artist, disc, track_number = row
    tags = Tags(title, artist, album, duration, album_artist, disc, track_number)
    if not (
        isinstance(name, str)
        and os.path.normpath(name) == name
        and not name.startswith("/")
        and ".." not in name.split("/")
        and not _CONTROLS.search(name)
        and isinstance(identity, str)
        and tags.is_sound()
    ):
        raise ValueError("no scan has found this")
    return identity, tags


def _audio_files(
    root: Path, left_out: list[str], stop: threading.Event
) -> Iterator[tuple[Path, os.stat_result]]:
    """Every regular audio file below ``root``, not through links, nothing hidden."""
    folders = [root]
    skipped: dict[str, list[str]] = {}
    while folders and not stop.is_set():
        folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            name = folder.relative_to(root).as_posix()
            left_out.append(f"{name!a}: the folder cannot be read ({error.strerror})")
            continue
        for entry in entries:
            if is_hidden(entry.name):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    if what := no_library(entry.name):
                        skipped.setdefault(what, []).append(entry.path)
                        continue
                    folders.append(Path(entry.path))
                elif suffix_of(entry.name) not in _SUFFIXES and not (
                    entry.is_symlink() and entry.is_dir()
                ):
                    continue
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)
                else:
                    name = Path(entry.path).relative_to(root).as_posix()
                    kind = "a symbolic link" if entry.is_symlink() else "no regular file"
                    left_out.append(f"{name!a}: it is {kind}")
            except OSError:
                continue  # it vanished between the listing and the look at it
    left_out.extend(_no_libraries(root, skipped))


def _no_libraries(root: Path, skipped: Mapping[str, list[str]]) -> Iterator[str]:
    """A sentence for each kind of folder that is no part of a library; a NAS has one in each."""
    for what, paths in skipped.items():
        more = f", and {len(paths) - 1} more such folders" if len(paths) > 1 else ""
        yield f"{Path(paths[0]).relative_to(root).as_posix()!a}: it is {what}{more}"


def _all_files(root: Path, stop: threading.Event) -> Iterator[str]:
    """The paths of all files below ``root``, also of those that are never served.

    And of all folders, with a slash at their end.
    """
    for folder, folders, files in os.walk(root):
        if stop.is_set():
            return
        above = "" if folder == str(root) else f"{Path(folder).relative_to(root).as_posix()}/"
        yield from (f"{above}{name}" for name in files)
        yield from (f"{above}{name}/" for name in folders)


def _why_left_out(relative: str, place: Place, manifest: Manifest) -> str | None:
    """Why a file that no entry names is no track, None if it is one."""
    if _CONTROLS.search(relative):
        return f"{relative!a}: its name has characters that cannot be shown; rename it"
    if len(place.owners) > 1:
        return f"{relative}: it lies in the folders of several users"
    if place.owners:
        return None
    if place.is_below_users:
        return f"{relative}: it lies in {USERS}/ but in no user's folder"
    why = manifest.why_not_shared(relative)
    return f"{relative}: {why}" if why else None


def _named(entry: Entry) -> Track:
    return Track(
        id=entry.id,
        path=entry.path,
        title=entry.title,
        artist=entry.artist,
        album=entry.album,
        duration=entry.duration,
        owner_id=entry.owner_id,
    )


def _unless_same(track: Track, known: Track | None) -> Track:
    """``known`` where the two are equal: a catalogue keeps the place of an object it knows."""
    return known if known is not None and known == track else track


def _completed(track: Track, tags: Tags) -> Track:
    """The track with what its file says filled in where nobody has said it before."""
    return Track(
        id=track.id,
        path=track.path,
        title=track.title or tags.title or _title(track.path),
        artist=track.artist or tags.artist,
        album=track.album or tags.album,
        duration=track.duration or tags.duration,
        owner_id=track.owner_id,
        album_artist=track.album_artist or tags.album_artist,
        disc=track.disc or tags.disc,
        track_number=track.track_number or tags.track_number,
    )


def _title(path: Path) -> str:
    return cleaned(path.stem.replace("_", " ")) or ascii(path.name)


def _words(track: Track) -> str:
    return searchable((track.title, track.artist, track.album))


def _order(track: Track) -> str:
    """What lists are sorted by; one string, as the event loop waits while they are compared."""
    names = (track.album_artist or track.artist or "", track.album or "", track.title, track.id)
    artist, album, title, last = (_NUMBER.sub(_sortable, _fold(name)) for name in names)
    # Discs are counted from 1, and what has no number comes after what has one.
    numbers = f"{track.disc or 1:06}.{track.track_number or MAX_NUMBER + 1:07}"
    return "\n".join((artist, album, numbers, title, last))


def _sortable(number: re.Match[str]) -> str:
    """A number as it sorts where "track 10" comes after "track 9"."""
    digits = number[0].lstrip("0")
    return f"{len(digits):04}{digits}"


def _report(left_out: list[str]) -> None:
    for sentence in left_out[:MAX_REPORTED]:
        _log.warning("left out %s", sentence)
    if len(left_out) > MAX_REPORTED:
        _log.warning("and %d more left out", len(left_out) - MAX_REPORTED)
