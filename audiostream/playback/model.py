"""The values that the rules of playback work on: State, Snapshot, DeviceSync, Outcome.

Positions and durations are float seconds of media. Moments (``at``, ``anchored_at``, ``now``) are
float seconds of a monotonic clock, which the caller passes in; ``updated_at`` is in epoch seconds.
"""

from __future__ import annotations

from enum import Enum, auto

from .commands import fast_dataclass

SYNC_TOLERANCE = 1.0
"""Seconds that two players may be apart and still agree."""
POSITION_ROUNDING = 0.05
"""Seconds by which a player may report less than it was told: media clocks are coarse."""


class CommandRefused(Exception):
    """Raised by ``apply`` for a command that no longer fits the state; nothing has changed."""


@fast_dataclass
class DeviceRef:
    """A connected device: ``key`` is its connection's own, ``device_id`` only a label."""

    key: int
    device_id: str


@fast_dataclass
class State:
    """Where one user's playback is: ``position`` seconds at ``anchored_at``, moving if playing.

    ``duration`` is None where it is unknown; ``is_measured`` says that it is what a player said or
    showed, which the library's estimate does not replace (R19). ``frozen_at`` is set while the
    last player is away (rule 11): the position then stands still although ``is_playing``.
    ``is_abandoned``: it was paused as no player came back; ``is_interrupted``: it was playing when
    the server stopped; and nothing has happened since. In all three cases ``position`` was reached
    at ``anchored_at``. ``updated_at`` is when ``rev`` grew last, in epoch seconds: the registry
    dates what the rules have changed.
    """

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

    def position_at(self, now: float) -> float:
        """The position in seconds, extrapolated to ``now``, within [0, duration]."""
        position = self.position
        if self.is_playing and self.frozen_at is None and now > self.anchored_at:
            position += (now - self.anchored_at) * self.playback_rate
        return self.clamp(position)

    def clamp(self, position: float) -> float:
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
    """A playback as it was seen at a moment: told to a device, or reported by one."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float
    at: float

    def position_at(self, now: float) -> float:
        """Where it is by now, in seconds, if it went on."""
        elapsed = (now - self.at) * self.playback_rate if self.is_playing else 0.0
        return self.position + elapsed

    def explains(self, report: Snapshot, tolerance: float) -> bool:
        """Whether a player that was here, and started late, stalled or went on, says ``report``."""
        return (
            self.track_id == report.track_id
            and self.is_playing == report.is_playing
            and self.playback_rate == report.playback_rate
            and self.reaches(report, tolerance)
        )

    def reaches(self, report: Snapshot, tolerance: float) -> bool:
        """Whether this accounts for the reported position."""
        if not self.is_playing:
            return abs(report.position - self.position) <= tolerance
        elapsed = (report.at - self.at) * self.playback_rate
        earliest, latest = self.position - POSITION_ROUNDING, self.position + elapsed + tolerance
        return earliest <= report.position <= latest


@fast_dataclass
class DeviceSync:
    """What the rules know of one connected device. Times are float seconds.

    ``told``: what it was last told (None: nothing, or that there is no track). ``reported``: its
    own last report since. ``recent``: what it was told and what it reported within
    ``SETTLE_TIME`` before it was told ``told``, or last of all, and since; and the user's state
    before each telling. A report that just goes on from the one before takes its place.
    ``in_sync``: it has agreed since it was told. ``reports_playing``: it reported playing, and has
    neither reported nor been told otherwise since.

    ``previous_sent_at``: when it was told what it was told before (rule 15). ``is_ignored``: its
    last report was, by rule 3; ``resend_count``: how often its silence has been answered since it
    agreed or was told for another reason (rule 16).
    """

    last_sent: Snapshot | None = None
    last_report: Snapshot | None = None
    history: tuple[Snapshot, ...] = ()
    in_sync: bool = False
    reports_playing: bool = False
    previous_sent_at: float | None = None
    is_ignored: bool = False
    resend_count: int = 0

    @property
    def current(self) -> Snapshot | None:
        """What the device does as far as is known: what it reported, else what it was told."""
        return self.last_report or self.last_sent


@fast_dataclass
class StopPoint:
    """Where a track was left: ``position`` in seconds, at the moment ``at``.

    The rules say ``at`` in ``now``; it is kept in epoch seconds, which mean something after a
    restart.
    """

    track_id: str
    position: float
    at: float


class Recipients(Enum):
    """Who is told the state after an outcome."""

    NOBODY = auto()
    SENDER = auto()
    OTHERS = auto()
    ROOM = auto()
    PAUSED = auto()
    """Those that were last sent that nothing plays."""


# An enum looks a member up in Python, for every frame.
NOBODY, SENDER, OTHERS, ROOM, PAUSED = Recipients


@fast_dataclass
class Outcome:
    """The ``state`` and the sender's ``sync`` after a command, and who hears ``event``."""

    state: State
    sync: DeviceSync
    recipients: Recipients
    event: str = "trackUpdated"


def is_end(position: float, duration: float | None) -> bool:
    """Whether a position is the end of its track, as far as that is known."""
    return duration is not None and abs(position - duration) <= SYNC_TOLERANCE


def refutes(position: float, duration: float | None) -> bool:
    """Whether a player that is at ``position`` shows that the track is longer (R19)."""
    return duration is not None and position > duration + SYNC_TOLERANCE
