"""What clients ask of a playback, as values: commands of a user, reports of a player.

Positions and durations are float seconds. ``protocol`` decodes these values and validates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, dataclass_transform

MIN_RATE, MAX_RATE = 0.0625, 16.0
"""Times the normal speed: the playback rates that browsers' media elements play."""

Repeat = Literal["off", "one", "all"]
"""What follows the end: the next track; the same track again; after the last track the first."""

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def fast_dataclass(cls: type[_T]) -> type[_T]:
    """Make ``cls`` an immutable dataclass; the type checker alone enforces that.

    Several are created for every frame: creating one with ``frozen=True`` takes up to seven times
    as long, a ``NamedTuple`` twice, and that compares equal to other tuples of the same content.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@fast_dataclass
class PlayTrack:
    """Play ``track_id`` from ``position``; None: where it is, or 0, or where ``resume`` finds it.

    A client that sends a command again, as its connection broke, keeps the ``command_id``.
    ``queue``: the new queue, which has ``track_id`` at ``queue_index``, None: at its first place.
    ``device_id``: the device that shall be the active one then, None: the sender (R25).
    """

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    resume: bool = False
    command_id: str | None = None
    queue: tuple[str, ...] | None = None
    queue_index: int | None = None
    device_id: str | None = None


@fast_dataclass
class PauseTrack:
    """Pause ``track_id`` at ``position``; None: where it is. ``device_id``: see ``PlayTrack``."""

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    command_id: str | None = None
    device_id: str | None = None


@fast_dataclass
class SetState:
    """Set the whole state over REST."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float | None = None
    if_rev: int | None = None


@fast_dataclass
class Report:
    """Where a player is. What it does not report is None; ``ended``: its track is over.

    ``volume`` is between 0 and 1.
    """

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float | None = None
    if_rev: int | None = None
    duration: float | None = None
    ended: bool = False
    volume: float | None = None
    muted: bool | None = None


@fast_dataclass
class SetQueue:
    """Replace the queue; what plays goes on.

    The current track is looked for from ``queue_index`` on, then from the start.
    """

    track_ids: tuple[str, ...]
    queue_index: int | None = None
    if_rev: int | None = None
    command_id: str | None = None


@fast_dataclass
class NextTrack:
    """Play the next track of the queue. ``device_id``: see ``PlayTrack``."""

    if_rev: int | None = None
    command_id: str | None = None
    device_id: str | None = None


@fast_dataclass
class PreviousTrack:
    """Play the one before in the queue, or the current track from its start.

    ``device_id``: see ``PlayTrack``.
    """

    if_rev: int | None = None
    command_id: str | None = None
    device_id: str | None = None


@fast_dataclass
class SetRepeat:
    """Set what follows the end of a track, and of the queue."""

    repeat: Repeat
    if_rev: int | None = None
    command_id: str | None = None


@fast_dataclass
class ShuffleQueue:
    """Shuffle what follows the current place of the queue."""

    if_rev: int | None = None
    command_id: str | None = None


@fast_dataclass
class TransferPlayback:
    """Make the connected device ``device_id`` the active one; ``play``: None leaves it as it is."""

    device_id: str
    play: bool | None = None
    if_rev: int | None = None
    command_id: str | None = None


Change = PlayTrack | PauseTrack | SetState | Report
"""What ``rules.apply`` decides on."""
Skip = NextTrack | PreviousTrack
ListChange = SetQueue | SetRepeat | ShuffleQueue
QueueCommand = Skip | ListChange
"""What ``queue_rules`` decides on."""
AnyCommand = Change | QueueCommand | TransferPlayback


def command_id_of(command: AnyCommand) -> str | None:
    """Return the id by which a command that is sent again is recognized, None without one."""
    return None if isinstance(command, Report | SetState) else command.command_id
