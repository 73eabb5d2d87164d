"""What a program sees of the server: a playback, a track, an event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class State:
    """A user's playback. Positions and durations in seconds, times in epoch milliseconds.

    ``position`` holds at ``server_time``; ``track_id`` is None if nothing was played yet.
    ``received`` is when the state arrived, by ``time.monotonic``.
    """

    track_id: str | None
    position: float
    duration: float | None
    is_playing: bool
    playback_rate: float
    rev: int
    device_id: str | None
    updated_at: int
    server_time: int
    received: float = field(default_factory=time.monotonic, compare=False, repr=False)

    def position_at(self, moment: float) -> float:
        """Return the seconds into the track at ``moment`` of ``time.monotonic``, extrapolated."""
        if not self.is_playing:
            return self.position
        position = self.position + (moment - self.received) * self.playback_rate
        return position if self.duration is None else min(position, self.duration)


@dataclass(frozen=True, slots=True)
class Track:
    """A track of the library; ``duration`` in seconds, ``stream_url`` absolute with a ticket."""

    id: str
    title: str
    stream_url: str
    artist: str | None = None
    album: str | None = None
    duration: float | None = None
    owner_id: str | None = None
    album_artist: str | None = None
    disc: int | None = None
    track_number: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A broadcast: ``trackPlaying``, ``trackPaused``, ``trackUpdated``; or ``trackState`` after
    each connection. ``track`` comes with ``trackPlaying`` and ``trackState``.
    """

    name: str
    state: State
    track: Track | None = None
