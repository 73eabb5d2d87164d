"""``Decider``: asks the rules what a command does in one user's room."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import TrackNotFound
from ..playback import lifecycle, rules
from ..playback.commands import Change, PlayTrack, QueueCommand, Report
from ..playback.model import NOBODY, ROOM, Outcome, Snapshot, State, is_end
from ..playback.queue_rules import reports_end
from ..playback.sync import record_report
from .device import Device
from .room_context import RoomContext
from .room_queue import RoomQueue
from .stop_points import StopPoints


@dataclass(frozen=True, slots=True)
class Decider:
    """Calls the rules with what they need to know of the room: tracks, stop points, devices."""

    user_id: str
    context: RoomContext
    queue: RoomQueue
    stop_points: StopPoints
    devices: dict[int, Device]

    def decide(
        self, state: State, command: Change | QueueCommand, device: Device | None, now: float
    ) -> Outcome:
        """Return what the rules make of ``command``; ``device`` is the sender, None for REST.

        Raises ``CommandRefused``, ``TrackNotFound``, ``InvalidMessage`` and ``StopPointNotLoaded``.
        """
        if isinstance(command, Report):
            if device is not None and (command.ended or not command.is_playing):
                outcome = self._decide_end(state, command, device, now)
                if outcome is not None:
                    return outcome
        elif isinstance(command, QueueCommand):
            ref, sync = (device.ref, device.sync) if device else (None, None)
            return self.queue.decide(state, command, now, ref, sync)
        else:
            self.queue.check_tracks(state, command)
        return self._decide_change(state, command, device, now)

    def _decide_end(
        self, state: State, report: Report, device: Device, now: float
    ) -> Outcome | None:
        """Return what a report of the end of a track does (R24); None for any other report.

        Where nothing follows, an end that is not at the listed one is the duration (R19).
        """
        if not reports_end(state, device.sync, report, now):
            return None
        rate = state.playback_rate
        seen = Snapshot(report.track_id, report.position, report.is_playing, rate, now)
        updated = record_report(device.sync, seen, self.context.tolerance)
        active = state.active_device
        if active is not None and active != device.ref and active.key in self.devices:
            return Outcome(state, updated, NOBODY)
        place = self.queue.following(state)
        if place is not None:
            started = self.queue.start(state, place, now)
            return Outcome(started, updated, ROOM, "trackPlaying", has_ended=True)
        if report.duration is not None or is_end(report.position, state.duration):
            return None
        measured = replace(report, duration=report.position or None)
        return self._decide_change(state, measured, device, now)

    def _decide_change(
        self, state: State, command: Change, device: Device | None, now: float
    ) -> Outcome:
        track_id = command.track_id
        duration, is_listed = self._listed_duration(state, track_id, device)
        outcome = rules.apply(
            state,
            command,
            now,
            device=device.ref if device else None,
            sync=device.sync if device else None,
            duration=duration,
            resume_position=self._resume_position(state, command),
            same_album=track_id != state.track_id and self.queue.is_same_album(state, track_id),
            alone=len(self.devices) <= 1,
            tolerance=self.context.tolerance,
        )
        if not is_listed and lifecycle.starts_track(command, state, outcome.state):
            raise TrackNotFound("there is no such track")
        return outcome

    def _listed_duration(
        self, state: State, track_id: str, device: Device | None
    ) -> tuple[float | None, bool]:
        """Return the listed duration of a track, and whether it is listed at all.

        Of an unlisted track the known duration stays. Raises ``TrackNotFound`` (R9).
        """
        try:
            return self.context.catalogue.duration(self.user_id, track_id), True
        except TrackNotFound:
            sync = device.sync if device else None
            if not lifecycle.accepts_unlisted(state, sync, track_id):
                raise
            return state.duration if track_id == state.track_id else None, False

    def _resume_position(self, state: State, command: Change) -> float | None:
        if (
            isinstance(command, PlayTrack)
            and command.resume
            and command.position is None
            and command.track_id != state.track_id
        ):
            return self.stop_points.position(command.track_id)
        return None
