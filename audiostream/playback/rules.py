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
8.  ``if_rev`` that is not the current rev is refused with ``Conflict``.
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
    repeat its last report, and is told what came of it; at most ``MAX_REMINDERS`` times in a row.
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

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from ..errors import Conflict
from ..protocol.messages import (
    Change,
    PauseTrack,
    PlayTrack,
    Report,
    SetState,
    StateView,
    value,
)

SYNC_TOLERANCE = 1.0
"""Seconds that two players may be apart and still agree."""
SETTLE_TIME = 2.0
"""Seconds that a device may take to follow what it was told."""
MAX_REMINDERS = 3
"""How often a silent device that does not follow is told again."""
RESUME_GRACE = 30.0
"""Seconds that a frozen playback waits for a player to come back."""
WORTH_REMEMBERING = 5.0
"""Seconds into a track from which on it is remembered where it was left."""
FAR_JUMP = 30.0
"""Seconds: a position that is replaced by one farther away is kept as a stop point (rule 20)."""
ROUNDING = 0.05
"""Seconds by which a player may report less than it was told: media clocks are coarse."""
RECENT_STATES = 8
"""How many of a device's recent states are remembered at most."""


@value
class DeviceRef:
    """A connected device: ``key`` is its connection's own, ``device_id`` only a label."""

    key: int
    device_id: str


@value
class State:
    """Where one user's playback is: ``position`` seconds at ``anchored_at``, moving if playing.

    ``duration`` is None where it is unknown; ``is_measured`` says that it is what a player said or
    showed, which the library's estimate does not replace (rule 19). ``frozen_at`` is set while the
    last player is away (rule 11): the position then stands still although ``is_playing``.
    ``is_abandoned``: it was paused as no player came back; ``is_interrupted``: it was playing when
    the server stopped; and nothing has happened since. In all three cases ``position`` was reached
    at ``anchored_at``. ``updated_at`` is when ``rev`` grew last, in epoch seconds: the registry
    dates what the rules have changed.
    """

    track_id: str | None = None
    duration: float | None = None
    position: float = 0.0
    anchored_at: float = 0.0
    is_playing: bool = False
    playback_rate: float = 1.0
    rev: int = 0
    updated_at: float = 0.0
    active_device: DeviceRef | None = None
    frozen_at: float | None = None
    is_interrupted: bool = False
    is_abandoned: bool = False
    is_measured: bool = False

    def position_at(self, now: float) -> float:
        """The position in seconds, extrapolated to ``now``, within [0, duration]."""
        position = self.position
        if self.is_playing and self.frozen_at is None and now > self.anchored_at:
            position += (now - self.anchored_at) * self.playback_rate
        return self.clamp(position)

    def clamp(self, position: float) -> float:
        end = self.duration
        return position if end is None or position <= end else end


@value
class Sighting:
    """A playback as it was seen at a moment: told to a device, or reported by one."""

    track_id: str
    position: float
    is_playing: bool
    playback_rate: float
    at: float

    def position_at(self, now: float) -> float:
        """Where it is by now, in seconds, if it went on."""
        went_on = (now - self.at) * self.playback_rate if self.is_playing else 0.0
        return self.position + went_on

    def explains(self, report: Sighting, tolerance: float) -> bool:
        """Whether a player that was here, and started late, stalled or went on, says ``report``."""
        return (
            self.track_id == report.track_id
            and self.is_playing == report.is_playing
            and self.playback_rate == report.playback_rate
            and self.reaches(report, tolerance)
        )

    def reaches(self, report: Sighting, tolerance: float) -> bool:
        """Whether this accounts for the reported position."""
        if not self.is_playing:
            return abs(report.position - self.position) <= tolerance
        went_on = (report.at - self.at) * self.playback_rate
        earliest, latest = self.position - ROUNDING, self.position + went_on + tolerance
        return earliest <= report.position <= latest


@value
class Listener:
    """What the rules know of one connected device. Times are float seconds.

    ``told``: what it was last told (None: nothing, or that there is no track). ``reported``: its
    own last report since. ``recent``: what it was told and what it reported within
    ``SETTLE_TIME`` before it was told ``told``, or last of all, and since; and the user's state
    before each telling. A report that just goes on from the one before takes its place.
    ``in_step``: it has agreed since it was told. ``is_sounding``: it reported playing, and has
    neither reported nor been told otherwise since.

    ``told_before_at``: when it was told what it was told before (rule 15). ``is_ignored``: its
    last report was, by rule 3; ``reminders``: how often its silence has been answered since it
    agreed or was told for another reason (rule 16).
    """

    told: Sighting | None = None
    reported: Sighting | None = None
    recent: tuple[Sighting, ...] = ()
    in_step: bool = False
    is_sounding: bool = False
    told_before_at: float | None = None
    is_ignored: bool = False
    reminders: int = 0

    @property
    def doing(self) -> Sighting | None:
        """What the device does as far as is known: what it reported, else what it was told."""
        return self.reported or self.told


