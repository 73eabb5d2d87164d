"""The rule of ``transferPlayback``: another connected device becomes the active one (R26)."""

from __future__ import annotations

from dataclasses import replace

from .model import ROOM, CommandRefused, DeviceRef, DeviceSync, Outcome, State


def transfer(
    state: State,
    target: DeviceRef,
    now: float,
    *,
    play: bool | None = None,
    if_rev: int | None = None,
    sync: DeviceSync | None = None,
) -> Outcome:
    """Return what making ``target`` the active device does to ``state``, advanced to ``now``.

    ``play``: None leaves playing or paused as it is. ``sync`` is the sender's. Raises
    ``CommandRefused`` for another rev than ``if_rev`` (R8).
    """
    if if_rev is not None and if_rev != state.rev:
        raise CommandRefused(f"the state has moved on to rev {state.rev}")
    transferred = replace(
        state, active_device=target, rev=state.rev + 1, is_abandoned=False, is_interrupted=False
    )
    is_playing = state.is_playing if play is None else play
    if state.track_id is not None and (play is not None or is_playing):
        transferred = _moved(transferred, is_playing, now)
    return Outcome(transferred, sync or DeviceSync(), ROOM)


def _moved(state: State, is_playing: bool, now: float) -> State:
    """Return the state playing or paused from ``now`` on; a frozen one goes on where it froze."""
    position = state.position_at(now)
    if is_playing and not state.is_playing and position == state.duration:
        position = 0.0  # as playTrack does after the end (R1)
    return State(  # what is not named here ends with a change, as in ``rules``
        track_id=state.track_id,
        duration=state.duration,
        position=position,
        anchored_at=now,
        is_playing=is_playing,
        playback_rate=state.playback_rate,
        rev=state.rev,
        updated_at=state.updated_at,
        active_device=state.active_device,
        is_measured=state.is_measured,
        queue=state.queue,
    )


def expect_player(sync: DeviceSync, is_expected: bool) -> DeviceSync:
    """Return what is remembered of a device that is a player, or no longer one, until it reports.

    Where only the active device sounds, the former one sends no further report: its last one, that
    it plays, must not keep the playback from freezing once the player is gone (R11). The new one
    may be gone before its first report.
    """
    if sync.reports_playing == is_expected:
        return sync
    return replace(sync, reports_playing=is_expected)
