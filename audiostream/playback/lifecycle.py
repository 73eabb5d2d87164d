"""What time and disconnects do to a playback: the end of a track, freeze, grace period, resend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .commands import Report
from .model import DeviceSync, State, StopPoint, is_end, refutes
from .sync import SETTLE_TIME

MAX_RESENDS = 3
"""How often a silent device that does not follow is told again."""
RESUME_GRACE = 30.0
"""Seconds that a frozen playback waits for a player to come back."""
MIN_STOP_POSITION = 5.0
"""Seconds into a track from which on it is remembered where it was left."""
FAR_JUMP = 30.0
"""Seconds: a position that is replaced by one farther away is kept as a stop point (rule 20)."""


def advance(state: State, now: float) -> State:
    """The state after what time alone does to it: a track ends, a grace period runs out."""
    if not state.is_playing:
        return state
    if state.frozen_at is not None:
        if now - state.frozen_at < RESUME_GRACE:
            return state
        return replace(  # rule 11: none came back
            state,
            is_playing=False,
            frozen_at=None,
            is_abandoned=True,
            rev=state.rev + 1,
        )
    begin, end = state.position, state.duration  # no ``position_at``: this is asked all the time
    elapsed = (now - state.anchored_at) * state.playback_rate
    if end is None or (begin < end and begin + elapsed < end):
        return state
    return replace(state, is_playing=False, position=end)


def assumed_report(sync: DeviceSync, now: float) -> Report | None:
    """What an ignored device that has fallen silent is taken to say (rule 16), else None.

    The caller applies it as if the device had sent it, tells the device what came of it, and then
    calls ``record_resend``. A device that reported playing, was told to pause, and is silent
    since has paused: players that play report.
    """
    last, told = sync.last_report, sync.last_sent
    if last is None or not may_resend(sync):
        return None
    silent_for = now - last.at
    if silent_for < SETTLE_TIME:
        return None
    has_followed = told is not None and not told.is_playing
    is_playing = last.is_playing and not has_followed
    elapsed = silent_for * last.playback_rate if is_playing else 0.0
    return Report(last.track_id, last.position + elapsed, is_playing, last.playback_rate)


def may_resend(sync: DeviceSync) -> bool:
    """Whether rule 16 may come to apply to a device as it is."""
    return sync.is_ignored and sync.resend_count < MAX_RESENDS


def stop_points(before: State, after: State, now: float) -> tuple[StopPoint, ...]:
    """The stop points that a change leaves (rule 20), the last one to be resumed.

    One so near its track's beginning that what is known already is worth more is none. The end of
    a track leads to its beginning.
    """
    if before.track_id is None:
        return ()
    was = advance(before, now).position_at(now)
    if after.track_id != before.track_id:
        return _stop_points(before, (was,), now)
    is_far = abs(after.position_at(now) - was) > FAR_JUMP
    stopped = before.is_playing and not after.is_playing
    places = ((was,) if is_far else ()) + ((after.position,) if stopped else ())
    return _stop_points(after if stopped else before, places, now)


def _stop_points(state: State, places: tuple[float, ...], now: float) -> tuple[StopPoint, ...]:
    """``places`` in the track of ``state`` as stop points."""
    return tuple(
        StopPoint(state.track_id or "", 0.0 if is_end(place, state.duration) else place, now)
        for place in places
        if place >= MIN_STOP_POSITION
    )


def on_disconnect(
    state: State, leaving: DeviceSync, others: Iterable[DeviceSync], now: float
) -> State:
    """The state once a device has left; ``others`` are those that stay (rule 11)."""
    state = advance(state, now)
    if not state.is_playing or state.frozen_at is not None:
        return state
    others = tuple(others)
    if others and not (leaving.reports_playing and not any(o.reports_playing for o in others)):
        return state
    position, reached_at = state.position_at(now), now
    if leaving.in_sync and leaving.last_report is not None:  # a dead socket is noticed late
        position, reached_at = leaving.last_report.position, leaving.last_report.at
    return replace(state, position=state.clamp(position), anchored_at=reached_at, frozen_at=now)


def with_listed_duration(state: State, duration: float | None) -> State:
    """The state with the listed ``duration`` of its track, unless a player knows better (rule 19).

    A position that was reported or set beyond it refutes it, an extrapolated one does not.
    """
    if duration == state.duration or state.is_measured:
        return state
    if refutes(state.position, duration):
        return replace(state, duration=None, is_measured=True)
    return replace(state, duration=duration)