@value
class Left:
    """Where a track was left: ``position`` in seconds, at the moment ``at``.

    The rules say ``at`` in ``now``; it is kept in epoch seconds, which mean something after a
    restart.
    """

    track_id: str
    position: float
    at: float


class Audience(Enum):
    """Who is told the state after an outcome."""

    NOBODY = auto()
    SENDER = auto()
    OTHERS = auto()
    ROOM = auto()
    PAUSED = auto()
    """Those that were last sent that nothing plays."""


# An enum looks a member up in Python, for every frame.
NOBODY, SENDER, OTHERS, ROOM, PAUSED = Audience


@value
class Outcome:
    """The ``state`` and the sender's ``listener`` after a command, and who hears ``event``."""

    state: State
    listener: Listener
    audience: Audience
    event: str = "trackUpdated"


def apply(
    state: State,
    command: Change,
    now: float,
    *,
    device: DeviceRef | None = None,
    listener: Listener | None = None,
    duration: float | None = None,
    left_at: float | None = None,
    same_album: bool = False,
    alone: bool = False,
    tolerance: float = SYNC_TOLERANCE,
    wall_time: float = 0.0,
) -> Outcome:
    """Decide what ``command`` does to a user's playback at ``now``, for which it is ``settled``.

    ``device`` and its ``listener`` are None for REST, which acts for the user but is no player.
    ``duration`` is the listed one of the command's track, ``left_at`` the position at which this
    user last left it (None: never), both in seconds. ``same_album``: that track and the current one
    are of one album. ``alone`` says that no other device is connected. ``tolerance`` is in seconds;
    ``wall_time`` is ``now`` in epoch seconds, for the state that a ``Conflict`` carries. The caller
    tells the ``audience`` and calls ``tell`` for each device that it told. Raises ``Conflict``.
    """
    listener = listener or Listener()
    if command.if_rev is not None and command.if_rev != state.rev:
        raise Conflict(  # rule 8
            f"the state has moved on to rev {state.rev}", view(state, now, wall_time).to_json()
        )
    if command.track_id == state.track_id:
        state = with_listed(state, duration)
        duration = state.duration
    rate = state.playback_rate if command.track_id == state.track_id or same_album else 1.0
    if isinstance(command, Report):
        report = Sighting(
            command.track_id,
            command.position,
            command.is_playing,
            command.playback_rate or rate,
            now,
        )
        outcome = _report(state, listener, report, device, duration, alone, tolerance)
        return outcome if command.duration is None else _with_measured(outcome, command)
    return _command(state, listener, command, now, wall_time, device, duration, left_at, rate)


def with_listed(state: State, duration: float | None) -> State:
    """The state with the listed ``duration`` of its track, unless a player knows better (rule 19).

    A position that was reported or set beyond it refutes it, an extrapolated one does not.
    """
    if duration == state.duration or state.is_measured:
        return state
    if _refutes(state.position, duration):
        return replace(state, duration=None, is_measured=True)
    return replace(state, duration=duration)


def settled(state: State, now: float) -> State:
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
    went_on = (now - state.anchored_at) * state.playback_rate
    if end is None or (begin < end and begin + went_on < end):
        return state
    return replace(state, is_playing=False, position=end)


def view(state: State, now: float, wall_time: float) -> StateView:
    """The state as clients are told it, extrapolated to ``now``, which is ``wall_time`` in epoch
    seconds.
    """
    return StateView(
        track_id=state.track_id,
        current_time=state.position_at(now),
        is_playing=state.is_playing,
        duration=state.duration,
        playback_rate=state.playback_rate,
        rev=state.rev,
        device_id=state.active_device.device_id if state.active_device else None,
        updated_at=int(state.updated_at * 1000),
        server_time=int(wall_time * 1000),
    )


