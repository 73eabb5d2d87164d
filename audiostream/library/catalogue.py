"""``Catalogue``: all tracks at one moment, by id and in the order of lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

from .search import fold, searchable
from .tags.fields import MAX_NUMBER
from .tracks import Track

MAX_SORT_RUN: Final = 2000
"""Tracks that are sorted in one call: about 4 ms during which no other thread runs."""
_DIGITS: Final = re.compile("[0-9]+")


class ListedTrack(NamedTuple):
    """A track, the text in which a search looks, and the key by which lists are sorted."""

    track: Track
    search_text: str
    sort_key: str


_SORT_KEY: Final = itemgetter(ListedTrack._fields.index("sort_key"))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tracks at one moment. Threads may read it while another makes the next one."""

    by_id: Mapping[str, Track] = field(default_factory=dict)
    ordered: tuple[ListedTrack, ...] = ()

    def updated(self, tracks: Mapping[str, Track]) -> Catalogue:
        """Return the catalogue of ``tracks``; objects that are in this one are not sorted again.

        No call here sorts more than ``MAX_SORT_RUN`` tracks, because a sort does not release the
        interpreter lock: one of 50,000 takes 100 ms on a small machine.
        """
        kept = (listed for listed in self.ordered if tracks.get(listed[0].id) is listed[0])
        new = (track for track in tracks.values() if self.by_id.get(track.id) is not track)
        listed = (ListedTrack(track, _search_text(track), _sort_key(track)) for track in new)
        runs = []
        while run := sorted(islice(listed, MAX_SORT_RUN), key=_SORT_KEY):
            runs.append(run)
        return Catalogue(tracks, tuple(merge(kept, *runs, key=_SORT_KEY)))


def _search_text(track: Track) -> str:
    return searchable((track.title, track.artist, track.album))


def _sort_key(track: Track) -> str:
    """Return the key for album artist, album, disc, track number, title and id.

    It is one string, because the event loop waits while keys are compared.
    """
    names = (track.album_artist or track.artist or "", track.album or "", track.title, track.id)
    artist, album, title, track_id = (_DIGITS.sub(_pad, fold(name)) for name in names)
    # Discs are counted from 1, and tracks without a number follow those with one.
    numbers = f"{track.disc or 1:06}.{track.track_number or MAX_NUMBER + 1:07}"
    return "\n".join((artist, album, numbers, title, track_id))


def _pad(digits: re.Match[str]) -> str:
    """Return a number with its length before it, so that "track 10" sorts after "track 9"."""
    significant = digits[0].lstrip("0")
    return f"{len(significant):04}{significant}"
