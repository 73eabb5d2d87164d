"""``Library``: the published tracks of a media folder, and who may play them.

Threads that read see one whole catalogue or the next, never half of one. What cannot be understood
is left out and reported, and never becomes readable by more people because of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path

from ..errors import LibraryError, TrackNotFound
from .catalogue import Catalogue
from .manifest import ManifestFile
from .scanner import FreezeCounter, Scan, ScanProgress, ScanReport, log_left_out
from .search import parse_query
from .tag_cache import NO_TAGS, ScanRow, TagCache, change_time_of, from_rows, to_rows
from .track_finder import TrackFinder
from .tracks import Track
from .walk import walk_all


class Library:
    """The tracks of one media folder.

    ``version`` grows with every change that was published; ``ready`` is whether all tracks were
    ever listed. Raises ``LibraryError`` for a folder that cannot be read.
    """

    def __init__(self, media: Path) -> None:
        if not os.path.isdir(media) or not os.access(media, os.R_OK | os.X_OK):
            raise LibraryError(
                "the media folder cannot be read. Check that it exists and who may read it."
            )
        self.version = 0
        self.ready = False
        self._root = media.resolve()
        self._catalogue = Catalogue()
        self._manifest_file = ManifestFile(self._root)
        self._cache: TagCache = {}
        self._new_tracks = FreezeCounter()
        self._scan_lock = threading.Lock()

    def find(self, track_id: str, user_id: str | None) -> Track:
        """Return a track. Raises ``TrackNotFound`` if this user has none of that id."""
        track = self._catalogue.by_id.get(track_id)
        if track is None or not track.playable_by(user_id):
            raise TrackNotFound("there is no such track")
        return track

    @property
    def root(self) -> Path:
        """The media folder: an absolute path without symbolic links."""
        return self._root

    @property
    def size(self) -> int:
        """The number of tracks, all users' together."""
        return len(self._catalogue.ordered)

    def tracks_for(self, user_id: str | None, query: str = "") -> list[Track]:
        """Return what a user may play, by album artist, album, disc, track number and title.

        Every word of ``query`` must occur in the title, artist or album; case, accents and
        punctuation do not matter. Raises ``InvalidMessage`` for a query that is too long.
        """
        words = parse_query(query)
        return [
            track
            for track, text, _ in self._catalogue.ordered
            if track.playable_by(user_id) and all(word.is_in(text) for word in words)
        ]

    def restore(self, rows: Iterable[ScanRow]) -> None:
        """Publish what a scan of an earlier process found, unless tracks are known. Blocks.

        Owners are decided anew. No audio file is opened: the next scan does so, for those that
        have changed. Raises ``ValueError`` for rows that no scan has found.
        """
        with self._scan_lock:
            cache = from_rows(self._root, rows)
            if self.ready or not cache:
                return
            self._cache = cache
            manifest = self._manifest_file.read(partial(walk_all, self._root, threading.Event()))
            finder = TrackFinder(self._root, manifest, {}, left_out=[])
            others = map(finder.track_at, cache.keys() - manifest.claimed)
            tracks: dict[str, Track] = {}
            for track in chain(manifest.entries, filter(None, others)):
                fingerprint, tags = cache.get(track.path, NO_TAGS)
                added_at = change_time_of(fingerprint)
                tracks.setdefault(track.id, track.with_tags(tags, added_at))
                self._new_tracks.add()
            self._publish(tracks)
            self.ready = True

    def rows(self) -> list[ScanRow]:
        """Return what the last scan found, for ``restore``."""
        return to_rows(self._root, self._cache)

    def scan(
        self,
        on_progress: Callable[[ScanProgress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> ScanReport:
        """Scan the folder and publish its tracks. Blocks; call it in a worker thread.

        All files are found first, and listed by name or with the tags they had; then the tags of
        those that have changed are read. Partial catalogues are published about every second: by
        a first scan from the beginning, by a later one once all files are found. ``on_progress``
        is called for every track found. Once ``stop`` is set the scan ends soon, and what was
        published before stays.
        """
        stop = stop or threading.Event()
        with self._scan_lock:
            previous = self._catalogue.by_id
            scan = Scan(
                previous=previous,
                cache=self._cache,
                publish=self._publish,
                is_first=not self.ready,
                new_tracks=self._new_tracks,
                stop=stop,
            )
            manifest = self._manifest_file.read(partial(walk_all, self._root, stop))
            finder = TrackFinder(self._root, manifest, previous, scan.left_out)
            scan.collect(finder.find(stop), self._root, on_progress)
            scan.read_tags()
            if stop.is_set():
                return scan.report(previous)
            self._cache = scan.cache
            self._publish(scan.tracks)
            self.ready = True
            log_left_out(scan.left_out)
            return scan.report(scan.tracks)

    def _publish(self, tracks: dict[str, Track]) -> None:
        if tracks != self._catalogue.by_id:
            self._catalogue = self._catalogue.updated(tracks)
            self.version += 1
