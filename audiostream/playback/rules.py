"""The rules that decide what a command or a report does (RULES.md, with the same numbers).

The caller passes ``now``, sends the new state to the outcome's recipients, and records what each
of them was sent (``sync.record_sent``).
"""

from __future__ import annotations

from dataclasses import replace

from .commands import Change, PauseTrack, PlayTrack, Report, SetState
from .lifecycle import with_listed_duration
from .model import (
    NOBODY,
    OTHERS,
    PAUSED,
    POSITION_ROUNDING,
    ROOM,
    SENDER,
    SYNC_TOLERANCE,
    CommandRefused,
    DeviceRef,
    DeviceSync,
    Outcome,
    Snapshot,
    State,
    check_rev,
    is_beyond_end,
    is_end,
)
from .queue import Queue
from .queue_rules import is_over, reports_end
from .sync import explains_mixture, has_drifted, is_settling, record_agreement, record_report
from .transitions import accept, move


def apply(
    state: State,
    command: Change,
    now: float,
    *,
    device: DeviceRef | None = None,
    sync: DeviceSync | None = None,
    duration: float | None = None,
    resume_position: float | None = None,
    same_album: bool = False,
    alone: bool = False,
    tolerance: float = SYNC_TOLERANCE,
) -> Outcome:
    """Return what ``command`` does to ``state``, which ``lifecycle.advance`` brought to ``now``.

    ``device`` and ``sync`` are the sender's, None for REST, which sends no reports. ``duration`` is
    the listed one of the command's track in seconds, ``resume_position`` its last stop point.
    ``same_album``: that track and the current one are of one album. ``alone``: no other device is
    connected. ``tolerance`` is in seconds. Raises ``CommandRefused``.
    """
    sync = sync or DeviceSync()
    check_rev(state, command.if_rev)
    is_current = command.track_id == state.track_id
    if is_current:
        state = with_listed_duration(state, duration)
        duration = state.duration
    rate = state.playback_rate if is_current or same_album else 1.0  # R21
    if not isinstance(command, Report):
        target, event = _target(state, command, now, duration, resume_position, rate)
        queue = _new_queue(state, command)
        return Outcome(accept(state, target, duration, device, queue), sync, ROOM, event)  # R1
    rate = command.playback_rate or rate
    report = Snapshot(command.track_id, command.position, command.is_playing, rate, now)
    may_be_end = command.ended or not command.is_playing  # most are not
    if may_be_end and _is_late_end(state, sync, command, now, duration, tolerance):  # R24
        if not state.is_playing or is_settling(sync, now):
            return Outcome(state, sync, NOBODY)
        return Outcome(state, record_report(sync, report, tolerance), SENDER)
    outcome = _apply_report(state, sync, report, device, duration, alone, tolerance)
    if command.duration is None:
        return outcome
    return _with_reported_duration(outcome, report, command.duration)


def _is_late_end(
    state: State,
    sync: DeviceSync,
    report: Report,
    now: float,
    duration: float | None,
    tolerance: float,
) -> bool:
    """Whether ``report`` is of the end of what played before: another track, or this one (R24)."""
    is_literal = tolerance <= 0 and not report.ended  # R7
    if state.track_id is None or is_literal or not is_over(report, duration):
        return False
    if state.track_id != report.track_id:
        return True
    goes_on = state.is_playing and state.frozen_at is None
    may_be_late = report.ended or is_settling(sync, now)
    return goes_on and may_be_late and not reports_end(state, sync, report, now)


def _new_queue(state: State, command: PlayTrack | PauseTrack | SetState) -> Queue | None:
    """Return the queue that a command brings along (R23); None where it has none."""
    if not isinstance(command, PlayTrack) or command.queue is None:
        return None
    return state.queue.with_tracks(command.queue, command.track_id, command.queue_index)


def _target(
    state: State,
    command: PlayTrack | PauseTrack | SetState,
    now: float,
    duration: float | None,
    resume_position: float | None,
    rate: float,
) -> tuple[Snapshot, str]:
    """Return where a command takes the playback, and the event of that (R1)."""
    is_current = command.track_id == state.track_id
    position = state.position_at(now) if is_current else 0.0
    match command:
        case PlayTrack():
            is_playing, event = True, "trackPlaying"
            if is_current and position == state.duration:
                position = 0.0  # media elements, too, play from 0 after the end
            elif not is_current and command.resume and not is_end(resume_position or 0.0, duration):
                position = resume_position or 0.0  # R20
        case PauseTrack():
            if not is_current and state.track_id is not None:
                raise CommandRefused("another track is current")
            is_playing, event = False, "trackPaused"
        case SetState():
            is_playing, event = command.is_playing, "trackUpdated"
            rate = command.playback_rate or rate
    if command.position is not None:
        position = command.position
    return Snapshot(command.track_id, position, is_playing, rate, now), event


