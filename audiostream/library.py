"""The tracks: found in a media folder, named by its ``tracks.json``, each with its owner.

Here: scanning, ids, titles, who may play what, and that a track's path never leaves the folder.
Not here: sending a file (``streaming``), tickets (``tokens``), keeping what a scan found
(``store``), threads: ``scan`` blocks, and the
caller gives it a thread of its own.

Readers on other threads see one whole catalogue or the next, never half of one. What cannot be
understood is left out and reported, and never becomes readable by more people because of it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from .errors import LibraryError, TrackNotFound

AUDIO_SUFFIXES = frozenset(
    {".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".webm"}
)
MANIFEST = "tracks.json"
PUBLISH_EVERY = 1.0
"""Seconds between two partial catalogues of a first scan."""
MAX_ID_LENGTH = 128
MAX_REPORTED = 50
"""Lines of the log that one scan may spend on what it left out."""

Row: TypeAlias = tuple[str, int, int, str | None, str | None, str | None, float | None]
"""A file as it can be kept: path in the folder, mtime in nanoseconds, size, and its tags."""
_NEVER = -1
"""The mtime of a file that said nothing of itself: perhaps it could not be read, so ask again."""
_TRACK_IDS = uuid.UUID("6f1f2c1e-52a4-5c4b-9a55-6a3f1f0f7d11")
_USERS = "users"
_NUMBER = re.compile("[0-9]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line ends, and the halves of names that are not Unicode."""

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
class Tags:
    """What a file says of itself."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    duration: float | None = None


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
        self._tags: dict[Path, tuple[int, int, Tags]] = {}
        self._scanning = threading.Lock()

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
        """What a user may play, by artist, album and title.

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
            (name, mtime_ns if tags != Tags() else _NEVER, size, *_fields(tags))
            for path, (mtime_ns, size, tags) in self._tags.items()
            if not _CONTROLS.search(name := self._name(path))
        ]

    def scan(
        self,
        on_progress: Callable[[ScanProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> ScanReport:
        """Read the folder anew and publish what is there. Blocks; call it in a worker thread.

        A first scan publishes what it has about every second, a later one only its end.
        ``on_progress`` is called for every track found. Once ``stop`` is set, it ends soon, and
        what was published before stays.
        """
        with self._scanning:
            return self._scan(on_progress, stop or threading.Event())

    def _scan(
        self, on_progress: Callable[[ScanProgress], None] | None, stop: threading.Event
    ) -> ScanReport:
        began = published = time.monotonic()
        before = self._catalogue.by_id
        left_out: list[str] = []
        tags: dict[Path, tuple[int, int, Tags]] = {}
        tracks: dict[str, Track] = {}
        for track in self._found(tags, left_out, stop):
            if stop.is_set():
                break
            if track.id in tracks:
                left_out.append(f"{self._name(track.path)}: its id is taken by another track")
                continue
            tracks[track.id] = track
            now = time.monotonic()
            if on_progress is not None:
                on_progress(ScanProgress(len(tracks), now - began))
            if not self.ready and now - published >= PUBLISH_EVERY:
                self._publish(dict(tracks))
                published = time.monotonic()
        if stop.is_set():
            return ScanReport(len(before), 0, 0, tuple(left_out), time.monotonic() - began)
        self._tags = tags
        self._publish(tracks)
        self.ready = True
        _report(left_out)
        added, removed = len(tracks.keys() - before.keys()), len(before.keys() - tracks.keys())
        elapsed = time.monotonic() - began
        return ScanReport(len(tracks), added, removed, tuple(left_out), elapsed)

    def _found(
        self,
        tags: dict[Path, tuple[int, int, Tags]],
        left_out: list[str],
        stop: threading.Event,
    ) -> Iterator[Track]:
        """Every track: those that ``tracks.json`` names first, so that owners are known."""
        manifest = self._read_manifest()
        left_out.extend(manifest.left_out)
        for entry in manifest.entries:
            yield _completed(entry, self._tags_of(entry.path, tags))
        for path, status in _audio_files(self._root, left_out, stop):
            if path not in manifest.claimed:
                track = self._track_of(path, manifest, left_out)
                if track is not None:
                    yield _completed(track, self._tags_of(path, tags, status))

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

    def _tags_of(
        self,
        path: Path,
        tags: dict[Path, tuple[int, int, Tags]],
        status: os.stat_result | None = None,
    ) -> Tags:
        """A file's tags, read again only if it changed since the last scan."""
        try:
            status = status or path.stat()
        except OSError:
            return Tags()
        known = tags.get(path) or self._tags.get(path)
        if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
            known = (status.st_mtime_ns, status.st_size, _read_tags(path))
        tags[path] = known
        return known[2]

    def _known_tags(self, path: Path) -> Tags:
        known = self._tags.get(path)
        return Tags() if known is None else known[2]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _fields(tags: Tags) -> tuple[str | None, str | None, str | None, float | None]:
    return tags.title, tags.artist, tags.album, tags.duration


def _known(row: Row) -> tuple[int, int, Tags]:
    """A row as a scan would have made it. Raises ``ValueError`` for any other."""
    name, mtime_ns, size, title, artist, album, duration = row
    texts = (title, artist, album)
    if not (
        isinstance(name, str)
        and os.path.normpath(name) == name
        and not name.startswith(("/", ".."))
        and not _CONTROLS.search(name)
        and isinstance(mtime_ns, int)
        and isinstance(size, int)
        and all(
            text is None or (isinstance(text, str) and _cleaned(text) == text) for text in texts
        )
        and (duration is None or (isinstance(duration, float) and _duration(duration) == duration))
    ):
        raise ValueError("no scan has found this")
    tags = Tags(title, artist, album, duration)
    return mtime_ns, size, tags


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
                elif Path(entry.name).suffix.lower() not in AUDIO_SUFFIXES and not (
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
        or _duration(duration) is None
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
        duration=_duration(duration),
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
    )


def _title(path: Path) -> str:
    return _cleaned(path.stem.replace("_", " ")) or ascii(path.name)


def _read_tags(path: Path) -> Tags:
    """What the file says of itself; nothing where it cannot be read or ``[tags]`` is missing."""
    reader = _tag_reader()
    if reader is None:
        return Tags()
    try:
        found = reader.get(path)
    except Exception as error:  # whatever is wrong with one file, the others go on
        _log.debug("no tags in %a: %r", path.name, error)
        return Tags()
    return Tags(
        title=_cleaned(found.title),
        artist=_cleaned(found.artist),
        album=_cleaned(found.album),
        duration=_duration(found.duration),
    )


@cache
def _tag_reader() -> Any:
    try:
        from tinytag import TinyTag
    except ImportError:
        _log.warning("tags and durations are off: install audiostream[tags] to read them")
        return None
    return TinyTag


def _cleaned(text: str | None) -> str | None:
    return " ".join(_CONTROLS.sub(" ", text or "").split())[:1024] or None


def _duration(seconds: float | None) -> float | None:
    try:
        number = float(seconds or 0)
    except OverflowError:
        return None
    return round(number, 3) if math.isfinite(number) and number > 0 else None


def _fold(text: str) -> str:
    """Text without case and accents, for search and order."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _words(track: Track) -> str:
    return _fold("\n".join((track.title, track.artist or "", track.album or "")))


def _order(track: Track) -> str:
    """What lists are sorted by; one string, as the event loop waits while they are compared."""
    names = (track.artist or "", track.album or "", track.title, track.id)
    return "\n".join(_NUMBER.sub(_sortable, _fold(name)) for name in names)


def _sortable(number: re.Match[str]) -> str:
    """A number as it sorts where "track 10" comes after "track 9"."""
    digits = number[0].lstrip("0")
    return f"{len(digits):04}{digits}"


def _report(left_out: list[str]) -> None:
    for sentence in left_out[:MAX_REPORTED]:
        _log.warning("left out %s", sentence)
    if len(left_out) > MAX_REPORTED:
        _log.warning("and %d more left out", len(left_out) - MAX_REPORTED)
