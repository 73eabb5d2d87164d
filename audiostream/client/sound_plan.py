"""What a sound player must do to follow a playback: ``plan``. Pure.

Positions are float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model import Track


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to sound now, and what follows it."""

    track: Track
    position: float
    is_playing: bool
    playback_rate: float
    next_track: Track | None


@dataclass(frozen=True, slots=True)
class Sound:
    """What a sound player does. ``track_id``: None if nothing is loaded."""

    track_id: str | None = None
    position: float = 0.0
    is_paused: bool = False
    playback_rate: float = 1.0
    next_track_id: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Unload everything."""


@dataclass(frozen=True, slots=True)
class Load:
    """Replace everything by a track from ``position``."""

    track: Track
    position: float


@dataclass(frozen=True, slots=True)
class Seek:
    """Move to ``position`` in the loaded track."""

    position: float


@dataclass(frozen=True, slots=True)
class SetPaused:
    """Pause, or go on."""

    is_paused: bool


@dataclass(frozen=True, slots=True)
class SetRate:
    """Play at a rate."""

    playback_rate: float


@dataclass(frozen=True, slots=True)
class SetNext:
    """Replace what follows the loaded track without a gap; None: nothing."""

    track: Track | None


Action = Stop | Load | Seek | SetPaused | SetRate | SetNext


def plan(wanted: Wanted | None, sound: Sound, tolerance: float) -> list[Action]:
    """Return what ``sound`` lacks to be ``wanted``; None: silence.

    Positions that are ``tolerance`` seconds apart are the same: a seek is audible. A track that is
    paused is not loaded before it is played: it would be downloaded for nothing.
    """
    if wanted is None or (wanted.track.id != sound.track_id and not wanted.is_playing):
        return [] if sound.track_id is None else [Stop()]
    actions: list[Action] = []
    if sound.playback_rate != wanted.playback_rate:
        actions.append(SetRate(wanted.playback_rate))
    if wanted.track.id != sound.track_id:
        actions += [Load(wanted.track, wanted.position), SetPaused(False)]
    else:
        if abs(wanted.position - sound.position) > tolerance:
            actions.append(Seek(wanted.position))
        if sound.is_paused == wanted.is_playing:
            actions.append(SetPaused(not wanted.is_playing))
    next_track_id = None if wanted.next_track is None else wanted.next_track.id
    if wanted.track.id != sound.track_id or sound.next_track_id != next_track_id:
        actions.append(SetNext(wanted.next_track))
    return actions
