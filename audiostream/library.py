"""The tracks: found in a media folder, named by its ``tracks.json``, each with its owner.

Here: scanning, ids, titles, who may play what, and that a track's path never leaves the folder.
Not here: sending a file (``streaming``), tickets (``tokens``), keeping what a scan found
(``store``), what is inside a file (``tag_reader``), threads: ``scan`` blocks, and the
caller gives it a thread of its own.

Readers on other threads see one whole catalogue or the next, never half of one. What cannot be
understood is left out and reported, and never becomes readable by more people because of it.
"""

from __future__ import annotations

import json
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
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from .errors import LibraryError, TrackNotFound
from .formats import AUDIO_TYPES, OTHER_AUDIO, suffix_of
from .tag_reader import TagReader
from .tags import CONTROLS as _CONTROLS
from .tags import MAX_NUMBER, Tags, cleaned, seconds

MANIFEST = "tracks.json"
PUBLISH_EVERY = 1.0
"""Seconds between two partial catalogues of a scan."""
PUBLISH_TIME = 0.1
"""Seconds that making such a catalogue may take; if it takes longer, they are made less often."""
MAX_ID_LENGTH = 128
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
_USERS = "users"
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


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``tracks.json`` says. ``claimed``: files that are no tracks but by an entry of it.

    ``spellings`` are their names as ``_spelling`` gives them. ``is_readable`` is False where it
    cannot be understood; then nobody knows whose files are.
    """

    entries: tuple[Track, ...] = ()
    claimed: frozenset[Path] = frozenset()
    spellings: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()
    is_readable: bool = True


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tracks at one moment, by id and in the order of lists, each with its words."""

    by_id: Mapping[str, Track] = field(default_factory=dict)
    ordered: tuple[tuple[Track, str], ...] = ()

    @classmethod
    def of(cls, tracks: Mapping[str, Track]) -> Catalogue:
        ordered = sorted(tracks.values(), key=_order)
        return cls(tracks, tuple((track, _words(track)) for track in ordered))


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

    def find(self, track_id: str, user_id: str | None) -> Track:
        """The track of that id. Raises ``TrackNotFound`` if there is none for this user."""
        track = self._catalogue.by_id.get(track_id)
        if track is None or not track.playable_by(user_id):
            raise TrackNotFound("there is no such track")
        return track

    def tracks_for(self, user_id: str | None, query: str = "") -> list[Track]:
        """What a user may play, by album artist, album, disc, track number and title.

        Every word of ``query`` must occur in one of these; case and accents do not matter.
        """
        wanted = _fold(query).split()
        return [
            track
            for track, words in self._catalogue.ordered
            if track.playable_by(user_id) and all(word in words for word in wanted)
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
            self._tags, manifest = known, self._read_manifest()
            tracks: dict[str, Track] = {}
            for entry in manifest.entries:
                tracks.setdefault(entry.id, _completed(entry, self._known_tags(entry.path)))
            for path in known.keys() - manifest.claimed:
                track = self._track_of(path, manifest, [])
                if track is not None:
                    tracks.setdefault(track.id, _completed(track, self._known_tags(path)))
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
            tracks[track.id] = _completed(track, tags)
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
        added, removed = len(tracks.keys() - before.keys()), len(before.keys() - tracks.keys())
        elapsed = time.monotonic() - began
        return ScanReport(len(tracks), added, removed, tuple(left_out), elapsed)

    def _found(
        self, left_out: list[str], stop: threading.Event
    ) -> Iterator[tuple[Track, os.stat_result]]:
        """Every track: those that ``tracks.json`` names first, so that owners are known."""
        manifest, unserved = self._read_manifest(), list[str]()
        left_out.extend(manifest.left_out)
        for entry in manifest.entries:
            with suppress(OSError):  # it vanished between the manifest and the look at it
                if self._can_be_read(entry.path, left_out):
                    yield entry, entry.path.stat()
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
                    tracks[track.id] = _completed(track, tags)
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
            self._catalogue = Catalogue.of(tracks)
            self.version += 1

    def _read_manifest(self) -> Manifest:
        """What ``tracks.json`` says now, or said when it could last be understood.

        Also what it said last is checked against the files that are there now.
        """
        broken: tuple[str, ...] = ()
        try:
            self._named = _read_entries(self._root)
        except (OSError, ValueError, RecursionError) as error:
            why = f"{MANIFEST} cannot be understood ({type(error).__name__}): mend it and rescan"
            if self._named is None:
                hint = f"{why}; until then only files under {_USERS}/ are served"
                return Manifest(left_out=(hint,), is_readable=False)
            broken = (f"{why}; its last good state stays",)
        return _parse_manifest(self._root, self._named, broken)

    def _track_of(
        self,
        path: Path,
        manifest: Manifest,
        left_out: list[str],
    ) -> Track | None:
        relative = self._name(path)
        owner_id = _folder_owner(relative)
        if owner_id is None and not manifest.is_readable:
            return None
        if _CONTROLS.search(relative):
            left_out.append(
                f"{relative!a}: its name has characters that cannot be shown; rename it"
            )
            return None
        if owner_id is None and relative.startswith(f"{_USERS}/"):
            left_out.append(f"{relative}: it lies in {_USERS}/ but in no user's folder")
            return None
        # On some disks both are one file; on others the entry may mean this one, and its owner.
        if owner_id is None and _spelling(relative) in manifest.spellings:
            left_out.append(f"{relative}: {MANIFEST} has its name in another spelling; rename it")
            return None
        return Track(
            id=str(uuid.uuid5(_TRACK_IDS, unicodedata.normalize("NFC", relative))),
            path=path,
            title="",
            owner_id=owner_id,
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
        and not name.startswith(("/", ".."))
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
            if entry.name.startswith("."):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
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


def _read_entries(root: Path) -> list[Any]:
    """The entries of ``tracks.json``; none where there is no such file.

    Raises OSError and ValueError where it cannot be understood as a whole.
    """
    path = root / MANIFEST
    try:
        path.lstat()
    except FileNotFoundError:
        return []
    if not path.is_file():  # a pipe would never end, a link to nothing is no absent file
        raise ValueError("no regular file")
    content = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(content, list):
        raise ValueError("not an array")
    return content


def _parse_manifest(root: Path, content: list[Any], left_out: tuple[str, ...]) -> Manifest:
    """What the entries come to, after what was ``left_out`` before."""
    entries: dict[str, Track] = {}
    owners: dict[Path, Any] = {}
    problems, disputed = list(left_out), set()
    for number, item in enumerate(content, 1):
        try:
            path = _file_of(root, item)
            owner_id = item.get("ownerId")
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
            problems.append(f"{MANIFEST}, entry {number}: {problem}")
    names = {path: path.relative_to(root).as_posix() for path in owners}
    problems.extend(
        f"{names[path]!a}: {MANIFEST} names several owners of it" for path in sorted(disputed)
    )
    return Manifest(
        tuple(entry for entry in entries.values() if entry.path not in disputed),
        frozenset(owners),
        frozenset(map(_spelling, names.values())),
        tuple(problems),
    )


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


def _parse_entry(root: Path, path: Path, item: Mapping[str, Any]) -> Track:
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
    owner_id = _text(item, "ownerId")
    folder_owner = _folder_owner(path.relative_to(root).as_posix())
    if owner_id is not None and folder_owner not in {None, owner_id}:
        raise ValueError("its file lies in another user's folder")
    return Track(
        id=track_id,
        path=path,
        title=_text(item, "title") or "",
        artist=_text(item, "artist"),
        album=_text(item, "album"),
        duration=seconds(duration),
        owner_id=owner_id or folder_owner,
    )


def _text(item: Mapping[str, Any], name: str) -> str | None:
    text = item.get(name)
    if text is None:
        return None
    limit = MAX_ID_LENGTH if name in {"id", "ownerId"} else 1024
    if not isinstance(text, str) or not 0 < len(text) <= limit or _CONTROLS.search(text):
        raise ValueError(f'"{name}" must be 1 to {limit} characters, no control characters')
    return text


def _folder_owner(relative: str) -> str | None:
    """Whose a file under ``users/<userId>/`` is."""
    parts = PurePosixPath(relative).parts
    is_owned = len(parts) > 2 and parts[0] == _USERS
    return unicodedata.normalize("NFC", parts[1]) if is_owned else None


def _spelling(relative: str) -> str:
    """A name as a disk may compare it that knows neither case nor how accents are encoded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", relative).casefold())


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


def _fold(text: str) -> str:
    """Text without case and accents, for search and order."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _words(track: Track) -> str:
    return _fold("\n".join((track.title, track.artist or "", track.album or "")))


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
