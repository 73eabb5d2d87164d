"""The rule of ``transferPlayback``: another connected device becomes the active one (R26)."""

from __future__ import annotations

from dataclasses import replace

from .model import (
    ROOM,
    SYNC_TOLERANCE,
    DeviceRef,
    DeviceSync,
    Outcome,
    Snapshot,
    State,
    check_rev,
)
from .sync import SETTLE_TIME
from .transitions import move


def transfer(
    state: State,
    target: DeviceRef,
    now: float,
    *,
    play: bool | None = None,
    if_rev: int | None = None,
    sync: DeviceSync | None = None,
    former: DeviceSync | None = None,
) -> Outcome:
    """Return what making ``target`` the active device does to ``state``, advanced to ``now``.

    ``play``: None leaves playing or paused as it is. ``sync`` is the sender's, ``former`` that of
    the device that was active, None if it is not connected. Raises ``CommandRefused`` for another
    rev than ``if_rev`` (R8).
    """
    check_rev(state, if_rev)
    transferred = replace(
        state, active_device=target, rev=state.rev + 1, is_abandoned=False, is_interrupted=False
    )
    is_playing = state.is_playing if play is None else play
    if state.track_id is not None and (play is not None or is_playing):
        transferred = _moved(transferred, is_playing, now, former)
    return Outcome(transferred, sync or DeviceSync(), ROOM)


def _moved(state: State, is_playing: bool, now: float, former: DeviceSync | None) -> State:
    """Return the state playing or paused from ``now`` on; a frozen one goes on where it froze."""
    position = _reported_position(state, now, former)
    if is_playing and not state.is_playing and position == state.duration:
        position = 0.0  # as playTrack does after the end (R1)
    target = Snapshot(state.track_id or "", position, is_playing, state.playback_rate, now)
    return move(state, target, state.duration, state.rev, state.active_device, state.queue)


def _reported_position(state: State, now: float, former: DeviceSync | None) -> float:
    """Return where the former active device is by its last report; else where the state is.

    A player that loads is behind the state by that time. What takes over would skip as much.
    """
    position = state.position_at(now)
    report = former.last_report if former is not None and former.in_sync else None
    if report is None or state.frozen_at is not None:
        return position
    reached = report.position + (now - report.at) * state.playback_rate
    is_same = report.track_id == state.track_id and report.is_playing and state.is_playing
    is_near = is_same and abs(reached - position) <= SYNC_TOLERANCE
    return state.clamp(reached) if is_near and now - report.at <= SETTLE_TIME else position


def release_player(sync: DeviceSync) -> DeviceSync:
    """Return what is remembered of a device that is no longer the active one.

    Where only the active device sounds, it stops, and sends no further report. Its last one, that
    it plays, must not keep the playback from freezing once the player is gone (R11). A late one may
    agree with the state, which has not moved: if that made it in sync, its stop would pause all, so
    that such an agreement is an old one (R15).
    """
    sent_at = sync.last_sent.at if sync.last_sent else None
    return replace(sync, reports_playing=False, previous_sent_at=sent_at)
