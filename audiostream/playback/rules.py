"""One user's playback and the rules that keep several players from fighting over it.

Here: immutable values in, an outcome out. Not here: sockets, clocks, files. ``now`` is an
argument (float seconds of a monotonic clock), and who is told is an answer: delivering it is the
registry's work, and so is the date of a change.

::

    command (a person's intent) ──► 1 takes effect ─────────────► the whole room
    report (a player's position)
        ├─ 2 agrees ────────────────────────────────────────────► nobody
        ├─ 17 a new connection contradicts the state ───────────► only that device
        ├─ 3 the device is catching up ─────────────────────────► nobody
        ├─ 4 drift ──── of the active device: re-anchor ────────► the others
        │          └─── of another device ──────────────────────► only that device
        ├─ 5 the device never followed ─────────────────────────► only that device
        └─ 6 anything else is a person at that device ──────────► the whole room

Rules 1 to 6 and 17 are tried in this order; the others stand beside them:

7.  With ``tolerance`` 0 rules 2 to 5, 13 and 17 are off: every report is told to the whole room.
8.  ``if_rev`` that is not the current rev is refused with ``CommandRefused``.
9.  Unknown tracks (``registry``) and impossible positions (``messages``) never get here. The
    current track, after a rescan has taken it away, is still paused, sought in and reported on,
    but not started again.
10. Nobody names a user: the identity is the token's (``gateway``, ``rest``).
11. Playback whose last player left freezes where it was last known; after ``RESUME_GRACE`` it is
    paused there. A player that returns there, or has gone on from there, brings it back: the
    state re-anchors to it, it becomes active, the others are told. A restart pauses at once, as
    nobody may play by himself; a player that went on meanwhile, says so, and was told nothing
    yet, brings its playback back in the same way. So does, however late, a player that is alone
    in the room. To have gone on is to play the same track, between the position where it stopped
    and that position plus the time since.
12. ``GetCurrentState`` answers only the asker (``registry``), and counts as telling it.
13. The end of a track is not an act: where state and report are both within ``tolerance`` of the
    duration they agree, whatever ``is_playing`` says. Players never stop in the same instant,
    and durations in tags are not exact.
14. A jump back is a wish: a device that is in step, and was told longer than ``SETTLE_TIME``
    ago, is measured by its own previous report alone. Else a seek backwards on any but the
    active device would be taken for a late start, and undone.
15. An agreement may be an old one. A device that was told twice within ``SETTLE_TIME`` is not in
    step because it agrees: it may be speaking of a state before. Else, where two people act at
    once or one drags a seek bar, late echoes are taken for acts, and the room never rests.
16. Silence repeats: a device that was ignored and has said nothing for ``SETTLE_TIME`` is taken to
    repeat its last report, and is told what came of it; at most ``MAX_RESENDS`` times in a row.
    Paused players send no reports; without this, one that was ignored in its last word would stay
    apart for ever.
17. A new connection is brought up to date. A report of a device that was sent nothing yet, has
    sent no command and has not agreed with the state is no user action where it contradicts the
    state: only that device is sent the state. Else a laptop whose line comes back would move the
    phone, or start it. Where no track was played yet, there is nothing to contradict.
18. A device that is on another track is sent ``trackPlaying``, or ``trackPaused`` where nothing
    plays, in place of ``trackUpdated``: the specification's client sets its source at
    ``trackPlaying`` alone (``registry``). It agrees by being paused, whatever its track.
19. A listed duration is an estimate. It ends a track that nobody reports on. A report or command
    more than ``SYNC_TOLERANCE`` beyond it is kept as it is, and the duration is unknown from then
    on; a player that just goes on beyond it revives the playback. A ``duration`` in a report that
    is followed replaces the estimate, until a position refutes it too.
20. What replaces a position leaves a stop point: where the track stopped, where it was when another
    track replaced it, and where it was before a jump of more than ``FAR_JUMP``. ``resume`` goes
    there.
21. The rate stays at the next track of the same album; any other track starts at 1.0.
22. What an outage held up is old. The reports that follow a silence of a device wait until it has
    answered a ping; then the last one is applied (``lateness``). If the device was told something
    during the silence, rule 3 begins only now, when it has read that. Else the positions of an
    outage, which arrive all at once at its end, are taken for a player that stalls, and a pause
    is undone that the player did not know of.
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
    is_end,
    refutes,
)
from .sync import (
    agreement_is_current,
    explains_mixture,
    has_drifted,
    is_settling,
    record_report,
)


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
    """Decide what ``command`` does to a user's playback at ``now``, for which it is ``settled``.

    ``device`` and its ``sync`` are None for REST, which acts for the user but is no player.
    ``duration`` is the listed one of the command's track, ``resume_position`` the position at
    which this user last left it (None: never), both in seconds. ``same_album``: that track and the
    current one are of one album. ``alone`` says that no other device is connected. ``tolerance`` is
    in seconds. The caller tells the ``recipients`` and calls ``record_sent`` for each
    of them. Raises ``CommandRefused``.
    """
    sync = sync or DeviceSync()
    if command.if_rev is not None and command.if_rev != state.rev:
        raise CommandRefused(f"the state has moved on to rev {state.rev}")  # rule 8
    if command.track_id == state.track_id:
        state = with_listed_duration(state, duration)
        duration = state.duration
    rate = state.playback_rate if command.track_id == state.track_id or same_album else 1.0
    if isinstance(command, Report):
        report = Snapshot(
            command.track_id,
            command.position,
            command.is_playing,
            command.playback_rate or rate,
            now,
        )
        outcome = _report(state, sync, report, device, duration, alone, tolerance)
        return outcome if command.duration is None else _with_measured(outcome, command)
    return _command(state, sync, command, now, device, duration, resume_position, rate)


def _command(
    state: State,
    sync: DeviceSync,
    command: PlayTrack | PauseTrack | SetState,
    now: float,
    device: DeviceRef | None,
    duration: float | None,
    resume_position: float | None,
    rate: float,
) -> Outcome:
    """Rule 1: a command takes effect, and the whole room is told."""
    same_track = command.track_id == state.track_id
    if isinstance(command, PauseTrack) and not same_track and state.track_id is not None:
        raise CommandRefused("another track is current")
    position = command.position
    match command:
        case PlayTrack():
            is_playing, event = True, "trackPlaying"
            if position is None and same_track and state.position_at(now) == state.duration:
                position = 0.0  # as media elements do when they play again after the end
            elif position is None and not same_track and command.resume:
                position = _resumed(resume_position, duration)
        case PauseTrack():
            is_playing, event = False, "trackPaused"
        case SetState():
            is_playing, event = command.is_playing, "trackUpdated"
            rate = command.playback_rate or rate
    if position is None:
        position = state.position_at(now) if same_track else 0.0
    wanted = Snapshot(command.track_id, position, is_playing, rate, now)
    return Outcome(_take(state, wanted, duration, device), sync, ROOM, event)


def _resumed(resume_position: float | None, duration: float | None) -> float:
    """Where a track goes on that was left: from its beginning if it had come to its end."""
    return 0.0 if resume_position is None or is_end(resume_position, duration) else resume_position


def _with_measured(outcome: Outcome, report: Report) -> Outcome:
    """What comes of a report that says its track's duration: it counts where it is followed."""
    state, sync = outcome.state, outcome.sync
    is_followed = sync.in_sync or outcome.recipients is ROOM
    same = (
        state.duration is not None
        and abs(state.duration - (report.duration or 0.0)) <= POSITION_ROUNDING
    )
    if (
        not is_followed
        or (same and state.is_measured)
        or state.track_id != report.track_id
        or refutes(report.position, report.duration)
    ):
        return outcome
    state = replace(state, duration=report.duration, is_measured=True)
    return replace(outcome, state=state)


