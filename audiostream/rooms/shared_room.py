"""``SharedRoom``: a room whose playback is in a store that several processes share.

An action runs on the state that this process knows, and what it sends is held. Where the state
stays as it was, that is sent, and nothing is stored: most reports. Else the outcome is a
``Change``, which is stored only if no other process has stored one since; then it is sent, else
undone::

    apply ─► attempt ─► state as before ─► settle: frames go out
                  └───► RoomWaits; perform ─► attempt ─► commit ─► stored ─► confirm
                                                 ▲            └──► lost ───► roll_back, adopt ─┐
                                                 └─────────────────────────────────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from ..errors import AudiostreamError
from ..playback import lifecycle
from ..playback.commands import TransferPlayback
from ..playback.model import ROOM, DeviceSync, Recipients, State
from ..protocol.decode import Command
from ..protocol.envelope import Frame, FrameId
from ..storage.shared_store import Change
from . import device_commands, device_limit
from .attempt import Attempt, BroadcastNotes
from .broadcast import select_recipients
from .device import Device
from .device_rows import DeviceRows
from .held_frames import HeldFrames
from .process_context import ProcessContext
from .replicas import RemoteDevice, record_sent_to_replica
from .room import Room
from .room_context import RoomContext
from .room_queue import QUEUE_UPDATED, list_has_changed
from .room_waits import RoomWaits
from .saved_room import SavedRoom

PATIENCE = 5.0
"""Seconds that a room leaves what is due to the process of the active device."""
T = TypeVar("T")


class SharedRoom(Room):
    """One user's room in one of several processes.

    ``version`` is the newest that is known, ``stored_version`` the one that a change must replace:
    the same, unless the store has lost changes. ``last_change``: ``version``, and the id of the
    change that led to it. ``is_live``: what other processes store and
    announce is received. ``is_busy``: a turn has been taken in which the store is awaited.
    """

    __slots__ = (
        "_due_since",
        "_is_in_action",
        "_is_queue_stored",
        "_notes",
        "held",
        "is_busy",
        "is_live",
        "last_change",
        "local_devices",
        "process",
        "rows",
        "stored_version",
        "version",
    )

    def __init__(self, user_id: str, context: RoomContext, process: ProcessContext) -> None:
        super().__init__(user_id, context)
        self.process = process
        self.note_stored(0, "")
        self.is_live = self.is_busy = self._is_in_action = False
        self.held = HeldFrames()
        self.rows = DeviceRows(process.process_id)
        self.local_devices = self.rows.devices
        self._notes = BroadcastNotes()
        self._due_since: float | None = None
        self.forget_stop_points()

    # What is asked of a room. Each raises RoomWaits where it is not certain to be done at once.

    def apply(
        self,
        command: Command | TransferPlayback,
        device: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> float:
        return self._act(partial(super().apply, command, device, frame_id))

    def handle_frame(self, frame: Frame, device: Device) -> None:
        self._act(partial(super().handle_frame, frame, device))

    def handle_device_frame(self, frame: Frame, device: Device) -> dict[str, Any]:
        return self._act(partial(super().handle_device_frame, frame, device))

    def housekeep(self) -> None:
        """Apply what time alone does, if it is for this process to do. Never raises."""
        if not self.local_devices:
            self._context.needs_housekeeping.discard(self)
            return
        try:
            self._act(super().housekeep)
            self._due_since = None
        except RoomWaits:
            self._context.needs_housekeeping.add(self)
            if not self.is_busy and self._is_responsible():
                self.process.perform_later(self, "housekeep", super().housekeep)

    def advance(self) -> None:
        """Apply what time has done to a room that no device is in (R24)."""
        self._act(lambda: self._advance(self._context.clock()))

    def count_devices(self, device_id: str | None) -> int:
        """Leave out a former connection of the same device, and processes that may be dead."""
        return device_limit.count_with(self, device_id, self._context.clock())

    # Devices. What they change is stored and announced later, by the process's own tasks.

    def add_device(self, device: Device) -> None:
        """Add a device of this process. It is sent nothing (R12)."""
        now = self._context.clock()
        self.devices[device.ref.key] = device
        self.rows.add(device, now)
        self.announce()
        self._device_list.notify_watchers(self.state, now)

    def remove_device(self, device: Device) -> None:
        """Remove a device of this process, if it is here."""
        if not self.rows.remove(device.ref.key):
            return
        del self.devices[device.ref.key]
        self._device_list.unwatch(device)
        self._context.maybe_idle.add(self)
        now = self._context.clock()
        self._device_list.notify_watchers(self.state, now)
        name = f"loss of {device.ref.key}"
        self.process.perform_later(self, name, partial(self._note_loss, device.sync, now))
        self.process.announce(self)

    def remove_lost_devices(self, process_id: str, since: float) -> None:
        """Remove the devices of a process that is dead, as of its last sign of life."""
        lost = [each for each in self.devices.values() if self.owner_of(each) == process_id]
        for device in lost:
            del self.devices[device.ref.key]
            self.rows.outbox.removed.add(device.ref.key)
        for device in lost:
            self._note_loss(device.sync, since)
        if lost:
            self._device_list.notify_watchers(self.state, self._context.clock())
            self.process.announce(self)

    def owner_of(self, device: Device) -> str:
        """Return the id of the process that a device is connected to."""
        remote = device.connection
        return remote.process_id if isinstance(remote, RemoteDevice) else self.process.process_id

    # Attempts.

    def attempt(self, action: Callable[[], T]) -> Attempt[T]:
        """Run an action and hold what it sends. Raises ``RoomWaits``, and then nothing changed."""
        saved = SavedRoom.of(self)
        self._notes.clear()
        self.held.hold()
        self._is_in_action = True
        value, error = None, None
        try:
            value = action()
        except AudiostreamError as caught:
            error = caught
        except BaseException:
            self._undo(saved)
            raise
        finally:
            self._is_in_action = False
            self._context.unsaved.discard(self)
        change = None if self.state is saved.state else self._make_change(saved)
        return Attempt(saved, value, error, change)

    def settle(self, attempt: Attempt[T]) -> T:
        """Send what an action that changed nothing has sent; return what it returned, or raise."""
        self.forget_stop_points()
        self.held.release()
        self.announce()
        return attempt.result()

    def confirm(self, attempt: Attempt[T]) -> T:
        """Send what an action has sent whose change is stored; then as ``settle``."""
        if attempt.change is not None:
            self.note_stored(attempt.change.version, attempt.change.change_id)
            self.play_history.mark_saved(attempt.change.played)
        self.forget_stop_points()
        self.held.release()
        self.announce()
        return attempt.result()

    def roll_back(self, attempt: Attempt[T]) -> None:
        """Undo a change that is not stored."""
        self._undo(attempt.saved)
        if attempt.change is not None:
            self.rows.put_back(attempt.change.devices)

    def note_stored(self, version: int, change_id: str) -> None:
        """Note which change is stored, and known here."""
        self.version = self.stored_version = version
        self.last_change = version, change_id
        self._is_queue_stored = True

    def note_lost(self, stored_version: int) -> None:
        """Note that the store has lost changes that are known here; it has this version."""
        self.stored_version = stored_version
        self._is_queue_stored = False

    def forget_stop_points(self) -> None:
        """Have stop points read from the store: other processes may have added some."""
        self.stop_points.clear()

    def _act(self, action: Callable[[], T]) -> T:
        """Do what can be done without the store. Raises ``RoomWaits`` for anything else."""
        if self._is_in_action:
            return action()
        if self.is_busy or not self.is_live:
            raise RoomWaits
        attempt = self.attempt(action)
        if attempt.change is not None:
            self.roll_back(attempt)
            raise RoomWaits
        return self.settle(attempt)

    def _undo(self, saved: SavedRoom) -> None:
        self.held.discard()
        self.forget_stop_points()
        saved.restore(self)

    def _make_change(self, saved: SavedRoom) -> Change:
        event, recipients, sender = self._notes.summary(self.state)
        if event != QUEUE_UPDATED and recipients == ROOM.name:
            self.record_sent_to_replicas()
        is_new_list = self.state.queue.track_ids != saved.state.queue.track_ids
        return Change(
            user_id=self.user_id,
            process_id=self.process.process_id,
            change_id=self.process.new_change_id(),
            expected_version=self.stored_version,
            version=self.version + 1,
            state=self.state,
            writes_queue=is_new_list or not self._is_queue_stored,
            applied_ids=self.applied_commands.ids,
            stop_points=self.stop_points.unsaved,
            played=self.play_history.unsaved,
            event=event,
            recipients=recipients,
            sender=sender,
            devices=self.rows.take(),
        )

    # What a room does on the way.

    def _broadcast(
        self,
        recipients: Recipients,
        event: str,
        before: State,
        now: float,
        sender: Device | None = None,
        frame_id: FrameId | None = None,
    ) -> None:
        self._notes.add(event, recipients, sender)
        devices = select_recipients(recipients, self.local_devices.values(), sender)
        self._broadcaster.send(devices, event, before, self.state, now, sender, frame_id)

    def _send_queue(
        self, event: str, sender: Device | None = None, frame_id: FrameId | None = None
    ) -> None:
        self._notes.add_queue(sender)
        devices = tuple(self.local_devices.values())
        self._broadcaster.send_queue(devices, event, self.state, sender, frame_id)

    def _follow_end(self, now: float) -> None:
        """Leave it to the process of the active device to start what follows (R24), at first."""
        active = self.state.active_device
        is_remote = active is not None and active.key in self.devices.keys() - self.local_devices
        ended_at = self.state.ended_at
        if not is_remote or ended_at is None or now - ended_at >= PATIENCE:
            super()._follow_end(now)

    def _note_loss(self, sync: DeviceSync, at: float) -> None:
        """Freeze the playback if a device that has gone was its last player (R11)."""

        def act() -> None:
            self._advance(self._context.clock())
            rest = (each.sync for each in self.devices.values())
            self.state = lifecycle.on_disconnect(self.state, sync, rest, at)
            if self.state.frozen_at is not None:
                self._context.needs_housekeeping.add(self)

        self._act(act)

    def _is_responsible(self) -> bool:
        """Whether this process does what is due: it has the active device, or no other does it."""
        now, active = self._context.clock(), self.state.active_device
        if self._due_since is None:
            self._due_since = now
        device = None if active is None else self.devices.get(active.key)
        if device is not None:
            owner = self.owner_of(device)
        else:
            owners = {self.owner_of(each) for each in self.devices.values()}
            owner = min(each for each in owners if not self.process.is_silent(each))
        return owner == self.process.process_id or now - self._due_since >= PATIENCE

    def record_sent_to_replicas(self) -> None:
        """Note that other processes send their devices the state."""
        now = self._context.clock()
        for device in self.devices.values():
            if device.ref.key not in self.local_devices:
                record_sent_to_replica(device, self.state, now)

    def announce(self) -> None:
        """Have what is new of this process's devices told to other processes."""
        if self.rows.collect():
            self.process.announce(self)

    # What other processes have done: see ``adoption``.

    def adopt_state(
        self, state: State, event: str, recipients: Recipients, sender: int | None
    ) -> None:
        """Replace the state by one that is stored, and send it to this process's devices."""
        before, now = self.state, self._context.clock()
        self.state = state
        if state.rev < before.rev and self.local_devices:
            raise_rev = partial(self._raise_rev, before.rev)
            return self.process.perform_later(self, "raise rev", raise_rev)
        sending = None if sender is None else self.devices.get(sender)
        if event == QUEUE_UPDATED:
            self._send_queue(event)
        elif self.local_devices:
            self._broadcast(recipients, event, before, now)
            if list_has_changed(before, state):
                self._send_queue(QUEUE_UPDATED)
        if recipients is ROOM and event != QUEUE_UPDATED:
            self.record_sent_to_replicas()
        if state.active_device != before.active_device:
            device_commands.change_player(self, before, sending)
        if state.frozen_at is not None:
            self._context.needs_housekeeping.add(self)
        self.end_schedule.expect(self, state)
        self.notify_watchers()
        self.announce()

    def send_state(self) -> None:
        """Send the state to this process's devices, whatever they were sent before."""
        if self.state.track_id is None:
            return
        self._broadcast(ROOM, "trackUpdated", self.state, self._context.clock())

    def _raise_rev(self, known: int) -> None:
        """Give the state a rev that devices do not know: the store has lost what they were sent."""
        if self.state.rev <= known:
            before, now = self.state, self._context.clock()
            self.state = replace(before, rev=known + 1, updated_at=now)
            self._send_to_all("trackUpdated", before, now)

    def notify_watchers(self) -> None:
        """Send the list of devices to those that watch it, if it has changed."""
        self._device_list.notify_watchers(self.state, self._context.clock())
