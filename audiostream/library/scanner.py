"""``Scan``: one scan of a media folder, from finding its files to reading their tags."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from .tag_cache import NO_TAGS, STALE, CachedTags, TagCache, change_time_of, fingerprint_of
from .tags.reader import TagReader
from .tracks import Track

PUBLISH_INTERVAL = 1.0
"""Seconds between two partial catalogues of a scan; devices are notified of them as often."""
MAX_PUBLISH_TIME: Final = 0.1
"""Seconds that making such a catalogue may take; if it takes longer, the interval grows with it."""
FREEZE_INTERVAL: Final = 5000
"""New tracks between two calls of ``gc.freeze``."""
MAX_LOGGED = 50
"""Log lines for what one scan left out."""

Publish: TypeAlias = Callable[[dict[str, Track]], None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is: tracks found so far, float seconds since it began."""

    found: int
    elapsed: float


@dataclass(frozen=True, slots=True)
class ScanReport:
    """The outcome of a scan.

    ``left_out`` has a sentence for each file or entry, with paths in the media folder; ``elapsed``
    is in float seconds.
    """

    tracks: int
    added: int
    removed: int
    left_out: tuple[str, ...]
    elapsed: float


class FreezeCounter:
    """Counts new tracks, and takes them out of the garbage collector's generations."""

    def __init__(self) -> None:
        self._count = 0

    def add(self) -> None:
        """Count a new track; at every ``FREEZE_INTERVAL``-th, freeze all objects there are.

        A full collection holds all threads while it traverses every object: 100 to 400 ms with
        50,000 tracks, which are freed without it when the last reference goes. What is in a cycle
        at that moment is never freed, so this is done for new tracks alone.
        """
        self._count += 1
        if self._count % FREEZE_INTERVAL == 0:
            gc.freeze()


class PublishThrottle:
    """Publishes partial catalogues of a scan, one every ``PUBLISH_INTERVAL`` at most."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._due_at = time.monotonic() + PUBLISH_INTERVAL

    def publish_if_due(self, tracks: Mapping[str, Track]) -> None:
        """Publish a copy of ``tracks``, unless that was done a moment ago."""
        began = time.monotonic()
        if began >= self._due_at:
            self._publish(dict(tracks))
            took = time.monotonic() - began
            self._due_at = began + took + PUBLISH_INTERVAL * max(1.0, took / MAX_PUBLISH_TIME)


class Scan:
    """One scan, in a thread of its own.

    ``previous`` and ``cache`` are what the last scan found. ``publish`` gets all tracks found so
    far: in a first scan (``is_first``) from the beginning, later once all files are found.
    """

    def __init__(
        self,
        *,
        previous: Mapping[str, Track],
        cache: TagCache,
        publish: Publish,
        is_first: bool,
        new_tracks: FreezeCounter,
        stop: threading.Event,
    ) -> None:
        self.tracks: dict[str, Track] = {}
        self.cache: TagCache = {}
        self.left_out: list[str] = []
        self._previous = previous
        self._previous_cache = cache
        self._publish = publish
        self._is_first = is_first
        self._new_tracks = new_tracks
        self._stop = stop
        self._began_at = time.monotonic()
        self._throttle = PublishThrottle(publish)
        self._unread: dict[Path, tuple[Track, str]] = {}

    def collect(
        self,
        found: Iterable[tuple[Track, os.stat_result]],
        root: Path,
        on_progress: Callable[[ScanProgress], None] | None,
    ) -> None:
        """Collect the tracks, with the tags they had; note those whose files have changed."""
        for track, status in found:
            if self._stop.is_set():
                break
            if track.id in self.tracks:
                name = track.path.relative_to(root).as_posix()
                self.left_out.append(f"{name}: its id is taken by another track")
                continue
            self._add(track, fingerprint_of(status))
            if on_progress is not None:
                on_progress(ScanProgress(len(self.tracks), self._elapsed))
            if self._is_first:
                self._throttle.publish_if_due(self.tracks)

    def _add(self, track: Track, fingerprint: str) -> None:
        cached = self._previous_cache.get(track.path, NO_TAGS)
        if cached.fingerprint != fingerprint:
            self._unread[track.path] = track, fingerprint
            cached = CachedTags(STALE, cached.tags)
        self.cache[track.path] = cached
        known = self._previous.get(track.id)
        found = track.with_tags(cached.tags, change_time_of(fingerprint))
        self.tracks[track.id] = _same_if_equal(found, known)
        if known is None:
            self._new_tracks.add()

    def read_tags(self) -> None:
        """Read the tags of the files that have changed, and complete their tracks."""
        if self._is_first and not self._stop.is_set():
            self._publish(dict(self.tracks))
        with TagReader(self._stop, lambda: self._throttle.publish_if_due(self.tracks)) as reader:
            for path, tags in reader.read(list(self._unread)):
                if tags is not None:
                    track, fingerprint = self._unread[path]
                    self.cache[path] = CachedTags(fingerprint, tags)
                    known = self.tracks[track.id]
                    found = track.with_tags(tags, change_time_of(fingerprint))
                    self.tracks[track.id] = _same_if_equal(found, known)
                self._throttle.publish_if_due(self.tracks)

    def report(self, published: Mapping[str, Track]) -> ScanReport:
        """Return the outcome; ``published`` are the tracks that are published when it ends."""
        return ScanReport(
            tracks=len(published),
            added=sum(track_id not in self._previous for track_id in published),
            removed=sum(track_id not in published for track_id in self._previous),
            left_out=tuple(self.left_out),
            elapsed=self._elapsed,
        )

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began_at


def _same_if_equal(track: Track, known: Track | None) -> Track:
    """Return ``known`` if it equals ``track``: ``Catalogue.updated`` sorts new objects alone."""
    return known if known is not None and known == track else track


def log_left_out(left_out: list[str]) -> None:
    """Log what a scan left out, ``MAX_LOGGED`` lines at most."""
    for sentence in left_out[:MAX_LOGGED]:
        _log.warning("left out %s", sentence)
    if len(left_out) > MAX_LOGGED:
        _log.warning("and %d more left out", len(left_out) - MAX_LOGGED)