def _report(
    state: State,
    sync: DeviceSync,
    report: Snapshot,
    device: DeviceRef | None,
    duration: float | None,
    alone: bool,
    tolerance: float,
) -> Outcome:
    """Rules 2 to 6, in their order."""
    now = report.at
    heard = record_report(sync, report, tolerance)
    if tolerance > 0:
        may_return = state.frozen_at is not None or state.is_interrupted or state.is_abandoned
        if may_return and _brings_back(state, sync, report, alone, tolerance):  # rule 11
            state = replace(_anchor(state, report, duration), active_device=device)
            return Outcome(state, replace(heard, in_sync=True), OTHERS)

        if _agrees(state, report, tolerance) or _stays_paused(state, sync, report):  # rule 2
            in_sync = sync.in_sync or agreement_is_current(sync, now)  # rule 15
            if in_sync and (heard.resend_count or not heard.in_sync):
                heard = replace(heard, in_sync=True, resend_count=0)
            return Outcome(state, heard, NOBODY)

        if _outlasts(state, sync, report, tolerance):  # rule 19
            state = replace(_anchor(state, report, duration), rev=state.rev)
            return Outcome(state, replace(heard, in_sync=True), PAUSED)

        is_unknown = sync.last_sent is None and not sync.in_sync and device is not None
        if is_unknown and state.track_id is not None:  # rule 17
            return Outcome(state, heard, SENDER)

        is_active = device is not None and state.active_device == device
        if is_settling(sync, now) and (  # rule 3
            not is_active or explains_mixture(sync.history, report, tolerance)
        ):
            return Outcome(state, replace(heard, is_ignored=True), NOBODY)

        if has_drifted(sync, report, tolerance):  # rule 4
            if is_active or (alone and _is_same_kind(state, report)):
                state = _anchor(state, report, duration)
                return Outcome(state, replace(heard, in_sync=True), OTHERS)
            return Outcome(state, heard, SENDER)

        # At most once every SETTLE_TIME: until then, rule 3 has ignored such a device.
        if sync.last_sent is not None and not sync.in_sync and not is_active:  # rule 5
            return Outcome(state, heard, SENDER)

    return Outcome(_take(state, report, duration, device), heard, ROOM)  # rule 6


