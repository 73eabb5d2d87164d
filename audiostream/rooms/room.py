"""One user's room: applies commands to the playback and sends the outcome to the devices.

No method waits; what a room needs from the state file, the caller loads (``StopPointNotLoaded``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Conflict, TrackNotFound
from ..playback import lifecycle, rules
from ..playback.commands import Change, PauseTrack, PlayTrack, Report, TransferPlayback
from ..playback.model import NOBODY, CommandRefused, Outcome, State, StopPoint
from ..playback.sync import record_delivered, record_resend
from ..protocol.decode import Command, GetCurrentState, decode_command, decode_get_devices
from ..protocol.encode import StateView
from ..protocol.envelope import Frame, FrameId
from . import device_commands
from .broadcast import Catalogue, StateBroadcaster, select_recipients
from .device import Device
from .device_list import DeviceList
from .stop_points import StopPoints

NEVER_PLAYED = State()
"""Shared by all rooms in which nothing was played: most that are idle."""
MAX_COMMAND_IDS = 64
"""``commandId`` values of commands that took effect, so that one that is sent again is not applied
twice: a client sends a command again within seconds, after it has reconnected."""
LONGEST_INTERRUPTION = 24 * 3600.0
"""Seconds that a stop of the server is assumed to have lasted where the wall clock was set back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomContext:
    """What the rooms of one registry share, and the sets in which each room lists itself.

    ``clock`` returns monotonic seconds, ``wall_clock`` epoch seconds; ``tolerance`` is in seconds.
    """

    catalogue: Catalogue
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    tolerance: float
    needs_housekeeping: set[Room] = field(default_factory=set)
    """Rooms in which a timeout is running."""
    unsaved: set[Room] = field(default_factory=set)
    """Rooms whose state or stop points have changed since the saver took them from here."""
    maybe_idle: set[Room] = field(default_factory=set)
    """Rooms that are new, or that a device has left, since the saver took them from here."""


