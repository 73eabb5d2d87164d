"""Tracks as clients see them: with a signed stream URL, without the file's path."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final
from urllib.parse import quote

from ..auth.tickets import TicketSigner
from ..errors import TrackNotFound
from ..library.library import Library
from ..library.tracks import Track

CACHE_SIZE: Final = 1024
"""Descriptions of tracks that are cached: those of the tracks that play."""


class TrackDescriptions:
    """The library for rooms and clients. ``wall_clock`` returns epoch seconds.

    ``get_stream_path`` returns the path of streams without the track's id. It is called with the
    first track: an application may be mounted under a prefix until it starts.
    """

    def __init__(
        self,
        library: Library,
        tickets: TicketSigner,
        wall_clock: Callable[[], float],
        get_stream_path: Callable[[], str],
    ) -> None:
        self._library = library
        self._tickets = tickets
        self._wall_clock = wall_clock
        self._get_stream_path = get_stream_path
        self._cached_description = lru_cache(CACHE_SIZE)(self._make_description)

    @cached_property
    def _stream_path(self) -> str:
        return self._get_stream_path()

    def duration(self, user_id: str, track_id: str) -> float | None:
        """Return a track's duration in seconds, None if unknown. Raises ``TrackNotFound``."""
        return self._library.find(track_id, user_id).duration

    def same_album(self, user_id: str, track_id: str, other_id: str) -> bool:
        """Return whether two tracks are of one album; False where one of them is not found."""
        try:
            track, other = (self._library.find(each, user_id) for each in (track_id, other_id))
        except TrackNotFound:
            return False
        albums = [(each.album, each.album_artist) for each in (track, other)]
        return track.album is not None and albums[0] == albums[1]

    def describe(self, user_id: str, track_id: str) -> Mapping[str, Any]:
        """Return a track as JSON; the same object until it, or its ticket, changes.

        Raises ``TrackNotFound``.
        """
        version = self.list_version(user_id)  # read first: never cache an old track as a new one
        track = self._library.find(track_id, user_id)
        expires_at = self._tickets.ticket_expiry(track.duration, self._wall_clock())
        return self._cached_description(user_id, track_id, expires_at, version)

    def list_version(self, user_id: str) -> Hashable:
        """Return a key that changes with the list of a user's tracks, but for ticket expiry."""
        return self._library.version, self._tickets.revoked.get(user_id)

    def describe_for_list(self, user_id: str, track_id: str, now: float) -> Mapping[str, Any]:
        """Return the same without caching, as a long list would evict what rooms use.

        The ticket is signed as of ``now``, in epoch seconds. Raises ``TrackNotFound``.
        """
        track = self._library.find(track_id, user_id)
        ticket = self._tickets.ticket(user_id, track.id, track.duration, now)
        return self._to_json(track, ticket)

    def _make_description(
        self, user_id: str, track_id: str, expires_at: int, version: Hashable
    ) -> Mapping[str, Any]:
        """Return a track as JSON; ``version`` is part of the cache key alone."""
        track = self._library.find(track_id, user_id)
        return self._to_json(track, self._tickets.ticket_until(expires_at, user_id, track_id))

    def _to_json(self, track: Track, ticket: str) -> Mapping[str, Any]:
        optional = {
            "artist": track.artist,
            "album": track.album,
            "albumArtist": track.album_artist,
            "disc": track.disc,
            "trackNumber": track.track_number,
            "duration": track.duration,
            "addedAt": track.added_at,
            "ownerId": track.owner_id,
        }
        return {
            "id": track.id,
            "title": track.title,
            **{name: value for name, value in optional.items() if value is not None},
            "streamUrl": f"{self._stream_path}{quote(track.id, safe='')}?ticket={ticket}",
        }