def _agrees(state: State, report: Snapshot, tolerance: float) -> bool:
    if state.track_id != report.track_id:
        return False
    position = state.position_at(report.at)
    if state.duration is not None:  # rule 13
        nearly_over = state.duration - tolerance
        if position >= nearly_over and nearly_over <= report.position:
            return not refutes(report.position, state.duration)
    return (
        state.is_playing == report.is_playing
        and state.playback_rate == report.playback_rate
        and abs(report.position - position) <= tolerance
    )


def _stays_paused(state: State, sync: DeviceSync, report: Snapshot) -> bool:
    """Whether a device on another track followed the pause it was sent, and keeps its own track."""
    told, previous = sync.last_sent, sync.last_report
    return (
        told is not None
        and not (told.is_playing or report.is_playing or state.is_playing)
        and told.track_id == state.track_id != report.track_id
        and (
            not sync.in_sync
            or (previous is not None and previous.explains(report, POSITION_ROUNDING))
        )
    )


def _brings_back(
    state: State, sync: DeviceSync, report: Snapshot, alone: bool, tolerance: float
) -> bool:
    """Whether the report is of the player of a playback that lost it, and has returned or gone on.

    Within ``RESUME_GRACE`` after a player left, and for whoever was sent nothing yet after a
    restart, others may be in the room; later the player must be alone in it.
    """
    if not state.is_playing:
        may_go_on = (state.is_interrupted and sync.last_sent is None) or alone
        if not may_go_on or sync.in_sync:
            return False
    stopped = replace(state, is_playing=True, frozen_at=None)
    elapsed = stopped.snapshot(state.anchored_at)
    if elapsed is not None and elapsed.explains(report, tolerance):
        return True
    return state.is_playing and report.is_playing and _agrees(state, report, tolerance)


def _outlasts(state: State, sync: DeviceSync, report: Snapshot, tolerance: float) -> bool:
    """Whether the report is of a player that just goes on where the track was taken to end."""
    return (
        report.is_playing
        and report.track_id == state.track_id
        and not state.is_playing
        and state.position == state.duration
        and refutes(report.position, state.duration)
        and has_drifted(sync, report, tolerance)
    )


def _take(
    state: State, wanted: Snapshot, duration: float | None, device: DeviceRef | None
) -> State:
    """The state after an accepted change: rev + 1, and the sender's device becomes active.

    A change by REST leaves the active device as it is: whoever led goes on leading.
    """
    return replace(
        _place(state, wanted, duration),
        rev=state.rev + 1,
        active_device=device or state.active_device,
    )


def _place(state: State, wanted: Snapshot, duration: float | None) -> State:
    """The state moved to where ``wanted`` is; a position beyond ``duration`` refutes it."""
    is_refuted = refutes(wanted.position, duration)
    was_measured = state.is_measured and state.track_id == wanted.track_id
    known = None if is_refuted else duration
    return replace(
        state,
        track_id=wanted.track_id,
        duration=known,
        position=wanted.position if known is None else min(wanted.position, known),
        anchored_at=wanted.at,
        is_playing=wanted.is_playing,
        playback_rate=wanted.playback_rate,
        frozen_at=None,
        is_interrupted=False,
        is_abandoned=False,
        is_measured=is_refuted or was_measured,
    )


def _is_same_kind(state: State, report: Snapshot) -> bool:
    return (state.track_id, state.is_playing) == (report.track_id, report.is_playing)


def _anchor(state: State, report: Snapshot, duration: float | None) -> State:
    """The state moved to where its player really is; a change of more than position is a rev."""
    moved = _place(state, report, duration)
    if _is_same_kind(state, report):
        return moved
    return replace(moved, rev=state.rev + 1)
