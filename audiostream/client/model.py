"""What a program sees of the server: a playback, a track, a queue, a device, an event."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

Repeat = Literal["off", "one", "all"]
"""What follows the end: the next track; the same track again; after the last track the first."""
Sounds = Literal["active", "always"]
"""Whether a client sounds while it is the active device, or at all times."""

SYNC_TOLERANCE = 1.0
"""Seconds: the tolerance of a server that does not tell its own."""


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a playback is in its queue of ``length`` tracks.

    ``index`` is None where the current track is not in the queue; then its first track follows.
    """

    index: int | None = None
    length: int = 0
    repeat: Repeat = "off"


EMPTY_QUEUE = QueuePlace()
"""Also the place in a server's queue that knows of none."""


@dataclass(frozen=True, slots=True)
class State:
    """A user's playback. Positions and durations in seconds, times in epoch milliseconds.

    ``position`` holds at ``server_time``; ``track_id`` is None if nothing was played yet.
    ``device_id`` is the active device's, None if there is none. ``received`` is when the state
    arrived, by ``time.monotonic``.
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
    queue: QueuePlace = EMPTY_QUEUE
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
class Queue:
    """The tracks that follow each other without a command; ids may repeat.

    ``index`` as in ``QueuePlace``; ``rev`` and ``updated_at`` as in ``State``; ``next_track`` is
    what starts at the end of the current track, None if nothing does.
    """

    track_ids: tuple[str, ...]
    index: int | None
    repeat: Repeat
    rev: int
    updated_at: int
    next_track: Track | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """A device's volume from 0 to 1, and whether it is muted; None: unknown, or left as it is."""

    volume: float | None = None
    muted: bool | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A connected device of the user, and what it last reported or was sent.

    ``position`` in seconds. ``report_age``: seconds since its last report, None if it has sent none
    since it was last sent the state.
    """

    device_id: str
    device_name: str | None
    is_active: bool
    track_id: str | None = None
    position: float | None = None
    is_playing: bool = False
    report_age: float | None = None
    volume: Volume = field(default_factory=Volume)


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What ``authenticated`` tells of the server.

    ``version`` is None and ``features`` is empty where it tells nothing. ``sync_tolerance``:
    seconds that a player may be apart from the state without being sent it.
    """

    version: str | None = None
    features: frozenset[str] = frozenset()
    sync_tolerance: float = SYNC_TOLERANCE


@dataclass(frozen=True, slots=True)
class Report:
    """Where a player is; the fields are those of ``Player.report``."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float = 1.0
    duration: float | None = None
    ended: bool = False
    volume: float | None = None
    muted: bool | None = None
    if_rev: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A broadcast: ``trackPlaying``, ``trackPaused``, ``trackUpdated``; ``trackState`` after each
    connection; ``queueUpdated``; or ``volume``, a request to this device. ``state`` is the one
    after it.

    ``track`` comes with ``trackPlaying`` and ``trackState``, and so does ``next_track``, also with
    ``queueUpdated``: None in these if nothing follows. ``queue`` comes with ``queueUpdated``,
    ``volume`` with ``volume``.
    """

    name: str
    state: State
    track: Track | None = None
    next_track: Track | None = None
    queue: Queue | None = None
    volume: Volume | None = None