def _apply_report(
    state: State,
    sync: DeviceSync,
    report: Snapshot,
    device: DeviceRef | None,
    duration: float | None,
    alone: bool,
    tolerance: float,
) -> Outcome:
    """Try the rules for reports in their order."""
    updated = record_report(sync, report, tolerance)
    if tolerance <= 0:  # R7
        return Outcome(accept(state, report, duration, device), updated, ROOM)
    may_return = state.frozen_at is not None or state.is_interrupted or state.is_abandoned
    if may_return and _brings_back(state, sync, report, alone, tolerance):  # R11
        rev = state.rev + (not state.is_playing)
        state = move(state, report, duration, rev, device)
        return Outcome(state, replace(updated, in_sync=True), OTHERS)
    if _agrees(state, report, tolerance) or _stays_paused(state, sync, report):  # R2
        return Outcome(state, record_agreement(updated, report.at), NOBODY)
    if _plays_beyond_end(state, sync, report, tolerance):  # R19
        state = move(state, report, duration, state.rev, state.active_device)
        return Outcome(state, replace(updated, in_sync=True), PAUSED)
    is_new = sync.last_sent is None and not sync.in_sync
    if is_new and state.track_id is not None:  # R17
        return Outcome(state, updated, SENDER)
    is_active = state.active_device == device
    may_be_late = not is_active or explains_mixture(sync.history, report, tolerance)
    if may_be_late and is_settling(sync, report.at):  # R3
        return Outcome(state, replace(updated, is_ignored=True), NOBODY)
    if has_drifted(sync, report, tolerance):  # R4
        is_going_on = state.is_playing or state.ended_at is not None
        is_same = (state.track_id, is_going_on) == (report.track_id, report.is_playing)
        if not is_active and not (alone and is_same):
            return Outcome(state, updated, SENDER)
        rev = state.rev + (not is_same)
        state = move(state, report, duration, rev, state.active_device)
        return Outcome(state, replace(updated, in_sync=True), OTHERS)
    if not (is_new or sync.in_sync or is_active):  # R5
        return Outcome(state, updated, SENDER)
    return Outcome(accept(state, report, duration, device), updated, ROOM)  # R6


def _agrees(state: State, report: Snapshot, tolerance: float) -> bool:
    """Whether report and state are the same, but for the tolerance (R2)."""
    if state.track_id != report.track_id:
        return False
    position = state.position_at(report.at)
    if state.duration is not None:  # R13
        nearly_over = state.duration - tolerance
        if position >= nearly_over and nearly_over <= report.position:
            return not is_beyond_end(report.position, state.duration)
    return (
        state.is_playing == report.is_playing
        and state.playback_rate == report.playback_rate
        and abs(report.position - position) <= tolerance
    )


def _stays_paused(state: State, sync: DeviceSync, report: Snapshot) -> bool:
    """Whether a device on another track applied the pause it was sent (R18)."""
    sent, previous = sync.last_sent, sync.last_report
    if sent is None or sent.is_playing or report.is_playing or state.is_playing:
        return False
    if not sent.track_id == state.track_id != report.track_id:
        return False
    is_still = previous is not None and previous.explains(report, POSITION_ROUNDING)
    return is_still or not sync.in_sync


def _brings_back(
    state: State, sync: DeviceSync, report: Snapshot, alone: bool, tolerance: float
) -> bool:
    """Whether the player of a playback that lost it has returned, or went on meanwhile (R11)."""
    if state.track_id != report.track_id or not report.is_playing:
        return False
    if not state.is_playing:
        may_go_on = (state.is_interrupted and sync.last_sent is None) or alone
        if not may_go_on or sync.in_sync:
            return False
    position, rate = state.clamp(state.position), state.playback_rate
    stopped = Snapshot(report.track_id, position, True, rate, state.anchored_at)
    has_returned = state.is_playing and _agrees(state, report, tolerance)
    return has_returned or stopped.explains(report, tolerance)


def _plays_beyond_end(state: State, sync: DeviceSync, report: Snapshot, tolerance: float) -> bool:
    """Whether a player goes on where the track was taken to end (R19)."""
    has_ended = not state.is_playing and state.position == state.duration
    goes_on = report.is_playing and report.track_id == state.track_id
    is_beyond = is_beyond_end(report.position, state.duration)
    return has_ended and goes_on and is_beyond and has_drifted(sync, report, tolerance)


def _with_reported_duration(outcome: Outcome, report: Snapshot, duration: float) -> Outcome:
    """Take the duration of a report that is followed (R19)."""
    state = outcome.state
    is_followed = outcome.sync.in_sync or outcome.recipients is ROOM
    if not is_followed or state.track_id != report.track_id:
        return outcome
    known = state.duration if state.is_measured else None
    is_known = known is not None and abs(known - duration) <= POSITION_ROUNDING
    if is_known or is_beyond_end(report.position, duration):
        return outcome
    return replace(outcome, state=replace(state, duration=duration, is_measured=True))
