"""What clients ask of a playback: commands of a user and reports of a player, as values.

Positions and durations are float seconds. ``protocol`` decodes these values and checks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

MIN_RATE, MAX_RATE = 0.0625, 16.0
"""The playback rates that browsers' media elements play."""

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
    """A person wants ``track_id`` to play, from ``position`` seconds or where it stands.

    ``resume``: another track than the current one starts where this user last left it. A command
    that is sent once more has the same ``command_id``.
    """

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    resume: bool = False
    command_id: str | None = None


@fast_dataclass
class PauseTrack:
    """A person wants ``track_id`` to stop, at ``position`` seconds or where it stands."""

    track_id: str
    position: float | None = None
    if_rev: int | None = None
    command_id: str | None = None


@fast_dataclass
class SetState:
    """A person sets the whole state over REST."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float | None = None
    if_rev: int | None = None


@fast_dataclass
class Report:
    """A player says where it is; ``playback_rate`` and ``duration`` are None where it does not say.

    ``duration`` is that of its track in seconds, as the player knows it.
    """

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float | None = None
    if_rev: int | None = None
    duration: float | None = None


Change = PlayTrack | PauseTrack | SetState | Report
"""What the rules of playback decide on."""
