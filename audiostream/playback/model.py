"""The values that the rules work on: State, Snapshot, DeviceSync, Outcome.

Positions and durations are float seconds of media. Moments (``now``, ``at``, ``…_at``) are float
seconds of a monotonic clock, but for ``State.updated_at`` and ``StopPoint.at``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from enum import Enum

from .commands import fast_dataclass
from .queue import EMPTY_QUEUE, Queue

SYNC_TOLERANCE = 1.0
"""Seconds that two players may be apart and agree: a report is up to 0.8 s old on a bad network."""
POSITION_ROUNDING = 0.05
"""Seconds by which a player may report less than it was sent: media clocks are coarse."""


class CommandRefused(Exception):
    """Raised by ``apply`` for a command that does not fit the state; nothing has changed."""


@fast_dataclass
class DeviceRef:
    """A connected device: ``key`` is unique to its connection, ``device_id`` only a label."""

    key: int
    device_id: str


@fast_dataclass
class State:
    """The playback of one user: at ``position`` at the moment ``anchored_at``, moving if playing.

    ``duration``: None if unknown. ``is_measured``: it does not come from the library (R19).
    ``frozen_at``: since when no player is left; the position stands still although ``is_playing``.
    ``is_abandoned``: paused as no player came back; ``is_interrupted``: playing when the server
    stopped; both until the next change (R11). ``ended_at``: when the track came to its end, until
    it is known what follows (R24). ``updated_at``: when ``rev`` grew, in epoch seconds.
    """

    _: KW_ONLY
    track_id: str | None = None
    duration: float | None = None
    position: float = 0.0
    anchored_at: float = 0.0
    is_playing: bool = False
    playback_rate: float = 1.0
    rev: int = 0
    updated_at: float = 0.0
    active_device: DeviceRef | None = None
    frozen_at: float | None = None
    is_interrupted: bool = False
    is_abandoned: bool = False
    is_measured: bool = False
    ended_at: float | None = None
    queue: Queue = EMPTY_QUEUE

    def position_at(self, now: float) -> float:
        """Return the position extrapolated to ``now``, at most the duration."""
        position = self.position
        if self.is_playing and self.frozen_at is None and now > self.anchored_at:
            position += (now - self.anchored_at) * self.playback_rate
        return self.clamp(position)

    def clamp(self, position: float) -> float:
        """Return ``position``, or the duration if that is less."""
        end = self.duration
        return position if end is None or position <= end else end

    def snapshot(self, now: float) -> Snapshot | None:
        """Return the state as of ``now``; None without a track."""
        if self.track_id is None:
            return None
        position = self.position_at(now)
        return Snapshot(self.track_id, position, self.is_playing, self.playback_rate, now)


@fast_dataclass
class Snapshot:
    """A playback at the moment ``at``: as a device was sent it, or as it reported it."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float
    at: float

    def position_at(self, now: float) -> float:
        """Return the position at ``now`` of a player that went on."""
        elapsed = (now - self.at) * self.playback_rate if self.is_playing else 0.0
        return self.position + elapsed

    def explains(self, report: Snapshot, tolerance: float) -> bool:
        """Whether a player that was here and went on, stalled or started late sends ``report``."""
        return (
            self.track_id == report.track_id
            and self.is_playing == report.is_playing
            and self.playback_rate == report.playback_rate
            and self.explains_position(report, tolerance)
        )

    def explains_position(self, report: Snapshot, tolerance: float) -> bool:
        """The same of the position alone."""
        if not self.is_playing:
            return abs(report.position - self.position) <= tolerance
        latest = self.position + (report.at - self.at) * self.playback_rate + tolerance
        return self.position - POSITION_ROUNDING <= report.position <= latest


@fast_dataclass
class DeviceSync:
    """What is remembered of one connected device.

    ``last_sent``: None if it was sent nothing, or that there is no track. ``last_report``: its own
    since then. ``history``: see ``sync``. ``in_sync``: it has agreed since it was sent something.
    ``reports_playing``: its last report was playing, and no pause was sent to it since.
    ``previous_sent_at``: when it was sent what came before ``last_sent`` (R15). ``is_ignored``: its
    last report was (R3). ``resend_count``: how often in a row it was sent the state again (R16).
    """

    last_sent: Snapshot | None = None
    last_report: Snapshot | None = None
    history: tuple[Snapshot, ...] = ()
    in_sync: bool = False
    reports_playing: bool = False
    previous_sent_at: float | None = None
    resend_count: int = 0
    is_ignored: bool = False

    @property
    def current(self) -> Snapshot | None:
        """What the device does as far as is known: what it reported, else what it was sent."""
        return self.last_report or self.last_sent


@fast_dataclass
class StopPoint:
    """Where a track stopped, and when; rooms and the store keep ``at`` in epoch seconds."""

    track_id: str
    position: float
    at: float


Recipients = Enum("Recipients", "NOBODY SENDER OTHERS ROOM PAUSED")
"""Who is sent the state after an outcome; PAUSED: devices last sent one that does not play."""
NOBODY, SENDER, OTHERS, ROOM, PAUSED = Recipients  # Python 3.11 is slow to look up a member


@fast_dataclass
class Outcome:
    """The ``state`` and the sender's ``sync`` after a command, and who is sent ``event``.

    ``has_ended``: the track that was current has been played to its end, wherever that is (R24).
    """

    state: State
    sync: DeviceSync
    recipients: Recipients
    event: str = "trackUpdated"
    has_ended: bool = False


def is_end(position: float, duration: float | None) -> bool:
    """Whether ``position`` is the end of a track, as far as its duration is known."""
    return duration is not None and abs(position - duration) <= SYNC_TOLERANCE


def is_beyond_end(position: float, duration: float | None) -> bool:
    """Whether a player at ``position`` shows that the track is longer than ``duration`` (R19)."""
    return duration is not None and position > duration + SYNC_TOLERANCE


def check_rev(state: State, if_rev: int | None) -> None:
    """Raise ``CommandRefused`` where a command is meant for another rev than the state's (R8)."""
    if if_rev is not None and if_rev != state.rev:
        raise CommandRefused(f"the state has moved on to rev {state.rev}")