def tell(listener: Listener, former: Sighting | None, told: Sighting | None) -> Listener:
    """What the rules know of a device once it is told ``told``; the state had been ``former``.

    Both as ``sighting`` makes them, at the moment of the telling.
    """
    if told is None:
        return listener
    last, reported, recent = listener.told, listener.reported, listener.recent
    if recent and told.at - recent[0].at > SETTLE_TIME:  # the first is the oldest
        recent = tuple(
            [
                seen
                for seen, following in zip(recent, (*recent[1:], None), strict=True)
                if told.at - seen.at <= SETTLE_TIME
                or ((seen is last or seen is reported) and seen is not following)
            ]
        )
    recent = (*recent, told) if former is None else (*recent, former, told)
    return Listener(
        told,
        None,
        recent[-RECENT_STATES:],
        False,
        listener.is_sounding and told.is_playing,
        last.at if last else None,
    )


def read(listener: Listener, now: float) -> Listener:
    """What the rules know of a device that has read only ``now`` what it was told (rule 22)."""
    told = listener.told
    if told is None:
        return listener
    now_told = replace(told, at=now)
    recent = tuple(now_told if seen is told else seen for seen in listener.recent)
    return replace(listener, told=now_told, recent=recent)


def overdue(listener: Listener, now: float) -> Report | None:
    """What an ignored device that has fallen silent is taken to say (rule 16), else None.

    The caller applies it as if the device had sent it, tells the device what came of it, and then
    notes ``reminded``. A device that said that it plays, was told to pause, and is silent since
    has paused: players that play report.
    """
    last, told = listener.reported, listener.told
    if last is None or not may_be_overdue(listener):
        return None
    silent_for = now - last.at
    if silent_for < SETTLE_TIME:
        return None
    has_followed = told is not None and not told.is_playing
    is_playing = last.is_playing and not has_followed
    went_on = silent_for * last.playback_rate if is_playing else 0.0
    return Report(last.track_id, last.position + went_on, is_playing, last.playback_rate)


def may_be_overdue(listener: Listener) -> bool:
    """Whether rule 16 may come to apply to a device as it is."""
    return listener.is_ignored and listener.reminders < MAX_REMINDERS


def reminded(before: Listener, listener: Listener) -> Listener:
    """What the rules know of a device once its silence has been answered (rule 16)."""
    return replace(listener, reminders=before.reminders + 1)


def left(before: State, after: State, now: float) -> tuple[Left, ...]:
    """The stop points that a change leaves (rule 20), the last one to be resumed.

    One so near its track's beginning that what is known already is worth more is none. The end of
    a track leads to its beginning.
    """
    if before.track_id is None:
        return ()
    was = settled(before, now).position_at(now)
    if after.track_id != before.track_id:
        return _stop_points(before, (was,), now)
    is_far = abs(after.position_at(now) - was) > FAR_JUMP
    stopped = before.is_playing and not after.is_playing
    places = ((was,) if is_far else ()) + ((after.position,) if stopped else ())
    return _stop_points(after if stopped else before, places, now)


def _stop_points(state: State, places: tuple[float, ...], now: float) -> tuple[Left, ...]:
    """``places`` in the track of ``state`` as stop points."""
    return tuple(
        Left(state.track_id or "", 0.0 if _is_end(place, state.duration) else place, now)
        for place in places
        if place >= WORTH_REMEMBERING
    )


def leave(state: State, leaving: Listener, others: Iterable[Listener], now: float) -> State:
    """The state once a device has left; ``others`` are those that stay (rule 11)."""
    state = settled(state, now)
    if not state.is_playing or state.frozen_at is not None:
        return state
    others = tuple(others)
    if others and not (leaving.is_sounding and not any(o.is_sounding for o in others)):
        return state
    position, reached_at = state.position_at(now), now
    if leaving.in_step and leaving.reported is not None:  # a dead socket is noticed late
        position, reached_at = leaving.reported.position, leaving.reported.at
    return replace(state, position=state.clamp(position), anchored_at=reached_at, frozen_at=now)


def _command(
    state: State,
    listener: Listener,
    command: PlayTrack | PauseTrack | SetState,
    now: float,
    wall_time: float,
    device: DeviceRef | None,
    duration: float | None,
    left_at: float | None,
    rate: float,
) -> Outcome:
    """Rule 1: a command takes effect, and the whole room is told."""
    same_track = command.track_id == state.track_id
    if isinstance(command, PauseTrack) and not same_track and state.track_id is not None:
        raise Conflict("another track is current", view(state, now, wall_time).to_json())
    position = command.position
    match command:
        case PlayTrack():
            is_playing, event = True, "trackPlaying"
            if position is None and same_track and state.position_at(now) == state.duration:
                position = 0.0  # as media elements do when they play again after the end
            elif position is None and not same_track and command.resume:
                position = _resumed(left_at, duration)
        case PauseTrack():
            is_playing, event = False, "trackPaused"
        case SetState():
            is_playing, event = command.is_playing, "trackUpdated"
            rate = command.playback_rate or rate
    if position is None:
        position = state.position_at(now) if same_track else 0.0
    wanted = Sighting(command.track_id, position, is_playing, rate, now)
    return Outcome(_take(state, wanted, duration, device), listener, ROOM, event)


