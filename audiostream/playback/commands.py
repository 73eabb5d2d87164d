"""What clients ask of a playback, as values: commands of a user, reports of a player.

Positions and durations are float seconds. ``protocol`` decodes these values and validates them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

MIN_RATE, MAX_RATE = 0.0625, 16.0
"""Times the normal speed: the playback rates that browsers' media elements play."""

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
    """

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    resume: bool = False
    command_id: str | None = None


@fast_dataclass
class PauseTrack:
    """Pause ``track_id`` at ``position``; None: where it is."""

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    command_id: str | None = None


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
    """Where a player is; ``playback_rate`` and ``duration`` are None if it does not report them."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float | None = None
    if_rev: int | None = None
    duration: float | None = None


Change = PlayTrack | PauseTrack | SetState | Report
"""What ``rules.apply`` decides on."""