class Room:
    """``user_{userId}``: one user's playback and connected devices."""

    __slots__ = (
        "_applied_ids",
        "_broadcaster",
        "_context",
        "_device_list",
        "devices",
        "state",
        "stop_points",
        "user_id",
    )

    def __init__(self, user_id: str, context: RoomContext) -> None:
        self.user_id = user_id
        self.state = NEVER_PLAYED
        self.devices: dict[int, Device] = {}
        self.stop_points = StopPoints()
        self._context = context
        self._applied_ids: tuple[str, ...] = ()
        self._broadcaster = StateBroadcaster(user_id, context.catalogue, context.wall_clock)
        self._device_list = DeviceList(self.devices)

    @property
    def name(self) -> str:
        return f"user_{self.user_id}"

    def restore(
        self, state: State, stop_points: Iterable[StopPoint], reached_at: float | None = None
    ) -> None:
        """Continue a stored playback, which reached its position at ``reached_at``.

        That is in epoch seconds; None if it is unknown: after ``state.updated_at``.
        """
        if state.is_interrupted or state.is_abandoned:
            elapsed = self._context.wall_clock() - (
                state.updated_at if reached_at is None else reached_at
            )
            if elapsed < 0:  # the wall clock was set back
                elapsed = LONGEST_INTERRUPTION
            state = replace(state, anchored_at=self._context.clock() - elapsed)
        self.state = state
        self.stop_points.is_complete = False
        for each in stop_points:
            self.stop_points.add(each)
            self._context.unsaved.add(self)

    def add_device(self, device: Device) -> None:
        """Add a connected device. It is sent nothing (R12)."""
        self.devices[device.ref.key] = device
        self._device_list.notify_watchers(self.state, self._context.clock())

    def remove_device(self, device: Device) -> None:
        """Remove a disconnected device, if it is here."""
        if self.devices.pop(device.ref.key, None) is None:
            return
        now = self._context.clock()
        self._context.maybe_idle.add(self)
        self._device_list.unwatch(device)
        self._advance(now)
        remaining = (each.sync for each in self.devices.values())
        self.state = lifecycle.on_disconnect(self.state, device.sync, remaining, now)
        if self.state.frozen_at is not None:
            self._context.needs_housekeeping.add(self)
        self._device_list.notify_watchers(self.state, now)

    def handle_frame(self, frame: Frame, device: Device) -> None:
        """Apply the command in a frame of ``device``, or answer its query.

        Raises ``InvalidMessage`` and ``UnknownEvent``, and what ``apply`` raises.
        """
        if frame.event == "getDevices":
            self.send_device_list(device, decode_get_devices(frame.data), frame.id)
        elif frame.event in device_commands.DEVICE_EVENTS:
            self.handle_device_frame(frame, device)
        else:
            self.apply(decode_command(frame.event, frame.data), device, frame.id)

    def handle_device_frame(self, frame: Frame, device: Device) -> dict[str, Any]:
        """Do what a frame of ``DEVICE_EVENTS`` asks for; return the data of its acknowledgement.

        Raises ``DeviceNotFound``, and what ``handle_frame`` raises.
        """
        now = self._context.clock()
        self._advance(now)
        return device_commands.handle(self, self._device_list, frame, device, now)

    def apply(
        self,
        command: Command | TransferPlayback,
        device: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> float:
        """Apply ``command``, send the outcome to its recipients, and return the time of it.

        ``device`` is the sender, None for REST. If its frame had an id, the sender is answered in
        any case, by ``trackState`` where it is no recipient. Raises ``TrackNotFound`` (R9),
        ``Conflict`` and ``StopPointNotLoaded``.
        """
        now = self._context.clock()
        self._advance(now)
        if self.state.duration is None:
            self._complete_duration()
        if isinstance(command, GetCurrentState):  # R12
            self._answer(device, "trackState", now, frame_id)
        elif not isinstance(command, Report) and self.has_applied(_command_id(command)):
            event = "trackPlaying" if self.state.is_playing else "trackPaused"
            self._answer(device, event, now, frame_id)  # it may have missed the outcome
        else:
            self._apply_change(command, device, now, frame_id)
        return now

    def view(self, now: float) -> StateView:
        """Return the state as clients are sent it, at the time that ``apply`` returned."""
        return StateView.of(self.state, now, self._context.wall_clock())

    def has_applied(self, command_id: str | None) -> bool:
        """Whether a command of that id took effect before."""
        return command_id in self._applied_ids

    def record_applied(self, command_id: str | None) -> None:
        """Note that a command took effect."""
        if command_id is not None:
            self._applied_ids = (*self._applied_ids, command_id)[-MAX_COMMAND_IDS:]

    def mark_delivered(self, device: Device) -> None:
        """Note that a device has received only now what it was sent last (R22)."""
        device.sync = record_delivered(device.sync, self._context.clock())

    def send_device_list(
        self, device: Device, watch: bool, frame_id: FrameId | None = None
    ) -> dict[str, Any]:
        """Send ``devices`` to a device, and after every change if it wants to ``watch``.

        Return the event's data.
        """
        return self._device_list.send(device, watch, self.state, self._context.clock(), frame_id)

    def housekeep(self) -> None:
        """Apply what time alone does: R11 and R16. Call about once a second."""
        now = self._context.clock()
        self._advance(now)
        for device in tuple(self.devices.values()):
            report = lifecycle.assumed_report(device.sync, now)
            if report is not None:
                self._resend(report, device)
        is_waiting = any(lifecycle.may_resend(each.sync) for each in self.devices.values())
        if self.state.frozen_at is None and not is_waiting:
            self._context.needs_housekeeping.discard(self)

    def _answer(
        self, device: Device | None, event: str, now: float, frame_id: FrameId | None
    ) -> None:
        if device is not None:
            self._broadcaster.send((device,), event, self.state, self.state, now, device, frame_id)

    def _apply_change(
        self,
        command: Change | TransferPlayback,
        device: Device | None,
        now: float,
        frame_id: FrameId | None,
    ) -> None:
        before, outcome = self.state, self._decide(command, device, now)
        if outcome.state is not before:
            self._change_state(outcome.state, now)
            self.record_applied(_command_id(command))
        if device is not None:
            device.sync = outcome.sync
            if isinstance(command, Report):
                device.record_volume(command.volume, command.muted)
            if outcome.sync.is_ignored:
                self._context.needs_housekeeping.add(self)
        if outcome.recipients is not NOBODY or frame_id is not None:
            recipients = select_recipients(outcome.recipients, self.devices.values(), device)
            self._broadcaster.send(
                recipients, outcome.event, before, self.state, now, device, frame_id
            )
        if self.state.active_device is not before.active_device:
            device_commands.expect_player(self, before, command)
        if self._device_list.watchers:
            self._device_list.notify_watchers(self.state, now)

    def _decide(
        self, command: Change | TransferPlayback, device: Device | None, now: float
    ) -> Outcome:
        """Return what the rules make of ``command``."""
        if isinstance(command, TransferPlayback):
            return device_commands.transfer(self, self._context.catalogue, command, device, now)
        state, track_id = self.state, command.track_id
        duration, is_listed = self._listed_duration(track_id, device)
        try:
            outcome = rules.apply(
                state,
                command,
                now,
                device=device.ref if device else None,
                sync=device.sync if device else None,
                duration=duration,
                resume_position=self._resume_position(command),
                same_album=track_id != state.track_id and self._is_same_album(track_id),
                alone=len(self.devices) <= 1,
                tolerance=self._context.tolerance,
            )
        except CommandRefused as refused:
            raise Conflict(str(refused), self.view(now).to_json()) from None
        if not is_listed and lifecycle.starts_track(command, state, outcome.state):
            raise TrackNotFound("there is no such track")
        return outcome

    def _listed_duration(self, track_id: str, device: Device | None) -> tuple[float | None, bool]:
        """Return the listed duration of a track, and whether it is listed at all.

        Of an unlisted track the known duration stays. Raises ``TrackNotFound`` (R9).
        """
        try:
            return self._context.catalogue.duration(self.user_id, track_id), True
        except TrackNotFound:
            sync = device.sync if device else None
            if not lifecycle.accepts_unlisted(self.state, sync, track_id):
                raise
            return self.state.duration if track_id == self.state.track_id else None, False

    def _resume_position(self, command: Change) -> float | None:
        if (
            isinstance(command, PlayTrack)
            and command.resume
            and command.position is None
            and command.track_id != self.state.track_id
        ):
            return self.stop_points.position(command.track_id)
        return None

    def _is_same_album(self, track_id: str) -> bool:
        """Whether ``track_id`` is of the current track's album; asked where the rate matters."""
        current = self.state
        if current.playback_rate == 1.0 or current.track_id is None:
            return False
        return self._context.catalogue.same_album(self.user_id, current.track_id, track_id)

    def _change_state(self, state: State, now: float) -> None:
        """Replace the state; add the date of the change and the stop points that it leaves."""
        before, wall_time = self.state, self._context.wall_clock()
        if state.rev != before.rev:
            state = replace(state, updated_at=wall_time)
        self.state = state
        self._context.unsaved.add(self)
        for stop_point in lifecycle.stop_points(before, state, now):
            self.stop_points.add(replace(stop_point, at=wall_time))

    def _advance(self, now: float) -> None:
        before, state = self.state, lifecycle.advance(self.state, now)
        if state is before:
            return
        self._change_state(state, now)
        if state.rev != before.rev:  # R11: no player came back
            devices = tuple(self.devices.values())
            self._broadcaster.send(devices, "trackPaused", before, self.state, now)
            self._device_list.notify_watchers(self.state, now)

    def _resend(self, report: Report, device: Device) -> None:
        """Apply what a silent device is assumed to repeat, and send it the outcome (R16)."""
        before = device.sync
        with suppress(TrackNotFound):
            self.apply(report, device)
        if device.sync.last_sent is before.last_sent:
            self._answer(device, "trackUpdated", self._context.clock(), None)
        device.sync = record_resend(before, device.sync)

    def _complete_duration(self) -> None:
        """Add the duration of a restored state, once the library has its track."""
        if self.state.track_id is not None:
            with suppress(TrackNotFound):
                duration = self._context.catalogue.duration(self.user_id, self.state.track_id)
                self.state = lifecycle.with_listed_duration(self.state, duration)


def _command_id(command: Change | TransferPlayback) -> str | None:
    if isinstance(command, PlayTrack | PauseTrack | TransferPlayback):
        return command.command_id
    return None