def _resumed(left_at: float | None, duration: float | None) -> float:
    """Where a track goes on that was left: from its beginning if it had come to its end."""
    return 0.0 if left_at is None or _is_end(left_at, duration) else left_at


def _is_end(position: float, duration: float | None) -> bool:
    """Whether a position is the end of its track, as far as that is known."""
    return duration is not None and abs(position - duration) <= SYNC_TOLERANCE


def _refutes(position: float, duration: float | None) -> bool:
    """Whether a player that is at ``position`` shows that the track is longer (rule 19)."""
    return duration is not None and position > duration + SYNC_TOLERANCE


def _with_measured(outcome: Outcome, report: Report) -> Outcome:
    """What comes of a report that says its track's duration: it counts where it is followed."""
    state, listener = outcome.state, outcome.listener
    is_followed = listener.in_step or outcome.audience is ROOM
    same = state.duration is not None and abs(state.duration - (report.duration or 0.0)) <= ROUNDING
    if (
        not is_followed
        or (same and state.is_measured)
        or state.track_id != report.track_id
        or _refutes(report.position, report.duration)
    ):
        return outcome
    state = replace(state, duration=report.duration, is_measured=True)
    return replace(outcome, state=state)


def _report(
    state: State,
    listener: Listener,
    report: Sighting,
    device: DeviceRef | None,
    duration: float | None,
    alone: bool,
    tolerance: float,
) -> Outcome:
    """Rules 2 to 6, in their order."""
    now = report.at
    heard = _hear(listener, report, tolerance)
    if tolerance > 0:
        may_return = state.frozen_at is not None or state.is_interrupted or state.is_abandoned
        if may_return and _brings_back(state, listener, report, alone, tolerance):  # rule 11
            state = replace(_anchor(state, report, duration), active_device=device)
            return Outcome(state, replace(heard, in_step=True), OTHERS)

        if _agrees(state, report, tolerance) or _stays_paused(state, listener, report):  # rule 2
            in_step = listener.in_step or _may_be_trusted(listener, now)  # rule 15
            if in_step and (heard.reminders or not heard.in_step):
                heard = replace(heard, in_step=True, reminders=0)
            return Outcome(state, heard, NOBODY)

        if _outlasts(state, listener, report, tolerance):  # rule 19
            state = replace(_anchor(state, report, duration), rev=state.rev)
            return Outcome(state, replace(heard, in_step=True), PAUSED)

        is_unknown = listener.told is None and not listener.in_step and device is not None
        if is_unknown and state.track_id is not None:  # rule 17
            return Outcome(state, heard, SENDER)

        is_active = device is not None and state.active_device == device
        if _is_catching_up(listener, now) and (  # rule 3
            not is_active or _accounts_for(listener.recent, report, tolerance)
        ):
            return Outcome(state, replace(heard, is_ignored=True), NOBODY)

        if _has_drifted(listener, report, tolerance):  # rule 4
            if is_active or (alone and _is_same_kind(state, report)):
                state = _anchor(state, report, duration)
                return Outcome(state, replace(heard, in_step=True), OTHERS)
            return Outcome(state, heard, SENDER)

        # At most once every SETTLE_TIME: until then, rule 3 has ignored such a device.
        if listener.told is not None and not listener.in_step and not is_active:  # rule 5
            return Outcome(state, heard, SENDER)

    return Outcome(_take(state, report, duration, device), heard, ROOM)  # rule 6


def _agrees(state: State, report: Sighting, tolerance: float) -> bool:
    if state.track_id != report.track_id:
        return False
    position = state.position_at(report.at)
    if state.duration is not None:  # rule 13
        nearly_over = state.duration - tolerance
        if position >= nearly_over and nearly_over <= report.position:
            return not _refutes(report.position, state.duration)
    return (
        state.is_playing == report.is_playing
        and state.playback_rate == report.playback_rate
        and abs(report.position - position) <= tolerance
    )


def _stays_paused(state: State, listener: Listener, report: Sighting) -> bool:
    """Whether a device on another track followed the pause it was sent, and keeps its own track."""
    told, previous = listener.told, listener.reported
    return (
        told is not None
        and not (told.is_playing or report.is_playing or state.is_playing)
        and told.track_id == state.track_id != report.track_id
        and (not listener.in_step or (previous is not None and previous.explains(report, ROUNDING)))
    )


