"""One user's room: applies commands to the playback and sends the outcome to the devices.

No method waits: where a room needs something that takes time, it raises ``RoomWaits``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..errors import Conflict, TrackNotFound
from ..playback import lifecycle
from ..playback.commands import (
    AnyCommand,
    PauseTrack,
    PlayTrack,
    Report,
    Skip,
    TransferPlayback,
    command_id_of,
)
from ..playback.model import NOBODY, ROOM, CommandRefused, Outcome, Recipients, State, StopPoint
from ..playback.queue_rules import next_is_due
from ..playback.sync import record_delivered, record_resend
from ..protocol.decode import Command, GetCurrentState, decode_command, decode_get_devices
from ..protocol.decode_queue import GetQueue
from ..protocol.encode import StateView
from ..protocol.envelope import Frame, FrameId
from . import device_commands
from .applied_commands import AppliedCommands
from .broadcast import StateBroadcaster, select_recipients
from .decider import Decider
from .device import Device
from .device_list import DeviceList
from .end_schedule import MAX_ENDS, EndSchedule
from .play_history import PlayHistory
from .room_context import RoomContext
from .room_queue import QUEUE_UPDATED, RoomQueue, list_has_changed
from .stop_points import StopPoints


class Room:
    """``user_{userId}``: one user's playback and connected devices."""

    __slots__ = (
        "_broadcaster",
        "_context",
        "_decider",
        "_device_list",
        "_queue",
        "applied_commands",
        "devices",
        "end_schedule",
        "play_history",
        "saved_track_ids",
        "state",
        "stop_points",
        "user_id",
    )

    def __init__(self, user_id: str, context: RoomContext) -> None:
        self.user_id = user_id
        self.state = lifecycle.NEVER_PLAYED
        self.devices: dict[int, Device] = {}
        self.stop_points = StopPoints()
        self.play_history = PlayHistory()
        self.applied_commands = AppliedCommands()
        self.saved_track_ids: tuple[str, ...] = ()  # those of the queue in storage
        self._context = context
        self._queue = RoomQueue(user_id, context.catalogue, context.max_queue, context.new_seed)
        self._decider = Decider(user_id, context, self._queue, self.stop_points, self.devices)
        self.end_schedule = EndSchedule(context)
        self._broadcaster = StateBroadcaster(
            user_id, context.catalogue, context.wall_clock, self._queue.following
        )
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
            since = state.updated_at if reached_at is None else reached_at
            elapsed = lifecycle.interruption(self._context.wall_clock() - since)
            state = replace(state, anchored_at=self._context.clock() - elapsed)
        self.state = state
        self.saved_track_ids = state.queue.track_ids
        self.stop_points.is_complete = False
        for each in stop_points:
            self.stop_points.add(each)
            self._context.unsaved.add(self)

    def add_device(self, device: Device) -> None:
        """Add a connected device. It is sent nothing (R12)."""
        now = self._context.clock()
        self._advance(now)  # as a room without devices, if it is one (R24)
        self.devices[device.ref.key] = device
        self._device_list.notify_watchers(self.state, now)

    def remove_device(self, device: Device) -> None:
        """Remove a disconnected device, if it is here."""
        if device.ref.key not in self.devices:
            return
        now = self._context.clock()
        self._advance(now)
        self.devices.pop(device.ref.key, None)  # sending to it may have removed it
        self._context.maybe_idle.add(self)
        self._device_list.unwatch(device)
        remaining = ((each.ref, each.sync) for each in self.devices.values())
        self.state = lifecycle.on_disconnect(self.state, device.ref, device.sync, remaining, now)
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
        ``Conflict`` and ``RoomWaits``.
        """
        now = self._context.clock()
        self._advance(now)
        if self.state.duration is None:
            self._complete_duration()
        if isinstance(command, Report):  # first, as most are
            self._apply_change(command, device, now, frame_id)
        elif isinstance(command, GetCurrentState):  # R12
            self._answer(device, "trackState", now, frame_id)
        elif isinstance(command, GetQueue):
            self._answer_queue("queue", device, frame_id)
        elif command_id_of(command) in self.applied_commands:
            self._answer_again(command, device, now, frame_id)
        else:
            self._apply_change(command, device, now, frame_id)
        return now

    def view(self, now: float | None = None) -> StateView:
        """Return the state as clients are sent it: at the time that ``apply`` returned, or now."""
        now = self._context.clock() if now is None else now
        return StateView.of(self.state, now, self._context.wall_clock())

    def queue_data(self) -> dict[str, Any]:
        """Return the queue as clients are sent it: the data of ``queueUpdated``."""
        return self._broadcaster.queue_data(self.state)

    def count_devices(self, device_id: str | None) -> int:
        """Return how many devices are connected, for one of ``device_id`` that wants to connect."""
        return len(self.devices)

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
        if self.state.frozen_at is None and self.state.ended_at is None and not is_waiting:
            self._context.needs_housekeeping.discard(self)

    def expect_end(self) -> None:
        """Have ``housekeep`` called at the end of the track, if something follows it (R24)."""
        self.end_schedule.expect(self, self.state)

    def _answer(
        self, device: Device | None, event: str, now: float, frame_id: FrameId | None
    ) -> None:
        if device is not None:
            self._broadcaster.send((device,), event, self.state, self.state, now, device, frame_id)

    def _decide(self, command: AnyCommand, device: Device | None, now: float) -> Outcome:
        if isinstance(command, TransferPlayback):
            return device_commands.transfer(self, self._context.catalogue, command, device, now)
        try:
            return self._decider.decide(self.state, command, device, now)
        except CommandRefused as refused:
            raise Conflict(str(refused), self.view(now).to_json()) from None

    def _answer_again(
        self, command: AnyCommand, device: Device | None, now: float, frame_id: FrameId | None
    ) -> None:
        """Answer a command that took effect before: its sender may have missed the outcome."""
        if isinstance(command, PlayTrack | PauseTrack | Skip | TransferPlayback):
            event = "trackPlaying" if self.state.is_playing else "trackPaused"
            self._answer(device, event, now, frame_id)
        else:
            self._answer_queue(QUEUE_UPDATED, device, frame_id)

    def _apply_change(
        self, command: AnyCommand, device: Device | None, now: float, frame_id: FrameId | None
    ) -> None:
        before, outcome = self.state, self._decide(command, device, now)
        if outcome.state is not before:
            state = device_commands.choose_active(self.devices, outcome.state, command, device)
            self._change_state(state, now, outcome.has_ended)
            self.applied_commands.record(command_id_of(command))
        if device is not None:
            device.sync = outcome.sync
            if isinstance(command, Report):
                device.record_volume(command.volume, command.muted)
            if outcome.sync.is_ignored:
                self._context.needs_housekeeping.add(self)
        if outcome.event == QUEUE_UPDATED:
            self._send_queue(QUEUE_UPDATED, device, frame_id)
        elif outcome.recipients is not NOBODY or frame_id is not None:
            self._broadcast(outcome.recipients, outcome.event, before, now, device, frame_id)
            if list_has_changed(before, self.state):
                self._send_queue(QUEUE_UPDATED)
        if self.state.active_device is not before.active_device:
            device_commands.release_player(self, before)
        if self._device_list.watchers:
            self._device_list.notify_watchers(self.state, now)

    def _send_queue(
        self, event: str, sender: Device | None = None, frame_id: FrameId | None = None
    ) -> None:
        devices = self._select(event, ROOM, sender)
        self._broadcaster.send_queue(devices, event, self.state, sender, frame_id)

    def _answer_queue(self, event: str, device: Device | None, frame_id: FrameId | None) -> None:
        if device is not None:
            self._broadcaster.send_queue((device,), event, self.state, device, frame_id)

    def _change_state(self, state: State, now: float, has_ended: bool = False) -> None:
        """Replace the state; add the date of the change and the stop points that it leaves."""
        before, wall_time = self.state, self._context.wall_clock()
        if state.rev != before.rev:
            state = replace(state, updated_at=wall_time)
        self.state = state
        self._context.unsaved.add(self)
        for stop_point in lifecycle.stop_points(before, state, now, has_ended):
            self.stop_points.add(replace(stop_point, at=wall_time))
        self.play_history.record(before, state, wall_time)
        self.expect_end()

    def _advance(self, now: float) -> None:
        before, state = self.state, lifecycle.advance(self.state, now)
        if state is not before:
            self._change_state(state, now)
            if state.rev != before.rev:  # R11: no player came back
                self._send_to_all("trackPaused", before, now)
        if self.state.ended_at is not None:
            self._follow_end(now)

    def _follow_end(self, now: float) -> None:
        """Start what follows a track whose end no device has reported, if it is due (R24)."""
        for _ in range(MAX_ENDS):
            state = self.state
            active = self.devices.get(state.active_device.key) if state.active_device else None
            sync = active.sync if active else None
            if not next_is_due(state, sync, is_alone=not self.devices, now=now):
                return
            place = self._queue.following(state)
            if place is None:
                return self._change_state(replace(state, ended_at=None), now)
            at = now if self.devices or state.ended_at is None else state.ended_at
            self._change_state(self._queue.start(state, place, at), now)
            self._send_to_all("trackPlaying", state, now)
            self._change_state(lifecycle.advance(self.state, now), now)

    def _send_to_all(self, event: str, before: State, now: float) -> None:
        self._broadcast(ROOM, event, before, now)
        self._device_list.notify_watchers(self.state, now)

    def _broadcast(
        self,
        recipients: Recipients,
        event: str,
        before: State,
        now: float,
        sender: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> None:
        """Send the state, which was ``before``, to some of the devices."""
        devices = self._select(event, recipients, sender)
        self._broadcaster.send(devices, event, before, self.state, now, sender, frame_id)

    def _select(self, event: str, to: Recipients, sender: Device | None) -> Sequence[Device]:
        """Return the devices to which a broadcast is sent."""
        return select_recipients(to, self.devices.values(), sender)

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
