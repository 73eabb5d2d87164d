"""What happens to a playback without a message: time, disconnects, a rescan of the library."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .commands import Change, Report
from .model import DeviceRef, DeviceSync, State, StopPoint, is_beyond_end, is_end
from .sync import SETTLE_TIME, is_settling

NEVER_PLAYED = State()
"""Shared by all users who have played nothing: 170 bytes less for each who is connected."""
MAX_RESENDS = 3
"""How often in a row an ignored device is sent the state again; after that, it cannot follow."""
RESUME_GRACE = 30.0
"""Seconds that a frozen playback waits for a player: a page reloads and a phone changes its network
in less, and a phone whose battery died must not play on for hours."""
MIN_STOP_POSITION = 5.0
"""Seconds: a stop point nearer to the beginning of its track is not worth an older one."""
FAR_JUMP = 30.0
"""Seconds: a shorter jump is a skip within what is being listened to, and leaves no stop point."""

LONGEST_INTERRUPTION = 24 * 3600.0
"""Seconds that a stop of the server is assumed to have lasted where the wall clock was set back."""


def interruption(elapsed: float) -> float:
    """Return how long a stop of the server lasted by the wall clock, in seconds."""
    return elapsed if elapsed >= 0 else LONGEST_INTERRUPTION


def advance(state: State, now: float) -> State:
    """Return the state after what time alone does: a track ends, the grace period runs out."""
    if not state.is_playing:
        return state
    if state.frozen_at is not None:
        if now - state.frozen_at < RESUME_GRACE:
            return state
        rev = state.rev + 1  # R11
        return replace(state, is_playing=False, frozen_at=None, is_abandoned=True, rev=rev)
    begin, end = state.position, state.duration  # no ``position_at``: this runs for every frame
    elapsed = (now - state.anchored_at) * state.playback_rate
    if end is None or (begin < end and begin + elapsed < end):
        return state
    ended_at = state.anchored_at + max(0.0, end - begin) / state.playback_rate
    return replace(state, is_playing=False, position=end, ended_at=ended_at)


def with_listed_duration(state: State, duration: float | None) -> State:
    """Return the state with its track's duration as the library lists it, unless measured (R19)."""
    if duration == state.duration or state.is_measured:
        return state
    is_refuted = is_beyond_end(state.position, duration)
    return replace(state, duration=None if is_refuted else duration, is_measured=is_refuted)


def is_player(state: State, device: DeviceRef, sync: DeviceSync) -> bool:
    """Whether a device plays, as far as is known (R11).

    The active one does until it reports a pause: it may be gone before it has loaded the track. It
    is known by its id, as it may have reconnected.
    """
    active, last = state.active_device, None if sync.is_ignored else sync.last_report
    is_active = active is not None and device.device_id == active.device_id
    has_paused = last is not None and not last.is_playing
    return sync.reports_playing or (is_active and not has_paused)


def _is_heard(state: State, device: DeviceRef, sync: DeviceSync, now: float) -> bool:
    """Whether a device plays, or is about to: one that never reports makes no sound."""
    is_starting = is_settling(sync, now) and is_player(state, device, sync)
    return sync.reports_playing or is_starting


def on_disconnect(
    state: State,
    device: DeviceRef,
    sync: DeviceSync,
    rest: Iterable[tuple[DeviceRef, DeviceSync]],
    now: float,
) -> State:
    """Return the state after a disconnect: frozen if the ``rest`` have no player (R11).

    Where it leaves no device at the end of a track, nothing follows (R24).
    """
    state, rest = advance(state, now), tuple(rest)
    if state.ended_at is not None and not rest:
        return replace(state, ended_at=None)
    if not state.is_playing or state.frozen_at is not None:
        return state
    was_player = is_player(state, device, sync)
    if rest and (not was_player or any(_is_heard(state, *other, now) for other in rest)):
        return state
    position, reached_at = state.position_at(now), now
    if sync.in_sync and sync.last_report is not None:  # a dead connection is noticed late
        position, reached_at = sync.last_report.position, sync.last_report.at
    return replace(state, position=state.clamp(position), anchored_at=reached_at, frozen_at=now)


def assumed_report(sync: DeviceSync, now: float) -> Report | None:
    """Return what an ignored device that sends no reports is assumed to repeat (R16), else None.

    The caller applies it as the device's, sends it the state, and calls ``record_resend``.
    """
    last, sent = sync.last_report, sync.last_sent
    if last is None or now - last.at < SETTLE_TIME or not may_resend(sync):
        return None
    was_paused = sent is not None and not sent.is_playing  # players that play report
    is_playing = last.is_playing and not was_paused
    elapsed = (now - last.at) * last.playback_rate if is_playing else 0.0
    return Report(last.track_id, last.position + elapsed, is_playing, last.playback_rate)


def may_resend(sync: DeviceSync) -> bool:
    """Whether the device, if it sends no report, will be sent the state again (R16)."""
    return sync.is_ignored and sync.resend_count < MAX_RESENDS


def stop_points(
    before: State, after: State, now: float, has_ended: bool = False
) -> tuple[StopPoint, ...]:
    """Return the stop points that a change leaves, the one to be resumed last (R20).

    ``has_ended``: as in ``Outcome``. Durations are estimates, so that the position may not say it.
    """
    if before.track_id is None:
        return ()
    was, positions = advance(before, now).position_at(now), []
    is_other = after.track_id != before.track_id
    if is_other or abs(after.position_at(now) - was) > FAR_JUMP:
        positions.append(was)
    has_stopped = before.is_playing and not after.is_playing and not is_other
    if has_stopped:
        positions.append(after.position)
    duration = after.duration if has_stopped else before.duration
    return tuple(
        StopPoint(
            before.track_id, 0.0 if has_ended or is_end(position, duration) else position, now
        )
        for position in positions
        if position >= MIN_STOP_POSITION
    )


def accepts_unlisted(state: State, sync: DeviceSync | None, track_id: str) -> bool:
    """Whether a track that left the library may still be paused, sought in and reported on (R9).

    The current one may, and one in the sender's history: its reports were under way.
    """
    history = () if sync is None else sync.history
    return track_id == state.track_id or any(each.track_id == track_id for each in history)


def starts_track(command: Change, before: State, after: State) -> bool:
    """Whether ``command`` made its track the current one, or resumed it: not if unlisted (R9).

    A report that a track plays did not: the player had started already.
    """
    if before.track_id != after.track_id:
        return True
    return after.is_playing and not before.is_playing and not isinstance(command, Report)
