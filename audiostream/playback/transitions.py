"""From a state to the next: ``accept`` makes a new rev, ``move`` the one that it is given."""

from __future__ import annotations

from .model import DeviceRef, Snapshot, State, is_beyond_end
from .queue import Queue


def accept(
    state: State,
    target: Snapshot,
    duration: float | None,
    by: DeviceRef | None,
    queue: Queue | None = None,
) -> State:
    """Return the state after a change: rev + 1; the sender's device, if any, becomes active."""
    return move(state, target, duration, state.rev + 1, by or state.active_device, queue)


def move(
    state: State,
    target: Snapshot,
    duration: float | None,
    rev: int,
    active: DeviceRef | None,
    queue: Queue | None = None,
) -> State:
    """Return the state at ``target``, whose track has ``duration``.

    ``queue``: None moves the place in the present one to the track (R23).
    """
    is_refuted = is_beyond_end(target.position, duration)  # R19
    is_same_track = state.track_id == target.track_id
    end = None if is_refuted else duration
    if queue is None:
        queue = state.queue if is_same_track else state.queue.with_current(target.track_id)
    return State(
        track_id=target.track_id,
        duration=end,
        position=target.position if end is None else min(target.position, end),
        anchored_at=target.at,
        is_playing=target.is_playing,
        playback_rate=target.playback_rate,
        rev=rev,
        updated_at=state.updated_at,
        active_device=active,
        is_measured=is_refuted or (state.is_measured and is_same_track),
        queue=queue,
    )
