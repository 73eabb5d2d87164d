"""The rules of the queue: what its commands do (R23), and what follows the end of a track (R24)."""

from __future__ import annotations

from dataclasses import replace

from .commands import ListChange, NextTrack, Report, SetQueue, SetRepeat, ShuffleQueue, Skip
from .model import (
    SYNC_TOLERANCE,
    CommandRefused,
    DeviceRef,
    DeviceSync,
    Snapshot,
    State,
    check_rev,
)
from .queue import IsListed, Queue, QueuePlace
from .sync import SETTLE_TIME
from .transitions import accept

RESTART_AFTER = 3.0
"""Seconds into a track after which "previous" means its start, as on most players."""
NOTHING_PLAYED = "nothing was played yet: playTrack starts a track"


def change_list(state: State, command: ListChange, seed: int) -> State:
    """Return the state with another list or repeat; what plays goes on (R23).

    ``seed`` makes the order of a shuffle. Raises ``CommandRefused`` (R8).
    """
    check_rev(state, command.if_rev)
    return replace(state, queue=_changed(state, command, seed), rev=state.rev + 1)


def _changed(state: State, command: ListChange, seed: int) -> Queue:
    match command:
        case SetQueue():
            return state.queue.with_tracks(command.track_ids, state.track_id, command.queue_index)
        case SetRepeat():
            return replace(state.queue, repeat=command.repeat)
        case ShuffleQueue():
            return state.queue.shuffled(seed)


def skip_target(state: State, command: Skip, now: float, is_listed: IsListed) -> QueuePlace | None:
    """Return which track a skip starts from 0; None for the end of the current one (R23).

    Raises ``CommandRefused``.
    """
    check_rev(state, command.if_rev)
    if isinstance(command, NextTrack):
        place = state.queue.after(is_listed)
        if place is None and state.track_id is None:
            raise CommandRefused(NOTHING_PLAYED)
        return place
    if state.track_id is None:
        raise CommandRefused(NOTHING_PLAYED)
    place = None if state.position_at(now) > RESTART_AFTER else state.queue.before(is_listed)
    return place or QueuePlace(state.track_id, state.queue.index)


def start(
    state: State,
    place: QueuePlace,
    at: float,
    *,
    duration: float | None,
    same_album: bool,
    device: DeviceRef | None = None,
) -> State:
    """Return the state in which the track at ``place`` plays from 0, begun at ``at``.

    ``duration`` is the listed one; ``same_album``: as in ``rules.apply`` (R21).
    """
    is_current = place.track_id == state.track_id
    rate = state.playback_rate if is_current or same_album else 1.0
    if is_current and state.is_measured:
        duration = state.duration
    target = Snapshot(place.track_id, 0.0, True, rate, at)
    return accept(state, target, duration, device, replace(state.queue, index=place.index))


def pause_at_end(state: State, now: float, device: DeviceRef | None) -> State:
    """Return the state after "next" where nothing follows: paused at the end (R23)."""
    if state.track_id is None:
        raise CommandRefused(NOTHING_PLAYED)
    end = state.position_at(now) if state.duration is None else state.duration
    target = Snapshot(state.track_id, end, False, state.playback_rate, now)
    return accept(state, target, state.duration, device)


def reports_end(state: State, sync: DeviceSync, report: Report, now: float) -> bool:
    """Whether ``report`` says that the current track is over for its device (R24).

    A late report of the end of what played before is none: the device's last message or report
    does not explain how it could have come to this position.
    """
    goes_on = state.is_playing or state.ended_at is not None
    if not is_over(report, state.duration) or not goes_on or state.frozen_at is not None:
        return False
    if report.track_id != state.track_id or (report.if_rev or state.rev) != state.rev:
        return False
    if sync.in_sync or (report.ended and _is_before(report, sync.last_sent)):
        return True
    reached = Snapshot(report.track_id, report.position, True, state.playback_rate, now)
    seen = (sync.last_sent, sync.last_report)
    return any(each is not None and each.explains(reached, SYNC_TOLERANCE) for each in seen)


def _is_before(report: Report, sent: Snapshot | None) -> bool:
    """Whether a device is before the position that it was sent, as its file ends there."""
    if sent is None or not sent.is_playing or sent.track_id != report.track_id:
        return False
    return report.position < sent.position


def is_over(report: Report, duration: float | None) -> bool:
    """Whether ``report`` is of the end of its track, which has this ``duration`` (R24)."""
    if report.ended or report.is_playing or duration is None:
        return report.ended
    # A player that loads a jingle of less than a second is within the tolerance of its end at 0.
    return abs(report.position - duration) <= min(SYNC_TOLERANCE, duration / 2)


def next_is_due(state: State, active: DeviceSync | None, is_alone: bool, now: float) -> bool:
    """Whether what follows starts although no device has reported the end (R24).

    ``active``: of the active device, None where it is not connected. ``is_alone``: no device is
    connected, so that none can report.
    """
    if state.ended_at is None:
        return False
    if is_alone:
        return True
    if now - state.ended_at < SETTLE_TIME:
        return False
    report = active.last_report if active is not None else None
    if report is None or not report.is_playing or report.track_id != state.track_id:
        return True
    return now - report.at >= SETTLE_TIME
