"""Which changes of the playback start a track, for the history of what was played."""

from __future__ import annotations

from .commands import fast_dataclass
from .model import State


@fast_dataclass
class PlayedTrack:
    """A track that was started, and when, in epoch seconds."""

    track_id: str
    at: float


def started_track(before: State, after: State) -> str | None:
    """Return the track that a change starts, resumes, or plays from its beginning; else None.

    A player that comes back to a frozen playback went on, and a seek elsewhere starts nothing.
    """
    if not after.is_playing or after.frozen_at is not None:
        return None
    is_restarted = after.rev != before.rev and after.position == 0.0
    is_started = after.track_id != before.track_id or not before.is_playing or is_restarted
    return after.track_id if is_started else None