def _brings_back(
    state: State, listener: Listener, report: Sighting, alone: bool, tolerance: float
) -> bool:
    """Whether the report is of the player of a playback that lost it, and has returned or gone on.

    Within ``RESUME_GRACE`` after a player left, and for whoever was sent nothing yet after a
    restart, others may be in the room; later the player must be alone in it.
    """
    if not state.is_playing:
        may_go_on = (state.is_interrupted and listener.told is None) or alone
        if not may_go_on or listener.in_step:
            return False
    stopped = replace(state, is_playing=True, frozen_at=None)
    went_on = sighting(stopped, state.anchored_at)
    if went_on is not None and went_on.explains(report, tolerance):
        return True
    return state.is_playing and report.is_playing and _agrees(state, report, tolerance)


def _outlasts(state: State, listener: Listener, report: Sighting, tolerance: float) -> bool:
    """Whether the report is of a player that just goes on where the track was taken to end."""
    return (
        report.is_playing
        and report.track_id == state.track_id
        and not state.is_playing
        and state.position == state.duration
        and _refutes(report.position, state.duration)
        and _has_drifted(listener, report, tolerance)
    )


def _hear(listener: Listener, report: Sighting, tolerance: float) -> Listener:
    """What the rules know of a device after its report, before they are tried."""
    recent, previous = listener.recent, listener.reported
    if previous is not None and previous.explains(report, tolerance):
        recent = (*recent[:-1], report)  # it is the last: what is told since makes it no report
    else:
        recent = (*recent, report)[-RECENT_STATES:]
    return Listener(  # in full and in order: it is made for every report, and names cost
        listener.told,
        report,
        recent,
        listener.in_step,
        report.is_playing,
        listener.told_before_at,
        False,
        listener.reminders,
    )


def _may_be_trusted(listener: Listener, now: float) -> bool:
    """Whether an agreement is with what the device was told last, and not with something older."""
    return listener.told_before_at is None or now - listener.told_before_at > SETTLE_TIME


def _is_catching_up(listener: Listener, now: float) -> bool:
    """Whether what the device says may still be older than what it was told."""
    told = listener.told
    return told is not None and not listener.in_step and now - told.at < SETTLE_TIME


def _accounts_for(recent: tuple[Sighting, ...], report: Sighting, tolerance: float) -> bool:
    """Whether the report may be a mixture of the states that a device has lately been in."""
    return (
        any(seen.is_playing == report.is_playing for seen in recent)
        and any(seen.playback_rate == report.playback_rate for seen in recent)
        and any(
            seen.track_id == report.track_id and seen.reaches(report, tolerance) for seen in recent
        )
    )


def _has_drifted(listener: Listener, report: Sighting, tolerance: float) -> bool:
    """Whether the player started late or stalled, rather than a person moved it."""
    told, previous = listener.told, listener.reported
    if told is not None and listener.in_step and report.at - told.at >= SETTLE_TIME:
        told = None  # rule 14
    return any(seen is not None and seen.explains(report, tolerance) for seen in (told, previous))


def _take(
    state: State, wanted: Sighting, duration: float | None, device: DeviceRef | None
) -> State:
    """The state after an accepted change: rev + 1, and the sender's device becomes active.

    A change by REST leaves the active device as it is: whoever led goes on leading.
    """
    return replace(
        _place(state, wanted, duration),
        rev=state.rev + 1,
        active_device=device or state.active_device,
    )


def _place(state: State, wanted: Sighting, duration: float | None) -> State:
    """The state moved to where ``wanted`` is; a position beyond ``duration`` refutes it."""
    is_refuted = _refutes(wanted.position, duration)
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


def _is_same_kind(state: State, report: Sighting) -> bool:
    return (state.track_id, state.is_playing) == (report.track_id, report.is_playing)


def _anchor(state: State, report: Sighting, duration: float | None) -> State:
    """The state moved to where its player really is; a change of more than position is a rev."""
    moved = _place(state, report, duration)
    if _is_same_kind(state, report):
        return moved
    return replace(moved, rev=state.rev + 1)


def sighting(state: State, now: float) -> Sighting | None:
    """How the playback looks at a moment; None where there is no track."""
    if state.track_id is None:
        return None
    position = state.position_at(now)
    return Sighting(state.track_id, position, state.is_playing, state.playback_rate, now)
